/**
 * The floor: what one call costs when nothing else happens. 12 bytes, one client, one server, one
 * call at a time, both blocking; for each pair of runtimes, beside a Unix socket of the same
 * runtimes.
 *
 *     bun bench/floor.ts [--check] [--slices N]
 *
 * @module
 */
import { tmpdir } from "node:os";
import { rmSync } from "node:fs";
import { judge, parseOptions } from "./lib/options.ts";
import { Child } from "./lib/parent.ts";
import { type Runtime, runtimes } from "./lib/runtimes.ts";
import { fixed, summarize, type Summary, whole } from "./lib/stats.ts";
import { Target } from "./lib/target.ts";

/** Calls a second of each slice, which client.ts reports. */
export interface Slices {
  readonly into: number[];
  readonly plain: number[];
  readonly socket: number[];
}

const sliceMs = 50;
/** Calls a second in the best slice, by the runtime of the client. */
const bars: Readonly<Record<Runtime, number>> = { bun: 1_000_000, deno: 600_000 };

if (import.meta.main) await main();

async function main(): Promise<void> {
  const options = parseOptions("slices", 25);
  const rows: Record<string, unknown> = {};
  const results = [];
  for (const client of runtimes) {
    for (const server of runtimes) {
      const pair = `${client} → ${server}`;
      const slices = await measure(client, server, options.count);
      const socket = summarize(slices.socket);
      const into = summarize(slices.into);
      rows[`${pair}  into`] = row(into, socket);
      rows[`${pair}`] = row(summarize(slices.plain), socket);
      rows[`${pair}  socket`] = row(socket, socket);
      results.push({
        what: `${pair}: best of ${into.count} slices ${whole(into.max)} ≥ ${whole(bars[client])}`,
        met: into.max >= bars[client],
      });
    }
  }
  console.log(`calls a second, 12 bytes, client → server, slices of ${sliceMs} ms`);
  console.table(rows);
  judge(results, options);
}

async function measure(client: Runtime, server: Runtime, slices: number): Promise<Slices> {
  using target = new Target("floor");
  const path = `${tmpdir()}/${target.name}.sock`;
  await using echo = Child.of(server, new URL("floor/server.ts", import.meta.url), [target.name]);
  await using socket = Child.of(server, new URL("floor/socket_server.ts", import.meta.url), [
    path,
  ]);
  await echo.hear();
  await socket.hear();
  const args = [target.name, path, `${slices}`, `${sliceMs}`];
  await using caller = Child.of(client, new URL("floor/client.ts", import.meta.url), args);
  try {
    return await caller.hear<Slices>();
  } finally {
    rmSync(path, { force: true });
  }
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
