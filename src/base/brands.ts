/**
 * What a value is by its internal slots. `instanceof` looks at prototypes, which differ from one
 * realm to the next (`node:vm`), can be replaced, and can be had without what makes the object work.
 *
 * None of it runs code of users, but for `isErrorLike`, which may meet a Proxy.
 *
 * @module
 */
// Not of `node:util`, which takes both runtimes several milliseconds to load.
import * as types from "node:util/types";

/** Whether a value is a Proxy, also a revoked one. */
export const isProxy: (value: unknown) => boolean = types.isProxy;
/** Whether a Proxy stands for nothing any more. Runs no code of the user. */
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

// Younger than the oldest runtime that is supported.
const isError = (Error as { isError?: (value: unknown) => boolean }).isError ?? types.isNativeError;
const domCode = getterOf(DOMException.prototype, "code");

/** Whether it was made by a constructor of errors, `DOMException` included. */
export function isErrorValue(value: unknown): value is Error {
  return isError(value) || isDomException(value);
}

/** Whether it is a DOMException, which not every runtime takes for an error. */
export function isDomException(value: unknown): value is DOMException {
  try {
    if (!(value instanceof DOMException)) return false;
    // Of a Proxy, or of an object with its prototype alone, it throws.
    domCode(value);
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether a thrown value tells its error as one: by its slots, or by its prototype, as those of old
 * classes that only inherit from `Error`, and proxies.
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
const arrayKeys: (this: unknown) => unknown = typedArray.keys;
const arrayLength = getterOf<number>(typedArray, "byteLength");
const arrayOffset = getterOf<number>(typedArray, "byteOffset");
const arrayBuffer = getterOf<ArrayBufferLike>(typedArray, "buffer");
const arrayTag = getterOf<string | undefined>(typedArray, Symbol.toStringTag);
const viewLength = getterOf<number>(DataView.prototype, "byteLength");
const viewOffset = getterOf<number>(DataView.prototype, "byteOffset");
const viewBuffer = getterOf<ArrayBufferLike>(DataView.prototype, "buffer");

/** The name of the class of a typed array; undefined: it is a DataView. */
export const typedArrayName: (view: ArrayBufferView) => string | undefined = arrayTag;

/** How many bytes a typed array shows; 0 also where its buffer is gone. */
export const byteLengthOf: (array: ArrayBufferView) => number = arrayLength;

/** The bytes that a view shows; null: its buffer is detached, or was made too short for it. */
export function bytesOfView(view: ArrayBufferView): Uint8Array<ArrayBuffer> | null {
  try {
    if (arrayTag(view) === undefined) {
      // These throw where there is nothing to show.
      const [length, offset] = [viewLength(view), viewOffset(view)];
      return new Uint8Array(viewBuffer(view) as ArrayBuffer, offset, length);
    }
    const length = arrayLength(view);
    // Without bytes it may be that there are none any more, which this throws for.
    if (length === 0) arrayKeys.call(view);
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

/** A getter of a prototype, as a function of the object. */
export function getterOf<T>(prototype: object, name: string | symbol): (value: unknown) => T {
  const { get } = Object.getOwnPropertyDescriptor(prototype, name)!;
  return (value) => get!.call(value) as T;
}
