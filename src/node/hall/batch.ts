/**
 * A batch is one post into a mailbox: a head that says whose it is and where in the stream it belongs, and
 * messages, whole or in part.
 *
 * The head is `headWords` words of 32 bits, in the order of {@linkcode Head}. A message is a word, which is its
 * length and maybe {@linkcode controlFlag}, the bytes, and zeros up to the next whole word. A word never lies in
 * two batches; the bytes of a message may, and go on after the head of the next batch.
 *
 * @module
 */

/** The words of the head, by their places. */
export const Head = {
  /** {@linkcode batchMark}. */
  mark: 0,
  /** The sender's place among the participants of the hall, and the epoch of that place. */
  position: 1,
  epochLow: 2,
  epochHigh: 3,
  /** The number of the stream. It grows by one when a stream is cut. */
  link: 4,
  /** Of the batch, from 1, across the streams to one node; 0: this batch has no messages and no number. */
  sequence: 5,
  /** The last batch that the sender has taken from the receiver. */
  taken: 6,
  /** {@linkcode Flag}s, and in the upper half why the stream before this one was cut: {@linkcode Cut}. */
  flags: 7,
} as const;

export const headWords = 8;
export const headBytes: number = headWords * 4;

/** At the front of each batch: "node" and the version of the format. */
export const batchMark = 0x6e6f6401;

export const Flag = {
  /** The sender waits for the receiver to say what it has taken. */
  wantsTaken: 1,
  /** The stream begins with this batch. */
  first: 2,
  /** No batch: the stream has come this far. So a lost tail is noticed where batches may be lost. */
  beat: 4,
} as const;

/** The reasons why the stream before this one was cut. */
export const Cut = { none: 0, overflow: 1, broken: 2 } as const;
export const cutShift = 16;

/** Of the length of a message: the hall's own, not the program's. */
export const controlFlag = 0x8000_0000;

/** The first byte of a message of the hall's own. */
export const Control = {
  /** Who the sender is: see `greeting.ts`. */
  hello: 1,
  /** The sender leaves in good order; nothing follows. */
  farewell: 2,
  /** A batch of the receiver's stream is missing, so it has to begin another. */
  broken: 3,
} as const;

/** The longest batch. */
export const batchBytes: number = 2 ** 15;
/** The longest message. */
export const messageBytesMax: number = 2 ** 30;

/** The number after a sequence number. */
export function nextSequence(sequence: number): number {
  return sequence === 0xffff_ffff ? 1 : sequence + 1;
}

/** How many batches there are from one number to a later one. */
export function sequencesBetween(earlier: number, later: number): number {
  return later >= earlier ? later - earlier : later + 0xffff_ffff - earlier;
}

/** The memory of one batch. */
export class Batch {
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(batchBytes);
  readonly words: Uint32Array<ArrayBuffer> = new Uint32Array(this.bytes.buffer);
  /** How many bytes are in use, the head and padding included. */
  length: number = headBytes;
  /** How many messages of the program end in it. */
  messages = 0;
  /** The bytes of messages of the program. */
  payload = 0;
  /** The batch behind it in a queue. */
  next: Batch | null = null;
}

/** Batches that are not in use are kept for later: making one costs more than filling it. */
export class BatchStock {
  readonly #kept: Batch[] = [];
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  take(): Batch {
    return this.#kept.pop() ?? new Batch();
  }

  give(batch: Batch): void {
    if (this.#kept.length >= this.#max) return;
    batch.length = headBytes;
    batch.messages = 0;
    batch.payload = 0;
    batch.next = null;
    this.#kept.push(batch);
  }
}
