/**
 * A tinypool pool: threads, or child processes.
 *
 * @module
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import { installedPath } from "../contenders/packages.ts";
import { failing, type OpenPool, type PoolMode } from "./pools.ts";

interface Tinypool {
  run(task: number, options?: { readonly name: string }): Promise<number>;
  destroy(): Promise<void>;
}

interface Module {
  readonly Tinypool: new (options: Readonly<Record<string, unknown>>) => Tinypool;
}

export async function open({ workers, options }: PoolMode): Promise<OpenPool> {
  const entry = pathToFileURL(installedPath("node_modules/tinypool/dist/index.js"));
  const { Tinypool } = await import(entry.href) as Module;
  const filename = fileURLToPath(new URL("./task.js", import.meta.url));
  const pool = new Tinypool({ filename, minThreads: workers, maxThreads: workers, ...options });
  return {
    run: (value) => pool.run(value),
    crash: () => failing(pool.run(0, { name: "crash" })),
    close: () => pool.destroy(),
  };
}
