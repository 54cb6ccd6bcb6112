/**
 * The stream from one node: puts its batches in order, and the parts of long messages together. Everything in a
 * batch may be a lie, so nothing is used before it was compared with what is known.
 *
 * @module
 */
import { controlFlag, Cut, cutShift, Flag, Head, headBytes, nextSequence } from "./batch.ts";

/** Where the messages of a stream go. None of these may throw. */
export interface InletOwner {
  readonly maxMessageBytes: number;
  /** A message of the program. The bytes are valid during the call only. */
  received(message: Uint8Array): void;
  /** A message of the hall's own. */
  control(message: Uint8Array): void;
  /** The sender has cut the stream, and messages before this place are lost. */
  wasCut(isOverflow: boolean): void;
  /** A batch is missing or wrong: the sender has to begin another stream than this one. */
  broke(link: number, message: string): void;
  /** The sender goes on with a stream that is broken: it may not have heard of it. */
  goesOn?(link: number): void;
}

/** Memory for the parts of a message grows as they come, because the length may be made up. */
const partBytesMin = 2 ** 16;

const nothing: Uint8Array<ArrayBuffer> = new Uint8Array(0);

export class Inlet {
  readonly #owner: InletOwner;
  #link = 0;
  /** The batch that was taken last. */
  sequence = 0;
  /** What follows in this stream is lost. */
  isBroken = false;
  /** The first batch of the stream after a hole may have any number. */
  #resyncs = false;
  /** The beginning of a message whose end has not come. */
  #parts: Uint8Array<ArrayBuffer> = nothing;
  #partsLength = 0;
  /** The length of that message, and its flag; -1: there is none. */
  #awaited = -1;
  #isControl = false;
  /** Nothing is taken from now on. */
  isEnded = false;

  constructor(owner: InletOwner) {
    this.#owner = owner;
  }

  /**
   * Looks at the head of a batch, which has been found to be of this sender.
   *
   * @returns false: it is no batch that can come now
   */
  accepts(words: Uint32Array): boolean {
    if (this.isEnded) return false;
    const link = words[Head.link]!;
    // Of a stream that was cut already.
    if (link < this.#link) return false;
    if (link > this.#link) this.#begin(link, words[Head.flags]! >>> cutShift);
    const sequence = words[Head.sequence]!;
    const expected = nextSequence(this.sequence);
    const isFirst = (words[Head.flags]! & Flag.first) !== 0;
    if (this.#resyncs ? !isFirst : sequence !== expected) {
      this.#break(`batch ${sequence} came instead of ${expected}`);
    }
    this.#resyncs = false;
    this.sequence = sequence;
    return true;
  }

  /** The sender says how far its stream has come. All that was not lost came before. */
  reaches(words: Uint32Array): void {
    if (this.isEnded) return;
    const link = words[Head.link]!;
    if (link < this.#link) return;
    if (link > this.#link) this.#begin(link, words[Head.flags]! >>> cutShift);
    const sequence = words[Head.sequence]!;
    if (this.isBroken) this.#owner.goesOn?.(link);
    else if (this.#resyncs || sequence !== this.sequence) {
      this.#break(`batch ${sequence} did not come, the last was ${this.sequence}`);
    }
  }

  /**
   * Reads the messages of a batch that was accepted.
   *
   * @param length in bytes, at most the length of `bytes`
   */
  read(words: Uint32Array, bytes: Uint8Array, length: number): void {
    if (this.isBroken || this.isEnded) return;
    if ((length & 3) !== 0) this.#break("a batch has no whole number of words");
    else this.#readMessages(words, bytes, length);
  }

  #begin(link: number, cut: number): void {
    const isFirst = this.#link === 0;
    const wasKnown = this.isBroken;
    this.#resyncs = wasKnown;
    this.#link = link;
    this.isBroken = false;
    this.#forgetParts();
    if (cut !== Cut.none && !wasKnown) this.#owner.wasCut(cut === Cut.overflow);
    else if (!isFirst && !wasKnown) this.#owner.wasCut(false);
  }

  #break(why: string): void {
    this.#forgetParts();
    if (this.isBroken) return;
    this.isBroken = true;
    this.#owner.broke(this.#link, why);
  }

  #forgetParts(): void {
    this.#parts = nothing;
    this.#partsLength = 0;
    this.#awaited = -1;
  }

  #readMessages(words: Uint32Array, bytes: Uint8Array, end: number): void {
    const owner = this.#owner;
    const { maxMessageBytes } = owner;
    let at = headBytes;
    if (this.#awaited >= 0) {
      at = this.#readPart(bytes, at, end);
      if (this.#awaited >= 0) return;
    }
    while (at < end && !this.isEnded) {
      const word = words[at >> 2]!;
      const from = at + 4;
      if (word < controlFlag) {
        const to = from + word;
        if (to <= end) {
          if (word > maxMessageBytes) return this.#tooLong(word);
          at = (to + 3) & ~3;
          owner.received(bytes.subarray(from, to));
          continue;
        }
      }
      const length = word & ~controlFlag;
      if (length > maxMessageBytes) return this.#tooLong(length);
      this.#awaited = length;
      this.#isControl = word >= controlFlag;
      at = this.#readPart(bytes, from, end);
    }
  }

  #tooLong(length: number): void {
    this.#break(
      `a message of ${length} bytes is longer than the ${this.#owner.maxMessageBytes} that this node takes`,
    );
  }

  /** Returns where the next message begins. */
  #readPart(bytes: Uint8Array, at: number, end: number): number {
    const length = this.#awaited;
    const missing = length - this.#partsLength;
    const part = Math.min(missing, end - at);
    if (part === missing && this.#partsLength === 0) {
      // It lies here as a whole.
      this.#awaited = -1;
      this.#deliver(bytes.subarray(at, at + part));
      return (at + part + 3) & ~3;
    }
    const whole = this.#roomFor(this.#partsLength + part);
    whole.set(bytes.subarray(at, at + part), this.#partsLength);
    this.#partsLength += part;
    if (part === missing) {
      this.#forgetParts();
      this.#deliver(whole.subarray(0, length));
    }
    return (at + part + 3) & ~3;
  }

  #roomFor(length: number): Uint8Array<ArrayBuffer> {
    const known = this.#parts;
    if (known.byteLength >= length) return known;
    const doubled = Math.max(partBytesMin, known.byteLength * 2, length);
    const larger = new Uint8Array(Math.min(doubled, this.#awaited));
    larger.set(known.subarray(0, this.#partsLength));
    return this.#parts = larger;
  }

  #deliver(message: Uint8Array): void {
    if (this.#isControl) this.#owner.control(message);
    else this.#owner.received(message);
  }

  /** Nothing more is taken. */
  end(): void {
    this.isEnded = true;
    this.#forgetParts();
  }
}
