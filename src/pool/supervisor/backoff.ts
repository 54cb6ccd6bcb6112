/**
 * Pauses between starts of workers that fail.
 *
 * @module
 */

const first = 100;
const longest = 30_000;

export class Backoff {
  #failures = 0;
  #until = 0;

  /** How many starts have failed, one after another. */
  get failures(): number {
    return this.#failures;
  }

  /** A start has failed. @param now the time of `performance.now()` */
  failed(now: number): void {
    this.#until = now + Math.min(longest, first * 2 ** this.#failures);
    this.#failures += 1;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#until = 0;
  }

  /** Milliseconds until the next start. */
  remaining(now: number): number {
    return Math.max(0, this.#until - now);
  }
}
