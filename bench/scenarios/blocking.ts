/**
 * Measures blocking calls of 12 bytes, one after another.
 *
 * @module
 */
import {
  type Bar,
  type Context,
  latencyColumns,
  type Outcome,
  percent,
  rateColumns,
  ratioText,
  type Scenario,
} from "../lib/outcome.ts";
import { blockingTimeEvery, entryOf, pairs, samePairs, startChannel } from "../lib/pairs.ts";
import { alternate, type Entry, seriesOf } from "../lib/slices.ts";
import { Stage } from "../lib/stage.ts";

const bars = {
  into: {
    bun: { must: 0.55, goal: 0.8 },
    deno: { must: 0.45, goal: 0.65 },
    node: { must: 0.45, goal: 0.6 },
  },
  fresh: {
    bun: { must: 0.45, goal: 0.65 },
    deno: { must: 0.3, goal: 0.4 },
    node: { must: 0.3, goal: 0.4 },
  },
};

export const scenario: Scenario = {
  name: "blocking",
  title: "Blocking echo, 12 bytes",
  about:
    "One client, one server, one call at a time, both blocking. `into` writes the answers into one array; " +
    "`fresh` makes an array for each answer. The control is the same channel between two native " +
    "processes. The ping-pong is two words of shared memory and the same way of waiting, without a " +
    "channel.",
  run,
};

async function run(context: Context): Promise<Outcome> {
  await using stage = new Stage();
  const load = { bytes: 12, timeEvery: blockingTimeEvery };
  const pingPong = entryOf("ping-pong", await stage.native("ping-pong"), load);
  const control = entryOf("control", await stage.control(), load);
  const entries: { entry: Entry; bar: Omit<Bar, "measured" | "write"> }[] = [];
  for (const pair of pairs) {
    const caller = await startChannel(stage, pair, "channel_blocking");
    for (const form of ["into", "fresh"] as const) {
      const name = `${pair.name}, ${form}`;
      const what = `blocking 12 B, ${name}, of the control`;
      const entry = entryOf(name, caller, { ...load, form }, [control]);
      entries.push({ entry, bar: { what, ...bars[form][pair.client] } });
    }
  }
  const limited: Entry = { ...control, name: "control beside ping-pong", against: [pingPong] };
  const results = await alternate([...entries.map(({ entry }) => entry), limited], context);

  const limit = seriesOf(results, limited).ratios(pingPong);
  const rows = [...results.values()].map((series) => ({
    "": series.name,
    ...rateColumns(series),
    ...latencyColumns(series),
    "of the control": ratioText(series.ratios(control)),
    "of the ping-pong": ratioText(series.ratios(pingPong)),
  }));
  // Mixed pairs lie between those within one runtime, and more lines than these have no colours.
  const mixed = pairs.filter((pair) => !samePairs.includes(pair)).map(({ name }) => name);
  const series = [...results.values()].filter(({ name }) =>
    !name.startsWith("control beside") && !mixed.includes(name.split(", ")[0]!)
  );
  return {
    tables: [{ title: "Calls a second", rows }],
    plots: [{
      kind: "latency",
      name: "blocking-latency",
      title: "Blocking echo, 12 bytes",
      series: series.map(({ name, latency }) => ({
        name: name.includes(",") ? name : `${name}, native`,
        histogram: latency,
      })),
    }],
    bars: [
      ...entries.map(({ entry, bar }) => ({
        ...bar,
        measured: seriesOf(results, entry).ratios(control).median,
        write: percent,
      })),
      {
        what: "blocking 12 B, control, of the ping-pong",
        measured: limit.median,
        must: 0.55,
        goal: 0.9,
        write: percent,
      },
    ],
  };
}
