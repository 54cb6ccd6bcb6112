/**
 * The old way to limit a wait: by a number of attempts, or by a function that is asked before each.
 *
 * @module
 */
import { now } from "../runtime/timers.ts";
import type { RetryTerms } from "./options.ts";

/** The attempts of one wait. Nothing is polled: only a function is asked now and then. */
export class Retries {
  readonly #terms: RetryTerms;
  /** When all attempts are used up, or when the function is asked next, in the time of `performance.now()`. */
  #next: number;
  #attempt = 0;

  constructor(terms: RetryTerms) {
    this.#terms = terms;
    const { retries, interval } = terms;
    this.#next = now() + (typeof retries === "number" ? retries * interval : 0);
  }

  /** Whether there is no attempt beside the first. */
  get isOver(): boolean {
    const { retries, interval } = this.#terms;
    return typeof retries === "number" && retries * interval === 0;
  }

  /** When to look again. */
  get next(): number {
    return this.#next;
  }

  /**
   * Whether the wait goes on.
   *
   * @throws what the function of the user throws
   */
  goesOn(time: number): boolean {
    if (time < this.#next) return true;
    const { retries, interval } = this.#terms;
    if (typeof retries === "number") return false;
    this.#attempt += 1;
    this.#next = time + Math.max(1, interval);
    return Boolean(retries(this.#attempt));
  }
}
