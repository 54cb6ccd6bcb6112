/**
 * A workerpool pool: threads, or child processes.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { installed } from "../contenders/packages.ts";
import { failing, type OpenPool, type PoolMode } from "./pools.ts";

interface Workerpool {
  exec(method: string, parameters: readonly number[]): PromiseLike<number>;
  terminate(force: boolean): PromiseLike<unknown>;
}

interface Module {
  pool(file: string, options: Readonly<Record<string, unknown>>): Workerpool;
}

export function open({ workers, options }: PoolMode): OpenPool {
  const file = fileURLToPath(new URL("./workerpool_worker.js", import.meta.url));
  const sizes = { minWorkers: workers, maxWorkers: workers };
  const pool = installed<Module>("workerpool").pool(file, { ...sizes, ...options });
  return {
    // Its promises are of a class of its own.
    run: async (value) => await pool.exec("echo", [value]),
    crash: () => failing(pool.exec("crash", [])),
    close: async () => await pool.terminate(true),
  };
}
