/**
 * Measures how long a pool takes to start, and to replace a worker that a task has ended: in
 * milliseconds, one message with the repetitions of each.
 *
 *     start.ts KIND MODE COUNT
 *
 * @module
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { report } from "../lib/child.ts";
import { openPool, type PoolKind, type PoolMode } from "./pools.ts";

if (import.meta.main) await main();

async function main(): Promise<void> {
  // As for a package that was compiled: Node keeps what it has made of the sources.
  process.env.NODE_COMPILE_CACHE ??= fileURLToPath(
    new URL("../../.tools/node-cache", import.meta.url),
  );
  const [kind, mode = "", count] = process.argv.slice(2);
  const { workers, options = {} } = JSON.parse(mode) as PoolMode;
  const open = (workers: number) => openPool(kind as PoolKind, { workers, options });
  const rounds = Array.from({ length: Number(count) });

  // Loads the code, and lets the runtime fill its caches.
  const first = await open(workers);
  await first.run(1);
  await first.close();

  // From the call that opens the pool until each worker could have answered a task.
  const start: number[] = [];
  for (const _ of rounds) {
    const before = performance.now();
    const pool = await open(workers);
    await Promise.all(Array.from({ length: workers }, (_, index) => pool.run(index)));
    start.push(performance.now() - before);
    await pool.close();
  }
  report(start);

  // From the notice that the only worker is gone until the answer of the next.
  const replace: number[] = [];
  for (const _ of rounds) {
    const pool = await open(1);
    await pool.run(1);
    await pool.crash();
    const noticed = performance.now();
    await pool.run(2);
    replace.push(performance.now() - noticed);
    await pool.close();
  }
  report(replace);
  process.exit();
}
