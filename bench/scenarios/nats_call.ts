/**
 * Compares typed calls over NATS with requests of the bare NATS client.
 *
 * @module
 */
import { hasNats, startNats } from "../lib/nats.ts";
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
import { entryOf, promiseLoad } from "../lib/pairs.ts";
import { runtimes } from "../lib/runtimes.ts";
import { alternate, type Entry, type Results, type Series, seriesOf } from "../lib/slices.ts";
import { Stage } from "../lib/stage.ts";

/** The p50 of one call after another, of that of the bare client. */
const p50Must = 1.1;
/** Calls a second, of those of the bare client. */
const ratesMust = 0.75;
/** Three processes take turns with each call. */
const sliceMsMin = 100;
const warmUpMs = 2_000;

export const scenario: Scenario = {
  name: "nats-call",
  title: "Typed calls over NATS",
  about:
    "A typed call over `nats://` of a method that returns its argument, and the same request and reply with the bare " +
    "client, `@nats-io/transport-node`. Each way has two processes of its own; they share the server. Ratios are " +
    "those of neighbouring slices.",
  run,
};

async function run(context: Context): Promise<Outcome> {
  if (!hasNats) {
    const note = "NATS is not installed and was left out; `scripts/setup --bench` installs it.";
    return { tables: [], notes: [note] };
  }
  const rows: Record<string, string>[] = [];
  const bars: Bar[] = [];
  for (const outstanding of [1, 64]) {
    const load = promiseLoad(12, outstanding);
    await using stage = new Stage();
    const url = await startNats(stage);
    const entry = async (name: string, address: string, contender: string): Promise<Entry> => {
      const runtime = runtimes.find((each) => name.startsWith(each))!;
      const { child } = await stage.serve(runtime, contender, address);
      return entryOf(name, await stage.call(runtime, contender, address, [child]), load);
    };
    const pairs: { typed: Entry; bare: Entry }[] = [];
    for (const runtime of runtimes) {
      const bare = await entry(`${runtime}, bare client`, `${url}#bare-${runtime}`, "nats");
      const typed = await entry(`${runtime}, typed`, `${url}/typed-${runtime}`, "typed");
      pairs.push({ typed: { ...typed, against: [bare] }, bare });
    }
    for (const { typed, bare } of pairs) {
      for (const each of [typed, bare]) await each.run(warmUpMs);
    }
    const pace = { ...context, sliceMs: Math.max(context.sliceMs, sliceMsMin) };
    const results = await alternate(pairs.map(({ typed }) => typed), pace);
    for (const { typed, bare } of pairs) {
      const measured = measuredOf(results, typed, bare);
      for (const series of [measured.typed, seriesOf(results, bare)]) {
        const isTyped = series === measured.typed;
        rows.push({
          outstanding: `${outstanding}`,
          "": series.name,
          ...rateColumns(series),
          ...latencyColumns(series),
          "calls, of the bare client": isTyped ? ratioText(measured.rates) : "",
          "p50, of the bare client": isTyped ? ratioText(measured.p50s) : "",
        });
      }
      const what = `NATS, ${typed.name}, ${outstanding} outstanding`;
      const write = times;
      bars.push(
        outstanding === 1
          ? {
            what: `${what}, p50 of the bare client's`,
            measured: measured.p50s.median,
            isLimit: true,
            must: p50Must,
            write,
          }
          : {
            what: `${what}, calls of the bare client's`,
            measured: measured.rates.median,
            must: ratesMust,
            write,
          },
      );
    }
  }
  return { tables: [{ title: "Calls a second", rows }], bars };
}

function measuredOf(results: Results, typed: Entry, bare: Entry) {
  const series: Series = seriesOf(results, typed);
  return {
    typed: series,
    rates: series.ratios(bare),
    p50s: series.ratios(bare, ({ p50 }) => p50),
  };
}
