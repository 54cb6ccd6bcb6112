/**
 * Answers that find no memory: they wait for other messages to give theirs back.
 *
 * @module
 */
import { pauseAfter } from "../base/retry.ts";
import { later } from "../runtime/timers.ts";
import type { Delivery } from "../transport/transport.ts";

/** How long before the caller's time runs out it is told that memory is full, in milliseconds. */
const notice = 50;

/**
 * Waits before another attempt.
 *
 * @param attempts those before this one
 * @returns false: the caller does not wait any longer, or will soon stop to
 */
export async function waitForMemory(
  { signal, timeRemaining }: Delivery,
  attempts: number,
): Promise<boolean> {
  const left = timeRemaining - notice;
  if (signal.aborted || left <= 0) return false;
  const pause = Math.min(pauseAfter(attempts), left);
  await new Promise<void>((resolve) => void later(pause, resolve));
  return !signal.aborted;
}
