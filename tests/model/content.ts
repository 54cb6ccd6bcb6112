/**
 * From a message's description to its bytes and back to something that is easily compared.
 *
 * @module
 */
import type { Content } from "./operations.ts";

const encoder = new TextEncoder();

/** The bytes of a message; all of them ASCII where it is text, but for one letter of two bytes. */
export function bytesOf({ length, seed, isText }: Content): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) {
    const byte = Math.imul(index + 1, 0x9e3779b1 ^ Math.imul(seed + 1, 0x85ebca6b)) >>> 23;
    bytes[index] = isText ? 32 + byte % 95 : byte & 0xff;
  }
  if (isText && length >= 2) bytes.set(encoder.encode("é"));
  return bytes;
}

/** The payload for `send` and `reply`. */
export function payloadOf(content: Content): Uint8Array<ArrayBuffer> | string {
  const bytes = bytesOf(content);
  return content.isText ? new TextDecoder().decode(bytes) : bytes;
}

/** Length and a hash (FNV-1a): two messages that differ have two digests. */
export function digest(bytes: Uint8Array): string {
  let hash = 0x811c9dc5;
  // Not `for of`, which throws where a view was detached.
  for (let index = 0; index < bytes.length; index++) {
    hash = Math.imul(hash ^ bytes[index]!, 0x01000193);
  }
  return `${bytes.length}:${(hash >>> 0).toString(16)}`;
}

/** The digest that the bytes of `content` have. */
export function digestOf(content: Content): string {
  return digest(bytesOf(content));
}
