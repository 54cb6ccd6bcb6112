/**
 * Repeats calls that failed.
 *
 * @module
 */
import { onAbort } from "../base/abort.ts";
import { codeOf } from "../base/guard.ts";
import { laterForSure, now } from "../runtime/timers.ts";
import type { RetryOptions } from "./options.ts";
import type { Idempotent } from "./terms.ts";

/** Codes of errors that may go away by themselves. A method that threw would throw again. */
const transientCodes: ReadonlySet<string> = new Set([
  "SERVER_DIED",
  "BUSY",
  "CANCELLED",
  "NOT_FOUND",
  "UNKNOWN_OUTCOME",
  "DISCONNECTED",
]);

/** Whether a method's calls may be repeated. */
export function isRepeatable(method: string, idempotent: Idempotent): boolean {
  return typeof idempotent === "object" ? idempotent.includes(method) : idempotent === true;
}

/**
 * Codes of attempts that did nothing. After an attempt of which nobody knows what it did, they would be taken for the
 * outcome of the call.
 */
const nothingDone: ReadonlySet<string> = new Set(["DISCONNECTED", "NO_SERVER", "BUSY"]);

/** The shortest pause, in milliseconds, while a link is down: such attempts are not counted. */
const linkPauseMin = 20;

/**
 * Makes attempts until one succeeds, or time or attempts run out.
 *
 * @param mayRepeat whether another attempt would be the same as the first
 * @param stops signals that end a pause; the attempt after it then fails by itself
 */
export async function retried<T>(
  attempt: () => Promise<T>,
  mayRepeat: () => boolean,
  { attempts = 3, delay = 20, maxDelay = 1000 }: RetryOptions,
  deadline: number,
  stops: readonly AbortSignal[],
): Promise<T> {
  let left = attempts;
  let longest = delay;
  let unknown: unknown;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const code = codeOf(error) ?? "";
      if (code === "UNKNOWN_OUTCOME") unknown = error;
      const outcome = nothingDone.has(code) ? unknown ?? error : error;
      const isLinkDown = code === "DISCONNECTED";
      // The link comes back by itself, and meanwhile nothing is sent.
      if (!isLinkDown) left -= 1;
      const mayGoOn = transientCodes.has(code) && attempts > 1 && left > 0;
      if (!mayGoOn || isStopped(stops) || !mayRepeat()) throw outcome;
      longest = Math.min(maxDelay, longest);
      // Random, so that calls that failed together do not come back together.
      const pause = Math.max(longest, isLinkDown ? linkPauseMin : 0) * (0.5 + Math.random() / 2);
      longest *= 2;
      if (now() + pause >= deadline) throw outcome;
      await wait(pause, stops);
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
