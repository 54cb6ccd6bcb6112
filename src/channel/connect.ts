/**
 * Waiting until a channel is made.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { laterForSure, now } from "../runtime/timers.ts";
import { onAbort } from "../base/abort.ts";
import { deadlineAfter, timeoutOf } from "../base/checks.ts";
import type { WaitOptions } from "../base/channel_options.ts";

/** Pauses between looks, in milliseconds: short at first, longer later. */
const intervals: readonly number[] = [1, 2, 5, 10, 20, 50];

/**
 * Tries `open` until there is a channel. Watching a folder would take a permission that the core does
 * not need otherwise, so this looks now and then.
 *
 * @throws {TandemError} `TIMEOUT`, and the errors of `open` except `NOT_FOUND`
 */
export async function connectTo<T>(
  target: string,
  options: WaitOptions,
  open: () => T,
): Promise<T> {
  const timeout = timeoutOf(options);
  const deadline = deadlineAfter(timeout);
  const { signal } = options;
  for (let attempt = 0;; attempt++) {
    signal?.throwIfAborted();
    try {
      return open();
    } catch (error) {
      if (!(error instanceof TandemError) || error.code !== "NOT_FOUND") throw error;
      const left = deadline - now();
      if (left <= 0) throw timedOut(target, timeout, error);
      const interval = intervals[Math.min(attempt, intervals.length - 1)]!;
      await pause(Math.min(interval, left), signal);
    }
  }
}

function timedOut(target: string, timeout: number, cause: Error): TandemError {
  return new TandemError(
    "TIMEOUT",
    `Cannot connect to channel ${
      JSON.stringify(target)
    }: no process made it within ${timeout} ms; ` +
      "is its server running, with the same TANDEM_DIR and user?",
    { cause },
  );
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const cancel = laterForSure(milliseconds, done);
    const stop = signal && onAbort(signal, done);
    function done(): void {
      cancel();
      stop?.();
      resolve();
    }
  });
}
