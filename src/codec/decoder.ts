/**
 * From bytes to values. The bytes are another process's and may be anything: every length is checked
 * against what is left before it is believed, and whatever makes no sense ends in `CORRUPT`.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { bigintOfBytes } from "./bigints.ts";
import { chunkEntries, Effort, unwatchedMax } from "./effort.ts";
import type { ErrorClasses } from "./error_classes.ts";
import { makeError, setHidden } from "./error_values.ts";
import type { StreamKind } from "./stream_kinds.ts";
import { RegExpBudget } from "./regexp_budget.ts";
import { depthMax, holeByte, Tag, textBlobBytesMin, viewClasses } from "./tags.ts";
import { decodeText } from "./text.ts";
import {
  errorObjects,
  numberObjects,
  objectBytes,
  streamObjects,
  treeTooLarge,
} from "./tree_budget.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What the values around the decoder need of it. */
export interface DecodeHooks {
  readonly errorClasses: ErrorClasses;
  /** What the values of a message may cost; see `tree_budget.ts`. */
  readonly maxTreeBytes: number;
  /** A stream that the sender has. Without it streams cannot come from there. */
  openStream?(kind: StreamKind, id: number): object;
}

/**
 * What a long byte string is wanted for: to be handed to the user, in place if that was asked for; to be
 * read by functions of the runtime, so that no other process may be able to write to it; or to be read
 * here, once, which needs no copy.
 */
export type BlobUse = "keep" | "read natively" | "read here";

/** Where the long byte strings of a message are. */
export interface Blobs {
  /**
   * The next one.
   *
   * @throws {TandemError} `CORRUPT` when there is none of that length
   */
  next(byteLength: number, use: BlobUse): Bytes;
}

/** A message without any. */
export const noBlobs: Blobs = {
  next: () => {
    throw corrupt("a byte string is missing");
  },
};

/** A thrown value as it was sent. */
export interface Thrown {
  readonly isError: boolean;
  /** Of what is no error. */
  readonly text: string;
  /** The error, or what was thrown instead of one. */
  readonly value: unknown;
  /** Of an error: the nearest class that the sender knew. */
  readonly type: string;
  readonly properties: Record<string, unknown>;
}

/** For bytes that make no sense. */
export function corrupt(found: string): TandemError {
  return new TandemError(
    "CORRUPT",
    `Cannot read a message: ${found}; do both sides run the same version of this package?`,
  );
}

/** Decodes one message at a time. */
export class Decoder {
  #bytes: Bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;
  #end = 0;
  #blobs: Blobs = noBlobs;
  #hooks: DecodeHooks | null = null;
  /** Everything with an identity, in the order in which it came. */
  readonly #met: unknown[] = [];
  #depth = 0;
  /** So many of those there may be. */
  #metMax = 0;
  readonly #effort = new Effort();
  readonly #regExps = new RegExpBudget();
  /** Of the last error that was decoded. */
  #errorType = "";
  #errorProperties: Record<string, unknown> = {};

