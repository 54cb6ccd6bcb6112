/**
 * Hostile messages, written tag by tag.
 *
 * @module
 */
import { Kind, wireVersion } from "../../../src/rpc/message.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

const utf8 = new TextEncoder();

/** The tree of one message. */
export class Tree {
  #bytes: Bytes = new Uint8Array(2 ** 16);
  #view = new DataView(this.#bytes.buffer);
  length = 8;

  #room(count: number): void {
    if (this.length + count <= this.#bytes.byteLength) return;
    this.#bytes = new Uint8Array(
      this.#bytes.buffer.transfer(Math.max(this.#bytes.byteLength * 2, this.length + count)),
    );
    this.#view = new DataView(this.#bytes.buffer);
  }

  bytes(...bytes: readonly number[]): this {
    this.#room(bytes.length);
    for (const byte of bytes) this.#bytes[this.length++] = byte;
    return this;
  }

  /** Major type and count, of CBOR. */
  head(major: number, count: number): this {
    if (count < 24) return this.bytes(major << 5 | count);
    this.#room(5);
    this.#bytes[this.length] = major << 5 | 26;
    this.#view.setUint32(this.length + 1, count);
    this.length += 5;
    return this;
  }

  tag(tag: number): this {
    return this.head(6, tag);
  }

  double(value: number): this {
    this.#room(9);
    this.#bytes[this.length] = 0xfb;
    this.#view.setFloat64(this.length + 1, value);
    this.length += 9;
    return this;
  }

  text(text: string): this {
    if (isShortAscii(text)) {
      this.head(3, text.length).#room(text.length);
      for (let at = 0; at < text.length; at++) this.#bytes[this.length++] = text.charCodeAt(at);
      return this;
    }
    const bytes = utf8.encode(text);
    this.head(3, bytes.byteLength).#room(bytes.byteLength);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.byteLength;
    return this;
  }

  bigint(value: bigint): this {
    const hex = value.toString(16);
    const digits = hex.padStart(hex.length + (hex.length & 1), "0");
    this.tag(2).head(2, digits.length / 2);
    for (let at = 0; at < digits.length; at += 2) {
      this.bytes(parseInt(digits.slice(at, at + 2), 16));
    }
    return this;
  }

  get message(): Bytes {
    this.#bytes.set([wireVersion, Kind.value, 0, 0]);
    this.#view.setUint32(4, this.length, true);
    return this.#bytes.slice(0, this.length);
  }
}

/** For a million of them the encoder would take longer than what is measured. */
function isShortAscii(text: string): boolean {
  if (text.length >= 24) return false;
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

/** An array of that many items, each written by `write`. */
export function repeated(count: number, write: (tree: Tree, index: number) => void): Bytes {
  const tree = new Tree().head(4, count);
  for (let index = 0; index < count; index++) write(tree, index);
  return tree.message;
}
