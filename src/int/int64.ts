/**
 * Signed 64-bit values as payloads of eight bytes.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import type { IntValue } from "./value.ts";

const smallest = -(2n ** 63n);
const largest = 2n ** 63n - 1n;

const buffer = new ArrayBuffer(8);
const value = new BigInt64Array(buffer);

/** Answers are written here; the caller reads the value at once. */
export const intBytes: Uint8Array<ArrayBuffer> = new Uint8Array(buffer);

/**
 * The bytes of a value, valid until the next call.
 *
 * @throws {TypeError} when `input` is no integer; @throws {RangeError} when it has more than 64 bits
 */
export function encodeInt(input: IntValue): Uint8Array<ArrayBuffer> {
  if (typeof input === "number" && Number.isSafeInteger(input)) {
    value[0] = BigInt(input);
    return intBytes;
  }
  if (typeof input !== "bigint") {
    throw new TypeError(`Cannot send ${describe(input)}: give a bigint or a safe integer`);
  }
  if (input < smallest || input > largest) {
    throw new RangeError(`Cannot send ${input}: it does not fit in 64 bits with a sign`);
  }
  value[0] = input;
  return intBytes;
}

/** The value of eight bytes; 0 for fewer bytes, which an error leaves. */
export function decodeInt(bytes: Uint8Array): bigint {
  if (bytes.byteLength < 8) return 0n;
  if (bytes !== intBytes) intBytes.set(bytes.subarray(0, 8));
  return value[0]!;
}
