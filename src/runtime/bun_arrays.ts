/**
 * Long arrays in Bun.
 *
 * @module
 */

interface Util {
  inspect(value: unknown, options: object): string;
}

interface Global {
  readonly process: { getBuiltinModule(name: "node:util"): Util };
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

let util: Util | null = null;

/**
 * The language can only list all keys of an array, for which JavaScriptCore takes 0.5 µs each. Bun can
 * list those that are no items, and uses that to show an array of which no item is wanted: further
 * properties would stand at its end. False: there may be some.
 */
export function showsOnlyItems(array: readonly unknown[]): boolean {
  // When it is first needed: it takes milliseconds.
  util ??= (globalThis as unknown as Global).process.getBuiltinModule("node:util");
  try {
    return util.inspect(array, inspection).endsWith(`[ ... ${array.length} more items ]`);
  } catch {
    // It asks for the name of the class, which may be a getter of the user.
    return false;
  }
}
