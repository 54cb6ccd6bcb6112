/**
 * Shared code of the tests of sessions: pools of fixtures/pool/session.ts, and what their workers write down.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { TandemError } from "../../mod.ts";
import { nodeArgs } from "../../scripts/tools.ts";
import { Pool, type PoolOptions, type WorkerExit } from "../../src/pool/main.ts";
import type { Api } from "../fixtures/pool/session.ts";
import { atEnd, eventually, newTarget } from "./harness.ts";

const file = new URL("../fixtures/pool/session.ts", import.meta.url);
/** What workers of this checkout need, and a limit so that a failed test ends soon. */
const defaults: PoolOptions = {
  runtimeArgs: { node: nodeArgs, deno: ["--quiet", "--allow-all"] },
  stopTimeout: 2_000,
};

/** Starts a pool of so many workers, which is closed when the test ends. */
export function startSessionPool(workers: number, options: PoolOptions = {}): Pool<Api> {
  const pool = new Pool<Api>(file, { ...defaults, min: workers, max: workers, ...options });
  atEnd(() => pool.close());
  return pool;
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

/** The exit that a `SERVER_DIED` error has as its cause. */
export function exitOf(error: unknown): WorkerExit {
  assert(error instanceof TandemError, String(error));
  assertEquals(error.code, "SERVER_DIED", error.message);
  const { cause } = error as { cause?: WorkerExit };
  assert(cause !== undefined && cause !== null, "SERVER_DIED has no cause");
  return cause;
}
