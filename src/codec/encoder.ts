/**
 * From values to bytes: everything that `structuredClone` takes but functions, as CBOR.
 *
 * @module
 */
// Not of `node:util`, which takes both runtimes several milliseconds to load.
import * as types from "node:util/types";
import { TandemError } from "../errors.ts";
import {
  byteLengthOf,
  bytesOfBuffer,
  bytesOfView,
  isAnyBuffer,
  isErrorLike,
  isErrorValue,
  isProxy,
  isRevoked,
  typedArrayName,
} from "../base/brands.ts";
import { describe } from "../base/checks.ts";
import {
  countHoles,
  hasOnlyItems,
  isDense,
  longArrayMin,
  type Numbers,
  numbersOf,
} from "./arrays.ts";
import { bytesOfBigint } from "./bigints.ts";
import { errorParts } from "./error_values.ts";
import type { ErrorClasses } from "./error_classes.ts";
import { isThenable } from "../base/guard.ts";
import { detachedHint, hints, isA } from "./refusals.ts";
import { regExpFlags, regExpSource, unboxed } from "./slots.ts";
import { generatorKind, type StreamKind, streamKind } from "./stream_kinds.ts";
import { pathText } from "./path.ts";
import { isOpaque, namespaceName, platformName, seemsPlain, unsendableSlots } from "./platform.ts";
import { RegExpBudget } from "./regexp_budget.ts";
import { blobBytesMin, depthMax, holeByte, Tag, textBlobBytesMin, viewTags } from "./tags.ts";
import {
  errorObjects,
  numberObjects,
  objectBytes,
  streamObjects,
  treeTooLarge,
} from "./tree_budget.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What the values around the encoder need of it. */
export interface EncodeHooks {
  readonly errorClasses: ErrorClasses;
  /** What the values of a message may cost; see `tree_budget.ts`. */
  readonly maxTreeBytes: number;
  /** Takes charge of a stream and says its number. Without it streams cannot be sent. */
  addStream?(kind: StreamKind, stream: object): number;
}

/** Values that have been encoded, to be sent later, and perhaps more than once. No other code changes them. */
export interface EncodedValues {
  readonly tree: Uint8Array;
  readonly blobs: readonly Bytes[];
  /** For the budget; see `tree_budget.ts`. */
  readonly objects: number;
}

const textEncoder = new TextEncoder();

/** Strings up to this length are tried as ASCII, one unit after the other. */
const shortTextUnits = 64;
/** Up to so many values are looked for one by one. */
const listedMax = 8;
const bytesAtFirst = 4096;
/** A longer buffer is given back after the message that needed it. */
const bytesKept = 256 * 1024;

/** Code of the user that was run while a value was encoded, such as a getter, has thrown. */
export class UserCodeError {
  /** What it has thrown. */
  readonly thrown: unknown;

  constructor(thrown: unknown) {
    this.thrown = thrown;
  }
}

/** Thrown where what cannot be sent is left out: an error with a stack would be made for nothing. */
const leftOut: unique symbol = Symbol("left out");

/**
 * Encodes one message at a time. What it has written is in {@linkcode bytes}, up to
 * {@linkcode length}; long byte strings are in {@linkcode blobs} and not copied.
 */
export class Encoder {
  bytes: Bytes = new Uint8Array(bytesAtFirst);
  length = 0;
  /** In the order in which the tree mentions them. */
  readonly blobs: Uint8Array[] = [];
  /** Of all of them, as the tree has it. */
  blobBytes = 0;

  #view = new DataView(this.bytes.buffer);
  #written: Bytes = this.bytes;
  #hooks: EncodeHooks | null = null;
  #isGuarded = false;
  /** What was thrown here last, and not by code of the user. */
  #ownError: unknown = leftOut;
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

