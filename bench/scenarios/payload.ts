/**
 * Measures blocking calls of growing payloads, which are copied in and out.
 *
 * @module
 */
import {
  type Bar,
  type Context,
  latencyColumns,
  type Outcome,
  percent,
  type Point,
  pointOf,
  rateColumns,
  ratioText,
  type Scenario,
} from "../lib/outcome.ts";
import {
  blockingTimeEvery,
  entryOf,
  pairs,
  promiseLoad,
  samePairs,
  startChannel,
  startUnix,
} from "../lib/pairs.ts";
import { alternate, type Entry, seriesOf } from "../lib/slices.ts";
import { type Caller, Stage } from "../lib/stage.ts";

const kibi = 1024;
const bars: Readonly<Record<number, Pick<Bar, "must" | "goal">>> = {
  [kibi]: { must: 0.5, goal: 0.7 },
  [64 * kibi]: { must: 0.85, goal: 0.95 },
};

export const scenario: Scenario = {
  name: "payload",
  title: "Blocking echo of growing payloads",
  about:
    "As `blocking`, with `into`. The calls through the Unix socket are promises, one outstanding, because " +
    "sockets have no blocking form in these runtimes.",
  run,
};

async function run(context: Context): Promise<Outcome> {
  await using stage = new Stage();
  const control = await stage.control();
  const channels = new Map<string, Caller>();
  for (const pair of pairs) {
    channels.set(pair.name, await startChannel(stage, pair, "channel_blocking"));
  }
  const sockets = new Map<string, Caller>();
  for (const pair of samePairs) {
    sockets.set(`${pair.name}, Unix socket`, await startUnix(stage, pair, "unix_own"));
  }

  const sizes = context.isShort
    ? [kibi, 64 * kibi, 1024 * kibi]
    : [12, 128, kibi, 8 * kibi, 64 * kibi, 256 * kibi, 1024 * kibi];
  const rows: Record<string, string>[] = [];
  const met: Bar[] = [];
  const curves = new Map<string, Point[]>();
  for (const bytes of sizes) {
    const bar = bars[bytes];
    const load = { bytes, timeEvery: bytes > 16 * kibi ? 1 : blockingTimeEvery };
    const native = entryOf("control", control, load);
    const entries: Entry[] = [];
    for (const { name } of bar ? pairs : samePairs) {
      const caller = channels.get(name)!;
      entries.push(entryOf(name, caller, { ...load, form: "into" }, [native]));
    }
    const compared = [...entries];
    if (!context.isShort) {
      for (const [name, caller] of sockets) {
        entries.push(entryOf(name, caller, promiseLoad(bytes, 1)));
      }
    }
    const results = await alternate(entries, context);
    for (const series of results.values()) {
      const size = sizeText(bytes);
      const ratio = ratioText(series.ratios(native));
      const row = { payload: size, "": series.name, ...rateColumns(series) };
      rows.push({ ...row, ...latencyColumns(series), "of the control": ratio });
      curves.set(series.name, [...curves.get(series.name) ?? [], pointOf(bytes, series)]);
    }
    if (!bar) continue;
    for (const entry of compared) {
      const measured = seriesOf(results, entry).ratios(native).median;
      const what = `blocking ${sizeText(bytes)}, ${entry.name}, of the control`;
      met.push({ what, measured, write: percent, ...bar });
    }
  }
  return {
    tables: [{ title: "Calls a second", rows }],
    plots: [{
      kind: "curve",
      name: "payload",
      title: "Blocking echo against its payload",
      x: "payload",
      isLogarithmic: true,
      series: Array.from(curves, ([name, points]) => ({ name, points }))
        .filter(({ points }) => points.length > 2),
    }],
    bars: met,
  };
}

function sizeText(bytes: number): string {
  if (bytes < kibi) return `${bytes} B`;
  return bytes < kibi * kibi ? `${bytes / kibi} KiB` : `${bytes / kibi / kibi} MiB`;
}
