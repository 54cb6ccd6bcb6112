/**
 * Shared code of the tests of sessions: pools of fixtures/pool/session.ts, and what their workers write down.
 *
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Pool, PoolOptions } from "../../src/pool/main.ts";
import type { Api } from "../fixtures/pool/session.ts";
import { eventually, newTarget } from "./harness.ts";
import { startPool, workerFile } from "./pool.ts";

/** Starts a pool of so many workers, which is closed when the test ends. */
export function startSessionPool(workers: number, options: PoolOptions = {}): Pool<Api> {
  const size = { min: workers, max: workers };
  return startPool<Api>({ ...size, ...options }, workerFile("session.ts"));
}

/** As {@linkcode startSessionPool}; all workers are ready. */
export async function sessionPool(workers: number, options?: PoolOptions): Promise<Pool<Api>> {
  const pool = startSessionPool(workers, options);
  await pool.ready;
  return pool;
}

/** A file in which workers write down what they do. */
export class Notes {
  readonly path: string = newTarget();

  /** The lines so far. */
  get lines(): string[] {
    if (!existsSync(this.path)) return [];
    return readFileSync(this.path, "utf8").split("\n").filter((line) => line !== "");
  }

  /** Waits for a line. */
  async has(line: string): Promise<void> {
    await eventually(() => this.lines.includes(line), `"${line}" is among ${this.lines}`);
  }

  /** Lets a call of `hold` end. */
  release(step: string): void {
    writeFileSync(`${this.path}.${step}`, "");
  }
}
