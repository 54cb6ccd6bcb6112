/**
 * Calling again.
 *
 * @module
 */
import { onAbort, reasonOf } from "../channel/on_abort.ts";
import { codeOf } from "../channel/guard.ts";
import { laterForSure, now } from "../channel/runtime.ts";
import type { RetryOptions } from "./options.ts";

/** What may go away by itself; a method that has thrown would throw again. */
const passing: ReadonlySet<string> = new Set(["SERVER_DIED", "BUSY", "CANCELLED", "NOT_FOUND"]);

/** Whether a method's calls may be repeated. */
export function isRepeatable(
  method: string,
  idempotent: boolean | readonly string[] | undefined,
): boolean {
  return typeof idempotent === "object" ? idempotent.includes(method) : idempotent === true;
}

/** Attempts until one succeeds, time is over, or none is left. */
export async function retried<T>(
  attempt: () => Promise<T>,
  { attempts = 3, delay = 20, maxDelay = 1000 }: RetryOptions,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  for (let count = 1;; count++) {
    try {
      return await attempt();
    } catch (error) {
      const isPassing = passing.has(codeOf(error) ?? "");
      if (!isPassing || count >= attempts || signal?.aborted) throw error;
      const longest = Math.min(maxDelay, delay * 2 ** (count - 1));
      // Those that failed together shall not come back together.
      const pause = longest * (0.5 + Math.random() / 2);
      if (now() + pause >= deadline) throw error;
      await wait(pause, signal);
      if (signal?.aborted) throw reasonOf(signal);
    }
  }
}

function wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      stopListening?.();
      resolve();
    };
    const cancel = laterForSure(milliseconds, done);
    const stopListening = signal && onAbort(signal, done);
  });
}
