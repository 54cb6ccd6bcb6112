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
 * Whether an array has no properties but its items. The language can only list all keys of an array, which
 * takes JavaScriptCore 0.5 µs for each. Bun's `inspect` lists further properties at the end, also when it
 * shows no items. False: there may be some.
 */
export function showsOnlyItems(array: readonly unknown[]): boolean {
  // Loaded at first use: it takes milliseconds.
  util ??= (globalThis as unknown as Global).process.getBuiltinModule("node:util");
  try {
    return util.inspect(array, inspection).endsWith(`[ ... ${array.length} more items ]`);
  } catch {
    // `inspect` reads the name of the class, which may be a getter of the user that throws.
    return false;
  }
}