  /**
   * To be called when all values are written.
   *
   * @throws {TandemError} `TOO_LARGE` when they cost more than they may; `NOT_SERIALIZABLE` when a getter
   * of one has taken the bytes of another
   */
  checkTree(): void {
    if (this.treeCost > this.#maxTreeBytes) throw this.#tooLarge(this.#maxTreeBytes);
    if (this.blobs.length === 0) return;
    let blobBytes = 0;
    for (const { byteLength } of this.blobs) blobBytes += byteLength;
    if (blobBytes === this.blobBytes) return;
    throw this.#refusal("the buffer of one of its byte arrays was detached or resized meanwhile");
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
    this.#ownError = leftOut;
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

  /**
   * What a method has returned, or a stream yielded.
   *
   * @throws {TandemError} `NOT_SERIALIZABLE`, `TOO_LARGE`
   * @throws {UserCodeError} for what a getter throws
   */
  result(value: unknown): void {
    try {
      this.#item(value, 0);
    } catch (error) {
      throw error === this.#ownError ? error : new UserCodeError(error);
    }
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
    const units = text.length;
    if (!text.isWellFormed()) return this.#codeUnits(text);
    // UTF-8 takes at most three bytes for a unit. How long it will be is not known before.
    if (units * 3 >= textBlobBytesMin) return this.#veryLongText(text);
    this.#reserve(5 + units * 3);
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
      this.#tag(Tag.text);
      return this.#blob(bytes);
    }
    this.#head(0x60, byteLength);
    this.#bytes(bytes);
  }

  #codeUnits(text: string): void {
    const units = text.length;
    this.#tag(Tag.codeUnits);
    this.#head(0x40, units * 2);
    this.#reserve(units * 2);
    const { bytes } = this;
    let at = this.length;
    for (let index = 0; index < units; index++) {
      const unit = text.charCodeAt(index);
      bytes[at++] = unit;
      bytes[at++] = unit >>> 8;
    }
    this.length = at;
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
    if (magnitude <= shortBigintMax) {
      this.#head(0x40, 8);
      this.#reserve(8);
      this.#view.setBigUint64(this.length, magnitude);
      this.length += 8;
      return;
    }
    const bytes = bytesOfBigint(magnitude);
    this.#head(0x40, bytes.byteLength);
    this.#bytes(bytes);
  }

