/**
 * The strong baseline over a stream: frames of four bytes of length and the payload, and whatever is
 * to be written in one microtask checkpoint written at once, on both sides.
 *
 * @module
 */
import type { PromiseCall } from "../lib/calling.ts";
import type { Connection } from "./contender.ts";

const headerBytes = 4;

/**
 * Writes all of `bytes`, which are valid until `done` is called, and calls it then; the next write
 * waits for that.
 */
export type Write = (bytes: Uint8Array, done: () => void) => void;

/** Collects frames and writes them together. */
class Outbox {
  readonly #write: Write;
  /** Filled, and emptied by a write that is under way: they change places. */
  #filling = new Uint8Array(64 * 1024);
  #other = new Uint8Array(64 * 1024);
  #used = 0;
  #isScheduled = false;
  #isWriting = false;

  constructor(write: Write) {
    this.#write = write;
  }

  add(payload: Uint8Array): void {
    const end = this.#used + headerBytes + payload.byteLength;
    if (end > this.#filling.byteLength) this.#grow(end);
    writeLength(this.#filling, this.#used, payload.byteLength);
    this.#filling.set(payload, this.#used + headerBytes);
    this.#used = end;
    if (this.#isScheduled || this.#isWriting) return;
    this.#isScheduled = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#isScheduled = false;
    const bytes = this.#filling.subarray(0, this.#used);
    [this.#filling, this.#other] = [this.#other, this.#filling];
    this.#used = 0;
    this.#isWriting = true;
    this.#write(bytes, () => {
      this.#isWriting = false;
      if (this.#used > 0) this.#flush();
    });
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(Math.max(needed, 2 * this.#filling.byteLength));
    larger.set(this.#filling.subarray(0, this.#used));
    this.#filling = larger;
  }
}

/** Cuts a stream into frames. */
class Inbox {
  readonly #onFrame: (payload: Uint8Array) => void;
  /** The beginning of a frame whose end has not come yet. */
  #partial = new Uint8Array(64 * 1024);
  #held = 0;

  constructor(onFrame: (payload: Uint8Array) => void) {
    this.#onFrame = onFrame;
  }

  /** Frames that lie in `chunk` as a whole are handed out in place. */
  push(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.byteLength) {
      const rest = chunk.byteLength - offset;
      if (this.#held === 0 && rest >= headerBytes) {
        const end = headerBytes + readLength(chunk, offset);
        if (rest >= end) {
          this.#onFrame(chunk.subarray(offset + headerBytes, offset + end));
          offset += end;
          continue;
        }
      }
      offset += this.#collect(chunk, offset);
    }
  }

  #collect(chunk: Uint8Array, offset: number): number {
    const needed = this.#needed();
    const taken = Math.min(needed - this.#held, chunk.byteLength - offset);
    this.#partial.set(chunk.subarray(offset, offset + taken), this.#held);
    this.#held += taken;
    if (this.#held < headerBytes) return taken;
    const frame = this.#needed();
    if (frame > this.#partial.byteLength) {
      const larger = new Uint8Array(frame);
      larger.set(this.#partial.subarray(0, this.#held));
      this.#partial = larger;
    }
    if (this.#held === frame) {
      this.#held = 0;
      this.#onFrame(this.#partial.slice(headerBytes, frame));
    }
    return taken;
  }

  #needed(): number {
    return this.#held < headerBytes ? headerBytes : headerBytes + readLength(this.#partial, 0);
  }
}

function writeLength(target: Uint8Array, offset: number, length: number): void {
  target[offset] = length;
  target[offset + 1] = length >>> 8;
  target[offset + 2] = length >>> 16;
  target[offset + 3] = length >>> 24;
}

function readLength(source: Uint8Array, offset: number): number {
  return source[offset]! | source[offset + 1]! << 8 | source[offset + 2]! << 16 |
    source[offset + 3]! << 24;
}

/** One end of a stream: what comes is pushed into it. */
export interface End {
  push(chunk: Uint8Array): void;
}

/** The server's end: every frame goes back. */
export function echoFrames(write: Write): End {
  const outbox = new Outbox(write);
  return new Inbox((payload) => outbox.add(payload));
}

/** The client's end. Answers come in the order of the calls, so that no id is needed. */
export function callFrames(write: Write): End & Required<Pick<Connection, "call">> {
  const outbox = new Outbox(write);
  const waiting = new Queue<(answer: Uint8Array) => void>();
  const inbox = new Inbox((payload) => waiting.take()(payload));
  const call: PromiseCall = (payload) => {
    outbox.add(payload);
    return new Promise((resolve) => waiting.add(resolve));
  };
  return { push: (chunk) => inbox.push(chunk), call };
}

/** First in, first out; `shift` of a long array would move the others. */
export class Queue<Item> {
  #items: Item[] = [];
  #first = 0;

  get isEmpty(): boolean {
    return this.#first === this.#items.length;
  }

  add(item: Item): void {
    this.#items.push(item);
  }

  take(): Item {
    if (this.isEmpty) throw new Error("An answer that nobody has asked for");
    const item = this.#items[this.#first]!;
    this.#first += 1;
    if (this.#first > 1024) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }
}
