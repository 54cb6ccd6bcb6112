/**
 * The tags of CBOR (RFC 8949). Tags of other standards keep their numbers, so that any CBOR tool can read
 * a message; tags of this package have numbers from 64,000 on.
 *
 * @module
 */

/** The number of each tag. A tag describes the item that follows it. */
export const Tag = {
  bignum: 2,
  negativeBignum: 3,
  /** A value that came before: its number among the values with an identity. */
  reference: 29,
  // Typed arrays (RFC 8746), little-endian; a byte string without a tag is a Uint8Array.
  uint8: 64,
  uint8Clamped: 68,
  uint16: 69,
  uint32: 70,
  uint64: 71,
  int8: 72,
  int16: 77,
  int32: 78,
  int64: 79,
  float16: 84,
  float32: 85,
  float64: 86,
  set: 258,
  map: 259,
  regExp: 21066,
  /** Milliseconds since 1970; NaN is the invalid date. */
  date: 64000,
  arrayBuffer: 64001,
  dataView: 64002,
  /** The code units of a string that is not well-formed Unicode, which UTF-8 cannot carry. */
  codeUnits: 64003,
  /** An array with holes or other properties: its length, then a map of its keys and values. */
  sparse: 64004,
  /** Class, name, message, stack; an array with the cause, or an empty one; a map of other properties. */
  error: 64005,
  /** The object of a primitive, such as `Object(1)`. */
  boxed: 64006,
  /** Stands for a byte string of this length, which follows the tree in the message. */
  blob: 64007,
  /** The kind and number of a stream, which the receiver pulls from the sender. */
  stream: 64008,
  /** A string: stands for its bytes in UTF-8, of this length, which follow the tree in the message. */
  text: 64009,
  /** An array of numbers, written as a typed array. */
  numbers: 64010,
  /** An array with some holes. */
  holey: 64011,
  /** A SharedArrayBuffer: a pair of its longest length, or undefined if it cannot grow, and its bytes. */
  sharedBuffer: 64012,
  /** An ArrayBuffer that can be resized: a pair of its longest length and its bytes. */
  resizableBuffer: 64013,
  /**
   * A view of a SharedArrayBuffer: a list of the view's tag, the buffer, the offset in bytes, and the length
   * in elements.
   */
  sharedView: 64014,
  /** A Blob: a pair of its type and its bytes. A File: a list of type, name, date of change and bytes. */
  blobObject: 64015,
  /** A signal: a pair of 0 and its number among the lent values, or of 1 and the reason of its abort. */
  signal: 64020,
  /**
   * A function: a list of its number among the lent values, 1 if it outlives its call, and its key. If the
   * sender has received it itself: also the key under which it did.
   */
  callback: 64021,
} as const;

/** Stands for a hole in a holey array: a simple value without another meaning. */
export const holeByte = 0xe0;

/** How deep values may be nested, because the receiver's stack must hold them. */
export const depthMax = 1000;

/** Byte strings from this length on follow the tree, and are copied once. */
export const blobBytesMin = 1024;

/** Strings from this many bytes of UTF-8 on follow the tree. */
export const textBlobBytesMin: number = 2 ** 16;

interface ViewClass {
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): ArrayBufferView;
}

// The oldest supported runtimes do not have it.
const { Float16Array } = globalThis as { Float16Array?: ViewClass };

/** Classes of typed arrays by their tags. */
export const viewClasses: ReadonlyMap<number, ViewClass> = new Map<number, ViewClass>([
  [Tag.uint8Clamped, Uint8ClampedArray],
  [Tag.uint16, Uint16Array],
  [Tag.uint32, Uint32Array],
  [Tag.uint64, BigUint64Array],
  [Tag.int8, Int8Array],
  [Tag.int16, Int16Array],
  [Tag.int32, Int32Array],
  [Tag.int64, BigInt64Array],
  ...(Float16Array ? [[Tag.float16, Float16Array]] as const : []),
  [Tag.float32, Float32Array],
  [Tag.float64, Float64Array],
]);

/** Names of the classes that other runtimes have and this one lacks, by their tags. */
export const missingViews: ReadonlyMap<number, string> = new Map(
  Float16Array ? [] : [[Tag.float16, "Float16Array"]],
);

/** Tags of typed arrays by their `Symbol.toStringTag`. */
export const viewTags: ReadonlyMap<string, number> = new Map(
  [...viewClasses].map(([tag, { name }]) => [name, tag]),
);

type SharedViewClass = new (
  buffer: ArrayBufferLike,
  byteOffset?: number,
  length?: number,
) => ArrayBufferView;

/** Classes of the views of a SharedArrayBuffer by their tags. */
export const sharedViewClasses: ReadonlyMap<number, SharedViewClass> = new Map<
  number,
  SharedViewClass
>([...viewClasses, [Tag.uint8, Uint8Array], [Tag.dataView, DataView]]);
