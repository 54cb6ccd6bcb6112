/**
 * A piscina pool with one thread, in Node.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { Contender } from "./contender.ts";
import { installed } from "./packages.ts";

interface Pool {
  run(task: Uint8Array): Promise<Uint8Array>;
}

type Piscina = new (options: { filename: string; minThreads: 1; maxThreads: 1 }) => Pool;

export const contender: Contender = {
  connect() {
    const { Piscina } = installed<{ Piscina: Piscina }>("piscina");
    const filename = fileURLToPath(new URL("../programs/pool_worker.ts", import.meta.url));
    const pool = new Piscina({ filename, minThreads: 1, maxThreads: 1 });
    return { call: (payload) => pool.run(payload) };
  },
};
