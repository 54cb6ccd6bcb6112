/**
 * Looks into arrays, to write them in the shortest way.
 *
 * @module
 */
import { backend } from "../runtime/current.ts";

/** From this length on, looking at an array as a whole pays off. */
export const longArrayMin = 64;
/** From this length on, asking the runtime is quicker than listing the keys. */
const listedKeysMax = 2048;

export type Numbers =
  | Int8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>;

/**
 * The numbers of a long array in the shortest type that holds all of them. Null: the array has other
 * items, or the numbers are shorter one by one.
 *
 * @param maxBytes the limit of the whole message
 */
export function numbersOf(array: readonly unknown[], maxBytes: number): Numbers | null {
  const { length } = array;
  // Too large at one byte for each: take no memory for it.
  if (length > maxBytes) return null;
  // This rules out most other arrays.
  for (const index of [0, length >> 1, length - 1]) {
    if (typeof array[index] !== "number") return null;
  }
  const numbers = integersOf(array) ?? fractionsOf(array);
  return numbers && hasOnlyItems(array, length) ? numbers : null;
}

/** Null: not all items are whole numbers of 32 bits. */
function integersOf(array: readonly unknown[]): Numbers | null {
  const { length } = array;
  // A look at the first items may save the memory.
  for (let index = 0; index < longArrayMin; index++) if (!isInteger(array[index])) return null;
  const all = new Int32Array(length);
  let bits = 0;
  for (let index = 0; index < length; index++) {
    const value = array[index];
    if (!isInteger(value)) return null;
    all[index] = value;
    bits |= value < 0 ? ~value : value;
  }
  if (bits < 2 ** 7) return new Int8Array(all);
  return bits < 2 ** 15 ? new Int16Array(all) : all;
}

/** Whether it is a whole number of 32 bits, and not -0. */
function isInteger(value: unknown): value is number {
  // First, because the operator throws for bigints, and calls methods of objects.
  return typeof value === "number" && (value | 0) === value && (value !== 0 || 1 / value > 0);
}

/** Null: not all items are numbers, or so few are fractions that they are shorter one by one. */
function fractionsOf(array: readonly unknown[]): Numbers | null {
  const { length } = array;
  const all = new Float64Array(length);
  let integers = 0;
  for (let index = 0; index < length; index++) {
    const value = array[index];
    if (typeof value !== "number") return null;
    if ((value | 0) === value) integers += 1;
    all[index] = value;
  }
  return integers * 8 <= length * 7 ? all : null;
}

/** The number of holes in an array. -1: it has so many that its keys and values are shorter. */
export function countHoles(array: readonly unknown[]): number {
  const { length } = array;
  let holes = 0;
  for (let index = 0; index < length; index++) {
    if (array[index] !== undefined || Object.hasOwn(array, index)) continue;
    holes += 1;
    // The search costs no more than the items that exist.
    if (holes > index - holes + longArrayMin) return -1;
  }
  return holes;
}

/** Whether an array has no holes. */
export function isDense(value: readonly unknown[]): boolean {
  for (let index = 0; index < value.length; index++) {
    if (value[index] === undefined && !Object.hasOwn(value, index)) return false;
  }
  return true;
}

/** Whether an array has no properties other than its `count` items. */
export function hasOnlyItems(array: readonly unknown[], count: number): boolean {
  if (array.length >= listedKeysMax && backend().showsOnlyItems(array)) return true;
  return Object.keys(array).length === count;
}
