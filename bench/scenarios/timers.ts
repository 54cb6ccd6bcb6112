/**
 * Whether timers of a busy event loop are on time.
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
import { entryOf, type Pair, pairsFor, startChannel, startUnix, together } from "../lib/pairs.ts";
import { alternate, type Entry, seriesOf } from "../lib/slices.ts";
import { Stage } from "../lib/stage.ts";

const marginMs = 2;

export const scenario: Scenario = {
  name: "timers",
  title: "Timers beside 64 outstanding calls",
  about:
    "The client of 64 outstanding promise calls has an interval of 1 ms as well. `late` is by how " +
    "much more than 1 ms two of its turns were apart, over all slices; beside it the same with a " +
    "Unix socket in place of the channel.",
  run,
};

async function run(context: Context): Promise<Outcome> {
  await using stage = new Stage();
  const load = { ...together(12, 64), withTimer: true };
  const entries: { pair: Pair; entry: Entry; unix: Entry }[] = [];
  for (const pair of pairsFor(context)) {
    const socket = await startUnix(stage, pair, "unix_own");
    const channel = await startChannel(stage, pair, "channel_promise");
    const unix = entryOf(`${pair.name}, Unix socket`, socket, load);
    entries.push({ pair, entry: entryOf(pair.name, channel, load, [unix]), unix });
  }
  // A slice has to have some turns of the timer in it.
  const sliceMs = Math.max(context.sliceMs, 16);
  const results = await alternate(entries.map(({ entry }) => entry), { ...context, sliceMs });
  const rows = [...results.values()].map((series) => {
    const { lateness } = series;
    return {
      "": series.name,
      turns: `${lateness.count}`,
      "late p50, µs": micros(lateness.quantile(0.5)),
      "late p99, µs": micros(lateness.quantile(0.99)),
      "late at most, µs": micros(lateness.quantile(1)),
      ...rateColumns(series),
    };
  });
  const bars = entries.map(({ pair, entry, unix }): Bar => {
    const [own, socket] = [entry, unix].map((each) =>
      seriesOf(results, each).lateness.quantile(0.99) / 1e6
    ) as [number, number];
    return {
      what:
        `timers beside 64 outstanding, ${pair.name}, p99 lateness in ms above the Unix socket's`,
      measured: own - socket,
      isLimit: true,
      must: marginMs,
      write: significant,
    };
  });
  return { tables: [{ title: "Lateness of a 1 ms interval", rows }], bars };
}
