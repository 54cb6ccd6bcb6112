/**
 * Compares the channel with its alternatives.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { installedPath } from "../contenders/packages.ts";
import { hasNats, startNats } from "../lib/nats.ts";
import {
  type Context,
  latencyColumns,
  type Outcome,
  type Plot,
  rateColumns,
  ratioText,
  type Scenario,
} from "../lib/outcome.ts";
import {
  entryOf,
  promiseLoad,
  samePairs,
  socketKinds,
  startChannel,
  startUnix,
} from "../lib/pairs.ts";
import { type Runtime, runtimes } from "../lib/runtimes.ts";
import { alternate, type Entry, type Series, seriesOf } from "../lib/slices.ts";
import { type Caller, Stage } from "../lib/stage.ts";

export const scenario: Scenario = {
  name: "alternatives",
  title: "What users would pick instead",
  about:
    "Promise echo, both sides in the same runtime, with one call outstanding and with 64. Ratios " +
    "are to the channel of the same runtime.",
  run,
};

/** A contender, and the runtime whose channel it is compared with. */
interface Rival {
  readonly name: string;
  readonly caller: Caller;
  readonly runtime: Runtime;
}

async function run(context: Context): Promise<Outcome> {
  await using stage = new Stage();
  const channels = new Map<Runtime, { name: string; caller: Caller }>();
  const rivals: Rival[] = [];
  for (const pair of samePairs) {
    const { client: runtime } = pair;
    const caller = await startChannel(stage, pair, "channel_promise");
    channels.set(runtime, { name: `${runtime}, channel`, caller });
    const add = async (what: string, starting: Promise<Caller>): Promise<void> => {
      rivals.push({ name: `${runtime}, ${what}`, caller: await starting, runtime });
    };
    for (const [contender, name] of Object.entries(socketKinds(pair))) {
      await add(name, startUnix(stage, pair, contender));
    }
    for (const serialization of ["advanced", "json"]) {
      await (runtime === "bun"
        ? add(`Bun.spawn IPC, ${serialization}`, stage.call("bun", "spawn_ipc", serialization))
        : add(`fork IPC, ${serialization}`, stage.call(runtime, "fork_ipc", serialization)));
    }
    await add("Worker postMessage", stage.call(runtime, "worker", ""));
    await add("HTTP, serve and fetch", stage.bothIn(runtime, "http", ""));
  }
  const notes = await addInstalled(stage, rivals);

  const rows: Record<string, string>[] = [];
  const plots: Plot[] = [];
  for (const { bytes, outstanding } of cases(context)) {
    const load = promiseLoad(bytes, outstanding);
    const own = new Map(
      Array.from(channels, ([key, { name, caller }]) => [key, entryOf(name, caller, load)]),
    );
    const entries = rivals.map(({ name, caller, runtime }): Entry => {
      return entryOf(name, caller, load, [own.get(runtime)!]);
    });
    const results = await alternate(entries, context);
    const all = [...own.values(), ...entries].map((entry) => seriesOf(results, entry));
    rows.push(...rivals.map(({ runtime }, index) => {
      const series = seriesOf(results, entries[index]!);
      return rowOf(bytes, outstanding, series, ratioText(series.ratios(own.get(runtime)!)));
    }));
    rows.push(...Array.from(own.values(), (entry) => {
      return rowOf(bytes, outstanding, seriesOf(results, entry), "1");
    }));
    plots.push({
      kind: "rates",
      name: `alternatives-${bytes}-${outstanding}`,
      title: `Echo of ${bytes} bytes, ${outstanding} outstanding`,
      series: all.map(({ name, rates: { median, q1, q3 } }) => ({ name, median, q1, q3 })),
    });
  }
  return { tables: [{ title: "Calls a second", rows }], plots, notes };
}

function cases({ isShort }: Context): readonly { bytes: number; outstanding: number }[] {
  const short = [{ bytes: 12, outstanding: 64 }];
  if (isShort) return short;
  return [
    { bytes: 12, outstanding: 1 },
    ...short,
    { bytes: 1024, outstanding: 1 },
    { bytes: 1024, outstanding: 64 },
  ];
}

/** Adds the contenders that `scripts/setup --bench` installs. Returns notes on missing ones. */
async function addInstalled(stage: Stage, rivals: Rival[]): Promise<string[]> {
  if (!existsSync(installedPath("node_modules"))) {
    return [
      "NATS, ZeroMQ and piscina are not installed and were left out; `scripts/setup --bench` " +
      "installs them.",
    ];
  }
  if (hasNats) {
    const url = await startNats(stage);
    for (const runtime of runtimes) {
      const caller = await stage.bothIn(runtime, "nats", `${url}#echo-${runtime}`);
      rivals.push({ name: `${runtime}, NATS`, caller, runtime });
    }
  }
  const node = async (name: string, starting: Promise<Caller>): Promise<void> => {
    rivals.push({ name: `node, ${name}`, caller: await starting, runtime: "node" });
  };
  await node("ZeroMQ", stage.bothIn("node", "zeromq", stage.path("zmq")));
  await node("piscina", stage.call("node", "piscina", ""));
  return [];
}

function rowOf(
  bytes: number,
  outstanding: number,
  series: Series,
  ratio: string,
): Record<string, string> {
  return {
    bytes: `${bytes}`,
    outstanding: `${outstanding}`,
    "": series.name,
    ...rateColumns(series),
    ...latencyColumns(series),
    "of the channel": ratio,
  };
}
