/**
 * From values to bytes: everything that `structuredClone` takes but functions, as CBOR.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import { describe } from "../../channel/options.ts";
import { errorParts } from "./error_values.ts";
import type { ErrorClasses } from "./error_classes.ts";
import { RegExpBudget } from "./regexp_budget.ts";
import { blobBytesMin, depthMax, Tag, viewTags } from "./tags.ts";
import { errorObjects, objectBytes, streamObjects, treeTooLarge } from "./tree_budget.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What the values around the encoder need of it. */
export interface EncodeHooks {
  readonly errorClasses: ErrorClasses;
  /** What the values of a message may cost; see `tree_budget.ts`. */
  readonly maxTreeBytes: number;
  /** Takes charge of a stream and says its number. Without it streams cannot be sent. */
  addStream?(kind: StreamKind, stream: object): number;
}

/** Values that have been encoded, to be sent later, and perhaps more than once. Nobody else changes them. */
export interface EncodedValues {
  readonly tree: Uint8Array;
  readonly blobs: readonly Bytes[];
  /** For the budget; see `tree_budget.ts`. */
  readonly objects: number;
}

/** What a stream is to be on the other side. */
export type StreamKind = 0 | 1;
export const generatorKind: StreamKind = 0;
export const readableKind: StreamKind = 1;

const textEncoder = new TextEncoder();

/** Strings up to this length are tried as ASCII, one unit after the other. */
const shortTextUnits = 64;
/** Up to so many values are looked for one by one. */
const listedMax = 8;
const bytesAtFirst = 4096;
/** A longer buffer is given back after the message that needed it. */
const bytesKept = 256 * 1024;

/**
 * Encodes one message at a time. What it has written is in {@linkcode bytes}, up to
 * {@linkcode length}; long byte strings are in {@linkcode blobs} and not copied.
 */
export class Encoder {
  bytes: Bytes = new Uint8Array(bytesAtFirst);
  length = 0;
  /** In the order in which the tree mentions them. */
  readonly blobs: Uint8Array[] = [];
  blobBytes = 0;

  #view = new DataView(this.bytes.buffer);
  #written: Bytes = this.bytes;
  #hooks: EncodeHooks | null = null;
  #isGuarded = false;
  #maxTreeBytes = 0;
  /** What is beyond one object for each. */
  #extraObjects = 0;
  readonly #regExps = new RegExpBudget();
  /** Everything with an identity, in the order in which it was met. */
  readonly #met: object[] = [];
  #places: Map<object, number> | null = null;
  /** Where in the value the encoder is, for errors. */
  readonly #path: (string | number)[] = [];

  /** What has been written, without the byte strings; valid until something else is. */
  get written(): Bytes {
    const { bytes, length } = this;
    // Messages of one length come often after one another, and a view is dear.
    if (this.#written.byteLength !== length || this.#written.buffer !== bytes.buffer) {
      this.#written = bytes.subarray(0, length);
    }
    return this.#written;
  }

  /** Begins a message after `header` bytes that the caller writes itself. */
  begin(hooks: EncodeHooks, header: number): void {
    this.#hooks = hooks;
    this.#maxTreeBytes = hooks.maxTreeBytes;
    this.length = header;
  }

  /** What the header and the values cost the receiver; see `tree_budget.ts`. */
  get treeCost(): number {
    return this.length + this.objects * objectBytes;
  }

  /** So many objects the values count as. */
  get objects(): number {
    return this.#met.length + this.#extraObjects;
  }

