/**
 * Calling again.
 *
 * @module
 */
import { onAbort } from "../base/abort.ts";
import { codeOf } from "../base/guard.ts";
import { laterForSure, now } from "../runtime/timers.ts";
import type { Idempotent, RetryOptions } from "./options.ts";

/** What may go away by itself; a method that has thrown would throw again. */
const passing: ReadonlySet<string> = new Set(["SERVER_DIED", "BUSY", "CANCELLED", "NOT_FOUND"]);

/** Whether a method's calls may be repeated. */
export function isRepeatable(method: string, idempotent: Idempotent): boolean {
  return typeof idempotent === "object" ? idempotent.includes(method) : idempotent === true;
}

/**
 * Attempts until one succeeds, time is over, or none is left.
 *
 * @param mayRepeat whether another attempt would be the same as the first
 * @param stops what ends a pause; the attempt after it then fails by itself
 */
export async function retried<T>(
  attempt: () => Promise<T>,
  mayRepeat: () => boolean,
  { attempts = 3, delay = 20, maxDelay = 1000 }: RetryOptions,
  deadline: number,
  stops: readonly AbortSignal[],
): Promise<T> {
  for (let count = 1;; count++) {
    try {
      return await attempt();
    } catch (error) {
      const isPassing = passing.has(codeOf(error) ?? "");
      if (!isPassing || count >= attempts || isStopped(stops) || !mayRepeat()) throw error;
      const longest = Math.min(maxDelay, delay * 2 ** (count - 1));
      // Those that failed together shall not come back together.
      const pause = longest * (0.5 + Math.random() / 2);
      if (now() + pause >= deadline) throw error;
      await wait(pause, stops);
      // The attempt itself says why.
    }
  }
}

function isStopped(stops: readonly AbortSignal[]): boolean {
  return stops.some(({ aborted }) => aborted);
}

function wait(milliseconds: number, stops: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      for (const stopListening of listening) stopListening();
      resolve();
    };
    const cancel = laterForSure(milliseconds, done);
    const listening = stops.map((signal) => onAbort(signal, done));
  });
}
