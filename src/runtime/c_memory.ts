/**
 * Copies of what C functions point at.
 *
 * @module
 */
import { bindC } from "./c_library.ts";

interface Reads {
  strnlen(text: bigint, max: bigint): bigint;
  memcpy(to: Uint8Array, from: bigint, length: bigint): bigint;
}

let bound: Reads | undefined;

function c(): Reads {
  return bound ??= bindC<Reads>({
    strnlen: { parameters: ["size", "size"], result: "size", cold: true },
    memcpy: { parameters: ["buffer", "size", "size"], result: "size", cold: true },
  });
}

/** A copy of memory that is this process's own. */
export function bytesAt(address: bigint, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  // Of memory without a byte, the address may be none.
  if (length > 0) c().memcpy(bytes, address, BigInt(length));
  return bytes;
}

/** A text of C, as far as its zero, and no longer than `max` bytes. */
export function textAt(address: bigint, max: number = Number.MAX_SAFE_INTEGER): string {
  const length = Number(c().strnlen(address, BigInt(max)));
  return length === 0 ? "" : new TextDecoder().decode(bytesAt(address, length));
}
