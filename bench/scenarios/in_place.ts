/**
 * Measures a large payload that is written where the other side reads it.
 *
 * @module
 */
import {
  type Bar,
  type Context,
  micros,
  type Outcome,
  rateColumns,
  ratioText,
  type Scenario,
  times,
} from "../lib/outcome.ts";
import { comparedPairs, entryOf, startChannel } from "../lib/pairs.ts";
import { alternate, type Entry, seriesOf } from "../lib/slices.ts";
import { Stage } from "../lib/stage.ts";

export const scenario: Scenario = {
  name: "in-place",
  title: "Blocking echo of 1 MiB in place",
  about:
    "The client fills a draft in shared memory, the server reads it there and writes its answer there, " +
    "and the client reads the answer in place. Each side must still write the payload once. So the " +
    "reference is two copies of the same size within the memory of the client, measured in turn in the " +
    "same process. `native` is the same call with native code on both sides: its ratio is the cost of " +
    "moving the bytes from the cache of one processor to that of the other.",
  run,
};

async function run(context: Context): Promise<Outcome> {
  await using stage = new Stage();
  const load = { bytes: 1024 * 1024, timeEvery: 1 };
  const entries: { entry: Entry; memcpy: Entry }[] = [];
  for (const pair of comparedPairs(context)) {
    const caller = await startChannel(stage, pair, "channel_in_place");
    const memcpy = entryOf(`${pair.name}, memcpy`, caller, { ...load, form: "memcpy" });
    const form = { ...load, form: "in place" };
    entries.push({ entry: entryOf(`${pair.name}, in place`, caller, form, [memcpy]), memcpy });
  }
  const { memcpy } = entries[0]!;
  const limit = entryOf("native, in place", await stage.control("in-place"), load, [memcpy]);
  entries.push({ entry: limit, memcpy });
  const results = await alternate(entries.map(({ entry }) => entry), context);
  const bars: Bar[] = [];
  const rows: Record<string, string>[] = [];
  for (const { entry, memcpy } of entries) {
    const series = seriesOf(results, entry);
    const copies = seriesOf(results, memcpy);
    // The time for one call, not the calls a second.
    const ratios = series.ratios(memcpy, ({ rate }) => 1 / rate);
    rows.push({
      "": entry.name,
      ...rateColumns(series),
      "µs a call": micros(1e9 / series.rates.median),
      "µs for two copies": micros(1e9 / copies.rates.median),
      "of the copies": ratioText(ratios),
    });
    if (entry === limit) continue;
    const what = `blocking 1 MiB, ${entry.name}, of one memcpy each way`;
    bars.push({ what, measured: ratios.median, isLimit: true, must: 1.5, goal: 1.1, write: times });
  }
  return { tables: [{ title: "Calls a second", rows }], bars };
}
