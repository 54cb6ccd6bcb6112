/**
 * A worker that works for a while, and writes down each task that it begins.
 *
 * `TANDEM_POOL_LEDGER` names the file. A line is written before the task begins, so a task that has run at all has left
 * a trace.
 *
 * @module
 */
import { appendFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { work } from "../../../src/pool/main.ts";

const ledger = process.env.TANDEM_POOL_LEDGER!;

async function run(id: number, milliseconds: number): Promise<number> {
  appendFileSync(ledger, `${id}\n`);
  if (milliseconds > 0) await sleep(milliseconds);
  return id;
}

const api = {
  /** A task that may run once. */
  once(id: number, milliseconds: number): Promise<number> {
    return run(id, milliseconds);
  },

  /** A task that may run again. */
  again(id: number, milliseconds: number): Promise<number> {
    return run(id, milliseconds);
  },

  /** As {@linkcode api.once}, but it holds the thread. */
  busy(id: number, milliseconds: number): number {
    appendFileSync(ledger, `${id}\n`);
    const end = performance.now() + milliseconds;
    while (performance.now() < end);
    return id;
  },

  pid(): number {
    return process.pid;
  },

  /** Kills the process. */
  async poison(id: number): Promise<never> {
    appendFileSync(ledger, `${id}\n`);
    process.kill(process.pid, "SIGKILL");
    await new Promise(() => {});
    throw new Error("unreachable");
  },
};

export type Api = typeof api;

work(api);
