/**
 * The methods that an object offers.
 *
 * @module
 */
import { isProxy } from "../base/brands.ts";
import { describe } from "../base/checks.ts";

/** A method that a client may call. */
export interface Offered {
  readonly name: string;
  /** The served object; undefined if the interface is a bare function. */
  readonly self: object | undefined;
  /** The function, if the interface is one. */
  readonly bare: Callee | undefined;
  /** When the object was served, long byte strings were to be views of shared memory. */
  readonly wasRaw: boolean;
  /** A method of this package, which is not listed among those of the program. */
  readonly isHidden?: boolean;
}

/** The function of a method. */
export type Callee = (...args: unknown[]) => unknown;

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
  if (typeof api === "function") {
    const wasRaw = isRaw(api);
    const bare = api as Callee;
    return offered.set(bareName, { name: bareName, self: undefined, bare, wasRaw });
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
      const { value } = property;
      if (typeof value !== "function") continue;
      offered.set(name, { name, self: api, bare: undefined, wasRaw: isRaw(value) });
    }
    level = Object.getPrototypeOf(level);
  }
  if (offered.size === 0) throw nothingToOffer(api);
  return offered;
}

/** What a service offers, for messages. */
export function listMethods(methods: ReadonlyMap<string, Offered>): string {
  const names = [...methods.values()].filter(({ isHidden }) => !isHidden).map(({ name }) => name);
  const named = names.filter((name) => name !== bareName);
  return named.length === 0
    ? "the service is a bare function"
    : `the service offers ${named.join(", ")}`;
}

/**
 * The function that a method has now: a spy may have taken its place since the object was served.
 *
 * @throws {TypeError} if it is no function any more
 */
export function calleeOf({ name, self, bare }: Offered): Callee {
  if (self === undefined) return bare!;
  const callee = (self as Record<string, unknown>)[name];
  if (typeof callee === "function") return callee as Callee;
  throw new TypeError(
    `Cannot call ${JSON.stringify(name)}: since the object was served, ${describe(callee)} has ` +
      "taken the place of the method",
  );
}

/**
 * The function that a method has now, if {@linkcode raw} has marked it. Never runs code of the user: a
 * message is being read.
 */
export function rawCalleeOf({ name, self, bare, wasRaw }: Offered): Callee | undefined {
  if (!wasRaw) return undefined;
  if (self === undefined) return bare;
  let level: object | null = self;
  while (level !== null && !isProxy(level)) {
    const property = Object.getOwnPropertyDescriptor(level, name);
    if (property) return isRaw(property.value) ? property.value : undefined;
    level = Object.getPrototypeOf(level);
  }
  return undefined;
}

function nothingToOffer(api: unknown): TypeError {
  return new TypeError(
    `Cannot serve ${describe(api)}: give an object with methods, or a function`,
  );
}
