/**
 * Turns CBOR into values. Another process wrote the bytes, which may be anything: bytes that are not a
 * message end in `CORRUPT`, and values that only newer runtimes have in `UNSUPPORTED`.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { chunkEntries, Effort, unwatchedMax } from "./effort.ts";
import type { ErrorClasses } from "./error_classes.ts";
import { isHidden, makeError, setHidden } from "./error_values.ts";
import type { StreamKind } from "./stream_kinds.ts";
import { RegExpBudget } from "./regexp_budget.ts";
import { type Blobs, corrupt, noBlobs, Reader, unsupported } from "./reader.ts";
import { depthMax, holeByte, missingViews, sharedViewClasses, Tag, viewClasses } from "./tags.ts";
import {
  blobObjects,
  errorObjects,
  numberObjects,
  objectBytes,
  reservedBytesMax,
  resizableBufferObjects,
  sharedBufferObjects,
  streamObjects,
  treeTooLarge,
} from "./tree_budget.ts";
import type { Bytes } from "./writer.ts";

/** The limits and functions that the user of the decoder provides. */
export interface DecodeHooks {
  readonly errorClasses: ErrorClasses;
  /** The most that the values of a message may cost; see `tree_budget.ts`. */
  readonly maxTreeBytes: number;
  /** Opens a stream of the sender. Without it, the sender cannot send streams. */
  openStream?(kind: StreamKind, id: number): object;
  /** Opens a signal of the sender. Without it, the sender cannot send signals. */
  openSignal?(id: number): AbortSignal;
  /** Opens a function of the sender. Without it, the sender cannot send functions. */
  openFunction?(id: number, isKept: boolean, key: number, origin: number | null): object;
}

/** A thrown value as it was sent. */
export interface Thrown {
  readonly isError: boolean;
  /** The value as text, unless it is an error. */
  readonly text: string;
  readonly value: unknown;
  /** The nearest class of an error that the sender knew. */
  readonly type: string;
  readonly properties: Record<string, unknown>;
}

/** Decodes one message at a time. */
export class Decoder extends Reader {
  #hooks: DecodeHooks | null = null;
  /** Every value with an identity, in the order in which they came. Null: it is not made yet. */
  readonly #met: unknown[] = [];
  #depth = 0;
  /** The most values that `#met` may hold. */
  #metMax = 0;
  /** The longest lengths of the buffers that can change theirs. */
  #reservedBytes = 0;
  readonly #effort = new Effort();
  readonly #regExps = new RegExpBudget();
  /** The class and the properties of the last error. */
  #errorType = "";
  #errorProperties: Record<string, unknown> = {};

  /** Begins a message. Its tree is at `begin` to `end`; no other process may be able to write to `bytes`. */
  begin(hooks: DecodeHooks, bytes: Bytes, begin: number, end: number, blobs: Blobs): void {
    this.setBytes(bytes, begin, end, blobs);
    this.#hooks = hooks;
    this.#depth = 0;
    this.#reservedBytes = 0;
    this.#metMax = Math.floor((hooks.maxTreeBytes - end) / objectBytes);
    this.#effort.reset();
    this.#regExps.reset();
  }

  /** Forgets the message. */
  forget(): void {
    if (this.#met.length > 0) this.#met.length = 0;
    this.#hooks = null;
    this.blobs = noBlobs;
  }

  /**
   * Reads the next value.
   *
   * @throws {TandemError} `CORRUPT`; `UNSUPPORTED` for a value that this runtime cannot have
   */
  value(): unknown {
    try {
      return this.#item();
    } catch (error) {
      throw asCorrupt(error);
    }
  }

  /** Reads the next value, which must be a string. */
  text(): string {
    const value = this.value();
    if (typeof value !== "string") throw corrupt("a text is missing");
    return value;
  }

  /** Reads the next value, which must be a whole number. */
  unsigned(): number {
    const value = this.value();
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw corrupt("a number is missing");
    }
    return value;
  }

