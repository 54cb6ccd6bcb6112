/**
 * Measures the table in which the predecessor of this library compares itself.
 *
 * @module
 */
import { batchSize } from "../contenders/single_process.ts";
import type { Measured } from "../lib/load.ts";
import {
  type Context,
  latencyColumns,
  type Outcome,
  rateColumns,
  ratioText,
  type Scenario,
} from "../lib/outcome.ts";
import { blockingTimeEvery, entryOf, samePairs, startChannel } from "../lib/pairs.ts";
import { alternate, type Entry, type Series } from "../lib/slices.ts";
import { Stage } from "../lib/stage.ts";

const transports = {
  pipe: "a pair of pipes",
  socketpair: "a pair of Unix sockets",
  broker: "pairs of Unix sockets and a broker between",
  tcp: "TCP",
  sysv: "a System V message queue",
};

export const scenario: Scenario = {
  name: "predecessor",
  title: "The predecessor's table",
  about:
    "Blocking echo. In one process nothing waits: this is the cost of a call by itself, one after another " +
    `and in batches of ${batchSize}. Between two processes it is compared with what the kernel offers: ` +
    "those rows are native programs with one write and one read each way, so that no runtime slows them " +
    "down. Ratios are to the pair of pipes.",
  run,
};

async function run(context: Context): Promise<Outcome> {
  await using stage = new Stage();
  const native = new Map<string, Awaited<ReturnType<Stage["native"]>>>();
  for (const [transport, name] of Object.entries(transports)) {
    native.set(`native, ${name}`, await stage.native(transport));
  }
  const started = [];
  for (const pair of samePairs) {
    started.push({
      pair,
      single: await stage.call(pair.client, "single_process", ""),
      bytes: await startChannel(stage, pair, "channel_blocking"),
      int: await startChannel(stage, pair, "channel_int"),
    });
  }
  const rows: Record<string, string>[] = [];
  for (const bytes of context.isShort ? [12] : [12, 1024]) {
    const load = { bytes, timeEvery: blockingTimeEvery };
    const kernel = Array.from(native, ([name, caller]) => entryOf(name, caller, load));
    const [pipe] = kernel as [Entry, ...Entry[]];
    const entries: Entry[] = [];
    for (const { pair, single, bytes: channel, int } of started) {
      const alone = `${pair.client}, one process`;
      const batch: Entry = {
        name: `${alone}, batches of ${batchSize}`,
        run: async (ms) => inBatches(await single.run({ bytes, form: "batch", timeEvery: 1, ms })),
      };
      entries.push(
        entryOf(`${alone}, bytes`, single, { ...load, form: "bytes" }),
        batch,
        entryOf(`${pair.name}, bytes`, channel, { ...load, form: "into" }, [pipe]),
      );
      // An integer always has eight bytes.
      if (bytes > 12) continue;
      entries.push(
        entryOf(`${alone}, integers`, single, { ...load, form: "int" }),
        entryOf(`${pair.name}, integers`, int, { ...load, form: "int" }, [pipe]),
      );
    }
    const others = kernel.slice(1).map((entry) => ({ ...entry, against: [pipe] }));
    const results = await alternate([...entries, ...others], context);
    rows.push(...Array.from(results.values(), (series) => rowOf(bytes, series, pipe)));
  }
  return { tables: [{ title: "Calls a second", rows }] };
}

/** A batch is timed as one call, but counts as many. */
function inBatches(measured: Measured): Measured {
  return { ...measured, calls: measured.calls * batchSize };
}

function rowOf(bytes: number, series: Series, pipe: Entry): Record<string, string> {
  return {
    bytes: `${bytes}`,
    "": series.name,
    ...rateColumns(series),
    ...latencyColumns(series),
    "of the pipes": ratioText(series.ratios(pipe)),
  };
}
