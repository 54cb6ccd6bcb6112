/**
 * Writes the items of CBOR into a buffer that grows.
 *
 * @module
 */
import { bytesOfBigint } from "./bigints.ts";
import { Tag, textBlobBytesMin } from "./tags.ts";
import { treeTooLarge } from "./tree_budget.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

const textEncoder = new TextEncoder();

/** Strings up to this length are tried as ASCII, one unit after the other. */
const shortTextUnits = 64;
const shortBigintMax = 2n ** 64n - 1n;
const initialBytes = 4096;
/** A longer buffer is given back after the message that needed it. */
const keptBytesMax = 256 * 1024;
const bufferBytesMax = 2 ** 30;

/**
 * What has been written is in {@linkcode bytes}, up to {@linkcode length}. Long byte strings are in
 * {@linkcode blobs} and not copied.
 */
export class Writer {
  bytes: Bytes = new Uint8Array(initialBytes);
  length = 0;
  /** In the order in which the tree mentions them. */
  readonly blobs: Uint8Array[] = [];
  /** The total length of the blobs, as written into the tree. */
  blobBytes = 0;

  protected maxTreeBytes = 0;
  #view = new DataView(this.bytes.buffer);
  #written: Bytes = this.bytes;

  /** What has been written, without the blobs. The next write may change it. */
  get written(): Bytes {
    const { bytes, length } = this;
    // Successive messages often have the same length, and making a view is slow.
    if (this.#written.byteLength !== length || this.#written.buffer !== bytes.buffer) {
      this.#written = bytes.subarray(0, length);
    }
    return this.#written;
  }

  /** Gives a large buffer and the blobs back. */
  protected release(): void {
    // Setting a length has a cost even if the length stays the same.
    if (this.blobs.length > 0) this.blobs.length = 0;
    this.blobBytes = 0;
    if (this.bytes.byteLength <= keptBytesMax) return;
    this.bytes = new Uint8Array(initialBytes);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** Writes a whole number from 0. */
  unsigned(value: number): void {
    // A head has at most 32 bits.
    if (value < 2 ** 32) this.head(0, value);
    else this.number(value);
  }

  text(text: string): void {
    const units = text.length;
    if (units <= shortTextUnits) {
      this.reserve(units + 2);
      const { bytes } = this;
      const begin = this.length;
      let at = begin + (units < 24 ? 1 : 2);
      let unit = 0;
      for (let index = 0; index < units; index++) {
        unit = text.charCodeAt(index);
        if (unit >= 0x80) break;
        bytes[at++] = unit;
      }
      if (unit < 0x80) {
        if (units < 24) bytes[begin] = 0x60 | units;
        else {
          bytes[begin] = 0x78;
          bytes[begin + 1] = units;
        }
        this.length = at;
        return;
      }
    }
    this.#longText(text);
  }

  #longText(text: string): void {
    const units = text.length;
    if (!text.isWellFormed()) return this.#codeUnits(text);
    // UTF-8 takes at most three bytes for a unit. The exact length is not known in advance.
    if (units * 3 >= textBlobBytesMin) return this.#veryLongText(text);
    this.reserve(5 + units * 3);
    const begin = this.length;
    const { written } = textEncoder.encodeInto(text, this.bytes.subarray(begin + 5));
    this.bytes[begin] = 0x7a;
    this.#view.setUint32(begin + 1, written);
    this.length = begin + 5 + written;
  }

  #veryLongText(text: string): void {
    const bytes = textEncoder.encode(text);
    const { byteLength } = bytes;
    if (byteLength >= textBlobBytesMin) {
      this.tag(Tag.text);
      return this.blob(bytes);
    }
    this.head(0x60, byteLength);
    this.append(bytes);
  }

  #codeUnits(text: string): void {
    const units = text.length;
    this.tag(Tag.codeUnits);
    this.head(0x40, units * 2);
    this.reserve(units * 2);
    const { bytes } = this;
    let at = this.length;
    for (let index = 0; index < units; index++) {
      const unit = text.charCodeAt(index);
      bytes[at++] = unit;
      bytes[at++] = unit >>> 8;
    }
    this.length = at;
  }

  protected number(value: number): void {
    if ((value | 0) === value && (value !== 0 || 1 / value > 0)) {
      if (value >= 0) this.head(0, value);
      else this.head(0x20, -1 - value);
      return;
    }
    this.reserve(9);
    this.bytes[this.length] = 0xfb;
    this.#view.setFloat64(this.length + 1, value);
    this.length += 9;
  }

  protected bigint(value: bigint): void {
    const isNegative = value < 0n;
    this.tag(isNegative ? Tag.negativeBignum : Tag.bignum);
    const magnitude = isNegative ? -1n - value : value;
    if (magnitude <= shortBigintMax) {
      this.head(0x40, 8);
      this.reserve(8);
      this.#view.setBigUint64(this.length, magnitude);
      this.length += 8;
      return;
    }
    const bytes = bytesOfBigint(magnitude);
    this.head(0x40, bytes.byteLength);
    this.append(bytes);
  }

  /** Writes the length of a byte string whose bytes follow the tree. */
  protected blob(bytes: Uint8Array): void {
    this.head(0, bytes.byteLength);
    this.blobs.push(bytes);
    this.blobBytes += bytes.byteLength;
  }

  protected append(bytes: Uint8Array): void {
    this.reserve(bytes.byteLength);
    this.bytes.set(bytes, this.length);
    this.length += bytes.byteLength;
  }

  protected byte(byte: number): void {
    this.reserve(1);
    this.bytes[this.length++] = byte;
  }

  protected tag(tag: number): void {
    this.head(0xc0, tag);
  }

  protected head(major: number, count: number): void {
    if (this.bytes.byteLength - this.length < 9) this.#grow(9);
    const { bytes, length } = this;
    if (count < 24) {
      bytes[length] = major | count;
      this.length = length + 1;
    } else if (count < 0x100) {
      bytes[length] = major | 24;
      bytes[length + 1] = count;
      this.length = length + 2;
    } else if (count < 0x10000) {
      bytes[length] = major | 25;
      bytes[length + 1] = count >>> 8;
      bytes[length + 2] = count;
      this.length = length + 3;
    } else {
      bytes[length] = major | 26;
      this.#view.setUint32(length + 1, count);
      this.length = length + 5;
    }
  }

  /** Leaves room for the head of a map whose size is known later. Returns where it is. */
  protected beginMap(): number {
    this.reserve(5);
    const at = this.length;
    this.length += 5;
    return at;
  }

  protected endMap(at: number, count: number): void {
    this.bytes[at] = 0xba;
    this.#view.setUint32(at + 1, count);
  }

  protected reserve(count: number): void {
    if (this.bytes.byteLength - this.length < count) this.#grow(count);
  }

  #grow(count: number): void {
    // A message that is too large must not take memory first.
    if (this.length > this.maxTreeBytes || this.length + count > bufferBytesMax) {
      throw this.tooLarge(Math.min(this.maxTreeBytes, bufferBytesMax));
    }
    const wanted = Math.max(this.length + count, this.bytes.byteLength * 2);
    const bytes = new Uint8Array(Math.min(wanted, bufferBytesMax));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  protected tooLarge(max: number): unknown {
    return treeTooLarge("send", max);
  }
}
