/**
 * The layout of messages: eight bytes of header, a tree of values, then the long byte strings to which
 * the tree refers, each at a multiple of eight, so that typed arrays can view them in place.
 *
 * ```
 * version u8 | kind u8 | flags u8 | 0 | length of header and tree u32 | tree … | byte strings …
 * ```
 *
 * @module
 */
import type { DecodeHooks } from "../codec/decoder.ts";
import type { Blobs, BlobUse } from "../codec/reader.ts";
import { Decoder } from "../codec/decoder.ts";
import { corrupt, noBlobs } from "../codec/reader.ts";
import { type EncodeHooks, Encoder } from "../codec/encoder.ts";
import { treeTooLarge } from "../codec/tree_budget.ts";
import { TandemError } from "../errors.ts";
import type { Bytes, Message } from "../transport/transport.ts";

/** Raised when an older version would misread a message. */
export const wireVersion = 3;
export const headerBytes = 8;
/** Bytes of one part of a long message. */
export const partBytes: number = 2 ** 20;
/** The longest answer of a host: a part and its header. */
export const hostResponseBytes: number = headerBytes + partBytes;

/** A message that came in parts. */
export interface Parcel {
  readonly tree: Bytes;
  readonly blobs: readonly Bytes[];
}

/** The kinds of messages. */
export const Kind = {
  /** Extras and metadata if flagged, the method's name, its arguments. */
  call: 1,
  /** Stands for a long message, to be fetched from the sender's host: number, lengths, host. */
  parcel: 2,
  /** The result of a call. */
  value: 3,
  /** The error, or other value, that a method threw. */
  thrown: 4,
  /** The method was not called, or its result not sent: code, message, issues. */
  refused: 5,
  /** To a host: a request that ends when its reader dies or closes. */
  lease: 6,
  /** To a host: lease, number of a stream, step, value. */
  pull: 7,
  /** To a host: lease, number of a parcel, index of a byte string, offset. */
  part: 8,
  /** From a host: the requested bytes, behind an empty tree. */
  portion: 13,
  /** From a host: the request was carried out. */
  done: 14,
  /** To a host: numbers of lent values and parcels that the reader no longer needs. */
  drop: 9,
  /** To a host: lease, and numbers of lent values that end with it. */
  claim: 12,
  /** To a host: lease; answered with `news` when there is some. */
  watch: 15,
  /** From a host: numbers of lent values, and what has become of them. */
  news: 16,
  /** To a host: lease, number of a function, its arguments. Answered as a step is that ends its stream. */
  invoke: 17,
  /** To a host: as `parcel`, for a long `invoke`: also the lease and the number of the function. */
  longInvoke: 18,
  /** To a host of a service: what it tells of itself is asked for. */
  describe: 24,
  /** From a stream: an item; more may follow. */
  yielded: 10,
  /** From a stream: the value with which it has ended. */
  returned: 11,
} as const;

/** A call's tree begins with a list: interface version, traceparent, tracestate. */
export const hasExtras = 1;
/** The tree ends with the name of the host of the lent values, and their numbers there. */
export const hasHost = 2;
/** Another service may repeat the call, even if this service does not declare the method idempotent. */
export const isRepeatable = 4;

/** Metadata, an object, is before the method's name. */
export const hasMetadata = 16;

/** The hooks of one message and its values while it is written. */
export interface MessageHooks extends EncodeHooks {
  /** Completes a message that may be `max` bytes long. */
  seal(encoder: Encoder, kind: number, flags: number, max: number): void;
}

/** A message that is being written, and then sent. */
export class OutgoingMessage implements Message {
  readonly encoder: Encoder = new Encoder();

  get byteLength(): number {
    return messageBytes(this.encoder);
  }

  get whole(): Bytes | null {
    const { blobs, written } = this.encoder;
    return blobs.length === 0 ? written : null;
  }

  copyTo(target: Uint8Array): void {
    const { encoder } = this;
    target.set(encoder.written);
    let at = encoder.length;
    for (const blob of encoder.blobs) {
      target.fill(0, at, aligned(at));
      at = aligned(at);
      target.set(blob, at);
      at += blob.byteLength;
    }
  }
}

const free: OutgoingMessage[] = [];

/**
 * Encodes a message with `write` and hands it to `send`, which must not keep it. Each message has its own
 * encoder, because encoding may run user code that makes further calls.
 */
export function withMessage<T>(
  hooks: MessageHooks,
  kind: number,
  flags: number,
  max: number,
  write: (encoder: Encoder) => void,
  send: (message: OutgoingMessage) => T,
): T {
  const message = free.pop() ?? new OutgoingMessage();
  const { encoder } = message;
  encoder.begin(hooks, headerBytes);
  try {
    write(encoder);
    hooks.seal(encoder, kind, flags, max);
    return send(message);
  } finally {
    encoder.end();
    free.push(message);
  }
}

/** Writes the header, which completes the message except for its byte strings. */
export function sealMessage(encoder: Encoder, kind: number, flags = 0): void {
  writeHeader(encoder.bytes, kind, flags, encoder.length);
}

function writeHeader(bytes: Uint8Array, kind: number, flags: number, length: number): void {
  bytes[0] = wireVersion;
  bytes[1] = kind;
  bytes[2] = flags;
  bytes[3] = 0;
  bytes[4] = length;
  bytes[5] = length >>> 8;
  bytes[6] = length >>> 16;
  bytes[7] = length >>> 24;
}

/** Writes a part of a long message to `target`, as a message with an empty tree. */
export function writePortion(part: Uint8Array, target: Uint8Array): void {
  writeHeader(target, Kind.portion, 0, headerBytes);
  target.set(part, headerBytes);
}

