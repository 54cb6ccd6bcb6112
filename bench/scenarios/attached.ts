/**
 * Measures whether calls are slower on a channel that many processes have open.
 *
 * @module
 */
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
import { callForms, entryOf, samePairs, startChannel } from "../lib/pairs.ts";
import { alternate, type Entry, seriesOf } from "../lib/slices.ts";
import { Stage } from "../lib/stage.ts";

const idleCount = 62;

export const scenario: Scenario = {
  name: "attached",
  title: "Few processes and many",
  about:
    `12 bytes, one client and one server, on a channel of their own and on a channel that ${idleCount} ` +
    "idle processes have open as well, half of them as clients and half as servers. The idle processes are " +
    "native, to save memory; for the others they make no difference. The ratio is of the time for one call.",
  run,
};

async function run(context: Context): Promise<Outcome> {
  const rows: Record<string, string>[] = [];
  const bars: Bar[] = [];
  for (const [form, { contender, load }] of Object.entries(callForms(64))) {
    await using stage = new Stage();
    const entries: { name: string; crowded: Entry; alone: Entry }[] = [];
    for (const pair of samePairs) {
      const name = `${pair.name}, ${form}`;
      const alone = entryOf(`${name}, alone`, await startChannel(stage, pair, contender), load);
      const caller = await startChannel(stage, pair, contender, {}, async (target) => {
        for (let index = 0; index < idleCount; index++) {
          await stage.native("attach", target, index % 2 === 0 ? "client" : "server");
        }
      });
      const crowded = entryOf(`${name}, ${idleCount} idle`, caller, load, [alone]);
      entries.push({ name, crowded, alone });
    }
    const results = await alternate(entries.map(({ crowded }) => crowded), context);
    for (const { name, crowded, alone } of entries) {
      const series = seriesOf(results, crowded);
      const costs = series.ratios(alone, ({ rate }) => 1 / rate);
      for (const each of [seriesOf(results, alone), series]) {
        rows.push({
          "": each.name,
          ...rateColumns(each),
          ...latencyColumns(each),
          "cost of alone": each === series ? ratioText(costs) : "",
        });
      }
      bars.push({
        what: `2 → ${idleCount + 2} attached processes, ${name}, cost of a call`,
        measured: costs.median,
        isLimit: true,
        must: 1.25,
        goal: 1.1,
        write: times,
      });
    }
  }
  return { tables: [{ title: "Calls a second", rows }], bars };
}
