/**
 * The messages of a node to itself: encoded like all others, and delivered later, never while they are sent.
 *
 * @module
 */
import type { Bytes } from "../../codec/writer.ts";
import { queueMicrotask, setImmediate } from "../../runtime/timers.ts";

const initialBytes = 4096;
/** A longer buffer is given back. */
const keptBytesMax = 256 * 1024;
/** Deliveries in one turn of the event loop; then others have theirs. */
const turnMessages = 1024;

/** Receives a message, which is in `bytes` from `begin` to `end`. Never throws. */
export type Deliver = (bytes: Bytes, begin: number, end: number) => void;

/** Messages one after another, each behind its length. */
class Batch {
  bytes: Bytes = new Uint8Array(initialBytes);
  length = 0;
  /** Where the next message to be delivered begins. */
  at = 0;
  messages = 0;

  add(message: Uint8Array): void {
    const { byteLength } = message;
    const begin = this.length;
    const end = begin + 4 + byteLength;
    if (end > this.bytes.byteLength) this.#grow(end);
    const { bytes } = this;
    bytes[begin] = byteLength;
    bytes[begin + 1] = byteLength >>> 8;
    bytes[begin + 2] = byteLength >>> 16;
    bytes[begin + 3] = byteLength >>> 24;
    bytes.set(message, begin + 4);
    this.length = end;
    this.messages += 1;
  }

  #grow(needed: number): void {
    const bytes = new Uint8Array(Math.max(needed, this.bytes.byteLength * 2));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
  }

  clear(): void {
    this.length = this.at = this.messages = 0;
    if (this.bytes.byteLength > keptBytesMax) this.bytes = new Uint8Array(initialBytes);
  }
}

export class LocalStream {
  readonly #deliver: Deliver;
  readonly #maxBytes: number;
  /** Runs a function in the asynchronous context of the node, not in that of a sender. */
  readonly #atHome: (body: (_: undefined) => void) => void;
  #filling = new Batch();
  #draining = new Batch();
  #isScheduled = false;
  #isDraining = false;
  #budget = turnMessages;
  readonly #flush = (): void => this.#atHome(this.#drain);
  readonly #nextTurn = (): void => {
    this.#budget = turnMessages;
    this.#flush();
  };

  constructor(deliver: Deliver, maxBytes: number, atHome: (body: (_: undefined) => void) => void) {
    this.#deliver = deliver;
    this.#maxBytes = maxBytes;
    this.#atHome = atHome;
  }

  get messages(): number {
    return this.#filling.messages + this.#draining.messages;
  }

  get bytes(): number {
    return this.#filling.length + this.#draining.length - this.#draining.at;
  }

  /** Whether a message of this length still fits. */
  hasRoom(byteLength: number): boolean {
    return this.bytes + byteLength <= this.#maxBytes;
  }

  add(message: Uint8Array): void {
    this.#filling.add(message);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#budget === turnMessages) setImmediate(this.#renew);
    if (this.#budget > 0) queueMicrotask(this.#flush);
    else setImmediate(this.#nextTurn);
  }

  readonly #renew = (): void => {
    this.#budget = turnMessages;
  };

  readonly #drain = (): void => {
    if (this.#isDraining) return;
    this.#isDraining = true;
    if (this.#draining.at === this.#draining.length) this.#swap();
    const batch = this.#draining;
    while (batch.at < batch.length && this.#budget > 0) {
      this.#budget -= 1;
      batch.messages -= 1;
      const { bytes, at } = batch;
      const begin = at + 4;
      const end = begin +
        (bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24);
      batch.at = end;
      this.#deliver(bytes, begin, end);
    }
    this.#isDraining = false;
    if (batch.at === batch.length) batch.clear();
    if (batch.length > 0 || this.#filling.length > 0) this.#schedule();
    else this.#isScheduled = false;
  };

  #swap(): void {
    const { length } = this.#draining;
    if (length > 0) this.#draining.clear();
    [this.#draining, this.#filling] = [this.#filling, this.#draining];
  }

  /** Delivers all that is there now, and what that brings about, up to a bound. */
  drainNow(): void {
    for (let rounds = 0; rounds < 100 && this.messages > 0; rounds++) {
      this.#budget = turnMessages;
      this.#atHome(this.#drain);
    }
  }
}
