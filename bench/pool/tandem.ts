/**
 * A pool of this package.
 *
 * @module
 */
import { Pool, type PoolOptions } from "../../src/pool/main.ts";
import { failing, type OpenPool, type PoolMode } from "./pools.ts";
import type { Tasks } from "./worker.ts";

export async function open({ workers, options }: PoolMode): Promise<OpenPool> {
  const pool = new Pool<Tasks>(new URL("./worker.ts", import.meta.url), {
    min: workers,
    max: workers,
    ...options as PoolOptions,
  });
  await pool.ready;
  return {
    run: (value) => pool.call.echo(value),
    crash: () => failing(pool.call.crash()),
    close: () => pool.close(),
  };
}
