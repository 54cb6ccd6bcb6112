/**
 * Values of calls as text.
 *
 * @module
 */

/**
 * The arguments that a JSON text stands for: the items of an array, or the one value.
 *
 * @throws {TypeError} for a text that is no JSON
 */
export function argumentsIn(text: string): unknown[] {
  if (text.trim() === "") return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new TypeError(
      `Cannot read the arguments as JSON: ${(error as Error).message}; ` +
        `give an array of arguments, such as '["a", 1]', or one value, such as '"a"'`,
    );
  }
  return Array.isArray(value) ? value : [value];
}

/** A result as JSON with a line feed; bytes as they are; nothing for undefined. */
export function textOf(value: unknown): string | Uint8Array {
  if (value === undefined) return "";
  if (value instanceof Uint8Array) return value;
  return `${JSON.stringify(value, plain)}\n`;
}

/** The replacer for JSON of values that JSON does not have. */
export function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  if (value instanceof Error) return { name: value.name, message: value.message };
  if (value instanceof Uint8Array) {
    return (value as { toBase64?(): string }).toBase64?.() ?? [...value];
  }
  return value;
}

/** A text as one line without control characters, for tables and messages. */
export function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex -- these are what it is about
  return text.replaceAll(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, " ").trim();
}