  /** Reads the next value, which must be a list. */
  list(): unknown[] {
    try {
      const byte = this.byte();
      if (byte >> 5 !== 4) throw corrupt("a list is missing");
      const values: unknown[] = [];
      // A list of arguments has no identity: it takes no number.
      for (let left = this.count(byte, 1); left > 0; left--) values.push(this.#item());
      return values;
    } catch (error) {
      throw asCorrupt(error);
    }
  }

  /** Reads a thrown value. */
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
    const byte = this.byte();
    switch (byte >> 5) {
      case 0:
        return this.number(byte);
      case 1:
        return -1 - this.number(byte);
      case 2:
        this.#meet(null);
        return this.#met[this.#met.length - 1] = this.byteString(byte).slice();
      case 3:
        return this.string(byte);
      case 4:
        return this.#array(byte);
      case 5:
        return this.#properties({}, byte);
      case 6:
        return this.#tagged(this.number(byte));
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
      case 0xfb:
        return this.float();
    }
    throw corrupt(`byte ${byte} begins no value`);
  }

  #tagged(tag: number): unknown {
    switch (tag) {
      case Tag.reference:
        return this.#reference();
      case Tag.bignum:
        return this.bignum();
      case Tag.negativeBignum:
        return -1n - this.bignum();
      case Tag.codeUnits:
        return this.codeUnits();
      case Tag.text:
        return this.blobText();
    }
    // All other values have an identity. They take their number before the values inside.
    const index = this.#meet(null);
    switch (tag) {
      case Tag.date:
        return this.#met[index] = new Date(this.#requiredNumber());
      case Tag.regExp:
        return this.#met[index] = this.#regExp();
      case Tag.blob:
        return this.#met[index] = this.blobs.next(this.length(), "keep");
      case Tag.arrayBuffer:
        return this.#met[index] = this.#buffer();
      case Tag.sharedBuffer:
        return this.#met[index] = this.#sharedBuffer();
      case Tag.resizableBuffer:
        return this.#met[index] = this.#resizableBuffer();
      case Tag.sharedView:
        return this.#met[index] = this.#sharedView();
      case Tag.dataView:
        return this.#met[index] = new DataView(this.#buffer());
      case Tag.set:
        return this.#set(this.#met[index] = new Set());
      case Tag.map:
        return this.#map(this.#met[index] = new Map());
      case Tag.sparse:
        return this.#sparse(index);
      case Tag.numbers:
        return this.#met[index] = this.#numbers();
      case Tag.holey:
        return this.#holey(this.#met[index] = []);
      case Tag.error:
        return this.#error(index);
      case Tag.boxed:
        return this.#met[index] = this.#boxed();
      case Tag.stream:
        return this.#met[index] = this.#stream();
      case Tag.blobObject:
        return this.#met[index] = this.#blob();
      case Tag.signal:
        return this.#signal(index);
      case Tag.callback:
        return this.#met[index] = this.#function();
    }
    const view = viewClasses.get(tag);
    if (!view) throw missingView(tag) ?? corrupt(`there is no tag ${tag}`);
    const buffer = this.#buffer();
    if (buffer.byteLength % view.BYTES_PER_ELEMENT !== 0) throw corrupt("half an element is left");
    return this.#met[index] = new view(buffer);
  }

  /** Gives the next number to `value`, or with null to a value that is made later. */
  #meet(value: unknown): number {
    const index = this.#met.push(value) - 1;
    if (index >= this.#metMax) throw treeTooLarge("take", this.#hooks!.maxTreeBytes);
    return index;
  }

  /** Counts the next value as so many objects. */
  #charge(objects: number): void {
    this.#metMax -= objects - 1;
    if (this.#met.length > this.#metMax) throw treeTooLarge("take", this.#hooks!.maxTreeBytes);
  }

  #reference(): unknown {
    const index = this.length();
    const value = this.#met[index];
    // Null: the reference is inside the value, which cannot be made before.
    if (value === null || value === undefined) throw corrupt(`nothing has number ${index}`);
    return value;
  }

  #array(byte: number): unknown[] {
    const count = this.count(byte, 1);
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
    const count = this.count(byte, 2);
    if (count > unwatchedMax) {
      this.#insertPairs(count, () => this.key(), (key, value) => setProperty(object, key, value));
    } else {
      for (let left = count; left > 0; left--) {
        const key = this.key();
        setProperty(object, key, this.#item());
      }
    }
    this.#depth -= 1;
    return object;
  }

  /** Inserts in chunks. It reads the keys and values of a chunk first, and times only the insertions. */
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

  #mapByte(): number {
    const byte = this.byte();
    if (byte >> 5 !== 5) throw corrupt("a map is missing");
    return byte;
  }

  #map(map: Map<unknown, unknown>): Map<unknown, unknown> {
    this.#descend();
    const count = this.count(this.#mapByte(), 2);
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
    const byte = this.byte();
    if (byte >> 5 !== 4) throw corrupt("a set is missing");
    this.#descend();
    const count = this.count(byte, 1);
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
    if (this.byte() !== 0x82) throw corrupt("a pair is missing");
  }

  #sparse(index: number): unknown[] {
    this.#pair();
    const length = this.#requiredNumber();
    if (!(length >= 0 && length < 2 ** 32 && Number.isInteger(length))) {
      throw corrupt(`an array has ${length} items`);
    }
    const values: unknown[] = [];
    // An item far away makes the engine store the array sparsely. A mere length would take memory for all.
    values[2 ** 32 - 2] = undefined;
    delete values[2 ** 32 - 2];
    values.length = length;
    this.#met[index] = values;
    this.#fill(values, this.#mapByte());
    if (values.length !== length) throw corrupt("an item lies beyond its array");
    return values;
  }

  #numbers(): number[] {
    const byte = this.byte();
    const tag = byte >> 5 === 6 ? this.number(byte) : 0;
    const view = numberViews.get(tag);
    if (!view) throw corrupt(`there are no numbers of tag ${tag}`);
    const bytes = this.#bytesToRead();
    const { byteLength } = bytes;
    const itemBytes = view.BYTES_PER_ELEMENT;
    if (byteLength % itemBytes !== 0) throw corrupt("half a number is left");
    // Unlike byte arrays they become values of the tree, and count even if their bytes follow it.
    this.#charge(numberObjects(byteLength));
    const isAligned = bytes.byteOffset % itemBytes === 0;
    const { buffer, byteOffset } = isAligned ? bytes : bytes.slice();
    const length = byteLength / itemBytes;
    const numbers = new view(buffer, byteOffset, length);
    // The array takes at most eight times the received bytes.
    const values = new Array<number>(length);
    for (let index = 0; index < length; index++) values[index] = numbers[index]!;
    return values;
  }

  /** Reads a byte string that is read here once, so it needs no copy. */
  #bytesToRead(): Bytes {
    const byte = this.byte();
    if (byte >> 5 !== 6) return this.byteString(byte);
    if (this.number(byte) !== Tag.blob) throw corrupt("a byte string is missing");
    return this.blobs.next(this.length(), "read here");
  }

  #holey(values: unknown[]): unknown[] {
    const byte = this.byte();
    if (byte >> 5 !== 4) throw corrupt("an array is missing");
    this.#descend();
    for (let left = this.count(byte, 1); left > 0; left--) {
      if (this.bytes[this.at] !== holeByte || this.at >= this.end) values.push(this.#item());
      else {
        this.at += 1;
        values.length += 1;
      }
    }
    this.#depth -= 1;
    return values;
  }

  #error(index: number): Error {
    if (this.byte() !== 0x86) throw corrupt("an error is missing");
    this.#charge(errorObjects);
    const [type, name, message] = [
      this.#requiredText(),
      this.#requiredText(),
      this.#requiredText(),
    ];
    const { errorClasses } = this.#hooks!;
    const error = makeError(type, name, message, this.#requiredText(), errorClasses);
    this.#met[index] = error;
    this.#descend();
    const byte = this.byte();
    if (byte === 0x81) setHidden(error, "cause", this.#item());
    else if (byte !== 0x80) throw corrupt("a cause is missing");
    this.#depth -= 1;
    const properties: Record<string, unknown> = this.#fill({}, this.#mapByte());
    for (const [key, value] of Object.entries(properties)) {
      if (isHidden(error, key)) setHidden(error, key, value);
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
    const [kind, id] = [this.length(), this.length()];
    const hooks = this.#hooks;
    if (!hooks?.openStream || kind > 1) throw corrupt("there is a stream where none can be");
    this.#charge(streamObjects);
    return hooks.openStream(kind as StreamKind, id);
  }

  #function(): object {
    const parts = this.byte();
    if (parts !== 0x83 && parts !== 0x84) throw corrupt("a function is missing");
    const hooks = this.#hooks;
    if (!hooks?.openFunction) throw corrupt("there is a function where none can be");
    this.#charge(streamObjects);
    const [id, isKept] = [this.length(), this.length() === 1];
    const key = this.#requiredNumber();
    const origin = parts === 0x84 ? this.#requiredNumber() : null;
    return hooks.openFunction(id, isKept, key, origin);
  }

  /** A Blob or File that owns its bytes: functions of the runtime copy them from private memory. */
  #blob(): Blob {
    const byte = this.byte();
    if (byte !== 0x82 && byte !== 0x84) throw corrupt("a Blob is missing");
    this.#charge(blobObjects);
    const type = this.#requiredText();
    if (byte === 0x82) return new Blob([this.#bytesForRuntime()], { type });
    const [name, lastModified] = [this.#requiredText(), this.#requiredNumber()];
    return new File([this.#bytesForRuntime()], name, { type, lastModified });
  }

  #bytesForRuntime(): Bytes {
    const byte = this.byte();
    // The tree is a private copy.
    if (byte >> 5 !== 6) return this.byteString(byte);
    if (this.number(byte) !== Tag.blob) throw corrupt("a byte string is missing");
    return this.blobs.next(this.length(), "read natively");
  }

  #signal(index: number): AbortSignal {
    this.#pair();
    const hooks = this.#hooks;
    this.#charge(streamObjects);
    if (this.length() === 0) {
      if (!hooks?.openSignal) throw corrupt("there is a signal where none can be");
      const signal = hooks.openSignal(this.length());
      this.#met[index] = signal;
      return signal;
    }
    const controller = new AbortController();
    const { signal } = controller;
    // Before the reason, which may refer to its signal.
    this.#met[index] = signal;
    this.#descend();
    controller.abort(this.#item());
    this.#depth -= 1;
    return signal;
  }

  #regExp(): RegExp {
    this.#pair();
    const source = this.#requiredText();
    const reason = this.#regExps.take(source);
    if (reason !== null) throw corrupt(reason);
    const flags = this.#requiredText();
    try {
      return new RegExp(source, flags);
    } catch (error) {
      // The syntax grows with the language. The runtime's message names the expression.
      throw unsupported(
        `the runtime that reads it refuses a regular expression (${(error as Error).message})`,
        "send an expression that it knows",
      );
    }
  }

  #requiredText(): string {
    const value = this.#item();
    if (typeof value !== "string") throw corrupt("a text is missing");
    return value;
  }

  #requiredNumber(): number {
    const value = this.#item();
    if (typeof value !== "number") throw corrupt("a number is missing");
    return value;
  }

  /** Reads a byte string, or a blob, into a buffer of its own. */
  #buffer(): ArrayBuffer {
    const byte = this.byte();
    if (byte >> 5 === 2) return this.byteString(byte).slice().buffer;
    if (byte >> 5 === 6 && this.number(byte) === Tag.blob) {
      const bytes = this.blobs.next(this.length(), "keep");
      const isWhole = bytes.byteLength === bytes.buffer.byteLength;
      return isWhole ? bytes.buffer : bytes.slice().buffer;
    }
    throw corrupt("a byte string is missing");
  }

  /** The longest length of a buffer, undefined if that is fixed; counts what it costs. */
  #maxLength(byte: number): number | undefined {
    if (byte === 0xf7) return undefined;
    if (byte >> 5 !== 0) throw corrupt("a longest length is missing");
    const max = this.number(byte);
    this.#charge(resizableBufferObjects);
    this.#reservedBytes += max;
    if (this.#reservedBytes > reservedBytesMax) throw corrupt("its buffers could become too long");
    return max;
  }

  #sharedBuffer(): SharedArrayBuffer {
    this.#pair();
    const max = this.#maxLength(this.byte());
    this.#charge(sharedBufferObjects);
    const bytes = this.#bytesToRead();
    const { byteLength } = bytes;
    const buffer = max === undefined
      ? new SharedArrayBuffer(byteLength)
      : new SharedArrayBuffer(byteLength, { maxByteLength: max });
    new Uint8Array(buffer).set(bytes);
    return buffer;
  }

  #resizableBuffer(): ArrayBuffer {
    this.#pair();
    const max = this.#maxLength(this.byte());
    const bytes = this.#bytesToRead();
    const buffer = new ArrayBuffer(bytes.byteLength, { maxByteLength: max! });
    new Uint8Array(buffer).set(bytes);
    return buffer;
  }

  #sharedView(): ArrayBufferView {
    if (this.byte() !== 0x84) throw corrupt("a view is missing");
    const tag = this.length();
    const view = sharedViewClasses.get(tag);
    if (!view) throw missingView(tag) ?? corrupt(`there is no view of tag ${tag}`);
    const buffer = this.#viewedBuffer();
    const [byteOffset, length] = [this.length(), this.length()];
    if (!(buffer instanceof SharedArrayBuffer)) throw corrupt("a view has no buffer");
    return new view(buffer, byteOffset, length);
  }

  /** Reads a SharedArrayBuffer, or a reference to one that came before. */
  #viewedBuffer(): unknown {
    const byte = this.byte();
    const tag = byte >> 5 === 6 ? this.number(byte) : 0;
    if (tag === Tag.reference) return this.#reference();
    if (tag !== Tag.sharedBuffer) throw corrupt("a view has no buffer");
    const index = this.#meet(null);
    return this.#met[index] = this.#sharedBuffer();
  }

  #descend(): void {
    if (this.#depth++ >= depthMax) throw corrupt(`it is nested deeper than ${depthMax}`);
  }
}

/** The typed arrays that carry the numbers of an array, by tag. */
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

/** The error for a view that this runtime lacks; undefined: no runtime has such a view. */
function missingView(tag: number): TandemError | undefined {
  const name = missingViews.get(tag);
  if (name === undefined) return undefined;
  return unsupported(
    `the runtime that reads it has no ${name}`,
    "send the numbers as a Float32Array",
  );
}

function setProperty(object: object, key: string, value: unknown): void {
  if (key === "__proto__") {
    // An assignment would set the prototype.
    const property = { value, writable: true, enumerable: true, configurable: true };
    Object.defineProperty(object, key, property);
  } else (object as Record<string, unknown>)[key] = value;
}

/** The runtime throws errors of its own for hostile bytes: no UTF-8, no date, no room. */
function asCorrupt(error: unknown): unknown {
  if (error instanceof TandemError) return error;
  return corrupt(error instanceof Error ? error.message : String(error));
}
