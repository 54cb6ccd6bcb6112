/**
 * Pauses between attempts that fail until another process has done something unknown.
 *
 * @module
 */
import { later } from "../runtime/timers.ts";

/** In milliseconds: short at first, longer later. */
const pauses: readonly number[] = [1, 2, 5, 10, 20];

/** Milliseconds before another attempt, after so many that have failed before. */
export function pauseAfter(attempts: number): number {
  return pauses[Math.min(attempts, pauses.length - 1)]!;
}

export class Retry {
  #attempts = 0;
  #cancel: (() => void) | null = null;

  /** It is too early for the next attempt. */
  get isPausing(): boolean {
    return this.#cancel !== null;
  }

  /** An attempt has failed: `again` runs when the next one may be made. */
  pause(again: () => void): void {
    this.#cancel?.();
    const pause = pauseAfter(this.#attempts);
    this.#attempts += 1;
    this.#cancel = later(pause, () => {
      this.#cancel = null;
      again();
    });
  }

  /** An attempt has succeeded, or none will follow. */
  reset(): void {
    this.#attempts = 0;
    this.#cancel?.();
    this.#cancel = null;
  }
}
