/**
 * Turns values into CBOR: everything that `structuredClone` takes, and what a message only refers to.
 *
 * @module
 */
// `node:util` itself takes Deno and Bun several milliseconds to load.
import * as types from "node:util/types";
import { TandemError } from "../errors.ts";
import {
  byteLengthOf,
  bytesOfBuffer,
  bytesOfShared,
  bytesOfView,
  isAnyBuffer,
  isErrorLike,
  isErrorValue,
  isProxy,
  isRevoked,
  maxLengthOf,
  placeInShared,
  type SharedPlace,
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
import { errorParts } from "./error_values.ts";
import type { ErrorClasses } from "./error_classes.ts";
import { blobSize, blobType, fileDate, fileName, isBlob, type UnreadBlob } from "./blobs.ts";
import { isThenable } from "../base/guard.ts";
import { detachedHint, hints, type Instead, isA, proxyHint } from "./refusals.ts";
import { abortReason, hasAborted, isSignal } from "./signals.ts";
import { regExpFlags, regExpSource, unboxed } from "./slots.ts";
import { generatorKind, type StreamKind, streamKind } from "./stream_kinds.ts";
import { pathText } from "./path.ts";
import {
  clonedClass,
  hasObjectTag,
  isOpaque,
  namespaceName,
  platformName,
  unsendableSlots,
} from "./platform.ts";
import { RegExpBudget } from "./regexp_budget.ts";
import { blobBytesMin, depthMax, holeByte, Tag, viewTags } from "./tags.ts";
import {
  blobObjects,
  errorObjects,
  numberObjects,
  objectBytes,
  reservedBytesMax,
  resizableBufferObjects,
  sharedBufferObjects,
  streamObjects,
} from "./tree_budget.ts";
import { type Bytes, Writer } from "./writer.ts";

/** The limits and functions that the user of the encoder provides. */
export interface EncodeHooks {
  readonly errorClasses: ErrorClasses;
  /** The most that the values of a message may cost; see `tree_budget.ts`. */
  readonly maxTreeBytes: number;
  /** Takes charge of a stream and returns its number. Without it, streams cannot be sent. */
  addStream?(kind: StreamKind, stream: object): number;
  /** The user reads the Blobs of the message before it sends it. Without it, they cannot be sent. */
  readonly readsBlobs?: boolean;
  /** Takes charge of a signal that has not aborted, and returns its number. */
  addSignal?(signal: AbortSignal): number;
  /** Takes charge of a function; returns a text if it cannot be sent. */
  addFunction?(value: object): AddedFunction | string;
  /** What to send instead of streams, signals and functions, if these cannot be sent. */
  readonly instead?: Instead | undefined;
}

/** A function to which a message refers. */
export interface AddedFunction {
  /** Its number among the lent values. */
  readonly index: number;
  /** It outlives its call. */
  readonly isKept: boolean;
  /** Its owner knows it by this secret number when it comes back. */
  readonly key: number;
  /** The key under which the sender has received it itself. */
  readonly origin: number | null;
}

/** Encoded values, to be sent later and perhaps more than once. No other code changes them. */
export interface EncodedValues {
  readonly tree: Uint8Array;
  readonly blobs: readonly Bytes[];
  /** Their number for the budget; see `tree_budget.ts`. */
  readonly objects: number;
  /** Blobs whose bytes are missing; null: there are none, and the values can be sent. */
  readonly unread: readonly UnreadBlob[] | null;
}

/** Code of the user, such as a getter, threw while the encoder ran it. */
export class UserCodeError {
  /** The thrown value. */
  readonly thrown: unknown;

  constructor(thrown: unknown) {
    this.thrown = thrown;
  }
}

/** Up to this number, values are looked up one by one. */
const listedMax = 8;

/** Stands for the long bytes of a Blob until it is read. */
const noBytes: Bytes = new Uint8Array(0);

/** Thrown where the encoder leaves out values that cannot be sent: nothing reads an error's stack there. */
const leftOut: unique symbol = Symbol("left out");

/** Encodes one message at a time. */
export class Encoder extends Writer {
  #hooks: EncodeHooks | null = null;
  /** Whether values that cannot be sent are left out instead of refused. */
  #isLenient = false;
  /** The last error that the encoder itself threw, as opposed to code of the user. */
  #ownError: unknown = leftOut;
  /** The objects that values count as, beyond one for each in `#met`. */
  #extraObjects = 0;
  /** The longest lengths of the buffers that can change theirs. */
  #reservedBytes = 0;
  readonly #regExps = new RegExpBudget();
  /** Blobs of the message. Their places in the tree are those in the whole message. */
  readonly #unread: UnreadBlob[] = [];
  /** Every value with an identity, in the order in which the encoder met them. */
  readonly #met: object[] = [];
  /** The indexes in `#met`, once it is long. */
  #indexes: Map<object, number> | null = null;
  /** The position in the value, for errors. */
  readonly #path: (string | number)[] = [];

  /** Begins a message. The caller writes the first `header` bytes itself. */
  begin(hooks: EncodeHooks, header: number): void {
    this.#hooks = hooks;
    this.maxTreeBytes = hooks.maxTreeBytes;
    this.length = header;
  }

  /** The cost of the header and the values for the receiver; see `tree_budget.ts`. */
  get treeCost(): number {
    return this.length + this.objects * objectBytes;
  }

  /** The number of objects that the values count as. */
  get objects(): number {
    return this.#met.length + this.#extraObjects;
  }

  /** Whether bytes of Blobs are missing, so that the message can be taken, but not sent. */
  get hasUnread(): boolean {
    return this.#unread.length > 0;
  }

  /** The bytes of the Blobs that will follow the tree. */
  get unreadBytes(): number {
    let bytes = 0;
    for (const { index, byteLength } of this.#unread) if (index >= 0) bytes += byteLength;
    return bytes;
  }

  /**
   * Checks the message after the last value.
   *
   * @throws {TandemError} `TOO_LARGE` when the values cost too much; `NOT_SERIALIZABLE` when a getter of
   * one value detached or resized the buffer of another
   */
  checkTree(): void {
    if (this.treeCost > this.maxTreeBytes) throw this.tooLarge(this.maxTreeBytes);
    if (this.blobs.length === 0) return;
    let blobBytes = 0;
    for (const { byteLength } of this.blobs) blobBytes += byteLength;
    if (blobBytes === this.blobBytes) return;
    throw this.#refusal("the buffer of one of its byte arrays was detached or resized meanwhile");
  }

  /** Copies the written bytes from `header` to `end`, and the blobs. */
  take(header: number, end: number): EncodedValues {
    return {
      tree: this.bytes.slice(header, end),
      blobs: this.blobs.map((blob) => new Uint8Array(blob)),
      objects: this.objects,
      unread: this.hasUnread
        ? this.#unread.map((one) => one.at < 0 ? one : { ...one, at: one.at - header })
        : null,
    };
  }

  /** Writes values from {@linkcode take} at the beginning of a message. */
  resume({ tree, blobs, objects }: EncodedValues): void {
    this.append(tree);
    for (const blob of blobs) {
      this.blobs.push(blob);
      this.blobBytes += blob.byteLength;
    }
    this.#extraObjects += objects;
  }

  /** Forgets the message and everything that it refers to. */
  end(): void {
    this.release();
    this.#hooks = null;
    this.#indexes = null;
    // Setting a length has a cost even if the length stays the same.
    if (this.#met.length > 0) this.#met.length = 0;
    if (this.#path.length > 0) this.#path.length = 0;
    if (this.#unread.length > 0) this.#unread.length = 0;
    this.#extraObjects = 0;
    this.#reservedBytes = 0;
    this.#ownError = leftOut;
    this.#regExps.reset();
  }

  /**
   * Writes a value. Errors of getters pass through.
   *
   * @throws {TandemError} `NOT_SERIALIZABLE` for a value that cannot be sent
   */
  value(value: unknown): void {
    this.#item(value, 0);
  }

  /**
   * Writes the result of a method, or an item of a stream.
   *
   * @throws {TandemError} `NOT_SERIALIZABLE`, `TOO_LARGE`
   * @throws {UserCodeError} when a getter throws
   */
  result(value: unknown): void {
    try {
      this.#item(value, 0);
    } catch (error) {
      throw error === this.#ownError ? error : new UserCodeError(error);
    }
  }

  /** Writes an array. Errors name an item by `name` and its index. */
  list(name: string, values: readonly unknown[]): void {
    this.head(0x80, values.length);
    this.#path.push(name);
    for (let index = 0; index < values.length; index++) {
      const value = values[index];
      // Most arguments are numbers and strings, which cannot fail and need no path.
      if (typeof value === "number") this.number(value);
      else if (typeof value === "string") this.text(value);
      else this.#child(index, value, 0);
    }
    this.#path.pop();
  }

  /** Writes a value that takes along no stream, or another reference. Errors name it by `name`. */
  named(name: string, value: unknown): void {
    this.#path.push(name);
    const { readsBlobs = false } = this.#hooks!;
    this.#withoutReferences(readsBlobs, () => this.#item(value, 0));
    this.#path.pop();
  }

  #item(value: unknown, depth: number): void {
    switch (typeof value) {
      case "number":
        return this.number(value);
      case "string":
        return this.text(value);
      case "boolean":
        return this.byte(value ? 0xf5 : 0xf4);
      case "undefined":
        return this.byte(0xf7);
      case "bigint":
        return this.bigint(value);
      case "object":
        if (value === null) return this.byte(0xf6);
        return this.#object(value, depth);
      case "function":
        return this.#function(value);
    }
    throw this.#refusal(`it is a ${typeof value}`);
  }

  #object(value: object, depth: number): void {
    if (isProxy(value)) this.#refuseProxy(value);
    if (depth >= depthMax) {
      throw this.#refusal(
        `it is nested deeper than ${depthMax}`,
        "send flatter data, such as a list of nodes that refer to each other by number",
      );
    }
    if (this.#reference(value)) return;
    if (Array.isArray(value)) return this.#array(value, depth);
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      const keys = Object.keys(value);
      // An object with internal slots has no keys, or its items come first.
      const hasNoSlots = keys.length > 0 && keys[0] !== "0" && prototype !== null;
      if (!hasNoSlots && this.#withSlots(value, prototype, depth)) return;
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
    if (platform === "AbortSignal" && isSignal(value)) return this.#signal(value, depth);
    if ((platform === "Blob" || platform === "File") && isBlob(value)) return this.#blob(value);
    if (platform !== null) throw this.#refusal(isA(platform), hints.get(platform));
    const keys = Object.keys(value);
    const cloned = keys.length === 0 ? clonedClass(value) : null;
    if (cloned !== null) throw this.#refusal(isA(cloned), hints.get(cloned));
    this.#properties(value, keys, depth);
  }

  /** Refuses a value that can be awaited and iterated: the sender may mean either. */
  #checkAmbiguous(value: object): void {
    if (Symbol.asyncIterator in value && isThenable(value)) {
      throw this.#refusal(isA("Promise"), hints.get("Promise"));
    }
  }

  #checkNamespace(value: object): void {
    const name = namespaceName(value);
    if (name !== null) throw this.#refusal(`it is the object ${name} of the runtime`);
  }

  /** Writes a value that its internal slots identify, whatever its prototype. False: it has no such slots. */
  #withSlots(value: object, prototype: object | null, depth: number): boolean {
    // The prototype is the quicker test, and usually right.
    if (prototype === Date.prototype && types.isDate(value)) this.#date(value);
    else if (ArrayBuffer.isView(value)) this.#viewOf(value, depth);
    else if (types.isMap(value)) this.#map(value, depth);
    else if (types.isSet(value)) this.#set(value, depth);
    else if (isAnyBuffer(value)) this.#bufferOf(value);
    else if (prototype !== Object.prototype || !hasObjectTag(value)) {
      return this.#withOtherSlots(value, depth);
    } else return this.#checkSlots(value);
    return true;
  }

  #withOtherSlots(value: object, depth: number): boolean {
    if (types.isDate(value)) this.#date(value);
    else if (isErrorValue(value)) this.error(value, depth);
    else if (types.isRegExp(value)) this.#regExp(value);
    else if (types.isBoxedPrimitive(value)) {
      this.tag(Tag.boxed);
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
    // The traps are code of the user. Their own error says more than the refusal.
    if (!this.#isLenient && !isRevoked(value)) runTraps(value);
    throw this.#refusal("it is a Proxy", "send a copy of its target");
  }

  #checkSlots(value: object): false {
    const unsendable = unsendableSlots(value);
    if (unsendable !== null) throw this.#refusal(isA(unsendable), hints.get(unsendable));
    return false;
  }

  #date(value: Date): void {
    this.tag(Tag.date);
    this.number(Date.prototype.getTime.call(value));
  }

  #regExp(value: RegExp): void {
    this.tag(Tag.regExp);
    this.head(0x80, 2);
    const source = regExpSource(value);
    const reason = this.#regExps.take(source);
    if (reason !== null) throw this.#refusal(reason);
    this.text(source);
    this.text(regExpFlags(value));
  }

  /** Writes a reference to a value that the encoder met before. False: it is new, and noted. */
  #reference(value: object): boolean {
    const met = this.#met;
    let index: number;
    if (met.length <= listedMax) {
      index = met.indexOf(value);
    } else {
      this.#indexes ??= new Map(met.map((other, index) => [other, index]));
      index = this.#indexes.get(value) ?? -1;
    }
    if (index >= 0) {
      this.tag(Tag.reference);
      this.head(0, index);
      return true;
    }
    this.#indexes?.set(value, met.length);
    met.push(value);
    return false;
  }

  #array(value: readonly unknown[], depth: number): void {
    const { length } = value;
    if (length >= longArrayMin) return this.#longArray(value, depth);
    if (!isDense(value) || !hasOnlyItems(value, length)) return this.#sparse(value, depth);
    this.head(0x80, length);
    for (let index = 0; index < length; index++) this.#child(index, value[index], depth);
  }

  #longArray(value: readonly unknown[], depth: number): void {
    const numbers = numbersOf(value, this.maxTreeBytes);
    if (numbers) return this.#numbers(numbers);
    const { length } = value;
    const holes = countHoles(value);
    if (holes < 0 || !hasOnlyItems(value, length - holes)) return this.#sparse(value, depth);
    if (holes > 0) this.tag(Tag.holey);
    this.head(0x80, length);
    for (let index = 0; index < length; index++) {
      const item = value[index];
      const isHole = holes > 0 && item === undefined && !Object.hasOwn(value, index);
      if (isHole) this.byte(holeByte);
      else this.#child(index, item, depth);
    }
  }

  /** Writes an array of nothing but numbers as the bytes of a typed array. */
  #numbers(numbers: Numbers): void {
    const bytes = new Uint8Array(numbers.buffer);
    this.tag(Tag.numbers);
    this.tag(viewTags.get(typedArrayName(numbers)!)!);
    this.#extraObjects += numberObjects(bytes.byteLength) - 1;
    this.#byteString(bytes);
  }

  /** Writes an array by its keys and values. */
  #sparse(value: readonly unknown[], depth: number): void {
    this.tag(Tag.sparse);
    this.head(0x80, 2);
    this.number(value.length);
    this.#properties(value, Object.keys(value), depth);
  }

  #properties(value: object, keys: readonly string[], depth: number): void {
    this.head(0xa0, keys.length);
    for (const key of keys) {
      this.text(key);
      this.#child(key, (value as Record<string, unknown>)[key], depth);
    }
  }

  #child(key: string | number, value: unknown, depth: number): void {
    if (typeof value === "string") return this.text(value);
    if (typeof value === "number") return this.number(value);
    this.#path.push(key);
    this.#item(value, depth + 1);
    this.#path.pop();
  }

  #map(value: Map<unknown, unknown>, depth: number): void {
    this.tag(Tag.map);
    // A copy, because a getter inside may change the map.
    const entries: unknown[] = [];
    Map.prototype.forEach.call(value, (item, key) => entries.push(key, item));
    this.head(0xa0, entries.length / 2);
    for (let index = 0; index < entries.length; index += 2) {
      const key = entries[index];
      this.#child("(key)", key, depth);
      this.#child(typeof key === "string" ? key : "(value)", entries[index + 1], depth);
    }
  }

  #set(value: Set<unknown>, depth: number): void {
    this.tag(Tag.set);
    const items: unknown[] = [];
    Set.prototype.forEach.call(value, (item) => items.push(item));
    this.head(0x80, items.length);
    for (const item of items) this.#child("(item)", item, depth);
  }

  #bufferOf(value: ArrayBufferLike): void {
    const isShared = types.isSharedArrayBuffer(value);
    const bytes = isShared ? bytesOfShared(value) : bytesOfBuffer(value);
    if (!bytes) throw this.#refusal("it is a detached ArrayBuffer", detachedHint);
    const max = maxLengthOf(value);
    if (max !== undefined) this.#reserve(max);
    if (isShared) this.#extraObjects += sharedBufferObjects - 1;
    if (!isShared && max === undefined) this.tag(Tag.arrayBuffer);
    else {
      this.tag(isShared ? Tag.sharedBuffer : Tag.resizableBuffer);
      this.head(0x80, 2);
      if (max === undefined) this.byte(0xf7);
      else this.head(0, max);
    }
    this.#byteString(bytes);
  }

  /** Counts a buffer that can become `max` bytes long. */
  #reserve(max: number): void {
    this.#extraObjects += resizableBufferObjects - 1;
    this.#reservedBytes += max;
    if (this.#reservedBytes <= reservedBytesMax) return;
    throw this.#refusal(
      `it has a maxByteLength of ${max}, and the buffers of a message may have ${reservedBytesMax} ` +
        "in all",
      "send a copy that cannot change its length",
    );
  }

  #viewOf(value: ArrayBufferView, depth: number): void {
    const name = typedArrayName(value);
    const shared = placeInShared(value);
    if (shared) return this.#sharedView(name, shared, depth);
    if (name === "Uint8Array" && this.#shortBytes(value as Uint8Array)) return;
    const bytes = bytesOfView(value);
    if (!bytes) {
      const found = isA(name ?? "DataView");
      throw this.#refusal(`${found} whose buffer is detached or too short for it`, detachedHint);
    }
    if (name === undefined) this.tag(Tag.dataView);
    else {
      const tag = viewTags.get(name);
      if (tag !== undefined) this.tag(tag);
      else if (name !== "Uint8Array") throw this.#refusal(isA(name));
    }
    this.#byteString(bytes);
  }

  /** Writes a view with all of its buffer, which other views may share. */
  #sharedView(
    name: string | undefined,
    { buffer, byteOffset, length }: SharedPlace,
    depth: number,
  ): void {
    const tag = name === undefined
      ? Tag.dataView
      : name === "Uint8Array"
      ? Tag.uint8
      : viewTags.get(name);
    if (tag === undefined) throw this.#refusal(isA(name!));
    this.tag(Tag.sharedView);
    this.head(0x80, 4);
    this.head(0, tag);
    this.#object(buffer, depth + 1);
    this.head(0, byteOffset);
    this.head(0, length);
  }

  /** Writes bytes without making a view of them, the slowest step. False: they are long, or empty. */
  #shortBytes(bytes: Uint8Array): boolean {
    const byteLength = byteLengthOf(bytes);
    if (byteLength === 0 || byteLength >= blobBytesMin) return false;
    this.head(0x40, byteLength);
    this.reserve(byteLength);
    this.bytes.set(bytes, this.length);
    this.length += byteLength;
    return true;
  }

  #byteString(bytes: Uint8Array<ArrayBufferLike>): void {
    const { byteLength } = bytes;
    if (byteLength >= blobBytesMin) {
      this.tag(Tag.blob);
      return this.blob(bytes);
    }
    this.head(0x40, byteLength);
    this.append(bytes);
  }

  /** Leaves room for the bytes of a Blob. To read it takes more than one turn. */
  #blob(blob: Blob): void {
    if (!this.#hooks?.readsBlobs) {
      throw this.#refusal("it is a Blob, which cannot be sent here", "send its bytes");
    }
    const byteLength = blobSize(blob);
    if (!Number.isSafeInteger(byteLength)) {
      throw this.#refusal("it is a Blob without a length, such as a device", "send its stream()");
    }
    this.#extraObjects += blobObjects - 1;
    this.tag(Tag.blobObject);
    if (blob instanceof File) {
      this.head(0x80, 4);
      this.text(blobType(blob));
      this.text(fileName(blob));
      this.number(fileDate(blob));
    } else {
      this.head(0x80, 2);
      this.text(blobType(blob));
    }
    if (byteLength >= blobBytesMin) {
      this.tag(Tag.blob);
      this.head(0, byteLength);
      const index = this.blobs.push(noBytes) - 1;
      this.#unread.push({ blob, byteLength, at: -1, index });
    } else {
      this.head(0x40, byteLength);
      this.reserve(byteLength);
      this.#unread.push({ blob, byteLength, at: this.length, index: -1 });
      this.length += byteLength;
    }
  }

  #stream(kind: StreamKind, stream: object): void {
    const hooks = this.#hooks;
    // A stream that was added could not be taken back.
    if (!hooks?.addStream || this.#isLenient) {
      throw this.#refusal("it is a stream, which cannot be sent here", hooks?.instead?.stream);
    }
    const id = this.#add(() => hooks.addStream!(kind, stream));
    this.#extraObjects += streamObjects - 1;
    this.tag(Tag.stream);
    this.head(0x80, 2);
    this.head(0, kind);
    this.head(0, id);
  }

  #function(value: object): void {
    const hooks = this.#hooks;
    if (!hooks?.addFunction || this.#isLenient) {
      throw this.#refusal("it is a function, which cannot be sent here", hooks?.instead?.function);
    }
    if (this.#reference(value)) return;
    const added = this.#add(() => hooks.addFunction!(value));
    if (typeof added === "string") throw this.#refusal(added, proxyHint);
    const { index, isKept, key, origin } = added;
    this.#extraObjects += streamObjects - 1;
    this.tag(Tag.callback);
    this.head(0x80, origin === null ? 3 : 4);
    this.head(0, index);
    this.head(0, isKept ? 1 : 0);
    this.number(key);
    if (origin !== null) this.number(origin);
  }

  #signal(signal: AbortSignal, depth: number): void {
    this.#extraObjects += streamObjects - 1;
    if (hasAborted(signal)) {
      this.tag(Tag.signal);
      this.head(0x80, 2);
      this.head(0, 1);
      return this.reason(abortReason(signal), depth);
    }
    const hooks = this.#hooks;
    if (!hooks?.addSignal || this.#isLenient) {
      throw this.#refusal(
        "it is an AbortSignal, which cannot be sent here",
        hooks?.instead?.signal,
      );
    }
    const id = this.#add(() => hooks.addSignal!(signal));
    this.tag(Tag.signal);
    this.head(0x80, 2);
    this.head(0, 0);
    this.head(0, id);
  }

  /** As {@linkcode reason}, for an answer that is sent at once: a reason with Blobs is described. */
  reasonWithoutBlobs(reason: unknown): void {
    this.#withoutReferences(false, () => this.reason(reason));
  }

  /** Writes why a signal has aborted. A reason that cannot be sent becomes an error that describes it. */
  reason(reason: unknown, depth = 0): void {
    if (this.#attempt(() => this.#child("reason", reason, depth))) return;
    const text = `The signal has aborted for a reason that cannot be sent: ${safeText(reason)}`;
    // The text alone where an error would be nested too deep.
    this.#item(depth + 2 < depthMax ? new Error(text) : text, depth + 1);
  }

  #add<T>(add: () => T): T {
    try {
      return add();
    } catch (error) {
      this.#ownError = error;
      throw error;
    }
  }

  /**
   * Writes a thrown value, and of its properties those that can be sent.
   *
   * @param withBlobs whether Blobs are among those
   */
  thrown(value: unknown, withBlobs = true): void {
    if (withBlobs) this.#thrown(value);
    else this.#withoutReferences(false, () => this.#thrown(value));
  }

  /** Runs `write`, which can write no references to streams and signals, and perhaps no Blobs. */
  #withoutReferences(readsBlobs: boolean, write: () => void): void {
    const hooks = this.#hooks!;
    const { errorClasses, maxTreeBytes, instead } = hooks;
    this.#hooks = { errorClasses, maxTreeBytes, instead, readsBlobs };
    try {
      write();
    } finally {
      this.#hooks = hooks;
    }
  }

  #thrown(value: unknown): void {
    const isError = isErrorLike(value);
    this.byte(isError ? 0xf5 : 0xf4);
    if (isError) {
      this.#reference(value);
      return this.error(value, 0);
    }
    this.text(safeText(value));
    this.#attempt(() => this.value(value)) || this.byte(0xf7);
  }

  error(error: Error, depth: number): void {
    const parts = errorParts(error, this.#hooks!.errorClasses);
    this.tag(Tag.error);
    this.#extraObjects += errorObjects - 1;
    this.head(0x80, 6);
    this.text(parts.type);
    this.text(parts.name);
    this.text(parts.message);
    this.text(parts.stack);
    // A cause that cannot be sent is sent as text.
    if (!parts.hasCause) this.head(0x80, 0);
    else if (!this.#attempt(() => this.#cause(parts.cause, depth))) {
      this.head(0x80, 1);
      this.text(safeText(parts.cause));
    }
    this.#errorProperties(parts.properties, depth);
  }

  #cause(cause: unknown, depth: number): void {
    this.head(0x80, 1);
    this.#child("cause", cause, depth);
  }

  /** Leaves out properties that cannot be sent: they must not hide the error. */
  #errorProperties(properties: readonly [string, unknown][], depth: number): void {
    const map = this.beginMap();
    let count = 0;
    for (const [key, value] of properties) {
      if (typeof value === "function" || typeof value === "symbol") continue;
      const isSent = this.#attempt(() => {
        this.text(key);
        this.#child(key, value, depth);
      });
      if (isSent) count += 1;
    }
    this.endMap(map, count);
  }

  /** Runs `write`, and takes back its output if it throws. False: it threw. */
  #attempt(write: () => void): boolean {
    const { length, blobBytes } = this;
    const extraObjects = this.#extraObjects;
    const reservedBytes = this.#reservedBytes;
    const [met, blobs, path] = [this.#met.length, this.blobs.length, this.#path.length];
    const unread = this.#unread.length;
    const wasLenient = this.#isLenient;
    this.#isLenient = true;
    try {
      write();
      return true;
    } catch {
      this.length = length;
      this.blobBytes = blobBytes;
      this.#extraObjects = extraObjects;
      this.#reservedBytes = reservedBytes;
      this.#forgetFrom(met);
      this.blobs.length = blobs;
      this.#unread.length = unread;
      this.#path.length = path;
      return false;
    } finally {
      this.#isLenient = wasLenient;
    }
  }

  /** Takes one step for each value to forget: a new map would take one for each that is kept. */
  #forgetFrom(count: number): void {
    const met = this.#met;
    if (this.#indexes) {
      for (let index = count; index < met.length; index++) this.#indexes.delete(met[index]!);
    }
    met.length = count;
  }

  #refusal(
    reason: string,
    hint = "send what structuredClone takes",
  ): unknown {
    if (this.#isLenient) return leftOut;
    return this.#ownError = new TandemError(
      "NOT_SERIALIZABLE",
      `Cannot send ${pathText(this.#path)}: ${reason}; ${hint}`,
    );
  }

  protected override tooLarge(max: number): unknown {
    return this.#isLenient ? leftOut : this.#ownError = super.tooLarge(max);
  }
}

/** Reads an object as the encoder would. */
function runTraps(value: object): void {
  Object.getPrototypeOf(value);
  for (const key of Object.keys(value)) Reflect.get(value, key);
}

function safeText(value: unknown): string {
  return typeof value === "string" ? value : describe(value);
}
