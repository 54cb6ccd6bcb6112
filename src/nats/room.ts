/**
 * Requests that found no service with room. They are sent again, the first ones first, after pauses that no two
 * senders share, and whenever an answer shows that a service has become free.
 *
 * @module
 */
import { later } from "../runtime/timers.ts";
import type { NatsCall } from "./call.ts";

/** Milliseconds between attempts, at first and at last. */
const pauseMin = 2;
const pauseMax = 100;

export class NatsRoom {
  readonly #send: (call: NatsCall) => void;
  /** In the order of the calls. */
  #waiting: NatsCall[] = [];
  #pause = pauseMin;
  /** How many are sent at the next attempt: twice as many each time that none comes back. */
  #batch = 1;
  #cancel: (() => void) | null = null;

  /** @param send sends a request again; never throws */
  constructor(send: (call: NatsCall) => void) {
    this.#send = send;
  }

  get waiting(): readonly NatsCall[] {
    return this.#waiting;
  }

  /** A new request waits behind the others. */
  add(call: NatsCall): void {
    this.#waiting.push(call);
    this.#schedule();
  }

  /** A request has come back. */
  back(call: NatsCall): void {
    const at = this.#waiting.findIndex(({ order }) => order > call.order);
    this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, call);
    this.#batch = 1;
    this.#pause = Math.min(pauseMax, this.#pause * 1.6);
    this.#schedule();
  }

  remove(call: NatsCall): void {
    const at = this.#waiting.indexOf(call);
    if (at >= 0) this.#waiting.splice(at, 1);
    if (this.#waiting.length === 0) this.close();
  }

  /** A service has answered, so it has room now. */
  freed(): void {
    this.#pause = pauseMin;
    const next = this.#waiting.shift();
    if (next) this.#send(next);
    if (this.#waiting.length === 0) this.close();
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#pause = pauseMin;
    this.#batch = 1;
  }

  #schedule(): void {
    if (this.#cancel !== null || this.#waiting.length === 0) return;
    // Random, so that callers who were refused together do not come back together.
    this.#cancel = later(this.#pause * (0.5 + Math.random()), () => {
      this.#cancel = null;
      const some = this.#waiting.splice(0, this.#batch);
      this.#batch *= 2;
      for (const call of some) this.#send(call);
      this.#schedule();
    });
  }
}
