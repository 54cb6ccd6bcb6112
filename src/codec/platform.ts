/**
 * Which objects belong to the runtime: they are more than their properties, which alone could be
 * sent. They are known by the classes among their prototypes, also those of another realm.
 *
 * @module
 */
// Not of `node:util`, which takes both runtimes several milliseconds to load.
import * as types from "node:util/types";

/** Objects of these are known by their slots; one that lacks them is no more than its properties. */
const checkedClasses: ReadonlySet<string> = new Set([
  "Object",
  "Array",
  "Map",
  "Set",
  "Date",
  "RegExp",
  "Error",
  "EvalError",
  "RangeError",
  "ReferenceError",
  "SyntaxError",
  "TypeError",
  "URIError",
  "AggregateError",
  "SuppressedError",
  "ArrayBuffer",
  "SharedArrayBuffer",
  "DataView",
  "TypedArray",
  "Number",
  "String",
  "Boolean",
  "BigInt",
  "Symbol",
  "Promise",
  "WeakMap",
  "WeakSet",
  "Function",
]);
/** Objects of the language that hold classes or functions, and are no values. */
const namespaces: ReadonlySet<string> = new Set([
  "Math",
  "JSON",
  "Atomics",
  "Reflect",
  "Intl",
  "Temporal",
  "WebAssembly",
]);

/** Those that can be told by their slots: what they are, or null. */
export function unsendableSlots(value: object): string | null {
  if (types.isPromise(value)) return "Promise";
  if (types.isWeakMap(value)) return "WeakMap";
  if (types.isWeakSet(value)) return "WeakSet";
  return null;
}

const objectText = Object.prototype.toString;

/**
 * Whether an object with the prototype of plain ones is at most a collection or a buffer. Most are
 * nothing but plain, and each question to the runtime takes its time.
 */
export function hasObjectTag(value: object): boolean {
  return objectText.call(value) === "[object Object]";
}

/**
 * Whether an object that has neither a prototype nor properties is more than that, as pointers of Deno
 * are. Its clone runs no code of the user: there is no getter.
 */
export function isOpaque(value: object): boolean {
  try {
    structuredClone(value);
    return false;
  } catch {
    return true;
  }
}

/** The name of a namespace of the language, such as `Math`, of any realm; null: it is none. */
export function namespaceName(value: object): string | null {
  const tag = Object.getOwnPropertyDescriptor(value, Symbol.toStringTag);
  // Users can make a property of this name, but not by assignment.
  if (!tag || tag.writable || tag.enumerable || typeof tag.value !== "string") return null;
  return namespaces.has(tag.value) ? tag.value : null;
}

/** By prototype: the name of the class of the runtime that its objects belong to. */
const known: WeakMap<object, string | null> = new WeakMap();

/** The name of the class of the runtime that an object belongs to, or null. */
export function platformName(value: object, prototype: object): string | null {
  const name = platformClass(prototype);
  // In Bun both have one prototype.
  return name === "Blob" && value instanceof File ? "File" : name;
}

function platformClass(prototype: object): string | null {
  const before = known.get(prototype);
  if (before !== undefined) return before;
  let found: string | null = null;
  for (
    let next: object | null = prototype;
    // What a Proxy says of itself is its own business.
    next !== null && found === null && !types.isProxy(next);
    next = Object.getPrototypeOf(next)
  ) {
    found = className(next);
  }
  known.set(prototype, found);
  return found;
}

function className(prototype: object): string | null {
  const owner: unknown = valueOf(prototype, "constructor");
  if (typeof owner !== "function" || valueOf(owner, "prototype") !== prototype) {
    return hasOnlyNativeMethods(prototype) ? tagOf(prototype) ?? "object of the runtime" : null;
  }
  const name = valueOf(owner, "name");
  if (typeof name !== "string" || name === "") return null;
  if (isNative(owner)) {
    const isChecked = checkedClasses.has(name) ||
      /^(Big)?(Int|Uint|Float)\d+(Clamped)?Array$/.test(name);
    return isChecked ? null : tagOf(prototype) ?? name;
  }
  // Classes of the Web may be written in JavaScript. Globals that users make are enumerable.
  const global = Object.getOwnPropertyDescriptor(globalThis, name);
  if (!global || global.enumerable) return null;
  return (globalThis as Record<string, unknown>)[name] === owner ? name : null;
}

/** An own property that is no getter; undefined: there is none. */
function valueOf(object: object, name: string | symbol): unknown {
  return Object.getOwnPropertyDescriptor(object, name)?.value;
}

/** Such as `Temporal.Instant`, whose class alone is called `Instant`. */
function tagOf(prototype: object): string | null {
  const tag = valueOf(prototype, Symbol.toStringTag);
  return typeof tag === "string" && tag !== "" ? tag : null;
}

const functionText = Function.prototype.toString;

function isNative(value: object): boolean {
  return /\{\s*\[native code\]\s*\}$/.test(functionText.call(value));
}

/** As of classes of the language that have no name, such as what `Intl.Segmenter` makes. */
function hasOnlyNativeMethods(prototype: object): boolean {
  if (Object.getPrototypeOf(prototype) === null) return false;
  let hasAny = false;
  for (const key of Reflect.ownKeys(prototype)) {
    const { value, get } = Object.getOwnPropertyDescriptor(prototype, key)!;
    const method: unknown = get ?? value;
    if (typeof method !== "function") continue;
    if (types.isProxy(method) || !isNative(method)) return false;
    hasAny = true;
  }
  return hasAny;
}