  /**
   * Begins a message of which `end` bytes are header and tree; the tree begins at `begin`. No other
   * process may be able to write to `bytes`.
   */
  begin(hooks: DecodeHooks, bytes: Bytes, begin: number, end: number, blobs: Blobs): void {
    if (this.#bytes !== bytes) {
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.#at = begin;
    this.#end = end;
    this.#blobs = blobs;
    this.#hooks = hooks;
    this.#depth = 0;
    this.#metMax = Math.floor((hooks.maxTreeBytes - end) / objectBytes);
    this.#effort.reset();
    this.#regExps.reset();
  }

  /** Forgets the message. */
  forget(): void {
    if (this.#met.length > 0) this.#met.length = 0;
    this.#hooks = null;
    this.#blobs = noBlobs;
  }

  /**
   * @throws {TandemError} `CORRUPT` when something is left
   */
  finish(): void {
    if (this.#at !== this.#end) throw corrupt(`${this.#end - this.#at} bytes too many`);
  }

  /**
   * The next value.
   *
   * @throws {TandemError} `CORRUPT`
   */
  value(): unknown {
    try {
      return this.#item();
    } catch (error) {
      throw asCorrupt(error);
    }
  }

  /** The next value, which has to be a string. */
  text(): string {
    const value = this.value();
    if (typeof value !== "string") throw corrupt("a text is missing");
    return value;
  }

  /** The next value, which has to be a whole number. */
  unsigned(): number {
    const value = this.value();
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw corrupt("a number is missing");
    }
    return value;
  }

  /** The next value, which has to be an array that was written as a list. */
  list(): unknown[] {
    try {
      const byte = this.#byte();
      if (byte >> 5 !== 4) throw corrupt("a list is missing");
      const values: unknown[] = [];
      // What is in a list of arguments is numbered as if the list were not there.
      for (let left = this.#count(byte, 1); left > 0; left--) values.push(this.#item());
      return values;
    } catch (error) {
      throw asCorrupt(error);
    }
  }

  /** What was thrown. */
  thrown(): Thrown {
    const isError = this.value();
    if (isError === true) {
      const value = this.value();
      if (!(value instanceof Error)) throw corrupt("an error is missing");
      return {
        isError,
        text: "",
        value,
        type: this.#errorType,
        properties: this.#errorProperties,
      };
    }
    const text = this.text();
    return { isError: false, text, value: this.value(), type: "", properties: {} };
  }

  #item(): unknown {
    const byte = this.#byte();
    switch (byte >> 5) {
      case 0:
        return this.#number(byte);
      case 1:
        return -1 - this.#number(byte);
      case 2:
        this.#meet(null);
        return this.#met[this.#met.length - 1] = this.#byteString(byte).slice();
      case 3:
        return this.#text(byte);
      case 4:
        return this.#array(byte);
      case 5:
        return this.#properties({}, byte);
      case 6:
        return this.#tagged(this.#number(byte));
    }
    switch (byte) {
      case 0xf4:
        return false;
      case 0xf5:
        return true;
      case 0xf6:
        return null;
      case 0xf7:
        return undefined;
      case 0xfb: {
        const at = this.#take(8);
        return this.#view.getFloat64(at);
      }
    }
    throw corrupt(`byte ${byte} begins no value`);
  }

  #tagged(tag: number): unknown {
    switch (tag) {
      case Tag.reference:
        return this.#reference();
      case Tag.bignum:
        return this.#bignum();
      case Tag.negativeBignum:
        return -1n - this.#bignum();
      case Tag.codeUnits:
        return this.#codeUnits();
      case Tag.text:
        return this.#blobText();
    }
    // Everything else has an identity. Its number is taken before what is in it is read.
    const place = this.#meet(null);
    switch (tag) {
      case Tag.date:
        return this.#met[place] = new Date(this.#plainNumber());
      case Tag.regExp:
        return this.#met[place] = this.#regExp();
      case Tag.blob:
        return this.#met[place] = this.#blobs.next(this.#length(), "keep");
      case Tag.arrayBuffer:
        return this.#met[place] = this.#buffer();
      case Tag.dataView:
        return this.#met[place] = new DataView(this.#buffer());
      case Tag.set:
        return this.#set(this.#met[place] = new Set());
      case Tag.map:
        return this.#map(this.#met[place] = new Map());
      case Tag.sparse:
        return this.#sparse(place);
      case Tag.numbers:
        return this.#met[place] = this.#numbers();
      case Tag.holey:
        return this.#holey(this.#met[place] = []);
      case Tag.error:
        return this.#error(place);
      case Tag.boxed:
        return this.#met[place] = this.#boxed();
      case Tag.stream:
        return this.#met[place] = this.#stream();
    }
    const view = viewClasses.get(tag);
    if (!view) throw corrupt(`there is no tag ${tag}`);
    const buffer = this.#buffer();
    if (buffer.byteLength % view.BYTES_PER_ELEMENT !== 0) throw corrupt("half an element is left");
    return this.#met[place] = new view(buffer);
  }

  /** Takes the next place, for `value`, or for what will be made. */
  #meet(value: unknown): number {
    const place = this.#met.push(value) - 1;
    if (place >= this.#metMax) throw treeTooLarge("take", this.#hooks!.maxTreeBytes);
    return place;
  }

  /** What is made next costs as much as so many objects. */
  #charge(objects: number): void {
    this.#metMax -= objects - 1;
    if (this.#met.length > this.#metMax) throw treeTooLarge("take", this.#hooks!.maxTreeBytes);
  }

  #reference(): unknown {
    const place = this.#length();
    const value = this.#met[place];
    // Its place was taken, but it is not made before what is in it.
    if (value === null || value === undefined) throw corrupt(`nothing has number ${place}`);
    return value;
  }

