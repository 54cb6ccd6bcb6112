/**
 * Measures whether calls are slower on a channel with many slots.
 *
 * @module
 */
import { Client } from "../../mod.ts";
import {
  type Bar,
  type Context,
  latencyColumns,
  type Outcome,
  type Point,
  pointOf,
  rateColumns,
  ratioText,
  type Scenario,
  times,
} from "../lib/outcome.ts";
import { callForms, entryOf, samePairs, startChannel } from "../lib/pairs.ts";
import { alternate, type Entry, seriesOf } from "../lib/slices.ts";
import { Stage } from "../lib/stage.ts";

const few = 64;
const many = 65_536;

export const scenario: Scenario = {
  name: "slots",
  title: "Few slots and many",
  about:
    "12 bytes. All slots of each channel were used before, as after a burst, so that a search through the " +
    "used slots meets all of them. The ratio is of the time for one call.",
  run,
};

async function run(context: Context): Promise<Outcome> {
  const counts = context.isShort ? [few, many] : [few, 1024, 8192, many];
  const rows: Record<string, string>[] = [];
  const curves = new Map<string, Point[]>();
  const bars: Bar[] = [];
  for (const [form, { contender, load }] of Object.entries(callForms(32))) {
    await using stage = new Stage();
    const entries: { name: string; slots: number; entry: Entry; least: Entry }[] = [];
    for (const pair of samePairs) {
      const name = `${pair.name}, ${form}`;
      let least: Entry | undefined;
      for (const slots of counts) {
        const caller = await startChannel(stage, pair, contender, { slots }, useAllSlots);
        const against: readonly Entry[] = least ? [least] : [];
        const entry = entryOf(`${name}, ${slots} slots`, caller, load, against);
        least ??= entry;
        entries.push({ name, slots, entry, least });
      }
    }
    const compared = entries.filter(({ entry, least }) => entry !== least);
    const results = await alternate(compared.map(({ entry }) => entry), context);
    for (const { name, slots, entry, least } of entries) {
      const series = seriesOf(results, entry);
      const costs = series.ratios(least, ({ rate }) => 1 / rate);
      rows.push({
        slots: `${slots}`,
        "": name,
        ...rateColumns(series),
        ...latencyColumns(series),
        [`cost of ${few} slots`]: entry === least ? "" : ratioText(costs),
      });
      curves.set(name, [...curves.get(name) ?? [], pointOf(slots, series)]);
      if (slots !== many) continue;
      bars.push({
        what: `${few} → ${many} slots, ${name}, cost of a call`,
        measured: costs.median,
        isLimit: true,
        must: 1.25,
        goal: 1.1,
        write: times,
      });
    }
  }
  return {
    tables: [{ title: "Calls a second", rows }],
    plots: context.isShort ? [] : [{
      kind: "curve",
      name: "slots",
      title: "Echo of 12 bytes against the slots of its channel",
      x: "slots",
      isLogarithmic: true,
      series: Array.from(curves, ([name, points]) => ({ name, points })),
    }],
    bars,
  };
}

/** Takes all slots at once and gives them back. */
function useAllSlots(target: string): void {
  using client = Client.open(target);
  let taken = 0;
  while (client.trySend("x")) taken += 1;
  if (taken < client.slots) throw new Error(`Only ${taken} of ${client.slots} slots were free`);
}
