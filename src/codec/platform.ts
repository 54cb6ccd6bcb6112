/**
 * Recognizes objects of the runtime by the classes among their prototypes, also those of another realm.
 * They are more than their properties, so a message cannot carry them.
 *
 * @module
 */
// `node:util` itself takes Deno and Bun several milliseconds to load.
import * as types from "node:util/types";

/** Objects of these classes are known by their slots. Without the slots they are only their properties. */
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
/** Objects of the language that hold classes or functions. */
const namespaces: ReadonlySet<string> = new Set([
  "Math",
  "JSON",
  "Atomics",
  "Reflect",
  "Intl",
  "Temporal",
  "WebAssembly",
]);

/** The class of an object whose slots show that it cannot be sent, or null. */
export function unsendableSlots(value: object): string | null {
  if (types.isPromise(value)) return "Promise";
  if (types.isWeakMap(value)) return "WeakMap";
  if (types.isWeakSet(value)) return "WeakSet";
  return null;
}

const objectText = Object.prototype.toString;

/**
 * Whether an object with the prototype of `Object` shows no other class. Most objects do not, and
 * each further test takes time.
 */
export function hasObjectTag(value: object): boolean {
  return objectText.call(value) === "[object Object]";
}

/**
 * Whether an object without a prototype and properties is an object of the runtime, such as a pointer
 * of Deno. Cloning it runs no code of the user, because it has no getter.
 */
export function isOpaque(value: object): boolean {
  try {
    structuredClone(value);
    return false;
  } catch {
    return true;
  }
}

/**
 * The class of an object that has no properties and that the runtime clones by other means, such as a
 * KeyObject; null: its properties are all that a clone would have. It runs no code of the user, because
 * there is no getter.
 */
export function clonedClass(value: object): string | null {
  let clone: object;
  try {
    clone = structuredClone(value);
  } catch {
    return "object of the runtime";
  }
  const prototype: object | null = Object.getPrototypeOf(clone);
  if (prototype === Object.prototype) return null;
  const owner: unknown = prototype === null ? null : valueOf(prototype, "constructor");
  return typeof owner === "function" && owner.name !== "" ? owner.name : "object of the runtime";
}

/** The name of a namespace of the language, such as `Math`, of any realm; null for other objects. */
export function namespaceName(value: object): string | null {
  const tag = Object.getOwnPropertyDescriptor(value, Symbol.toStringTag);
  // An assignment of the user makes a property that is writable and enumerable.
  if (!tag || tag.writable || tag.enumerable || typeof tag.value !== "string") return null;
  return namespaces.has(tag.value) ? tag.value : null;
}

/** The name of the class of the runtime that the objects of a prototype belong to. */
const known: WeakMap<object, string | null> = new WeakMap();

/** The name of the class of the runtime that an object belongs to, or null. */
export function platformName(value: object, prototype: object): string | null {
  const name = platformClass(prototype);
  // In Bun, `File` and `Blob` have the same prototype.
  return name === "Blob" && value instanceof File ? "File" : name;
}

function platformClass(prototype: object): string | null {
  const before = known.get(prototype);
  if (before !== undefined) return before;
  let found: string | null = null;
  for (
    let next: object | null = prototype;
    // The traps of a Proxy are code of the user.
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
  // Classes of the Web may be written in JavaScript. Globals of users are enumerable.
  const global = Object.getOwnPropertyDescriptor(globalThis, name);
  if (!global || global.enumerable) return null;
  return (globalThis as Record<string, unknown>)[name] === owner ? name : null;
}

/** An own property without a getter; undefined if there is none. */
function valueOf(object: object, name: string | symbol): unknown {
  return Object.getOwnPropertyDescriptor(object, name)?.value;
}

/** For example `Temporal.Instant`, whose class is called `Instant`. */
function tagOf(prototype: object): string | null {
  const tag = valueOf(prototype, Symbol.toStringTag);
  return typeof tag === "string" && tag !== "" ? tag : null;
}

const functionText = Function.prototype.toString;

function isNative(value: object): boolean {
  return /\{\s*\[native code\]\s*\}$/.test(functionText.call(value));
}

/** Whether a prototype is one of the language without a named class, such as the results of `Intl.Segmenter`. */
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