  #array(byte: number): unknown[] {
    const count = this.#count(byte, 1);
    const values: unknown[] = [];
    this.#meet(values);
    this.#descend();
    for (let left = count; left > 0; left--) values.push(this.#item());
    this.#depth -= 1;
    return values;
  }

  #properties(object: Record<string, unknown>, byte: number): unknown {
    this.#meet(object);
    return this.#fill(object, byte);
  }

  #fill<T extends object>(object: T, byte: number): T {
    this.#descend();
    const count = this.#count(byte, 2);
    if (count > unwatchedMax) {
      this.#insertPairs(count, () => this.#key(), (key, value) => setProperty(object, key, value));
    } else {
      for (let left = count; left > 0; left--) {
        const key = this.#key();
        setProperty(object, key, this.#item());
      }
    }
    this.#depth -= 1;
    return object;
  }

  /** Inserts in chunks, which are timed, and whose keys and values are read before. */
  #insertPairs<Key>(
    count: number,
    readKey: () => Key,
    insert: (key: Key, value: unknown) => void,
  ): void {
    const keys: Key[] = [];
    const values: unknown[] = [];
    for (let left = count; left > 0;) {
      const chunk = Math.min(left, chunkEntries);
      for (let index = 0; index < chunk; index++) {
        keys[index] = readKey();
        values[index] = this.#item();
      }
      const begun = this.#effort.begin();
      for (let index = 0; index < chunk; index++) insert(keys[index]!, values[index]);
      this.#effort.end(begun, chunk);
      left -= chunk;
    }
  }

  #key(): string {
    const byte = this.#byte();
    if (byte >> 5 === 3) return this.#text(byte);
    if (byte >> 5 === 6) {
      const tag = this.#number(byte);
      // A key that is no well-formed Unicode, or a very long one.
      if (tag === Tag.codeUnits) return this.#codeUnits();
      if (tag === Tag.text) return this.#blobText();
    }
    throw corrupt("a key is no text");
  }

  #mapByte(): number {
    const byte = this.#byte();
    if (byte >> 5 !== 5) throw corrupt("a map is missing");
    return byte;
  }

  #map(map: Map<unknown, unknown>): Map<unknown, unknown> {
    this.#descend();
    const count = this.#count(this.#mapByte(), 2);
    if (count > unwatchedMax) {
      this.#insertPairs(count, () => this.#item(), (key, value) => map.set(key, value));
    } else {
      for (let left = count; left > 0; left--) {
        const key = this.#item();
        map.set(key, this.#item());
      }
    }
    this.#depth -= 1;
    return map;
  }

  #set(set: Set<unknown>): Set<unknown> {
    const byte = this.#byte();
    if (byte >> 5 !== 4) throw corrupt("a set is missing");
    this.#descend();
    const count = this.#count(byte, 1);
    if (count > unwatchedMax) this.#insertItems(set, count);
    else for (let left = count; left > 0; left--) set.add(this.#item());
    this.#depth -= 1;
    return set;
  }

  /** As {@linkcode #insertPairs}. */
  #insertItems(set: Set<unknown>, count: number): void {
    const items: unknown[] = [];
    for (let left = count; left > 0;) {
      const chunk = Math.min(left, chunkEntries);
      for (let index = 0; index < chunk; index++) items[index] = this.#item();
      const begun = this.#effort.begin();
      for (let index = 0; index < chunk; index++) set.add(items[index]);
      this.#effort.end(begun, chunk);
      left -= chunk;
    }
  }

  #pair(): void {
    if (this.#byte() !== 0x82) throw corrupt("a pair is missing");
  }

  #sparse(place: number): unknown[] {
    this.#pair();
    const length = this.#plainNumber();
    if (!(length >= 0 && length < 2 ** 32 && Number.isInteger(length))) {
      throw corrupt(`an array has ${length} items`);
    }
    const values: unknown[] = [];
    // A far item makes the array one of few items: a length alone would set memory aside for all.
    values[2 ** 32 - 2] = undefined;
    delete values[2 ** 32 - 2];
    values.length = length;
    this.#met[place] = values;
    this.#fill(values, this.#mapByte());
    if (values.length !== length) throw corrupt("an item lies beyond its array");
    return values;
  }

  #numbers(): number[] {
    const byte = this.#byte();
    const tag = byte >> 5 === 6 ? this.#number(byte) : 0;
    const view = numberViews.get(tag);
    if (!view) throw corrupt(`there are no numbers of tag ${tag}`);
    const bytes = this.#bytesOfNumbers();
    const { byteLength } = bytes;
    const itemBytes = view.BYTES_PER_ELEMENT;
    if (byteLength % itemBytes !== 0) throw corrupt("half a number is left");
    // Unlike what is in byte arrays, they lie among the values, and count wherever their bytes are.
    this.#charge(numberObjects(byteLength));
    const isAligned = bytes.byteOffset % itemBytes === 0;
    const { buffer, byteOffset } = isAligned ? bytes : bytes.slice();
    const length = byteLength / itemBytes;
    const numbers = new view(buffer, byteOffset, length);
    // The array takes at most eight times the bytes that have arrived.
    const values = new Array<number>(length);
    for (let index = 0; index < length; index++) values[index] = numbers[index]!;
    return values;
  }

  #bytesOfNumbers(): Bytes {
    const byte = this.#byte();
    if (byte >> 5 !== 6) return this.#byteString(byte);
    if (this.#number(byte) !== Tag.blob) throw corrupt("a byte string is missing");
    return this.#blobs.next(this.#length(), "read here");
  }

  #holey(values: unknown[]): unknown[] {
    const byte = this.#byte();
    if (byte >> 5 !== 4) throw corrupt("an array is missing");
    this.#descend();
    for (let left = this.#count(byte, 1); left > 0; left--) {
      if (this.#bytes[this.#at] !== holeByte || this.#at >= this.#end) values.push(this.#item());
      else {
        this.#at += 1;
        values.length += 1;
      }
    }
    this.#depth -= 1;
    return values;
  }

  #error(place: number): Error {
    if (this.#byte() !== 0x86) throw corrupt("an error is missing");
    this.#charge(errorObjects);
    const [type, name, message] = [this.#plainText(), this.#plainText(), this.#plainText()];
    const { errorClasses } = this.#hooks!;
    const error = makeError(type, name, message, this.#plainText(), errorClasses);
    this.#met[place] = error;
    this.#descend();
    const byte = this.#byte();
    if (byte === 0x81) setHidden(error, "cause", this.#item());
    else if (byte !== 0x80) throw corrupt("a cause is missing");
    this.#depth -= 1;
    const properties: Record<string, unknown> = this.#fill({}, this.#mapByte());
    for (const [key, value] of Object.entries(properties)) {
      if (key === "errors" && error instanceof AggregateError) setHidden(error, key, value);
      else if (!(key in Error.prototype) && key !== "stack" && key !== "cause") {
        const property = { value, writable: true, enumerable: true, configurable: true };
        Object.defineProperty(error, key, property);
      }
    }
    this.#errorType = type;
    this.#errorProperties = properties;
    return error;
  }

  #boxed(): object {
    const value = this.#item();
    switch (typeof value) {
      case "number":
      case "string":
      case "boolean":
      case "bigint":
        return Object(value);
    }
    throw corrupt("nothing is in a box");
  }

  #stream(): object {
    this.#pair();
    const [kind, id] = [this.#length(), this.#length()];
    const hooks = this.#hooks;
    if (!hooks?.openStream || kind > 1) throw corrupt("there is a stream where none can be");
    this.#charge(streamObjects);
    return hooks.openStream(kind as StreamKind, id);
  }

  #regExp(): RegExp {
    this.#pair();
    const source = this.#plainText();
    const reason = this.#regExps.take(source);
    if (reason !== null) throw corrupt(reason);
    return new RegExp(source, this.#plainText());
  }

  #plainText(): string {
    const value = this.#item();
    if (typeof value !== "string") throw corrupt("a text is missing");
    return value;
  }

  #plainNumber(): number {
    const value = this.#item();
    if (typeof value !== "number") throw corrupt("a number is missing");
    return value;
  }

  /** A buffer of its own with the byte string that follows, which may be a blob. */
  #buffer(): ArrayBuffer {
    const byte = this.#byte();
    if (byte >> 5 === 2) return this.#byteString(byte).slice().buffer;
    if (byte >> 5 === 6 && this.#number(byte) === Tag.blob) {
      const bytes = this.#blobs.next(this.#length(), "keep");
      const isWhole = bytes.byteLength === bytes.buffer.byteLength;
      return isWhole ? bytes.buffer : bytes.slice().buffer;
    }
    throw corrupt("a byte string is missing");
  }

  /** A string whose bytes follow the tree. */
  #blobText(): string {
    const length = this.#length();
    if (length < textBlobBytesMin) throw corrupt("a short text is no byte string");
    // The runtime's decoder reads each byte twice, and may trust that it is the same.
    const bytes = this.#blobs.next(length, "read natively");
    return decodeText(bytes, 0, length);
  }

  #codeUnits(): string {
    const bytes = this.#byteString(this.#byte());
    if (bytes.byteLength & 1) throw corrupt("half a character is left");
    // Even where the bytes of the message begin at an odd place.
    const units = new Uint16Array(bytes.slice().buffer);
    let text = "";
    for (let at = 0; at < units.length; at += unitsAtOnce) {
      text += String.fromCharCode.apply(
        null,
        units.subarray(at, at + unitsAtOnce) as unknown as number[],
      );
    }
    return text;
  }

  #bignum(): bigint {
    const bytes = this.#byteString(this.#byte());
    if (bytes.byteLength === 8) {
      return this.#view.getBigUint64(bytes.byteOffset - this.#bytes.byteOffset);
    }
    // What a bigint can be at all.
    if (bytes.byteLength > 2 ** 24) throw corrupt("a bigint is too long");
    return bigintOfBytes(bytes);
  }

  /** A view of the byte string whose first byte was read. */
  #byteString(byte: number): Bytes {
    if (byte >> 5 !== 2) throw corrupt("a byte string is missing");
    const length = this.#number(byte);
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  #text(byte: number): string {
    const length = this.#number(byte);
    return decodeText(this.#bytes, this.#take(length), length);
  }

  /** A count of items, each of which takes `itemBytes` at least. */
  #count(byte: number, itemBytes: number): number {
    const count = this.#number(byte);
    if (count * itemBytes > this.#end - this.#at) throw corrupt(`${count} items cannot be there`);
    return count;
  }

  /** A whole number that is no value of its own. */
  #length(): number {
    const byte = this.#byte();
    if (byte >> 5 !== 0) throw corrupt("a number is missing");
    return this.#number(byte);
  }

  #number(byte: number): number {
    const short = byte & 31;
    if (short < 24) return short;
    switch (short) {
      case 24:
        return this.#bytes[this.#take(1)]!;
      case 25:
        return this.#view.getUint16(this.#take(2));
      case 26:
        return this.#view.getUint32(this.#take(4));
    }
    throw corrupt(`byte ${byte} begins no value`);
  }

  #byte(): number {
    if (this.#at >= this.#end) throw corrupt("it ends early");
    return this.#bytes[this.#at++]!;
  }

  /** Where the next `count` bytes are. */
  #take(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) throw corrupt("it ends early");
    this.#at = at + count;
    return at;
  }

  #descend(): void {
    if (this.#depth++ >= depthMax) throw corrupt(`it is nested deeper than ${depthMax}`);
  }
}

/** More arguments than this the stack may not hold. */
const unitsAtOnce = 4096;

/** By tag: what the numbers of an array are written as. */
const numberViews: ReadonlyMap<
  number,
  Int8ArrayConstructor | Int16ArrayConstructor | Int32ArrayConstructor | Float64ArrayConstructor
> = new Map<
  number,
  Int8ArrayConstructor | Int16ArrayConstructor | Int32ArrayConstructor | Float64ArrayConstructor
>([
  [Tag.int8, Int8Array],
  [Tag.int16, Int16Array],
  [Tag.int32, Int32Array],
  [Tag.float64, Float64Array],
]);

function setProperty(object: object, key: string, value: unknown): void {
  if (key === "__proto__") {
    // Assigned, it would be the prototype.
    const property = { value, writable: true, enumerable: true, configurable: true };
    Object.defineProperty(object, key, property);
  } else (object as Record<string, unknown>)[key] = value;
}

/** Whatever the runtime says of hostile bytes: no UTF-8, no regular expression, no date. */
function asCorrupt(error: unknown): unknown {
  if (error instanceof TandemError) return error;
  return corrupt(error instanceof Error ? error.message : String(error));
}
