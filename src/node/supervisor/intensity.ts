/**
 * How often children may be started again, and how long to wait before that.
 *
 * @module
 */
import type { SupervisorTerms } from "./options.ts";

export class Intensity {
  readonly #terms: SupervisorTerms;
  /** When children were started again, in the time of `performance.now()`. */
  #times: number[] = [];

  constructor(terms: SupervisorTerms) {
    this.#terms = terms;
  }

  /** Counts a restart. False: it would be one too many. */
  allow(now: number): boolean {
    const { restarts, within } = this.#terms;
    const oldest = now - within;
    this.#times = this.#times.filter((time) => time > oldest);
    this.#times.push(now);
    return this.#times.length <= restarts;
  }

  /** Milliseconds before the restart that was counted last. */
  get pause(): number {
    const { backoffMin, backoffMax } = this.#terms;
    return Math.min(backoffMax, backoffMin * 2 ** Math.min(this.#times.length - 1, 1000));
  }
}
