/**
 * The terms of lent values that came as arguments of a call.
 *
 * @module
 */
import { onAbort } from "../base/abort.ts";
import { later } from "../runtime/timers.ts";
import type { Delivery } from "../transport/transport.ts";
import type { StreamTerms } from "./received.ts";

/**
 * How long a stream that came as an argument goes on after its call, in milliseconds. If the caller died,
 * the stream reports that within this time, which tells more than the end of the call.
 */
export const lentGrace = 100;

/** The terms of values that end with their call, even if the caller's process is stopped. */
export class LentTerms implements StreamTerms {
  readonly #delivery: Delivery;
  #ending: AbortController | null = null;
  /** Calls of functions that wait until they can be sent. */
  #unsent = 0;
  #onSent: PromiseWithResolvers<void> | null = null;

  constructor(delivery: Delivery) {
    this.#delivery = delivery;
  }

  delay(): () => void {
    this.#unsent += 1;
    return () => {
      this.#unsent -= 1;
      if (this.#unsent === 0) this.#onSent?.resolve();
    };
  }

  /**
   * Resolves when the calls of functions that the method has not awaited are sent; null: they are. The
   * functions end with the answer of the method.
   */
  get sent(): Promise<void> | null {
    if (this.#unsent === 0) return null;
    this.#onSent ??= Promise.withResolvers();
    return this.#onSent.promise;
  }

  get timeRemaining(): number {
    return this.#delivery.isAnswered ? Infinity : this.#delivery.timeRemaining;
  }

  get signal(): AbortSignal {
    if (this.#ending) return this.#ending.signal;
    const ending = this.#ending = new AbortController();
    const { signal } = this.#delivery;
    const end = () => void later(lentGrace, () => ending.abort(signal.reason));
    if (signal.aborted) end();
    else onAbort(signal, end);
    return ending.signal;
  }
}
