/**
 * The methods that an object offers.
 *
 * @module
 */
import { describe } from "../base/checks.ts";

/** A method that a client may call. */
export interface Offered {
  readonly name: string;
  readonly call: (...args: unknown[]) => unknown;
  readonly self: unknown;
  /** Long byte strings among the arguments are views of shared memory. */
  readonly isRaw: boolean;
}

/** Functions that {@linkcode raw} has marked. */
const rawMethods: WeakSet<object> = new WeakSet();

/** See `raw.ts`. */
export function markRaw(method: object): void {
  rawMethods.add(method);
}

/** Whether {@linkcode raw} has marked the method. A function that wraps such a method has to be marked too. */
export function isRaw(method: object): boolean {
  return rawMethods.has(method);
}

/** The name of the method of an interface that is a bare function. */
export const bareName = "";

/**
 * Methods that generic code looks for on any value: `await`, `JSON.stringify` (so loggers too), printers
 * of values, and the matchers of test runners. The type `RemoteMethods` leaves out the same names.
 */
const probedNames: ReadonlySet<string> = new Set(["then", "toJSON", "inspect", "asymmetricMatch"]);

/** Whether a method may have that name. */
export function canBeOffered(name: string): boolean {
  return !(name in Object.prototype) && !probedNames.has(name);
}

/**
 * The methods of an object: its own and its classes' methods, but none of `Object.prototype`. Clients can
 * call nothing else. Methods whose names cannot be offered are left out without an error, because classes
 * have a `toJSON` for their own purposes. Getters are not run.
 *
 * @throws {TypeError} for a value without methods
 */
export function offeredMethods(api: object): ReadonlyMap<string, Offered> {
  const offered: Map<string, Offered> = new Map();
  const offer = (name: string, value: unknown, self: unknown) => {
    if (typeof value !== "function" || offered.has(name)) return;
    const call = value as Offered["call"];
    offered.set(name, { name, call, self, isRaw: rawMethods.has(value) });
  };
  if (typeof api === "function") {
    offer(bareName, api, undefined);
    return offered;
  }
  if (typeof api !== "object" || api === null) throw nothingToOffer(api);
  let level: object | null = api;
  const seen: Set<string> = new Set();
  while (level !== null && level !== Object.prototype) {
    const properties: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(level);
    for (const [name, property] of Object.entries(properties)) {
      // A property of a subclass, such as a getter, hides the method.
      if (seen.has(name) || !canBeOffered(name)) continue;
      seen.add(name);
      offer(name, property.value, api);
    }
    level = Object.getPrototypeOf(level);
  }
  if (offered.size === 0) throw nothingToOffer(api);
  return offered;
}

function nothingToOffer(api: unknown): TypeError {
  return new TypeError(
    `Cannot serve ${describe(api)}: give an object with methods, or a function`,
  );
}
