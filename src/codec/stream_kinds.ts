/**
 * Decides which values are sent as streams.
 *
 * @module
 */
import { getterOf } from "../base/brands.ts";

/** The form of a stream at its receiver. */
export type StreamKind = 0 | 1;
export const generatorKind: StreamKind = 0;
export const readableKind: StreamKind = 1;

const isLocked = getterOf<boolean>(ReadableStream.prototype, "locked");

function isReadableStream(value: object): boolean {
  if (!(value instanceof ReadableStream)) return false;
  try {
    isLocked(value);
    return true;
  } catch {
    // It has only the prototype.
    return false;
  }
}

/** The kind of a stream; null for other values. */
export function streamKind(value: object): StreamKind | null {
  if (value instanceof ReadableStream) return isReadableStream(value) ? readableKind : null;
  if (Symbol.asyncIterator in value) return generatorKind;
  const isIterator = typeof (value as { next?: unknown }).next === "function" &&
    Symbol.iterator in value;
  return isIterator ? generatorKind : null;
}
