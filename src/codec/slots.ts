/**
 * Reads the internal slots of objects. Properties with the same names may be code of the user.
 *
 * @module
 */
// `node:util` itself takes Deno and Bun several milliseconds to load.
import * as types from "node:util/types";
import { getterOf } from "../base/brands.ts";

/** The value in a box such as `Object(1)`. */
export function unboxed(value: object): unknown {
  if (types.isNumberObject(value)) return Number.prototype.valueOf.call(value);
  if (types.isStringObject(value)) return String.prototype.valueOf.call(value);
  if (types.isBooleanObject(value)) return Boolean.prototype.valueOf.call(value);
  if (types.isBigIntObject(value)) return BigInt.prototype.valueOf.call(value);
  return Symbol.prototype.valueOf.call(value as unknown as symbol);
}

/** The source of a regular expression of any realm. */
export const regExpSource: (value: unknown) => string = getterOf<string>(
  RegExp.prototype,
  "source",
);

/** The getter of each flag. The getter of `flags` reads properties, which users can define. */
const flagGetters = ([
  ["d", "hasIndices"],
  ["g", "global"],
  ["i", "ignoreCase"],
  ["m", "multiline"],
  ["s", "dotAll"],
  ["u", "unicode"],
  ["v", "unicodeSets"],
  ["y", "sticky"],
] as const).map(([flag, name]) => [flag, getterOf<boolean>(RegExp.prototype, name)] as const);

export function regExpFlags(value: RegExp): string {
  let flags = "";
  for (const [flag, isSet] of flagGetters) if (isSet(value)) flags += flag;
  return flags;
}
