/**
 * Measures one promise call a millisecond, between which the event loops sleep.
 *
 * @module
 */
import {
  type Bar,
  type Context,
  latencyColumns,
  micros,
  type Outcome,
  ratioText,
  type Scenario,
  significant,
  times,
} from "../lib/outcome.ts";
import { comparedPairs, promiseLoad, startBesideSockets } from "../lib/pairs.ts";
import { alternate, type Entry, seriesOf, type Slice } from "../lib/slices.ts";
import { type Caller, Stage } from "../lib/stage.ts";
import { summarize } from "../lib/stats.ts";

const warmUpMs = 500;
const p50Must = { bun: 1.15, deno: 1.25, node: 1.25 };

export const scenario: Scenario = {
  name: "paced",
  title: "Promise echo, one call a millisecond",
  about:
    "One call of 12 bytes, then a timer of 1 ms, then the next call. Both event loops sleep in between. Each " +
    "contender makes calls back to back for half a second before, so that its code is compiled. `CPU` is " +
    "the processor time for one call of all threads of both processes, as the scheduler counts it.",
  run,
};

const cpuOfCall = ({ cpuMs = NaN, calls }: Slice): number => cpuMs / calls;
const p50Of = ({ p50 }: Slice): number => p50;

async function run(context: Context): Promise<Outcome> {
  await using stage = new Stage();
  const entries = await startBesideSockets(stage, comparedPairs(context), async (name, caller) => {
    // At one call a millisecond, the compilers would take minutes.
    await caller.run({ ...promiseLoad(12, 1), ms: warmUpMs });
    return watched(name, caller);
  });
  // A slice must contain some calls.
  const sliceMs = Math.max(context.sliceMs, 16);
  const results = await alternate(entries.map(({ entry }) => entry), { ...context, sliceMs });
  const bars: Bar[] = [];
  const rows: Record<string, string>[] = [];
  for (const { pair, entry, unix } of entries) {
    const series = seriesOf(results, entry);
    const p50s = series.ratios(unix, p50Of);
    const cpu = series.ratios(unix, cpuOfCall);
    for (const each of [seriesOf(results, entry), seriesOf(results, unix)]) {
      const { median } = summarize(each.slices.map(cpuOfCall));
      rows.push({
        "": each.name,
        calls: `${each.latency.count}`,
        "median of the slices' p50, µs": micros(each.p50s.median),
        ...latencyColumns(each),
        "p50 of the socket's": each === series ? ratioText(p50s) : "",
        "CPU, µs a call": significant(median * 1e3),
        "CPU of the socket's": each === series ? ratioText(cpu) : "",
      });
    }
    const name = `promise, one call a millisecond, ${pair.name}`;
    const limit = { isLimit: true, write: times };
    bars.push(
      {
        what: `${name}, p50 of the Unix socket's`,
        measured: p50s.median,
        must: p50Must[pair.client],
        goal: 1,
        ...limit,
      },
      {
        what: `${name}, CPU of the Unix socket's`,
        measured: cpu.median,
        must: 1.3,
        goal: 1,
        ...limit,
      },
    );
  }
  return { tables: [{ title: "Latency and processor time", rows }], bars };
}

function watched(name: string, caller: Caller): Entry {
  const load = { bytes: 12, timeEvery: 1, pauseMs: 1 };
  return { name, run: (ms) => caller.runWatched({ ...load, ms }) };
}
