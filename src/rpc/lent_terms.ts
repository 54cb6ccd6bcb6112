/**
 * The terms of streams that came as arguments of a call.
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
const lentGrace = 100;

/** The terms of a stream that ends with its call, even if the caller's process is stopped. */
export class LentTerms implements StreamTerms {
  readonly #delivery: Delivery;
  #ending: AbortController | null = null;

  constructor(delivery: Delivery) {
    this.#delivery = delivery;
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
