/**
 * The kind of a value by its internal slots. `instanceof` looks at prototypes, which differ between realms
 * (`node:vm`), can be replaced, and can belong to objects without the internal slots.
 *
 * Only `isErrorLike` may run code of users, when it meets a Proxy.
 *
 * @module
 */
// Not from `node:util`, which takes Deno and Bun several milliseconds to load.
import * as types from "node:util/types";

/** Whether a value is a Proxy, also a revoked one. */
export const isProxy: (value: unknown) => boolean = types.isProxy;
/** Whether a Proxy is revoked. Runs no code of the user. */
export function isRevoked(proxy: object): boolean {
  try {
    Array.isArray(proxy);
    return false;
  } catch {
    return true;
  }
}

/** Whether it is an ArrayBuffer or a SharedArrayBuffer. */
export const isAnyBuffer: (value: unknown) => value is ArrayBufferLike = types.isAnyArrayBuffer;

// Newer than the oldest supported runtime.
const isError = (Error as { isError?: (value: unknown) => boolean }).isError ?? types.isNativeError;
const domCode = getterOf<number>(DOMException.prototype, "code");

/** Whether a constructor of errors made the value, `DOMException` included. */
export function isErrorValue(value: unknown): value is Error {
  return isError(value) || isDomException(value);
}

/** Whether it is a DOMException, which some runtimes do not count as an error. */
export function isDomException(value: unknown): value is DOMException {
  try {
    if (!(value instanceof DOMException)) return false;
    // The getter throws for a Proxy, and for an object that only has the prototype.
    return typeof domCode(value) === "number";
  } catch {
    return false;
  }
}

/**
 * Whether a thrown value can be read like an error: by its slots, or by its prototype, as with proxies and
 * with old classes that only inherit from `Error`.
 */
export function isErrorLike(value: unknown): value is Error {
  if (isErrorValue(value)) return true;
  try {
    return value instanceof Error;
  } catch {
    // A revoked Proxy.
    return false;
  }
}

const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
const arrayFill: (this: unknown, value: number | bigint) => unknown = typedArray.fill;
const arrayLength = getterOf<number>(typedArray, "byteLength");
const arrayCount = getterOf<number>(typedArray, "length");
const arrayOffset = getterOf<number>(typedArray, "byteOffset");
const arrayBuffer = getterOf<ArrayBufferLike>(typedArray, "buffer");
const arrayTag = getterOf<string | undefined>(typedArray, Symbol.toStringTag);
const viewLength = getterOf<number>(DataView.prototype, "byteLength");
const viewOffset = getterOf<number>(DataView.prototype, "byteOffset");
const viewBuffer = getterOf<ArrayBufferLike>(DataView.prototype, "buffer");

function isBigArray(view: ArrayBufferView): boolean {
  return arrayTag(view)!.startsWith("Big");
}

/** The name of the class of a typed array; undefined: it is a DataView. */
export const typedArrayName: (view: ArrayBufferView) => string | undefined = arrayTag;

/** The bytes that a typed array covers; 0 also where its buffer is gone. */
export const byteLengthOf: (array: ArrayBufferView) => number = arrayLength;

/** The place of a view in a SharedArrayBuffer. */
export interface SharedPlace {
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset: number;
  /** In elements; of a DataView in bytes. */
  readonly length: number;
}

/** Where a view lies in a SharedArrayBuffer; null: its buffer is not shared, or gone. */
export function placeInShared(view: ArrayBufferView): SharedPlace | null {
  const isArray = arrayTag(view) !== undefined;
  try {
    const buffer = isArray ? arrayBuffer(view) : viewBuffer(view);
    if (!types.isSharedArrayBuffer(buffer)) return null;
    return isArray
      ? { buffer, byteOffset: arrayOffset(view), length: arrayCount(view) }
      : { buffer, byteOffset: viewOffset(view), length: viewLength(view) };
  } catch {
    return null;
  }
}

/** The bytes that a view covers; null: its buffer is detached, or has become too short. */
export function bytesOfView(view: ArrayBufferView): Uint8Array<ArrayBuffer> | null {
  try {
    if (arrayTag(view) === undefined) {
      // These throw when the buffer is gone or too short.
      const [length, offset] = [viewLength(view), viewOffset(view)];
      return new Uint8Array(viewBuffer(view) as ArrayBuffer, offset, length);
    }
    const length = arrayLength(view);
    // An array without bytes may have lost its buffer, for which this throws. It fills nothing otherwise.
    // (JavaScriptCore leaves out calls without an effect, such as `keys`, from compiled code.)
    if (length === 0) arrayFill.call(view, isBigArray(view) ? 0n : 0);
    return new Uint8Array(arrayBuffer(view) as ArrayBuffer, arrayOffset(view), length);
  } catch {
    return null;
  }
}

/** All bytes of a buffer; null: it is detached. */
export function bytesOfBuffer(buffer: ArrayBufferLike): Uint8Array<ArrayBuffer> | null {
  try {
    return new Uint8Array(buffer as ArrayBuffer);
  } catch {
    return null;
  }
}

const bufferMax = getterOf<number>(ArrayBuffer.prototype, "maxByteLength");
const isResizable = getterOf<boolean>(ArrayBuffer.prototype, "resizable");
const sharedLength = getterOf<number>(SharedArrayBuffer.prototype, "byteLength");
const sharedMax = getterOf<number>(SharedArrayBuffer.prototype, "maxByteLength");
const isGrowable = getterOf<boolean>(SharedArrayBuffer.prototype, "growable");

/** The longest length of a buffer that can change its length; undefined: it cannot. */
export function maxLengthOf(buffer: ArrayBufferLike): number | undefined {
  if (types.isSharedArrayBuffer(buffer)) return isGrowable(buffer) ? sharedMax(buffer) : undefined;
  return isResizable(buffer) ? bufferMax(buffer) : undefined;
}

/** All bytes of a SharedArrayBuffer. The view does not grow when another thread makes the buffer longer. */
export function bytesOfShared(buffer: SharedArrayBuffer): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(buffer, 0, sharedLength(buffer));
}

/** A getter of a prototype, as a function of the object. */
export function getterOf<T>(prototype: object, name: string | symbol): (value: unknown) => T {
  const { get } = Object.getOwnPropertyDescriptor(prototype, name)!;
  return (value) => get!.call(value) as T;
}
