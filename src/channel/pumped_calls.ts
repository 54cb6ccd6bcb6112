/**
 * The calls under way of a client for a thread without an event loop. There are many: nothing is allocated for one.
 *
 * @module
 */
import { endedByClosing } from "../base/closing.ts";
import { BatchCall, batchCallBytes, batchCallsMax, cancelTimedOut, Status } from "../ffi/layout.ts";
import { nativeBatches } from "../ffi/load.ts";
import type { NativeBatches } from "../ffi/symbols.ts";
import { readAnswer } from "./answers.ts";
import { type Channel, closedError } from "./channel.ts";
import { decodeError } from "./error_wire.ts";
import { callFailure } from "./failure.ts";
import type { AnswerReader, Bytes } from "./waiter.ts";

/** A reader that takes short answers where they are. */
export interface PlacedReader extends AnswerReader {
  /** The answer lies in {@linkcode PumpedCalls.answers}, until the next ones are collected. */
  readPlaced(offset: number, length: number): void;
}

/** A reader of either kind. */
export type PumpedReader = AnswerReader & Partial<PlacedReader>;

export const callWords: number = batchCallBytes / Uint32Array.BYTES_PER_ELEMENT;
/** Longer answers are got one by one. */
const placedBytesMax = 1_024;

export class PumpedCalls {
  readonly #channel: Channel;
  readonly #batches: NativeBatches = nativeBatches();
  /** By slot; undefined: no call is under way there. */
  readonly #readers: (PumpedReader | undefined)[] = [];
  /** By slot: the words of the call's generation. */
  readonly #lows: number[] = [];
  readonly #highs: number[] = [];
  /** By slot, in the time of `performance.now()`. */
  readonly #deadlines: number[] = [];
  readonly #ended: Uint32Array = new Uint32Array(callWords * batchCallsMax);
  readonly #status: Int32Array = new Int32Array(this.#ended.buffer);
  #count = 0;
  /** Where short answers are. */
  readonly answers: Bytes = new Uint8Array(placedBytesMax * batchCallsMax);

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** How many wait for their answers. */
  get outstanding(): number {
    return this.#count;
  }

  add(slot: number, low: number, high: number, deadline: number, reader: PumpedReader): void {
    const readers = this.#readers;
    while (readers.length <= slot) this.#grow();
    // The call there before has ended, and nobody has looked since.
    const before = readers[slot];
    if (before) this.#settle(slot, before);
    readers[slot] = reader;
    this.#lows[slot] = low;
    this.#highs[slot] = high;
    this.#deadlines[slot] = deadline;
    this.#count += 1;
  }

  /** The arrays have no holes, so that access is quick. */
  #grow(): void {
    this.#readers.push(undefined);
    this.#lows.push(0);
    this.#highs.push(0);
    this.#deadlines.push(Infinity);
  }

  /** Gives readers the answers that are there. Returns how many calls have ended. */
  collect(): number {
    const { address } = this.#channel;
    const ended = this.#ended;
    const { answers } = this;
    const count = this.#batches.tandem_get_all(
      address,
      answers,
      placedBytesMax,
      ended,
      batchCallsMax,
    );
    let hits = 0;
    for (let at = 0; at < count * callWords; at += callWords) {
      const slot = ended[at + BatchCall.slot]!;
      const reader = this.#readers[slot];
      if (!reader) continue;
      if (ended[at + BatchCall.generationLow] !== this.#lows[slot]) continue;
      if (ended[at + BatchCall.generationHigh] !== this.#highs[slot]) continue;
      hits += 1;
      this.#forget(slot);
      const status = this.#status[at + BatchCall.status]!;
      const offset = ended[at + BatchCall.offset]!;
      this.#end(slot, reader, status, offset, ended[at + BatchCall.length]!);
    }
    return hits;
  }

  #forget(slot: number): void {
    this.#readers[slot] = undefined;
    this.#count -= 1;
  }

  #end(slot: number, reader: PumpedReader, status: number, offset: number, length: number): void {
    try {
      if (status >= 0 && reader.readPlaced) return reader.readPlaced(offset, length);
      if (status >= 0) return reader.read(this.answers.subarray(offset, offset + length), true);
      if (status === -Status.longer) return this.#read(slot, reader);
      if (status === -Status.remote) {
        throw decodeError(this.answers.subarray(offset, offset + length));
      }
      throw callFailure(status === -Status.notYet ? -Status.corrupt : status, "get an answer");
    } catch (error) {
      reader.fail(error);
    }
  }

  #read(slot: number, reader: PumpedReader): void {
    const [low, high] = [this.#lows[slot]!, this.#highs[slot]!];
    readAnswer(this.#channel, { slot, low, high }, reader);
  }

  #settle(slot: number, reader: PumpedReader): void {
    this.#forget(slot);
    try {
      this.#read(slot, reader);
    } catch (error) {
      reader.fail(error);
    }
  }

  /** Ends calls whose time is over. Returns the next deadline. */
  expire(now: number): number {
    const { native, address } = this.#channel;
    let next = Infinity;
    for (let slot = 0; slot < this.#readers.length; slot++) {
      const reader = this.#readers[slot];
      if (!reader) continue;
      const deadline = this.#deadlines[slot]!;
      if (deadline > now) {
        next = Math.min(next, deadline);
        continue;
      }
      const [low, high] = [this.#lows[slot]!, this.#highs[slot]!];
      const hasEnded = native.tandem_cancel(address, slot, low, high, cancelTimedOut) === 1;
      // The answer came in the last moment.
      if (!hasEnded) this.#settle(slot, reader);
      else {
        this.#forget(slot);
        reader.fail(callFailure(-Status.timeout, "finish a request"));
      }
    }
    return next;
  }

  close(): void {
    const error = endedByClosing(closedError("client"));
    for (let slot = 0; slot < this.#readers.length; slot++) {
      const reader = this.#readers[slot];
      if (!reader) continue;
      this.#forget(slot);
      reader.fail(error);
    }
  }
}