const done: Bytes = new Uint8Array(headerBytes);
writeHeader(done, Kind.done, 0, headerBytes);

/** The answer without a value: a message that is only a header. */
export function doneMessage(): Bytes {
  return done;
}

function aligned(length: number): number {
  return (length + 7) & ~7;
}

/** The length of a sealed message with its byte strings. */
export function messageBytes({ length, blobs }: Encoder): number {
  let total = length;
  for (const { byteLength } of blobs) total = aligned(total) + byteLength;
  return total;
}

/** Takes the byte strings out of a message, one after the other. */
class BlobsBehind implements Blobs {
  readonly #message: Bytes;
  /** Byte strings become views of the message, and are not copied. */
  inPlace = false;
  #at: number;

  constructor(message: Bytes, treeEnd: number) {
    this.#message = message;
    this.#at = treeEnd;
  }

  next(byteLength: number, use: BlobUse): Bytes {
    const begin = aligned(this.#at);
    const end = begin + byteLength;
    if (end > this.#message.byteLength) throw corrupt("a byte string ends early");
    this.#at = end;
    const isCopied = use === "read natively" || (use === "keep" && !this.inPlace);
    return isCopied ? this.#message.slice(begin, end) : this.#message.subarray(begin, end);
  }
}

/** The byte strings of a parcel, each in its own buffer. */
export class BlobList implements Blobs {
  readonly #blobs: readonly Bytes[];
  #next = 0;

  constructor(blobs: readonly Bytes[]) {
    this.#blobs = blobs;
  }

  next(byteLength: number): Bytes {
    const blob = this.#blobs[this.#next];
    if (blob?.byteLength !== byteLength) throw corrupt("a byte string has another length");
    this.#next += 1;
    return blob;
  }
}

const decoder = new Decoder();
let scratch: Bytes = new Uint8Array(4096);

/** The hooks of a message while it is read. */
export interface ReadHooks extends DecodeHooks {
  /** The read has ended, perhaps early. */
  forget(): void;
}

/** A message while it is read. There is only one at a time, because reading runs no user code. */
export interface Reading {
  readonly kind: number;
  readonly flags: number;
  readonly decoder: Decoder;
  readonly blobs: Blobs;
}

const reading: { kind: number; flags: number; decoder: Decoder; blobs: Blobs } = {
  kind: 0,
  flags: 0,
  decoder,
  blobs: noBlobs,
};

/** From now on, long byte strings become views of the message. */
export function readInPlace({ blobs }: Reading): void {
  if (blobs instanceof BlobsBehind) blobs.inPlace = true;
}

/**
 * Reads a message with `use`, which also gets `argument`.
 *
 * @param isPrivate no other process can write to `message` while it is read
 * @throws {TandemError} `CORRUPT`; `TOO_LARGE`; `INCOMPATIBLE` when another version of the package sent it
 */
export function readMessage<A, R>(
  hooks: ReadHooks,
  message: Bytes,
  isPrivate: boolean,
  use: (reading: Reading, argument: A) => R,
  argument: A,
): R {
  try {
    return use(beginReading(hooks, message, isPrivate), argument);
  } finally {
    endReading(hooks);
  }
}

/** Like {@linkcode readMessage}, for a message whose byte strings arrived one by one. */
export function readParcel<A, R>(
  hooks: ReadHooks,
  { tree, blobs }: Parcel,
  use: (reading: Reading, argument: A) => R,
  argument: A,
): R {
  try {
    beginReading(hooks, tree, true);
    reading.blobs = new BlobList(blobs);
    decoder.begin(hooks, tree, headerBytes, tree.byteLength, reading.blobs);
    return use(reading, argument);
  } finally {
    endReading(hooks);
  }
}

function beginReading(hooks: DecodeHooks, message: Bytes, isPrivate: boolean): Reading {
  const { byteLength } = message;
  if (byteLength < headerBytes) throw corrupt(`${byteLength} bytes are no message`);
  const treeEnd = treeEndOf(message);
  if (treeEnd > byteLength || treeEnd < headerBytes) throw corrupt("it ends early");
  if (treeEnd > hooks.maxTreeBytes) throw treeTooLarge("take", hooks.maxTreeBytes);
  let bytes = message;
  if (!isPrivate) {
    // A copy, because the checked bytes must not change afterwards.
    if (treeEnd > scratch.byteLength) scratch = new Uint8Array(treeEnd);
    bytes = scratch;
    bytes.set(treeEnd === byteLength ? message : message.subarray(0, treeEnd));
    if (treeEndOf(bytes) !== treeEnd) throw corrupt("it ends early");
  }
  const version = bytes[0]!;
  if (version !== wireVersion) {
    throw new TandemError(
      "INCOMPATIBLE",
      `Cannot read a message: it has version ${version} of the typed calls, this version of the ` +
        `package needs ${wireVersion}; let both sides run the same version`,
    );
  }
  const blobs = treeEnd === byteLength ? noBlobs : new BlobsBehind(message, treeEnd);
  decoder.begin(hooks, bytes, headerBytes, treeEnd, blobs);
  reading.kind = bytes[1]!;
  reading.flags = bytes[2]!;
  reading.blobs = blobs;
  return reading;
}

/** A large scratch is not kept. */
function endReading(hooks: ReadHooks): void {
  hooks.forget();
  decoder.forget();
  reading.blobs = noBlobs;
  if (scratch.byteLength > 256 * 1024) scratch = new Uint8Array(4096);
}

function treeEndOf(bytes: Uint8Array): number {
  return (bytes[4]! | bytes[5]! << 8 | bytes[6]! << 16 | bytes[7]! << 24) >>> 0;
}
