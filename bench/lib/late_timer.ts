/**
 * Measures whether a busy event loop runs its timers on time.
 *
 * @module
 */
import { type Buckets, Histogram } from "./histogram.ts";

/** A timer of 1 ms that records how late its turns are. */
export class LateTimer {
  readonly #histogram: Histogram = new Histogram();
  readonly #timer: ReturnType<typeof setInterval>;
  #last: number = performance.now();

  constructor() {
    this.#timer = setInterval(() => this.#note(), 1);
  }

  /** Stops the timer. A turn that is due counts as late. */
  stop(): void {
    this.#note();
    clearInterval(this.#timer);
  }

  buckets(): Buckets {
    return this.#histogram.buckets();
  }

  #note(): void {
    const now = performance.now();
    this.#histogram.add((now - this.#last - 1) * 1e6);
    this.#last = now;
  }
}
