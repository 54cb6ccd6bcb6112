/**
 * Answers that find no memory: they wait for other messages to give theirs back.
 *
 * @module
 */
import { later } from "../runtime/timers.ts";
import type { Delivery } from "../transport/transport.ts";

/** Pauses between attempts, in milliseconds: short at first, longer later. */
const pauses: readonly number[] = [1, 2, 5, 10, 20];

/**
 * Waits before another attempt.
 *
 * @param attempts those before this one
 * @returns false: the caller does not wait any longer
 */
export async function waitForMemory(
  { signal, timeRemaining }: Delivery,
  attempts: number,
): Promise<boolean> {
  if (signal.aborted || timeRemaining <= 0) return false;
  const pause = pauses[Math.min(attempts, pauses.length - 1)]!;
  await new Promise<void>((resolve) => void later(Math.min(pause, timeRemaining), resolve));
  return !signal.aborted;
}
