/**
 * What is in an array, and how it is best written.
 *
 * @module
 */
import { backend } from "../runtime/current.ts";

/** Arrays from this length on are looked at as a whole; shorter ones gain nothing. */
export const longArrayMin = 64;
/** Arrays from this length on are not asked for their keys if the runtime knows a quicker way. */
const keysMax = 2048;

export type Numbers =
  | Int8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>;

/**
 * The numbers of a long array that has nothing else, in the shortest type that holds all of them; null:
 * it has something else, or they take less room one by one.
 *
 * @param maxBytes for all of the message
 */
export function numbersOf(array: readonly unknown[], maxBytes: number): Numbers | null {
  const { length } = array;
  // Refused at one byte for each, and no memory is taken for it.
  if (length > maxBytes) return null;
  // Most other arrays show it here.
  for (const index of [0, length >> 1, length - 1]) {
    if (typeof array[index] !== "number") return null;
  }
  const numbers = integersOf(array) ?? fractionsOf(array);
  return numbers && hasOnlyItems(array, length) ? numbers : null;
}

/** Null: there are others. */
function integersOf(array: readonly unknown[]): Numbers | null {
  const { length } = array;
  // Before memory is taken for what may come to nothing.
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
  return ((value as number) | 0) === value && (value !== 0 || 1 / value > 0);
}

/** Null: not all are numbers, or hardly any is a fraction, so that they take more room than one by one. */
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

/** How many holes an array has; -1: so many that it is best written by its keys. */
export function countHoles(array: readonly unknown[]): number {
  const { length } = array;
  let holes = 0;
  for (let index = 0; index < length; index++) {
    if (array[index] !== undefined || Object.hasOwn(array, index)) continue;
    holes += 1;
    // It takes no longer than what is there.
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

/** Whether an array has no further properties than its `count` items. */
export function hasOnlyItems(array: readonly unknown[], count: number): boolean {
  if (array.length >= keysMax && backend().showsOnlyItems(array)) return true;
  return Object.keys(array).length === count;
}
