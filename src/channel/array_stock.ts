/**
 * Arrays for the answers of the next burst, made while nothing is awaited.
 *
 * @module
 */
import { setImmediate } from "../runtime/timers.ts";
import type { Bytes } from "./waiter.ts";

/** With fewer answers at once, the arrays are a small part of the time. */
const burstMin = 16;
/** The most arrays that wait for use, and their bytes together. */
const stockMax = 256;
const stockBytesMax = 64 * 1024;
/** So many are made in one turn of the event loop. */
const madeAtOnce = 64;

/** How many arrays of `length` bytes to make ahead, after so many were taken in a burst. */
export function stockFor(taken: number, length: number): number {
  if (taken < burstMin || length === 0) return 0;
  return Math.min(taken, stockMax, Math.floor(stockBytesMax / length));
}

/** Arrays of one length. */
export class ArrayStock {
  readonly #arrays: Bytes[] = [];
  #length = 0;
  /** Since the last time that nothing was awaited. */
  #taken = 0;
  #wanted = 0;
  #isFilling = false;

  /** An array of its own. */
  take(length: number): Bytes {
    this.#taken += 1;
    const ready = length === this.#length ? this.#arrays.pop() : undefined;
    return ready ?? new Uint8Array(length);
  }

  /**
   * No answer is awaited. Fills the stock in the next turns, as long as that is so.
   *
   * @param length of the arrays that were taken last
   * @param isIdle whether still no answer is awaited
   */
  refill(length: number, isIdle: () => boolean): void {
    this.#wanted = stockFor(this.#taken, length);
    this.#taken = 0;
    if (length !== this.#length) this.#arrays.length = 0;
    this.#length = length;
    if (this.#isFilling || this.#arrays.length >= this.#wanted) return;
    this.#isFilling = true;
    const fill = (): void => {
      if (isIdle() && this.#fillSome()) setImmediate(fill);
      else this.#isFilling = false;
    };
    setImmediate(fill);
  }

  /** True: more are wanted. */
  #fillSome(): boolean {
    const end = Math.min(this.#wanted, this.#arrays.length + madeAtOnce);
    while (this.#arrays.length < end) this.#arrays.push(new Uint8Array(this.#length));
    return end < this.#wanted;
  }
}