  /** @throws {TandemError} `TOO_LARGE` when the values cost more than they may */
  checkTree(): void {
    if (this.treeCost > this.#maxTreeBytes) throw treeTooLarge("send", this.#maxTreeBytes);
  }

  /** Copies what has been written behind `header` bytes, up to `end`. */
  take(header: number, end: number): EncodedValues {
    return {
      tree: this.bytes.slice(header, end),
      blobs: this.blobs.map((blob) => new Uint8Array(blob)),
      objects: this.objects,
    };
  }

  /** Writes values that were taken from an encoder, at the beginning of a message. */
  resume({ tree, blobs, objects }: EncodedValues): void {
    this.#reserve(tree.byteLength);
    this.bytes.set(tree, this.length);
    this.length += tree.byteLength;
    for (const blob of blobs) {
      this.blobs.push(blob);
      this.blobBytes += blob.byteLength;
    }
    this.#extraObjects += objects;
  }

  /** Forgets the message and everything that it refers to. */
  end(): void {
    this.#hooks = null;
    this.#places = null;
    // To set a length costs something even where it stays what it was.
    if (this.blobs.length > 0) this.blobs.length = 0;
    if (this.#met.length > 0) this.#met.length = 0;
    if (this.#path.length > 0) this.#path.length = 0;
    this.blobBytes = 0;
    this.#extraObjects = 0;
    this.#regExps.reset();
    if (this.bytes.byteLength <= bytesKept) return;
    this.bytes = new Uint8Array(bytesAtFirst);
    this.#view = new DataView(this.bytes.buffer);
  }

  /**
   * @throws {TandemError} `NOT_SERIALIZABLE` for what cannot be sent; whatever a getter throws
   */
  value(value: unknown): void {
    this.#item(value, 0);
  }

  /** An array, each of whose items is called `what` and its number in errors. */
  list(what: string, values: readonly unknown[]): void {
    this.#head(0x80, values.length);
    this.#path.push(what);
    for (let index = 0; index < values.length; index++) {
      const value = values[index];
      // Most arguments are short and plain: no need to say where they are.
      if (typeof value === "number") this.#number(value);
      else if (typeof value === "string") this.text(value);
      else this.#child(index, value, 0);
    }
    this.#path.pop();
  }

  text(text: string): void {
    const units = text.length;
    if (units <= shortTextUnits) {
      this.#reserve(units + 2);
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

  unsigned(value: number): void {
    this.#head(0, value);
  }

  #longText(text: string): void {
    if (!text.isWellFormed()) return this.#codeUnits(text);
    // UTF-8 takes at most three bytes for a unit. How long it will be is not known before.
    this.#reserve(5 + text.length * 3);
    const begin = this.length;
    const { written } = textEncoder.encodeInto(text, this.bytes.subarray(begin + 5));
    this.bytes[begin] = 0x7a;
    this.#view.setUint32(begin + 1, written);
    this.length = begin + 5 + written;
  }

  #codeUnits(text: string): void {
    this.#tag(Tag.codeUnits);
    this.#head(0x40, text.length * 2);
    this.#reserve(text.length * 2);
    for (let index = 0; index < text.length; index++) {
      this.#view.setUint16(this.length, text.charCodeAt(index), true);
      this.length += 2;
    }
  }

  #item(value: unknown, depth: number): void {
    switch (typeof value) {
      case "number":
        return this.#number(value);
      case "string":
        return this.text(value);
      case "boolean":
        return this.#byte(value ? 0xf5 : 0xf4);
      case "undefined":
        return this.#byte(0xf7);
      case "bigint":
        return this.#bigint(value);
      case "object":
        if (value === null) return this.#byte(0xf6);
        return this.#object(value, depth);
    }
    throw this.#refusal(`it is a ${typeof value}`);
  }

  #number(value: number): void {
    if ((value | 0) === value && (value !== 0 || 1 / value > 0)) {
      if (value >= 0) this.#head(0, value);
      else this.#head(0x20, -1 - value);
      return;
    }
    this.#reserve(9);
    this.bytes[this.length] = 0xfb;
    this.#view.setFloat64(this.length + 1, value);
    this.length += 9;
  }

  #bigint(value: bigint): void {
    const isNegative = value < 0n;
    this.#tag(isNegative ? Tag.negativeBignum : Tag.bignum);
    const magnitude = isNegative ? -1n - value : value;
    if (magnitude < 1n << 64n) {
      this.#head(0x40, 8);
      this.#reserve(8);
      this.#view.setBigUint64(this.length, magnitude);
      this.length += 8;
      return;
    }
    const digits = magnitude.toString(16);
    const hex = digits.length & 1 ? `0${digits}` : digits;
    this.#head(0x40, hex.length / 2);
    this.#reserve(hex.length / 2);
    for (let index = 0; index < hex.length; index += 2) {
      this.bytes[this.length++] = parseInt(hex.slice(index, index + 2), 16);
    }
  }

