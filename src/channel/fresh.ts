/**
 * Arrays for answers, each of its own.
 *
 * @module
 */
import type { Backend } from "../runtime/backend.ts";
import { ArrayStock } from "./array_stock.ts";
import type { Bytes } from "./waiter.ts";

/** Answers of unknown length go here and are copied from here. */
const scratch: Bytes = new Uint8Array(4096);

/** Longer arrays are made when their answer is there: there may be no memory for them. */
const usualLengthMax = 2 ** 20;

/**
 * The length that the next answer most likely has, if its array is better made before the answer is looked at;
 * 0: the last two answers differ, or are too long, or so short that they are better copied.
 */
export function usualLength(length: number, lastLength: number, copiedBytesMax: number): number {
  const isUsual = length === lastLength && length <= usualLengthMax;
  return isUsual && length > copiedBytesMax ? length : 0;
}

/**
 * Makes an array before the answer is looked at, of the length that the last two answers had, so that
 * the native side writes into it and nothing has to be copied. Made while a server works, it takes no
 * time from the call: in Deno a small array takes 0.2 to 0.7 µs.
 */
export class FreshArrays {
  #lastLength = 0;
  #usualLength = 0;
  readonly #copiedBytesMax: number;
  /** Null: this runtime makes arrays quickly. */
  readonly #stock: ArrayStock | null;

  constructor(backend: Pick<Backend, "copiedBytesMax" | "arraysAreCostly">) {
    this.#copiedBytesMax = backend.copiedBytesMax;
    this.#stock = backend.arraysAreCostly ? new ArrayStock() : null;
  }

  get isLengthKnown(): boolean {
    return this.#usualLength > 0;
  }

  /** The array for the next answer; the native side writes into it. */
  next(): Bytes {
    const length = this.#usualLength;
    if (length === 0) return scratch;
    return this.#stock === null ? new Uint8Array(length) : this.#stock.take(length);
  }

  /** No answer is awaited: makes arrays for the next burst, as long as `isIdle`. */
  rest(isIdle: () => boolean): void {
    this.#stock?.refill(this.#usualLength, isIdle);
  }

  /** The answer of `length` bytes that the native side has written to `target`. */
  answerIn(target: Bytes, length: number): Bytes {
    this.note(length);
    return target === scratch || length < target.byteLength ? target.slice(0, length) : target;
  }

  /** An answer had this length. */
  note(length: number): void {
    this.#usualLength = usualLength(length, this.#lastLength, this.#copiedBytesMax);
    this.#lastLength = length;
  }
}
