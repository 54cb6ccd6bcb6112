/**
 * The messages between nodes. Each is a CBOR array in the format of the codec: a kind, and its items.
 * docs/internals/node-frames.md has the items, and an example of each kind.
 *
 * Byte strings of 1 KiB or more, and texts of 64 KiB or more, follow the array one after another.
 *
 * @module
 */
import { type DecodeHooks, Decoder } from "../codec/decoder.ts";
import { type EncodeHooks, Encoder } from "../codec/encoder.ts";
import { ErrorClasses, type RegisteredErrors } from "../codec/error_classes.ts";
import { type Blobs, type BlobUse, corrupt, noBlobs } from "../codec/reader.ts";
import type { Instead } from "../codec/refusals.ts";
import { treeBytesDefault } from "../codec/tree_budget.ts";
import type { Bytes } from "../codec/writer.ts";
import { RemoteError, TandemError } from "../errors.ts";

export const Kind = {
  send: 1,
  call: 2,
  answer: 3,
  thrown: 4,
  failed: 5,
  cancel: 6,
  monitor: 7,
  unmonitor: 8,
  down: 9,
  kill: 10,
  spawn: 11,
  ready: 12,
  probe: 13,
} as const;

/** Begins a message with byte strings behind its array, whose length follows in four bytes. */
const longHead = 0x1a;
const longHeadBytes = 5;

/** Errors of this package keep their classes. */
const ownErrors = { TandemError, RemoteError };

/** Messages are copies, and no connection keeps what they refer to. */
const instead: Instead = {
  function:
    "send the id of a port with a method that does it, and let the other side call that with node.at(id)",
  stream: "send its parts as messages; a port is sent as its id",
  signal: "send a message when it aborts",
};

/** The limits of a node's messages. */
export class FrameLimits implements EncodeHooks, DecodeHooks {
  readonly errorClasses: ErrorClasses;
  readonly instead: Instead = instead;
  readonly maxTreeBytes: number;
  readonly maxMessageBytes: number;

  /** @param errors further classes that errors keep */
  constructor(maxMessageBytes: number, errors: RegisteredErrors = []) {
    this.errorClasses = new ErrorClasses(ownErrors, errors);
    this.maxMessageBytes = maxMessageBytes;
    this.maxTreeBytes = Math.max(treeBytesDefault, maxMessageBytes);
  }
}

/** Writes one frame at a time. */
export class FrameEncoder extends Encoder {
  #limits: FrameLimits | null = null;

  open(limits: FrameLimits, kind: number, items: number): void {
    this.#limits = limits;
    this.begin(limits, 0);
    this.head(0x80, items);
    this.head(0, kind);
  }

  nothing(): void {
    this.byte(0xf6);
  }

  /**
   * The bytes of the frame, which the next write may change.
   *
   * @throws {TandemError} `TOO_LARGE`
   */
  bytesOf(): Bytes {
    // Few objects in few bytes cannot cost too much.
    if (this.blobs.length > 0 || this.length > 4096) this.checkTree();
    const length = this.length + this.blobBytes;
    const max = this.#limits!.maxMessageBytes;
    if (length > max) {
      throw new TandemError(
        "TOO_LARGE",
        `Cannot send a message of ${length} bytes: maxMessageBytes of this node is ${max}; raise it on all ` +
          "nodes, or send less",
      );
    }
    return this.blobs.length === 0 ? this.written : this.#joined();
  }

  #joined(): Bytes {
    const bytes = new Uint8Array(longHeadBytes + this.length + this.blobBytes);
    bytes[0] = longHead;
    new DataView(bytes.buffer).setUint32(1, this.length);
    bytes.set(this.written, longHeadBytes);
    let at = longHeadBytes + this.length;
    for (const blob of this.blobs) {
      bytes.set(blob, at);
      at += blob.byteLength;
    }
    return bytes;
  }
}

const free: FrameEncoder[] = [];

/** An encoder for one frame. Getters of users may send further messages meanwhile, with another one. */
export function takeEncoder(): FrameEncoder {
  return free.pop() ?? new FrameEncoder();
}

export function giveEncoder(encoder: FrameEncoder): void {
  encoder.end();
  free.push(encoder);
}

/** Byte strings behind the array. */
class BlobsBehind implements Blobs {
  #bytes: Bytes | null = null;
  #at = 0;
  #end = 0;

  open(bytes: Bytes, at: number, end: number): void {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  close(): void {
    this.#bytes = null;
  }

  next(byteLength: number, use: BlobUse): Bytes {
    const begin = this.#at;
    const end = begin + byteLength;
    if (end > this.#end) throw corrupt("a byte string ends early");
    this.#at = end;
    const bytes = this.#bytes!;
    return use === "read here" ? bytes.subarray(begin, end) : bytes.slice(begin, end);
  }
}

/** Reads one frame at a time. Reading runs no code of users. */
export class FrameDecoder extends Decoder {
  readonly #behind = new BlobsBehind();
  /** The items that the array has. */
  items = 0;

  /**
   * Begins a frame, and returns its kind.
   *
   * @throws {TandemError} `CORRUPT`, `TOO_LARGE`
   */
  open(limits: FrameLimits, bytes: Bytes, begin: number, end: number): number {
    if (bytes[begin] === longHead) return this.#openLong(limits, bytes, begin, end);
    this.begin(limits, bytes, begin, end, noBlobs);
    return this.#kind();
  }

  /** As {@linkcode open}, of a frame whose end may be missing. Byte strings behind the array cannot be read. */
  openStart(limits: FrameLimits, bytes: Bytes): number {
    const begin = bytes[0] === longHead ? longHeadBytes : 0;
    this.begin(limits, bytes, begin, bytes.byteLength, noBlobs);
    return this.#kind();
  }

  #openLong(limits: FrameLimits, bytes: Bytes, begin: number, end: number): number {
    if (end - begin < longHeadBytes) throw corrupt("it ends early");
    const tree = begin + longHeadBytes;
    const [a, b, c, d] = bytes.subarray(begin + 1, tree) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const treeEnd = tree + ((a << 24 | b << 16 | c << 8 | d) >>> 0);
    if (treeEnd > end) throw corrupt("it ends early");
    this.#behind.open(bytes, treeEnd, end);
    this.begin(limits, bytes, tree, treeEnd, this.#behind);
    return this.#kind();
  }

  #kind(): number {
    const byte = this.byte();
    if (byte >> 5 !== 4) throw corrupt("no array begins");
    this.items = this.count(byte, 1);
    return this.length();
  }

  /** Ends a frame that was read wholly, of which `items` items were read. */
  done(items: number): void {
    // A later version may have added some.
    for (let left = this.items - items; left > 0; left--) this.value();
    this.finish();
    this.close();
  }

  close(): void {
    this.forget();
    this.#behind.close();
  }
}
