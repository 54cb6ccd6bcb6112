/**
 * What of an object is offered.
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

/** Whether a method was marked so; what wraps it has to be as well. */
export function isRaw(method: object): boolean {
  return rawMethods.has(method);
}

/** The name of the method of an interface that is a bare function. */
export const bareName = "";

/**
 * What is called on any value by who only wants to look at it: `await`, `JSON.stringify` and so
 * loggers, printers of values, and the matchers of test runners. The types say the same: `RemoteMethods`.
 */
const lookedFor: ReadonlySet<string> = new Set(["then", "toJSON", "inspect", "asymmetricMatch"]);

/** Whether a method may have that name. */
export function canBeOffered(name: string): boolean {
  return !(name in Object.prototype) && !lookedFor.has(name);
}

/**
 * The methods of an object: its own and those of its classes, down to where `Object.prototype` begins.
 * Nothing else can be called from outside: a method of a name that cannot be offered is left out, since
 * classes have `toJSON` for purposes of their own. Getters are not run.
 *
 * @throws {TypeError} for what has no methods
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
      // What a subclass has in its place, a getter for one, hides it.
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
