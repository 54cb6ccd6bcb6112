/**
 * Pauses between attempts.
 *
 * @module
 */
import { later } from "../runtime/timers.ts";

/** Waits for a random time up to so many milliseconds, so that those who met do not meet again. */
export async function pauseUpTo(milliseconds: number): Promise<void> {
  await new Promise<void>((resolve) => void later(Math.random() * milliseconds, resolve));
}
