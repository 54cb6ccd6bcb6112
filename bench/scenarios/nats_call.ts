/**
 * Compares typed calls over NATS with requests of the bare NATS client.
 *
 * @module
 */
import { hasNats, startNats } from "../lib/nats.ts";
import {
  type Bar,
  type Context,
  latencyColumns,
  type Outcome,
  rateColumns,
  ratioText,
  type Scenario,
  times,
} from "../lib/outcome.ts";
import { entryOf, promiseLoad } from "../lib/pairs.ts";
import { runtimes } from "../lib/runtimes.ts";
import { alternate, type Entry, type Series, seriesOf } from "../lib/slices.ts";
import { Stage } from "../lib/stage.ts";

/** The p50 of one call after another, of that of the bare client. */
const p50Must = 1.1;
/** Calls a second, of those of the bare client. */
const ratesMust = 0.75;
/** Three processes take turns with each call. */
const sliceMsMin = 100;
const warmUpMs = 2_000;

export const scenario: Scenario = {
  name: "nats-call",
  title: "Typed calls over NATS",
  about:
    "A typed call over `nats://` of a method that returns its argument, and the same request and reply with the bare " +
    "client, `@nats-io/transport-node`. Each way has two processes of its own; they share the server. Ratios are " +
    "those of neighbouring slices.",
  run,
};

async function run(context: Context): Promise<Outcome> {
  if (!hasNats) {
    const note = "NATS is not installed and was left out; `scripts/setup --bench` installs it.";
    return { tables: [], notes: [note] };
  }
  const rows: Record<string, string>[] = [];
  const bars: Bar[] = [];
  for (const outstanding of [1, 64]) {
    await using stage = new Stage();
    const rivals = await start(stage, outstanding);
    for (const { typed, bare } of rivals) {
      for (const each of [typed, bare]) await each.run(warmUpMs);
    }
    const pace = { ...context, sliceMs: Math.max(context.sliceMs, sliceMsMin) };
    const results = await alternate(rivals.map(({ typed }) => typed), pace);
    for (const { typed, bare } of rivals) {
      const series = seriesOf(results, typed);
      const rates = series.ratios(bare);
      const p50s = series.ratios(bare, ({ p50 }) => p50);
      rows.push(
        {
          ...rowOf(outstanding, series),
          "calls, of the bare client": ratioText(rates),
          "p50, of the bare client": ratioText(p50s),
        },
        rowOf(outstanding, seriesOf(results, bare)),
      );
      bars.push(barOf(typed, outstanding, rates.median, p50s.median));
    }
  }
  return { tables: [{ title: "Calls a second", rows }], bars };
}

/** Both ways of a runtime, which take turns. */
interface Rivals {
  readonly typed: Entry;
  readonly bare: Entry;
}

async function start(stage: Stage, outstanding: number): Promise<Rivals[]> {
  const url = await startNats(stage);
  const load = promiseLoad(12, outstanding);
  const rivals: Rivals[] = [];
  for (const runtime of runtimes) {
    const client = await stage.bothIn(runtime, "nats", `${url}#bare-${runtime}`);
    const bare = entryOf(`${runtime}, bare client`, client, load);
    const caller = await stage.bothIn(runtime, "typed", `${url}/typed-${runtime}`);
    const typed = { ...entryOf(`${runtime}, typed`, caller, load), against: [bare] };
    rivals.push({ typed, bare });
  }
  return rivals;
}

function rowOf(outstanding: number, series: Series): Record<string, string> {
  return {
    outstanding: `${outstanding}`,
    "": series.name,
    ...rateColumns(series),
    ...latencyColumns(series),
  };
}

/** With one call outstanding the latency counts, with many their rate. */
function barOf({ name }: Entry, outstanding: number, rates: number, p50s: number): Bar {
  const what = `NATS, ${name}, ${outstanding} outstanding`;
  return outstanding === 1
    ? {
      what: `${what}, p50 of the bare client's`,
      measured: p50s,
      isLimit: true,
      must: p50Must,
      write: times,
    }
    : {
      what: `${what}, calls of the bare client's`,
      measured: rates,
      must: ratesMust,
      write: times,
    };
}
