/**
 * A piscina pool: threads.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { installed } from "../contenders/packages.ts";
import { failing, type OpenPool, type PoolMode } from "./pools.ts";

interface Piscina {
  run(task: number, options?: { readonly name: string }): Promise<number>;
  destroy(): Promise<void>;
}

interface Module {
  readonly Piscina: new (options: Readonly<Record<string, unknown>>) => Piscina;
}

export function open({ workers, options }: PoolMode): OpenPool {
  const { Piscina } = installed<Module>("piscina");
  const filename = fileURLToPath(new URL("./task.js", import.meta.url));
  const pool = new Piscina({ filename, minThreads: workers, maxThreads: workers, ...options });
  return {
    run: (value) => pool.run(value),
    crash: () => failing(pool.run(0, { name: "crash" })),
    close: () => pool.destroy(),
  };
}
