/**
 * Kills of workers of a pool.
 *
 * @module
 */
import process from "node:process";
import type { WorkerInfo } from "../../../src/pool/main.ts";
import type { Random } from "../chaos/random.ts";

/** What knows its workers. */
interface Workers {
  workers(): WorkerInfo[];
}

/** The processes of workers that are ready and alive: the pool may not have heard of the last deaths. */
export function readyWorkers(pool: Workers): number[] {
  return pool.workers()
    .filter(({ state, pid }) => (state === "idle" || state === "busy") && signal(pid, 0))
    .map(({ pid }) => pid);
}

/**
 * Kills one of the ready workers, but never the last: on a slow machine workers would die faster than others start, and
 * hardly a call would end. False: there was none to kill.
 */
export function killWorker(pool: Workers, random: Random): boolean {
  const ready = readyWorkers(pool);
  return ready.length > 1 && signal(random.pick(ready), "SIGKILL");
}

/** False: the process has ended. */
function signal(pid: number, signal: "SIGKILL" | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
