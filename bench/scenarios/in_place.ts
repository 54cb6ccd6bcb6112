/**
 * A large payload that is never copied: written where it is read.
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
    "The client fills a draft in shared memory, the server reads it there and writes its answer " +
    "there, the client reads that in place. Writing is one memcpy each way that nothing can save; " +
    "two copies of the same size within the client's own memory, measured in the same process in " +
    "turn, are what the call is compared with. `native` is the same call with native code on both " +
    "sides: what remains of the ratio there is the way from one processor's cache to the other's.",
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
    // Time for one call, not calls a second.
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
