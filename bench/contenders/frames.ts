/**
 * A strong baseline over a stream. A frame is a length of four bytes and the payload. Both sides write all
 * frames of one microtask checkpoint at once.
 *
 * @module
 */
import type { PromiseCall } from "../lib/calling.ts";
import type { Connection } from "./contender.ts";

const headerBytes = 4;

/**
 * Writes all of `bytes`, then calls `done`. The bytes are valid until then, and the next write follows
 * then.
 */
export type Write = (bytes: Uint8Array, done: () => void) => void;

/** Collects frames and writes them together. */
class Outbox {
  readonly #write: Write;
  /** The buffer to fill. It changes places with the one that a write empties. */
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
  /** The beginning of an incomplete frame. */
  #partial = new Uint8Array(64 * 1024);
  #held = 0;

  constructor(onFrame: (payload: Uint8Array) => void) {
    this.#onFrame = onFrame;
  }

  /** Passes on frames that `chunk` contains completely in place. */
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

/** The receiver of the chunks of a stream. */
export interface End {
  push(chunk: Uint8Array): void;
}

/** The server's end. It sends each frame back. */
export function echoFrames(write: Write): End {
  const outbox = new Outbox(write);
  return new Inbox((payload) => outbox.add(payload));
}

/** The client's end. It needs no ids, because answers come in the order of the calls. */
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

/** A first-in-first-out queue. `shift` of a long array would move the other items. */
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
    if (this.isEmpty) throw new Error("an answer without a call");
    const item = this.#items[this.#first]!;
    this.#first += 1;
    if (this.#first > 1024) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }
}
