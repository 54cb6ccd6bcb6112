/**
 * Payloads as bytes, and bytes as text.
 *
 * @module
 */
import { bytesOfBuffer, bytesOfView, isAnyBuffer } from "../base/brands.ts";
import { describe } from "../base/checks.ts";
import type { Payload } from "./payload.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Short strings are encoded and decoded here instead of in a new array each time. */
const scratch: Uint8Array<ArrayBuffer> = new Uint8Array(16 * 1024);
/** The front of {@linkcode scratch} that was decoded last. */
let decodable: Uint8Array<ArrayBuffer> = scratch;
/** Up to this many bytes, a loop copies faster than `set`. */
const loopBytesMax = 32;
/** UTF-8 takes at most three bytes for a unit of UTF-16. */
const scratchUnits: number = scratch.byteLength / 3 | 0;

/**
 * A payload as the native side takes it. Each handle has one record for all its payloads; its content
 * is valid until the next payload of any handle is encoded.
 */
export interface Encoded {
  bytes: Uint8Array;
  length: number;
  isText: boolean;
}

/** A record for {@linkcode encode}. */
export function newEncoded(): Encoded {
  return { bytes: scratch, length: 0, isText: false };
}

/**
 * Encodes a payload into `target`.
 *
 * @throws {TypeError} when `payload` is no payload, or has lost its buffer
 */
export function encode(payload: Payload, target: Encoded): void {
  if (typeof payload === "string") return encodeText(payload, target);
  const bytes = bytesOf(payload);
  target.bytes = bytes;
  target.length = bytes.byteLength;
  target.isText = false;
}

function encodeText(text: string, target: Encoded): void {
  target.isText = true;
  // The answer to a message that wants none.
  if (text.length === 0) {
    target.bytes = scratch;
    target.length = 0;
  } else if (text.length <= scratchUnits) {
    target.bytes = scratch;
    target.length = encoder.encodeInto(text, scratch).written;
  } else {
    target.bytes = encoder.encode(text);
    target.length = target.bytes.byteLength;
  }
}

function bytesOf(payload: ArrayBufferView | ArrayBufferLike): Uint8Array {
  const isView = ArrayBuffer.isView(payload);
  // A view without bytes may have lost its buffer.
  if (isView && payload instanceof Uint8Array && payload.byteLength > 0) return payload;
  if (!isView && !isAnyBuffer(payload)) {
    throw new TypeError(
      `Cannot send ${describe(payload)}: give a string, an ArrayBuffer or a view of one`,
    );
  }
  const bytes = isView ? bytesOfView(payload) : bytesOfBuffer(payload);
  if (bytes) return bytes;
  throw new TypeError(
    `Cannot send ${
      describe(payload)
    }: its buffer is detached, or too short for it; send it before ` +
      "it is transferred, or send a copy",
  );
}

/** Whether a handler's result can be sent as it is. */
export function isPayload(value: unknown): value is Payload {
  return typeof value === "string" || ArrayBuffer.isView(value) || isAnyBuffer(value);
}

/**
 * The text of bytes from shared memory.
 *
 * The decoder gets a copy. It measures the text first and converts it second, so bytes that another
 * process changes in between would make it write beyond its memory.
 */
export function decodeText(bytes: Uint8Array): string {
  const { byteLength } = bytes;
  if (byteLength > scratch.byteLength) return decoder.decode(bytes.slice());
  if (byteLength > loopBytesMax) scratch.set(bytes);
  else for (let index = 0; index < byteLength; index++) scratch[index] = bytes[index]!;
  if (decodable.byteLength !== byteLength) decodable = scratch.subarray(0, byteLength);
  return decoder.decode(decodable);
}
