/**
 * Values of many shapes and any size, to find those that a codec is slow with.
 *
 * @module
 */

/** Makes a value with about so many parts: items, keys or characters. */
export type Shape = (size: number) => unknown;

function list<T>(length: number, item: (index: number) => T): T[] {
  return Array.from({ length }, (_, index) => item(index));
}

class Point {
  readonly x: number;
  readonly y: number;

  constructor(x: number) {
    this.x = x;
    this.y = -x;
  }
}

/** Shapes by name. */
export const shapes: Readonly<Record<string, Shape>> = {
  "whole numbers": (size) => list(size, (index) => index * 3),
  "fractions": (size) => list(size, (index) => index * 1.37),
  "short strings": (size) => list(size, (index) => `item ${index}`),
  "mixed items": (size) => list(size, (index) => index % 3 ? index : `${index % 100}`),
  "nested arrays": (size) => list(size, (index) => [index, [index]]),
  "array with holes": (size) => {
    const items = list(size, (index) => index);
    for (let index = 0; index < size; index += 10) delete items[index];
    return items;
  },
  "sparse array": (size) => {
    const items: number[] = [];
    for (let index = 0; index < size; index++) items[index * 20] = index;
    return items;
  },
  "array with properties": (size) => Object.assign(list(size, (index) => index), { more: 1 }),
  "wide object": (size) => Object.fromEntries(list(size, (index) => [`key${index}`, index])),
  "small objects": (size) => list(size, (index) => ({ id: index, name: `n${index % 100}` })),
  "empty objects": (size) => list(size, () => ({})),
  "objects of a class": (size) => list(size, (index) => new Point(index)),
  "one object, again and again": (size) => {
    const shared = { a: 1 };
    return list(size, () => shared);
  },
  "map": (size) => new Map(list(size, (index) => [index, `v${index % 10}`])),
  "map of objects": (size) => new Map(list(size, (index) => [`k${index}`, { index }])),
  "set": (size) => new Set(list(size, (index) => index)),
  "dates": (size) => list(size, (index) => new Date(index)),
  "bigints": (size) => list(size, (index) => BigInt(index) * 123_456_789_123n),
  "long bigint": (size) => (1n << BigInt(size * 8)) - 1n,
  "long string": (size) => "abcdefghij".repeat(size / 10),
  "long string of all kinds": (size) => "ä€x😀".repeat(size / 5),
  "lone surrogates": (size) => "\ud800abcd".repeat(size / 5),
  "typed array": (size) => new Float64Array(size),
  "many typed arrays": (size) => list(size / 10, (index) => new Uint8Array(index % 16)),
  "errors": (size) => list(size / 20, (index) => new RangeError(`e${index}`)),
  "errors with functions": (size) =>
    list(
      size / 20,
      (index) =>
        Object.assign(new Error(`e${index}`), { retry: () => 0, deep: { undo: () => 0 }, index }),
    ),
  "error with many functions": (size) =>
    Object.assign(
      new Error("wide"),
      Object.fromEntries(
        list(size / 20, (index) => [`f${index}`, index % 2 ? { f: () => 0 } : () => 0]),
      ),
    ),
};

/** The value as JSON; null if JSON cannot carry it. */
export function jsonOf(value: unknown): string | null {
  try {
    const text = JSON.stringify(value);
    return text.length > 2 ? text : null;
  } catch {
    return null;
  }
}
