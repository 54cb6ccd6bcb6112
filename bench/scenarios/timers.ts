/**
 * Measures whether the timers of a busy event loop are on time.
 *
 * @module
 */
import {
  type Bar,
  type Context,
  micros,
  type Outcome,
  rateColumns,
  type Scenario,
  significant,
} from "../lib/outcome.ts";
import { comparedPairs, promiseLoad, startBesideSockets } from "../lib/pairs.ts";
import { alternate, type Entry, seriesOf } from "../lib/slices.ts";
import { type Caller, Stage } from "../lib/stage.ts";

const marginMs = 2;
const sides = ["client", "server"] as const;
const latenessOf = { client: "lateness", server: "serverLateness" } as const;

export const scenario: Scenario = {
  name: "timers",
  title: "Timers beside 64 outstanding calls",
  about:
    "A client has 64 promise calls outstanding, and the event loops of client and server also have an " +
    "interval of 1 ms. `late` is how much more than 1 ms two turns of the interval were apart, over all " +
    "slices. Beside it is the same with a Unix socket instead of the channel.",
  run,
};

async function run(context: Context): Promise<Outcome> {
  await using stage = new Stage();
  const entries = await startBesideSockets(stage, comparedPairs(context), timed);
  // A slice must contain some turns of the timer.
  const sliceMs = Math.max(context.sliceMs, 16);
  const results = await alternate(entries.map(({ entry }) => entry), { ...context, sliceMs });
  const rows = [...results.values()].flatMap((series) =>
    sides.map((side) => {
      const lateness = series[latenessOf[side]];
      return {
        "": series.name,
        "event loop": side,
        turns: `${lateness.count}`,
        "late p50, µs": micros(lateness.quantile(0.5)),
        "late p99, µs": micros(lateness.quantile(0.99)),
        "late at most, µs": micros(lateness.quantile(1)),
        ...rateColumns(series),
      };
    })
  );
  const bars = entries.flatMap(({ pair, entry, unix }) =>
    sides.map((side): Bar => {
      const p99 = (each: Entry): number =>
        seriesOf(results, each)[latenessOf[side]].quantile(0.99) / 1e6;
      return {
        what:
          `timers beside 64 outstanding, ${pair.name}, ${side}, p99 in ms above the Unix socket's`,
        measured: p99(entry) - p99(unix),
        isLimit: true,
        must: marginMs,
        write: significant,
      };
    })
  );
  return { tables: [{ title: "Lateness of a 1 ms interval", rows }], bars };
}

function timed(name: string, caller: Caller): Entry {
  return { name, run: (ms) => caller.runWithTimers({ ...promiseLoad(12, 64), ms }) };
}