  #object(value: object, depth: number): void {
    if (depth >= depthMax) throw this.#refusal(`it is nested deeper than ${depthMax}`);
    if (this.#isReference(value)) return;
    if (Array.isArray(value)) return this.#array(value, depth);
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      if (Symbol.asyncIterator in value) {
        if (isPromise(value)) throw this.#refusal(promiseReason);
        return this.#stream(generatorKind, value);
      }
      return this.#properties(value, Object.keys(value), depth);
    }
    if (ArrayBuffer.isView(value)) return this.#viewOf(value);
    this.#special(value, prototype, depth);
  }

  #special(value: object, prototype: object, depth: number): void {
    if (value instanceof Map) return this.#map(value, depth);
    if (value instanceof Set) return this.#set(value, depth);
    if (value instanceof Date) {
      this.#tag(Tag.date);
      return this.#number(Date.prototype.getTime.call(value));
    }
    if (value instanceof Error) return this.error(value, depth);
    if (value instanceof ArrayBuffer) {
      this.#tag(Tag.arrayBuffer);
      return this.#byteString(new Uint8Array(value));
    }
    if (value instanceof RegExp) {
      this.#tag(Tag.regExp);
      this.#head(0x80, 2);
      const reason = this.#regExps.take(value.source);
      if (reason !== null) throw this.#refusal(reason);
      this.text(value.source);
      return this.text(value.flags);
    }
    // One that can be iterated as well, such as a call that is under way, is no stream.
    if (isPromise(value)) throw this.#refusal(promiseReason);
    const kind = streamKind(value);
    if (kind !== null) return this.#stream(kind, value);
    if (
      value instanceof Number || value instanceof String || value instanceof Boolean ||
      value instanceof BigInt
    ) {
      this.#tag(Tag.boxed);
      return this.#item(value.valueOf(), depth);
    }
    const platform = platformClass(prototype);
    if (platform !== null) throw this.#refusal(`it is a ${platform}`);
    this.#properties(value, Object.keys(value), depth);
  }

  /** True: it was met before, and a reference to it is written. */
  #isReference(value: object): boolean {
    const met = this.#met;
    let place: number;
    if (met.length <= listedMax) {
      place = met.indexOf(value);
    } else {
      this.#places ??= new Map(met.map((other, index) => [other, index]));
      place = this.#places.get(value) ?? -1;
    }
    if (place >= 0) {
      this.#tag(Tag.reference);
      this.#head(0, place);
      return true;
    }
    this.#places?.set(value, met.length);
    met.push(value);
    return false;
  }

  #array(value: readonly unknown[], depth: number): void {
    const { length } = value;
    const keys = hasOnlyItems(value) ? null : Object.keys(value);
    if (keys) {
      this.#tag(Tag.sparse);
      this.#head(0x80, 2);
      this.#number(length);
      return this.#properties(value, keys, depth);
    }
    this.#head(0x80, length);
    for (let index = 0; index < length; index++) this.#child(index, value[index], depth);
  }

  #properties(value: object, keys: readonly string[], depth: number): void {
    this.#head(0xa0, keys.length);
    for (const key of keys) {
      this.text(key);
      this.#child(key, (value as Record<string, unknown>)[key], depth);
    }
  }

  #child(key: string | number, value: unknown, depth: number): void {
    if (typeof value === "string") return this.text(value);
    if (typeof value === "number") return this.#number(value);
    this.#path.push(key);
    this.#item(value, depth + 1);
    this.#path.pop();
  }

  #map(value: Map<unknown, unknown>, depth: number): void {
    this.#tag(Tag.map);
    // A copy: a getter inside may change it.
    const entries = [...Map.prototype.entries.call(value)];
    this.#head(0xa0, entries.length);
    for (const [key, item] of entries) {
      this.#child("(key)", key, depth);
      this.#child(typeof key === "string" ? key : "(value)", item, depth);
    }
  }

  #set(value: Set<unknown>, depth: number): void {
    this.#tag(Tag.set);
    const items = [...Set.prototype.values.call(value)];
    this.#head(0x80, items.length);
    for (const item of items) this.#child("(item)", item, depth);
  }

  #viewOf(value: ArrayBufferView): void {
    const bytes = value instanceof Uint8Array
      ? value
      : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    if (value instanceof DataView) this.#tag(Tag.dataView);
    else {
      const tag = viewTags.get((value as Uint8Array)[Symbol.toStringTag]);
      if (tag !== undefined) this.#tag(tag);
    }
    this.#byteString(bytes);
  }

  #byteString(bytes: Uint8Array): void {
    const { byteLength } = bytes;
    if (byteLength >= blobBytesMin) {
      this.#tag(Tag.blob);
      this.#head(0, byteLength);
      this.blobs.push(bytes);
      this.blobBytes += byteLength;
      return;
    }
    this.#head(0x40, byteLength);
    this.#reserve(byteLength);
    this.bytes.set(bytes, this.length);
    this.length += byteLength;
  }

  #stream(kind: StreamKind, stream: object): void {
    const hooks = this.#hooks;
    if (!hooks?.addStream || this.#isGuarded) {
      throw this.#refusal("it is a stream, and streams cannot be sent from here");
    }
    const id = hooks.addStream(kind, stream);
    this.#extraObjects += streamObjects - 1;
    this.#tag(Tag.stream);
    this.#head(0x80, 2);
    this.#head(0, kind);
    this.#head(0, id);
  }

  /** What was thrown, an Error or anything else; its properties as far as they can be sent. */
  thrown(value: unknown): void {
    const isError = value instanceof Error;
    this.#byte(isError ? 0xf5 : 0xf4);
    if (isError) return this.value(value);
    this.text(safeText(value));
    this.#attempt(() => this.value(value)) || this.#byte(0xf7);
  }

  error(error: Error, depth: number): void {
    const parts = errorParts(error, this.#hooks!.errorClasses);
    this.#tag(Tag.error);
    this.#extraObjects += errorObjects - 1;
    this.#head(0x80, 6);
    this.text(parts.type);
    this.text(parts.name);
    this.text(parts.message);
    this.text(parts.stack);
    // A cause that cannot be sent is told as text.
    if (!parts.hasCause) this.#head(0x80, 0);
    else if (!this.#attempt(() => this.#cause(parts.cause, depth))) {
      this.#head(0x80, 1);
      this.text(safeText(parts.cause));
    }
    this.#errorProperties(parts.properties, depth);
  }

  #cause(cause: unknown, depth: number): void {
    this.#head(0x80, 1);
    this.#child("cause", cause, depth);
  }

  /** Those that cannot be sent are left out: an error is told whatever it carries. */
  #errorProperties(properties: readonly [string, unknown][], depth: number): void {
    // How many there will be is known at the end.
    this.#reserve(3);
    const begin = this.length;
    this.length += 3;
    let count = 0;
    for (const [key, value] of properties) {
      if (count === 0xffff) break;
      const isSent = this.#attempt(() => {
        this.text(key);
        this.#child(key, value, depth);
      });
      if (isSent) count += 1;
    }
    this.bytes[begin] = 0xb9;
    this.#view.setUint16(begin + 1, count);
  }

  /** False: it cannot be sent, and nothing of it has been written. */
  #attempt(write: () => void): boolean {
    const { length, blobBytes } = this;
    const extraObjects = this.#extraObjects;
    const [met, blobs, path] = [this.#met.length, this.blobs.length, this.#path.length];
    const wasGuarded = this.#isGuarded;
    // A stream that was added could not be taken back.
    this.#isGuarded = true;
    try {
      write();
      return true;
    } catch {
      this.length = length;
      this.blobBytes = blobBytes;
      this.#extraObjects = extraObjects;
      this.#met.length = met;
      this.#places = null;
      this.blobs.length = blobs;
      this.#path.length = path;
      return false;
    } finally {
      this.#isGuarded = wasGuarded;
    }
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.bytes[this.length++] = byte;
  }

  #tag(tag: number): void {
    this.#head(0xc0, tag);
  }

  #head(major: number, count: number): void {
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

  #reserve(count: number): void {
    if (this.bytes.byteLength - this.length < count) this.#grow(count);
  }

  #grow(count: number): void {
    // Before there is more of it than can be sent.
    if (this.length > this.#maxTreeBytes || this.length + count > 2 ** 30) {
      throw treeTooLarge("send", Math.min(this.#maxTreeBytes, 2 ** 30));
    }
    const wanted = Math.max(this.length + count, this.bytes.byteLength * 2);
    const bytes = new Uint8Array(Math.min(wanted, 2 ** 30));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  #refusal(reason: string): TandemError {
    return new TandemError(
      "NOT_SERIALIZABLE",
      `Cannot send ${pathText(this.#path)}: ${reason}; ` +
        "send plain data, what structuredClone takes but functions",
    );
  }
}

