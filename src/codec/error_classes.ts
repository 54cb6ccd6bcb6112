/**
 * The error classes that both sides know by name.
 *
 * @module
 */
import { isDomException } from "../base/brands.ts";

/** A class of errors. */
// deno-lint-ignore no-explicit-any -- its constructor may take any arguments: it is never called
export type ErrorClass = abstract new (...args: any[]) => Error;

const builtIn: readonly ErrorClass[] = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  AggregateError,
];

/** The error classes of the language and those that the user registered, by name. */
export class ErrorClasses {
  readonly #byName: Map<string, ErrorClass> = new Map();
  readonly #names: Map<ErrorClass, string> = new Map();
  readonly #registered: Set<string> = new Set();

  /** @param registered classes of the user, which both sides must register */
  constructor(registered: readonly ErrorClass[] = []) {
    for (const known of [...builtIn, ...registered]) {
      const isError = typeof known === "function" &&
        (known === Error || known.prototype instanceof Error);
      if (!isError || known.name === "") {
        throw new TypeError(
          `Cannot register ${String(known)} as an error class: give classes with a name that ` +
            "extend Error",
        );
      }
      this.#byName.set(known.name, known);
      this.#names.set(known, known.name);
    }
    for (const { name } of registered) this.#registered.add(name);
  }

  /** The class of that name; undefined if none is known. */
  get(name: string): ErrorClass | undefined {
    return this.#byName.get(name);
  }

  /** Whether the user registered the class of that name. */
  isRegistered(name: string): boolean {
    return this.#registered.has(name);
  }

  /** The name of the nearest known class of an error. Never throws, whatever its prototypes are. */
  nameOf(error: Error): string {
    if (isDomException(error)) return "DOMException";
    try {
      let prototype: object | null = Object.getPrototypeOf(error);
      while (prototype !== null) {
        const owner: unknown = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
        const name = this.#names.get(owner as ErrorClass) ?? nameInOtherRealm(owner);
        if (name !== undefined) return name;
        prototype = Object.getPrototypeOf(prototype);
      }
    } catch {
      // A Proxy is among them.
    }
    return "Error";
  }
}

const builtInNames: ReadonlySet<string> = new Set(builtIn.map(({ name }) => name));

/** The name of a class of the language from another realm, such as one of `node:vm`, known by its text. */
function nameInOtherRealm(owner: unknown): string | undefined {
  if (typeof owner !== "function" || !builtInNames.has(owner.name)) return undefined;
  const text = Function.prototype.toString.call(owner);
  return /\{\s*\[native code\]\s*\}$/.test(text) ? owner.name : undefined;
}
