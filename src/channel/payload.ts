/**
 * What users send, as bytes.
 *
 * @module
 */
import { bytesOfBuffer, bytesOfView, isAnyBuffer } from "../base/brands.ts";
import { describe } from "../base/checks.ts";

/**
 * What can be sent: bytes in any form, which are copied, or a string, which is sent as UTF-8 and known
 * as text to who gets it.
 *
 * @example
 * ```ts
 * import { Client, type Payload, Server } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using server = Server.anonymous();
 * using client = Client.fromFd(server.fd);
 * const payloads: Payload[] = ["ä", new Float64Array(2), new ArrayBuffer(3)];
 * for (const payload of payloads) client.post(payload);
 * const requests = server.tryReceiveMany();
 * assertEquals(requests.map(({ bytes }) => bytes.byteLength), [2, 16, 3]);
 * assertEquals(requests.map(({ isText }) => isText), [true, false, false]);
 * ```
 */
export type Payload = ArrayBufferView | ArrayBufferLike | string;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Short strings are encoded and decoded here instead of in a new array each time. */
const scratch: Uint8Array<ArrayBuffer> = new Uint8Array(16 * 1024);
/** The front of it that was decoded last. */
let decodable: Uint8Array<ArrayBuffer> = scratch;
/** Up to so many bytes a loop copies faster than `set`. */
const loopBytesMax = 32;
/** UTF-8 takes at most three bytes for a unit of UTF-16. */
const scratchUnits: number = scratch.byteLength / 3 | 0;

/** The result of {@linkcode encode}: one object for all, read at once by who called. */
export const encoded: { bytes: Uint8Array; length: number; isText: boolean } = {
  bytes: scratch,
  length: 0,
  isText: false,
};

/**
 * Puts the bytes of a payload into {@linkcode encoded}.
 *
 * @throws {TypeError} for what is no payload, or has lost its buffer
 */
export function encode(payload: Payload): void {
  if (typeof payload === "string") return encodeText(payload);
  const bytes = bytesOf(payload);
  encoded.bytes = bytes;
  encoded.length = bytes.byteLength;
  encoded.isText = false;
}

function encodeText(text: string): void {
  encoded.isText = true;
  if (text.length <= scratchUnits) {
    encoded.bytes = scratch;
    encoded.length = encoder.encodeInto(text, scratch).written;
  } else {
    encoded.bytes = encoder.encode(text);
    encoded.length = encoded.bytes.byteLength;
  }
}

function bytesOf(payload: ArrayBufferView | ArrayBufferLike): Uint8Array {
  const isView = ArrayBuffer.isView(payload);
  // Without bytes it may be that there are none any more.
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

/** A copy of what is in {@linkcode encoded}, for a payload that has to wait for a slot. */
export function copyEncoded(): Uint8Array {
  return encoded.bytes.slice(0, encoded.length);
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
