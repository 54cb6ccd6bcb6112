/**
 * One timer for the deadlines of many waits. Waits come and go far more often than deadlines pass, and a
 * timer of the runtime costs more than a call.
 *
 * @module
 */
import { later, now, setImmediate, timerMax } from "../runtime/timers.ts";

/** A timer that may ring early, and does not keep the process alive. */
export class Alarm {
  readonly #ring: () => void;
  readonly #isNeeded: () => boolean;
  #cancel: (() => void) | null = null;
  #at = Infinity;
  #isEnding = false;

  /**
   * @param ring runs when a deadline may have passed; it sets the alarm again for the next one
   * @param isNeeded for {@linkcode rest}: whether a wait is left that may have a deadline
   */
  constructor(ring: () => void, isNeeded: () => boolean = () => false) {
    this.#ring = ring;
    this.#isNeeded = isNeeded;
  }

  /** Rings at `deadline` at the latest, which is a time of `performance.now()`. */
  set(deadline: number): void {
    if (deadline >= this.#at) return;
    this.#cancel?.();
    this.#at = deadline;
    const delay = Math.min(Math.max(0, deadline - now()), timerMax);
    this.#cancel = later(delay, () => {
      this.#forget();
      this.#ring();
    });
  }

  /** Ends the timer in the next turn if no wait needs it then: often the next wait follows at once. */
  rest(): void {
    if (this.#cancel === null || this.#isEnding) return;
    this.#isEnding = true;
    setImmediate(() => {
      this.#isEnding = false;
      if (!this.#isNeeded()) this.end();
    });
  }

  end(): void {
    this.#cancel?.();
    this.#forget();
  }

  #forget(): void {
    this.#cancel = null;
    this.#at = Infinity;
  }
}