/** `arguments[0].callback` */
function pathText(path: readonly (string | number)[]): string {
  const text = path.map((step, index) => {
    if (typeof step === "number") return `[${step}]`;
    return index === 0 || step.startsWith("(") ? step : `.${step}`;
  });
  return text.join("") || "this value";
}

function hasOnlyItems(value: readonly unknown[]): boolean {
  const { length } = value;
  for (let index = 0; index < length; index++) {
    if (value[index] === undefined && !Object.hasOwn(value, index)) return false;
  }
  // Without holes there are as many keys as items, unless there are further properties.
  return Object.keys(value).length === length;
}

const promiseReason = "it is a Promise, perhaps of a call that is under way: await it first";

/** A promise of any realm; and what can be awaited and iterated, of which nobody knows what is meant. */
function isPromise(value: object): boolean {
  if (value instanceof Promise) return true;
  if (Object.prototype.toString.call(value) === "[object Promise]") return true;
  return Symbol.asyncIterator in value && typeof (value as { then?: unknown }).then === "function";
}

/** Null: it is none. */
export function streamKind(value: object): StreamKind | null {
  if (value instanceof ReadableStream) return readableKind;
  if (Symbol.asyncIterator in value) return generatorKind;
  const isIterator = typeof (value as { next?: unknown }).next === "function" &&
    Symbol.iterator in value;
  return isIterator ? generatorKind : null;
}

/** By prototype: the name of a class of the runtime whose objects are more than their properties. */
const platformClasses: WeakMap<object, string | null> = new WeakMap();

function platformClass(prototype: object): string | null {
  const known = platformClasses.get(prototype);
  if (known !== undefined) return known;
  let found: string | null = null;
  let next: object | null = prototype;
  while (next !== null && next !== Object.prototype && found === null) {
    const owner: unknown = Object.getOwnPropertyDescriptor(next, "constructor")?.value;
    const name = typeof owner === "function" ? owner.name : "";
    const isGlobal = name !== "" && (globalThis as Record<string, unknown>)[name] === owner;
    if (isGlobal) found = name;
    next = Object.getPrototypeOf(next);
  }
  platformClasses.set(prototype, found);
  return found;
}

function safeText(value: unknown): string {
  try {
    return typeof value === "string" ? value : describe(value);
  } catch {
    return "a value that has no text";
  }
}