  #object(value: object, depth: number): void {
    if (isProxy(value)) this.#refuseProxy(value);
    if (depth >= depthMax) {
      throw this.#refusal(
        `it is nested deeper than ${depthMax}`,
        "send flatter data, such as a list of nodes that refer to each other by number",
      );
    }
    if (this.#isReference(value)) return;
    if (Array.isArray(value)) return this.#array(value, depth);
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      const keys = Object.keys(value);
      // What has slots has no keys, or its items are the first.
      const isPlain = keys.length > 0 && keys[0] !== "0" && prototype !== null;
      if (!isPlain && this.#withSlots(value, prototype, depth)) return;
      if (Symbol.asyncIterator in value) {
        this.#checkAmbiguous(value);
        return this.#stream(generatorKind, value);
      }
      if (keys.length === 0 && prototype === null && isOpaque(value)) {
        throw this.#refusal("it is an object of the runtime, such as a pointer");
      }
      return this.#properties(value, keys, depth);
    }
    if (this.#withSlots(value, prototype, depth)) return;
    this.#checkAmbiguous(value);
    const kind = streamKind(value);
    if (kind !== null) return this.#stream(kind, value);
    const platform = platformName(value, prototype);
    if (platform !== null) throw this.#refusal(isA(platform), hints.get(platform));
    this.#properties(value, Object.keys(value), depth);
  }

  /** What can be awaited and iterated: which of the two is meant cannot be told. */
  #checkAmbiguous(value: object): void {
    if (Symbol.asyncIterator in value && isThenable(value)) {
      throw this.#refusal(isA("Promise"), hints.get("Promise"));
    }
  }

  #checkNamespace(value: object): void {
    const name = namespaceName(value);
    if (name !== null) throw this.#refusal(`it is the object ${name} of the runtime`);
  }

  /** Writes what is known by its internal slots, whatever its prototype is. False: it is none of that. */
  #withSlots(value: object, prototype: object | null, depth: number): boolean {
    // Most of what has slots has the prototype for them, too.
    if (prototype === Date.prototype && types.isDate(value)) this.#date(value);
    else if (ArrayBuffer.isView(value)) this.#viewOf(value);
    else if (types.isMap(value)) this.#map(value, depth);
    else if (types.isSet(value)) this.#set(value, depth);
    else if (isAnyBuffer(value)) this.#bufferOf(value);
    else if (prototype !== Object.prototype || !seemsPlain(value)) {
      return this.#withOtherSlots(value, depth);
    } else return this.#checkSlots(value);
    return true;
  }

  #withOtherSlots(value: object, depth: number): boolean {
    if (types.isDate(value)) this.#date(value);
    else if (isErrorValue(value)) this.error(value, depth);
    else if (types.isRegExp(value)) this.#regExp(value);
    else if (types.isBoxedPrimitive(value)) {
      this.#tag(Tag.boxed);
      this.#item(unboxed(value), depth);
    } else {
      if (types.isArgumentsObject(value)) {
        throw this.#refusal("it is a list of arguments", "send an array");
      }
      this.#checkNamespace(value);
      return this.#checkSlots(value);
    }
    return true;
  }

  #refuseProxy(value: object): never {
    // Its traps are code of the user. What one throws tells more than the refusal.
    if (!this.#isGuarded && !isRevoked(value)) runTraps(value);
    throw this.#refusal("it is a Proxy", "send a copy of what the Proxy stands for");
  }

  #checkSlots(value: object): false {
    const unsendable = unsendableSlots(value);
    if (unsendable !== null) throw this.#refusal(isA(unsendable), hints.get(unsendable));
    return false;
  }

  #date(value: Date): void {
    this.#tag(Tag.date);
    this.#number(Date.prototype.getTime.call(value));
  }

  #regExp(value: RegExp): void {
    this.#tag(Tag.regExp);
    this.#head(0x80, 2);
    const source = regExpSource(value);
    const reason = this.#regExps.take(source);
    if (reason !== null) throw this.#refusal(reason);
    this.text(source);
    this.text(regExpFlags(value));
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
    if (length >= longArrayMin) return this.#longArray(value, depth);
    if (!isDense(value) || !hasOnlyItems(value, length)) return this.#sparse(value, depth);
    this.#head(0x80, length);
    for (let index = 0; index < length; index++) this.#child(index, value[index], depth);
  }

  #longArray(value: readonly unknown[], depth: number): void {
    const numbers = numbersOf(value, this.#maxTreeBytes);
    if (numbers) return this.#numbers(numbers);
    const { length } = value;
    const holes = countHoles(value);
    if (holes < 0 || !hasOnlyItems(value, length - holes)) return this.#sparse(value, depth);
    if (holes > 0) this.#tag(Tag.holey);
    this.#head(0x80, length);
    for (let index = 0; index < length; index++) {
      const item = value[index];
      const isHole = holes > 0 && item === undefined && !Object.hasOwn(value, index);
      if (isHole) this.#byte(holeByte);
      else this.#child(index, item, depth);
    }
  }

  /** As the bytes of a typed array, of numbers that are all there is in an array. */
  #numbers(numbers: Numbers): void {
    const bytes = new Uint8Array(numbers.buffer);
    this.#tag(Tag.numbers);
    this.#tag(viewTags.get(typedArrayName(numbers)!)!);
    this.#extraObjects += numberObjects(bytes.byteLength) - 1;
    this.#byteString(bytes);
  }

  /** By what is there: keys and values. */
  #sparse(value: readonly unknown[], depth: number): void {
    this.#tag(Tag.sparse);
    this.#head(0x80, 2);
    this.#number(value.length);
    this.#properties(value, Object.keys(value), depth);
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
    const entries: unknown[] = [];
    Map.prototype.forEach.call(value, (item, key) => entries.push(key, item));
    this.#head(0xa0, entries.length / 2);
    for (let index = 0; index < entries.length; index += 2) {
      const key = entries[index];
      this.#child("(key)", key, depth);
      this.#child(typeof key === "string" ? key : "(value)", entries[index + 1], depth);
    }
  }

  #set(value: Set<unknown>, depth: number): void {
    this.#tag(Tag.set);
    const items: unknown[] = [];
    Set.prototype.forEach.call(value, (item) => items.push(item));
    this.#head(0x80, items.length);
    for (const item of items) this.#child("(item)", item, depth);
  }

  #bufferOf(value: ArrayBufferLike): void {
    if (types.isSharedArrayBuffer(value)) {
      throw this.#refusal(
        "it is a SharedArrayBuffer",
        "other processes cannot share it; send a copy of its bytes",
      );
    }
    const bytes = bytesOfBuffer(value);
    if (!bytes) throw this.#refusal("it is a detached ArrayBuffer", detachedHint);
    this.#tag(Tag.arrayBuffer);
    this.#byteString(bytes);
  }

  #viewOf(value: ArrayBufferView): void {
    const name = typedArrayName(value);
    if (name === "Uint8Array" && this.#shortBytes(value as Uint8Array)) return;
    const bytes = bytesOfView(value);
    if (!bytes) {
      const found = isA(name ?? "DataView");
      throw this.#refusal(`${found} whose buffer is detached or too short for it`, detachedHint);
    }
    if (name === undefined) this.#tag(Tag.dataView);
    else {
      const tag = viewTags.get(name);
      if (tag !== undefined) this.#tag(tag);
      else if (name !== "Uint8Array") throw this.#refusal(isA(name));
    }
    this.#byteString(bytes);
  }

  /** Without a view of the view, which takes longer than the rest. False: it is long, or empty. */
  #shortBytes(bytes: Uint8Array): boolean {
    const byteLength = byteLengthOf(bytes);
    if (byteLength === 0 || byteLength >= blobBytesMin) return false;
    this.#head(0x40, byteLength);
    this.#reserve(byteLength);
    this.bytes.set(bytes, this.length);
    this.length += byteLength;
    return true;
  }

  #byteString(bytes: Uint8Array): void {
    const { byteLength } = bytes;
    if (byteLength >= blobBytesMin) {
      this.#tag(Tag.blob);
      return this.#blob(bytes);
    }
    this.#head(0x40, byteLength);
    this.#bytes(bytes);
  }

  /** Says how long it is, and leaves it to be copied behind the tree. */
  #blob(bytes: Uint8Array): void {
    this.#head(0, bytes.byteLength);
    this.blobs.push(bytes);
    this.blobBytes += bytes.byteLength;
  }

  #bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.byteLength);
    this.bytes.set(bytes, this.length);
    this.length += bytes.byteLength;
  }

  #stream(kind: StreamKind, stream: object): void {
    const hooks = this.#hooks;
    if (!hooks?.addStream || this.#isGuarded) {
      throw this.#refusal("it is a stream, and streams cannot be sent from here");
    }
    const id = this.#addStream(hooks, kind, stream);
    this.#extraObjects += streamObjects - 1;
    this.#tag(Tag.stream);
    this.#head(0x80, 2);
    this.#head(0, kind);
    this.#head(0, id);
  }

  #addStream(hooks: EncodeHooks, kind: StreamKind, stream: object): number {
    try {
      return hooks.addStream!(kind, stream);
    } catch (error) {
      this.#ownError = error;
      throw error;
    }
  }

  /** What was thrown, an Error or anything else; its properties as far as they can be sent. */
  thrown(value: unknown): void {
    const isError = isErrorLike(value);
    this.#byte(isError ? 0xf5 : 0xf4);
    if (isError) {
      this.#isReference(value);
      return this.error(value, 0);
    }
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
    this.#reserve(5);
    const begin = this.length;
    this.length += 5;
    let count = 0;
    for (const [key, value] of properties) {
      if (typeof value === "function" || typeof value === "symbol") continue;
      const isSent = this.#attempt(() => {
        this.text(key);
        this.#child(key, value, depth);
      });
      if (isSent) count += 1;
    }
    this.bytes[begin] = 0xba;
    this.#view.setUint32(begin + 1, count);
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
      this.#forgetFrom(met);
      this.blobs.length = blobs;
      this.#path.length = path;
      return false;
    } finally {
      this.#isGuarded = wasGuarded;
    }
  }

  /** In as many steps as there are values to forget. */
  #forgetFrom(place: number): void {
    const met = this.#met;
    if (this.#places) {
      for (let index = place; index < met.length; index++) this.#places.delete(met[index]!);
    }
    met.length = place;
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
      throw this.#tooLarge(Math.min(this.#maxTreeBytes, 2 ** 30));
    }
    const wanted = Math.max(this.length + count, this.bytes.byteLength * 2);
    const bytes = new Uint8Array(Math.min(wanted, 2 ** 30));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  #refusal(
    reason: string,
    hint = "send plain data, what structuredClone takes but functions",
  ): unknown {
    if (this.#isGuarded) return leftOut;
    return this.#ownError = new TandemError(
      "NOT_SERIALIZABLE",
      `Cannot send ${pathText(this.#path)}: ${reason}; ${hint}`,
    );
  }

  #tooLarge(max: number): unknown {
    return this.#isGuarded ? leftOut : this.#ownError = treeTooLarge("send", max);
  }
}

const shortBigintMax = 2n ** 64n - 1n;

/** Reads an object as if it were to be sent. */
function runTraps(value: object): void {
  Object.getPrototypeOf(value);
  for (const key of Object.keys(value)) Reflect.get(value, key);
}

function safeText(value: unknown): string {
  return typeof value === "string" ? value : describe(value);
}
