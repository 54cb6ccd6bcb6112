/**
 * Values of messages that come as text: JSON, with objects of one key for what JSON does not have, as in the text form
 * of `src/node/frame_text.ts`.
 *
 * @module
 */

const depthMax = 100;
/** Reading digits takes the square of their number. */
const digitsForm = /^-?[0-9]{1,2000}$/;
const numbers: ReadonlyMap<unknown, number> = new Map([
  ["NaN", NaN],
  ["Infinity", Infinity],
  ["-Infinity", -Infinity],
  ["-0", -0],
]);

/** The value that a value of JSON stands for. @throws for one that stands for none */
export function valueOfText(plain: unknown, depth = 0): unknown {
  if (typeof plain !== "object" || plain === null) return plain;
  if (depth > depthMax) throw new Error("a value is nested too deep");
  const inside = (value: unknown) => valueOfText(value, depth + 1);
  if (Array.isArray(plain)) return plain.map(inside);
  const entries = Object.entries(plain);
  const [key = "", value] = entries[0] ?? [];
  if (entries.length === 1 && key[0] === "$") return special(key, value, inside);
  return Object.fromEntries(entries.map(([key, value]) => [key, inside(value)]));
}

function special(key: string, value: unknown, inside: (value: unknown) => unknown): unknown {
  switch (key) {
    case "$undefined":
      return undefined;
    case "$number":
      if (numbers.has(value)) return numbers.get(value);
      break;
    case "$bigint":
      if (typeof value === "string" && digitsForm.test(value)) return BigInt(value);
      break;
    case "$bytes":
      if (typeof value === "string") {
        return Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
      }
      break;
    case "$date":
      if (value === null) return new Date(NaN);
      if (typeof value === "string" && !Number.isNaN(Date.parse(value))) return new Date(value);
      break;
    case "$map":
      if (Array.isArray(value) && value.every((pair) => Array.isArray(pair) && pair.length === 2)) {
        return new Map(inside(value) as [unknown, unknown][]);
      }
      break;
    case "$set":
      if (Array.isArray(value)) return new Set(inside(value) as unknown[]);
  }
  throw new Error(`${key} stands for no value`);
}
