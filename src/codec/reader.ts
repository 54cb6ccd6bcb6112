/**
 * Reads the items of CBOR. Another process wrote the bytes, which may be anything: every length is
 * checked against the bytes that are left before it is used.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { bigintOfBytes } from "./bigints.ts";
import { Tag, textBlobBytesMin } from "./tags.ts";
import { decodeText } from "./text.ts";
import type { Bytes } from "./writer.ts";

/**
 * What a long byte string is for: the user gets it, in place if the user asked for that; functions of
 * the runtime read it, so that no other process may be able to write to it; or this package reads it
 * once, which needs no copy.
 */
export type BlobUse = "keep" | "read natively" | "read here";

/** The long byte strings of a message. */
export interface Blobs {
  /**
   * Returns the next one.
   *
   * @throws {TandemError} `CORRUPT` when the next one does not have that length
   */
  next(byteLength: number, use: BlobUse): Bytes;
}

/** The blobs of a message that has none. */
export const noBlobs: Blobs = {
  next: () => {
    throw corrupt("a byte string is missing");
  },
};

/** Makes the error for bytes that are not a message. */
export function corrupt(found: string): TandemError {
  return new TandemError(
    "CORRUPT",
    `Cannot read a message: ${found}; do both sides run the same version of this package?`,
  );
}

/** Makes the error for a value of a newer runtime. The other side may be the one that sees it. */
export function unsupported(found: string, instead: string): TandemError {
  return new TandemError(
    "UNSUPPORTED",
    `Cannot read a message: ${found}; run the process that reads it in a newer runtime, or ${instead}`,
  );
}

export class Reader {
  protected bytes: Bytes = new Uint8Array(0);
  protected at = 0;
  protected end = 0;
  protected blobs: Blobs = noBlobs;
  #view = new DataView(this.bytes.buffer);

  /** Reads from `begin` to `end`. No other process may be able to write to `bytes`. */
  protected setBytes(bytes: Bytes, begin: number, end: number, blobs: Blobs): void {
    if (this.bytes !== bytes) {
      this.bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.at = begin;
    this.end = end;
    this.blobs = blobs;
  }

  /**
   * Checks that the reader has reached the end.
   *
   * @throws {TandemError} `CORRUPT` when bytes are left
   */
  finish(): void {
    if (this.at !== this.end) throw corrupt(`${this.end - this.at} bytes too many`);
  }

  /** Reads a string whose bytes follow the tree. */
  protected blobText(): string {
    const length = this.length();
    if (length < textBlobBytesMin) throw corrupt("a short text is no byte string");
    // The runtime's decoder reads each byte twice, and may rely on reading the same.
    const bytes = this.blobs.next(length, "read natively");
    return decodeText(bytes, 0, length);
  }

  protected codeUnits(): string {
    const bytes = this.byteString(this.byte());
    if (bytes.byteLength & 1) throw corrupt("half a character is left");
    // The copy is aligned, whatever the position in the message.
    const units = new Uint16Array(bytes.slice().buffer);
    let text = "";
    for (let at = 0; at < units.length; at += argumentsMax) {
      text += String.fromCharCode.apply(
        null,
        units.subarray(at, at + argumentsMax) as unknown as number[],
      );
    }
    return text;
  }

  protected bignum(): bigint {
    const bytes = this.byteString(this.byte());
    if (bytes.byteLength === 8) {
      return this.#view.getBigUint64(bytes.byteOffset - this.bytes.byteOffset);
    }
    if (bytes.byteLength > bigintBytesMax) throw corrupt("a bigint is too long");
    return bigintOfBytes(bytes);
  }

  /** Returns a view of the byte string that begins with `byte`. */
  protected byteString(byte: number): Bytes {
    if (byte >> 5 !== 2) throw corrupt("a byte string is missing");
    const length = this.number(byte);
    const at = this.skip(length);
    return this.bytes.subarray(at, at + length);
  }

  /** Reads the string that begins with `byte`. */
  protected string(byte: number): string {
    const length = this.number(byte);
    return decodeText(this.bytes, this.skip(length), length);
  }

  protected float(): number {
    return this.#view.getFloat64(this.skip(8));
  }

  /** Reads a count of items, each of which takes at least `itemBytes`. */
  protected count(byte: number, itemBytes: number): number {
    const count = this.number(byte);
    if (count * itemBytes > this.end - this.at) throw corrupt(`${count} items cannot be there`);
    return count;
  }

  /** Reads a whole number that is a part of another value. */
  protected length(): number {
    const byte = this.byte();
    if (byte >> 5 !== 0) throw corrupt("a number is missing");
    return this.number(byte);
  }

  /** Reads the number in the head that begins with `byte`. */
  protected number(byte: number): number {
    const short = byte & 31;
    if (short < 24) return short;
    switch (short) {
      case 24:
        return this.bytes[this.skip(1)]!;
      case 25:
        return this.#view.getUint16(this.skip(2));
      case 26:
        return this.#view.getUint32(this.skip(4));
    }
    throw corrupt(`byte ${byte} begins no value`);
  }

  protected byte(): number {
    if (this.at >= this.end) throw corrupt("it ends early");
    return this.bytes[this.at++]!;
  }

  /** Skips bytes, and returns the index of the first. */
  protected skip(count: number): number {
    const at = this.at;
    if (count > this.end - at) throw corrupt("it ends early");
    this.at = at + count;
    return at;
  }

  /** Reads the key of an object. */
  protected key(): string {
    const byte = this.byte();
    if (byte >> 5 === 3) return this.string(byte);
    if (byte >> 5 === 6) {
      const tag = this.number(byte);
      // A key that is not well-formed Unicode, or a very long one.
      if (tag === Tag.codeUnits) return this.codeUnits();
      if (tag === Tag.text) return this.blobText();
    }
    throw corrupt("a key is no text");
  }
}

/** The stack may not hold more arguments. */
const argumentsMax = 4096;
/** The longest bigint that the runtimes can hold. */
const bigintBytesMax = 2 ** 24;
