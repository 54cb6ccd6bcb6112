/**
 * Measures one promise call after another.
 *
 * @module
 */
import {
  type Bar,
  type Context,
  latencyColumns,
  micros,
  type Outcome,
  rateColumns,
  ratioText,
  type Scenario,
  times,
} from "../lib/outcome.ts";
import {
  comparedPairs,
  entryOf,
  promiseLoad,
  startBesideSockets,
  startForks,
} from "../lib/pairs.ts";
import { alternate, type Entry, seriesOf } from "../lib/slices.ts";
import { Stage } from "../lib/stage.ts";

const bars = {
  bun: { p50: { must: 3_000, goal: 1_000 }, ratio: { must: 25 } },
  deno: { p50: { must: 6_000, goal: 2_000 }, ratio: { must: 10 } },
  node: { p50: { must: 6_000, goal: 2_000 }, ratio: { must: 10 } },
};

/** Calls a second, of those that Node's own child processes reach. */
const forkMust = 10;

export const scenario: Scenario = {
  name: "promise-one",
  title: "Promise echo, one outstanding, back to back",
  about:
    "`await client.request(payload)` in a loop, 12 bytes, beside a Unix socket of the same two " +
    "runtimes, and in Node beside its channel to a child process. The bar on the median latency is for the best " +
    "slice.",
  run,
};

async function run(context: Context): Promise<Outcome> {
  await using stage = new Stage();
  const load = promiseLoad(12, 1);
  const entries = await startBesideSockets(
    stage,
    comparedPairs(context),
    (name, caller) => entryOf(name, caller, load),
  );
  const forks = await startForks(stage);
  const beside = (entry: Entry): Entry =>
    entry.name === "node → node"
      ? { ...entry, against: [...entry.against ?? [], ...forks] }
      : entry;
  const results = await alternate(entries.map(({ entry }) => beside(entry)), context);
  const met: Bar[] = [];
  const rows: Record<string, string>[] = [];
  for (const { pair, entry, unix } of entries) {
    const series = seriesOf(results, entry);
    const ratios = series.ratios(unix);
    for (const each of [series, seriesOf(results, unix)]) {
      rows.push({
        "": each.name,
        ...rateColumns(each),
        "best p50, µs": micros(each.p50s.min),
        ...latencyColumns(each),
        "of the socket": ratioText(each.ratios(unix)),
      });
    }
    if (pair.name === "node → node") {
      for (const fork of forks) {
        const rival = seriesOf(results, fork);
        rows.push({
          "": fork.name,
          ...rateColumns(rival),
          "best p50, µs": micros(rival.p50s.min),
          ...latencyColumns(rival),
          "of the socket": "",
        });
        met.push({
          what: `promise, 1 outstanding, ${pair.name}, of ${fork.name.replace("node, ", "")}`,
          measured: series.ratios(fork).median,
          must: forkMust,
          write: times,
        });
      }
    }
    const { p50, ratio } = bars[pair.client];
    const name = `promise, 1 outstanding, ${pair.name}`;
    met.push({
      what: `${name}, p50 in µs, best slice`,
      measured: series.p50s.min,
      isLimit: true,
      ...p50,
      write: micros,
    }, {
      what: `${name}, of the Unix socket`,
      measured: ratios.median,
      ...ratio,
      write: times,
    });
  }
  return {
    tables: [{ title: "Calls a second", rows }],
    plots: [{
      kind: "latency",
      name: "promise-one-latency",
      title: "Promise echo, one outstanding",
      series: [...results.values()].map(({ name, latency }) => ({ name, histogram: latency })),
    }],
    bars: met,
  };
}
