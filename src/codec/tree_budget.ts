/**
 * What the values of one message may cost. Both sides count the same way, so that a sender is told
 * before it sends what the receiver would refuse.
 *
 * Values become larger when they are decoded: an empty object is one byte in a message and a hundred
 * in memory. What has an identity therefore counts more than its bytes.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { blobBytesMin } from "./tags.ts";

/** The default of `maxTreeBytes`. */
export const treeBytesDefault: number = 2 ** 24;

/** Each object, array, date, byte string and so on counts so many bytes beside its own. */
export const objectBytes = 16;
/** V8 takes 7 µs and a kilobyte for an error: it counts as so many objects. */
export const errorObjects = 8;
/** Numbers of a long array count their bytes also where those follow the tree, as so many objects. */
export function numberObjects(byteLength: number): number {
  return byteLength < blobBytesMin ? 1 : 1 + Math.ceil(byteLength / objectBytes);
}
/** A stream is an iterator, a registration and perhaps a ReadableStream. */
export const streamObjects = 64;

/** For values that cost more than `max`; `verb` is what was tried. */
export function treeTooLarge(verb: "send" | "take", max: number): TandemError {
  return new TandemError(
    "TOO_LARGE",
    `Cannot ${verb} a message whose values take more than ${max} bytes (maxTreeBytes), byte arrays ` +
      `of 1 KiB or more and strings of 64 KiB or more not counted, and ${objectBytes} bytes added for each object: ` +
      "put bulk data into byte arrays, use a stream, or raise maxTreeBytes on both sides",
  );
}
