/**
 * One entry of a node. On a board it is the array
 *
 * ```
 * [1, family, key, port, since, token, value]
 * ```
 *
 * `port` is the whole id of a port, or null. `since` is when the entry was made, in milliseconds; `token` is the token of
 * a claim, or null. `value` is a byte string: the array `[1, value]`. Both arrays have the form of messages
 * between nodes (../frames.ts).
 *
 * @module
 */
import { isEqual } from "../../base/bytes.ts";
import { codeOf } from "../../base/guard.ts";
import { corrupt } from "../../codec/reader.ts";
import type { Bytes } from "../../codec/writer.ts";
import { TandemError } from "../../errors.ts";
import {
  FrameDecoder,
  type FrameEncoder,
  FrameLimits,
  giveEncoder,
  takeEncoder,
} from "../frames.ts";
import { addressOf } from "../ids.ts";
import { boardBytesMax, bytesPerEntry } from "./bounds.ts";
import { isFamily, isKey } from "./names.ts";

/** Begins an entry, and a value. */
const format = 1;

const limits = new FrameLimits(boardBytesMax);
const decoder = new FrameDecoder();

/** What an entry says. */
export interface EntryTerms {
  readonly family: string;
  readonly key: string;
  readonly port: string | null;
  readonly since: number;
  /** Of a claim. */
  readonly token: bigint | null;
  /** Encoded. */
  readonly value: Bytes;
}

export class Entry implements EntryTerms {
  readonly node: string;
  readonly family: string;
  readonly key: string;
  readonly port: string | null;
  readonly since: number;
  readonly token: bigint | null;
  readonly value: Bytes;
  /** As it is on a board. */
  readonly bytes: Bytes;
  readonly #plain: unknown;
  readonly #isPlain: boolean;

  /** @throws {TandemError} when the value cannot be read */
  constructor(node: string, terms: EntryTerms, bytes: Bytes) {
    this.node = node;
    this.family = terms.family;
    this.key = terms.key;
    this.port = terms.port;
    this.since = terms.since;
    this.token = terms.token;
    this.value = terms.value;
    this.bytes = bytes;
    const value = decodeValue(this.value);
    this.#isPlain = typeof value !== "object" || value === null;
    this.#plain = this.#isPlain ? value : undefined;
  }

  /** The value: a copy of its own for whoever asks. */
  read(): unknown {
    return this.#isPlain ? this.#plain : decodeValue(this.value);
  }

  /** Whether both say the same to those who look. */
  looksLike(other: Entry): boolean {
    if (this === other) return true;
    return this.node === other.node && this.port === other.port && isEqual(this.value, other.value);
  }

  /** Whether it shows, and not `other`, which has the same key: claims first, the latest; then the earliest. */
  precedes(other: Entry): boolean {
    if (this.token !== other.token) {
      return this.token !== null && (other.token === null || this.token > other.token);
    }
    if (this.since !== other.since) return this.since < other.since;
    return this.node < other.node;
  }
}

/** How much an entry takes of a board. */
export function costOf({ bytes }: Entry): number {
  return bytes.byteLength + bytesPerEntry;
}

/** Makes an entry of this node. */
export function makeEntry(node: string, terms: EntryTerms): Entry {
  const bytes = encode(7, (encoder) => {
    encoder.text(terms.family);
    encoder.text(terms.key);
    encoder.value(terms.port);
    encoder.value(terms.since);
    encoder.value(terms.token);
    encoder.value(terms.value);
  });
  return new Entry(node, terms, bytes);
}

/**
 * Runs code of the user.
 *
 * @throws {TandemError} `NOT_SERIALIZABLE`, `TOO_LARGE`; what a getter throws
 */
export function encodeValue(value: unknown): Bytes {
  return encode(2, (encoder) => encoder.named("value", value));
}

function encode(items: number, write: (encoder: FrameEncoder) => void): Bytes {
  const encoder = takeEncoder();
  try {
    encoder.open(limits, format, items);
    write(encoder);
    return encoder.bytesOf().slice();
  } catch (error) {
    if (codeOf(error) !== "TOO_LARGE") throw error;
    throw new TandemError(
      "TOO_LARGE",
      `Cannot keep a value in the registry that takes more than ${boardBytesMax} bytes: let the entry name ` +
        "a port that sends the data, or a file",
    );
  } finally {
    giveEncoder(encoder);
  }
}

function decodeValue(bytes: Bytes): unknown {
  try {
    open(bytes);
    const value = decoder.value();
    decoder.done(2);
    return value;
  } finally {
    decoder.close();
  }
}

function open(bytes: Bytes): void {
  const found = decoder.open(limits, bytes, 0, bytes.byteLength);
  if (found !== format) throw corrupt(`an entry has the format ${found}`);
}

/**
 * Reads an entry of another node. Null: this runtime cannot have its value.
 *
 * @throws {TandemError} `CORRUPT`
 */
export function readEntry(node: string, bytes: Bytes): Entry | null {
  return unlessUnsupported(() => new Entry(node, readTerms(node, bytes), bytes));
}

/** An entry and its name, which it has whatever its value is. */
export interface NamedEntry extends Pick<EntryTerms, "family" | "key"> {
  /** Null: this runtime cannot have its value. */
  readonly entry: Entry | null;
}

/**
 * As {@linkcode readEntry}, with the name.
 *
 * @throws {TandemError} `CORRUPT`
 */
export function readNamed(node: string, bytes: Bytes): NamedEntry {
  const terms = readTerms(node, bytes);
  const entry = unlessUnsupported(() => new Entry(node, terms, bytes));
  return { family: terms.family, key: terms.key, entry };
}

function unlessUnsupported<T>(make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    if (codeOf(error) === "UNSUPPORTED") return null;
    throw error;
  }
}

function readTerms(node: string, bytes: Bytes): EntryTerms {
  try {
    open(bytes);
    const [family, key] = [decoder.text(), decoder.text()];
    const [port, since, token, value] = [
      decoder.value(),
      decoder.unsigned(),
      decoder.value(),
      decoder.value(),
    ];
    decoder.done(7);
    if (!isFamily(family) || !isKey(key)) throw corrupt("a name of the registry is wrong");
    if (port !== null && !isPortOf(node, port)) throw corrupt("it names a port of another node");
    if (token !== null && !isToken(token)) throw corrupt("a token is missing");
    if (!(value instanceof Uint8Array)) throw corrupt("a value is missing");
    return { family, key, port, since, token, value: value as Bytes };
  } finally {
    decoder.close();
  }
}

function isPortOf(node: string, port: unknown): port is string {
  if (typeof port !== "string") return false;
  const address = addressOf(port);
  return address.node === node && address.local !== "";
}

function isToken(token: unknown): token is bigint {
  return typeof token === "bigint" && token >= 0n && token < 2n ** 64n;
}
