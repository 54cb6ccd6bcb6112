/**
 * Measures the floor: the cost of a call when nothing else happens. One client and one server make one
 * blocking call of 12 bytes at a time, for each pair of runtimes, beside a Unix socket of the same runtimes.
 *
 *     bun bench/floor.ts [--check] [--slices N]
 *
 * @module
 */
import { judge, parseOptions } from "./lib/options.ts";
import {
  blockingTimeEvery,
  entryOf,
  type Pair,
  pairs,
  promiseLoad,
  startChannel,
  startUnix,
} from "./lib/pairs.ts";
import type { Runtime } from "./lib/runtimes.ts";
import { alternate, type Entry, seriesOf } from "./lib/slices.ts";
import { Stage } from "./lib/stage.ts";
import { fixed, type Summary, whole } from "./lib/stats.ts";

/** Calls a second of each form. */
interface Measured {
  readonly into: Summary;
  readonly plain: Summary;
  readonly socket: Summary;
}

const bytes = 12;
const sliceMs = 50;
/** Calls a second in the best slice, by the runtime of the client. */
const bars: Readonly<Record<Runtime, number>> = {
  bun: 1_000_000,
  deno: 600_000,
  node: 600_000,
};

await main();

async function main(): Promise<void> {
  const options = parseOptions("slices", 25);
  const rows: Record<string, unknown> = {};
  const results = [];
  for (const pair of pairs) {
    const { into, plain, socket } = await measure(pair, options.count);
    rows[`${pair.name}  into`] = row(into, socket);
    rows[`${pair.name}`] = row(plain, socket);
    rows[`${pair.name}  socket`] = row(socket, socket);
    const bar = bars[pair.client];
    results.push({
      what: `${pair.name}: best of ${into.count} slices ${whole(into.max)} ≥ ${whole(bar)}`,
      met: into.max >= bar,
    });
  }
  console.log(`calls a second, ${bytes} bytes, client → server, slices of ${sliceMs} ms`);
  console.table(rows);
  judge(results, options);
}

async function measure(pair: Pair, rounds: number): Promise<Measured> {
  await using stage = new Stage();
  const channel = await startChannel(stage, pair, "channel_blocking");
  const load = { bytes, timeEvery: blockingTimeEvery };
  const into = entryOf("into", channel, { ...load, form: "into" });
  const plain = entryOf("plain", channel, { ...load, form: "fresh" });
  const unix = await startUnix(stage, pair, "unix_own");
  const socket = entryOf("socket", unix, promiseLoad(bytes, 1));
  const results = await alternate([into, plain, socket], { rounds, sliceMs });
  const rates = (entry: Entry): Summary => seriesOf(results, entry).rates;
  return { into: rates(into), plain: rates(plain), socket: rates(socket) };
}

function row(summary: Summary, socket: Summary): Record<string, string> {
  return {
    best: whole(summary.max),
    q3: whole(summary.q3),
    median: whole(summary.median),
    q1: whole(summary.q1),
    "median / socket's": fixed(summary.median / socket.median, 1),
  };
}
