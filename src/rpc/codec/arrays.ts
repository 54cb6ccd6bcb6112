/**
 * What is in an array, and how it is best written.
 *
 * @module
 */
import { inspect } from "node:util";
import { Tag } from "./tags.ts";

/** Arrays from this length on are looked at as a whole; shorter ones gain nothing. */
export const longArrayMin = 64;
/** Arrays from this length on are not asked for their keys, which JavaScriptCore takes 0.5 µs each for. */
const keysMax = 2048;

/** How the items of a long array are written. */
export interface Layout {
  /** One after another; with holes in between; by their keys; as numbers of one type. */
  readonly form: "items" | "holey" | "sparse" | "numbers";
  /** Of numbers: the tag of the shortest type that holds all of them. */
  readonly tag: number;
}

const items: Layout = { form: "items", tag: 0 };
const holey: Layout = { form: "holey", tag: 0 };
const sparse: Layout = { form: "sparse", tag: 0 };

/** Looks at each item once. */
export function layoutOf(array: readonly unknown[]): Layout {
  const { length } = array;
  let [holes, fractions, min, max] = [0, 0, 0, 0];
  let index = 0;
  for (; index < length; index++) {
    const value = array[index];
    if (typeof value !== "number") break;
    if ((value | 0) !== value || (value === 0 && 1 / value < 0)) fractions += 1;
    else if (value < min) min = value;
    else if (value > max) max = value;
  }
  const areNumbers = index === length;
  for (; index < length; index++) {
    if (array[index] !== undefined || Object.hasOwn(array, index)) continue;
    holes += 1;
    // Mostly holes: it takes no longer than what is there.
    if (holes > index - holes + longArrayMin) return sparse;
  }
  if (!hasOnlyItems(array, length - holes)) return sparse;
  if (holes > 0) return holey;
  if (!areNumbers) return items;
  if (fractions === 0) return integers(min, max);
  // A few fractions among short numbers take less room one by one.
  return fractions * 2 >= length ? { form: "numbers", tag: Tag.float64 } : items;
}

function integers(min: number, max: number): Layout {
  const bound = Math.max(max, -1 - min);
  const tag = bound < 2 ** 7 ? Tag.int8 : bound < 2 ** 15 ? Tag.int16 : Tag.int32;
  return { form: "numbers", tag };
}

/** Whether an array has no further properties than its `count` items. */
export function hasOnlyItems(array: readonly unknown[], count: number): boolean {
  if (array.length >= keysMax && showsOnlyItems(array)) return true;
  return Object.keys(array).length === count;
}

const inspection = {
  maxArrayLength: 0,
  depth: 0,
  breakLength: Infinity,
  compact: true,
  customInspect: false,
  showHidden: false,
  showProxy: false,
  getters: false,
  sorted: false,
  colors: false,
  numericSeparator: false,
};

/**
 * The language can only list all keys of an array. The runtimes can list those that are no items, and
 * use that to show an array of which no item is wanted: further properties would stand at its end.
 * False: there may be some.
 */
function showsOnlyItems(array: readonly unknown[]): boolean {
  try {
    return inspect(array, inspection).endsWith(`[ ... ${array.length} more items ]`);
  } catch {
    // It asks for the name of the class, which may be a getter of the user.
    return false;
  }
}
