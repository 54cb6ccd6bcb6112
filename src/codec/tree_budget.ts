/**
 * Limits the cost of the values of a message. Both sides count the same way, so that the sender refuses
 * what the receiver would refuse.
 *
 * Values become larger when they are decoded: an empty object takes one byte in a message and a hundred
 * in memory. A value with an identity therefore counts more than its bytes.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { blobBytesMin } from "./tags.ts";

/** The default of `maxTreeBytes`. */
export const treeBytesDefault: number = 2 ** 24;

/** Each object, array, date, byte string and so on counts this many bytes in addition to its own. */
export const objectBytes = 16;
/** An error counts as this many objects: V8 takes 7 µs and a kilobyte for it. */
export const errorObjects = 8;
/** The numbers of a long array count as this many objects, also if their bytes follow the tree. */
export function numberObjects(byteLength: number): number {
  return byteLength < blobBytesMin ? 1 : 1 + Math.ceil(byteLength / objectBytes);
}
/** A SharedArrayBuffer counts as this many objects: the runtimes count its users. */
export const sharedBufferObjects = 8;
/** A buffer that can change its length counts as this many objects: it takes a mapping of its own. */
export const resizableBufferObjects = 64;
/** The bytes for which the buffers of a message that can change their lengths reserve addresses. */
export const reservedBytesMax: number = 2 ** 30;
/** A Blob counts as this many objects, beside its bytes. */
export const blobObjects = 8;
/** A stream counts as this many objects: an iterator, a registration and perhaps a ReadableStream. */
export const streamObjects = 64;

/** Makes the error for values that cost more than `max`; `verb` names the operation. */
export function treeTooLarge(verb: "send" | "take", max: number): TandemError {
  return new TandemError(
    "TOO_LARGE",
    `Cannot ${verb} a message whose values take more than ${max} bytes (maxTreeBytes), byte arrays ` +
      `of 1 KiB or more and strings of 64 KiB or more not counted, and ${objectBytes} bytes added for each object: ` +
      "put bulk data into byte arrays, use a stream, or raise maxTreeBytes on both sides",
  );
}
