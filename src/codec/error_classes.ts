/**
 * The error classes that both sides know by name.
 *
 * @module
 */
import { isDomException } from "../base/brands.ts";
import { describe } from "../base/checks.ts";

/** A class of errors. */
// deno-lint-ignore no-explicit-any -- its constructor may take any arguments: it is never called
export type ErrorClass = abstract new (...args: any[]) => Error;

/** Undefined in older versions of Node. */
export const suppressedError: ErrorClass | undefined =
  (globalThis as { SuppressedError?: ErrorClass }).SuppressedError;

/** The classes that every runtime has. */
const builtIn: readonly ErrorClass[] = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  AggregateError,
  ...(suppressedError ? [suppressedError] : []),
  DOMException,
];

/**
 * Error classes with the names by which both sides know them: an object with a class for each name, or a
 * list of classes, which go by their own names. A minifier changes the names of classes, but not the keys
 * of an object.
 */
export type RegisteredErrors = Readonly<Record<string, ErrorClass>> | readonly ErrorClass[];

/** The error classes of the language and those that the user registered, by name. */
export class ErrorClasses {
  /** Errors are passed on between others: see {@linkcode PassedErrors}. */
  readonly isPassing: boolean = false;
  readonly #byName: Map<string, ErrorClass> = new Map();
  readonly #names: Map<ErrorClass, string> = new Map();
  readonly #registered: Set<string> = new Set();

  /**
   * @param registered classes of the user, which both sides must register
   * @param further more of them
   * @throws {TypeError} for a value that is no class of errors, and for names that clash
   */
  constructor(registered: RegisteredErrors = [], further: RegisteredErrors = []) {
    for (const known of builtIn) this.#add(known.name, known);
    for (const [name, known] of [...entriesOf(registered), ...entriesOf(further)]) {
      this.#register(name, known);
    }
  }

  #add(name: string, known: ErrorClass): void {
    this.#byName.set(name, known);
    this.#names.set(known, name);
  }

  #register(name: string, known: ErrorClass): void {
    const isError = typeof known === "function" &&
      (known === Error || known.prototype instanceof Error);
    if (!isError || typeof name !== "string" || name === "") {
      throw new TypeError(
        `Cannot register ${describe(known)} as an error class: give classes with a name that ` +
          "extend Error",
      );
    }
    const other = this.#byName.get(name);
    if (other !== undefined && other !== known) {
      const found = this.#registered.has(name)
        ? "another class has this name already; give each class a name of its own"
        : "this is the name of a class of the language; choose another one";
      throw new TypeError(`Cannot register an error class as ${JSON.stringify(name)}: ${found}`);
    }
    const before = this.#names.get(known);
    if (before !== undefined && before !== name && this.#registered.has(before)) {
      throw new TypeError(
        `Cannot register an error class as ${JSON.stringify(name)}: it is registered as ` +
          `${JSON.stringify(before)} already; give each class one name`,
      );
    }
    this.#add(name, known);
    this.#registered.add(name);
  }

  /** The class of that name; undefined if none is known. */
  get(name: string): ErrorClass | undefined {
    return this.#byName.get(name);
  }

  /** An error was made of a message, which gives it a class of that name. */
  made(_error: Error, _type: string): void {}

  /** Whether the user registered the class of that name. */
  isRegistered(name: string): boolean {
    return this.#registered.has(name);
  }

  /**
   * The name of an error for the other side. An error that is named after its class takes the registered
   * name along with the class, since minifiers rename classes. Never throws.
   */
  errorName(name: string, type: string): string {
    const known = this.#registered.has(type) ? this.#byName.get(type) : undefined;
    if (known === undefined || builtIn.includes(known)) return name;
    return nameOfClass(known) === name ? type : name;
  }

  /** The name of the nearest known class of an error. Never throws, whatever its prototypes are. */
  nameOf(error: Error): string {
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
    return isDomException(error) ? this.#names.get(DOMException)! : "Error";
  }
}

/**
 * For a process that passes errors on from one side to another: it knows no classes of the program, and keeps the names
 * under which both sides may know them.
 */
export class PassedErrors extends ErrorClasses {
  override readonly isPassing: boolean = true;
  readonly #types: WeakMap<Error, string> = new WeakMap();

  override made(error: Error, type: string): void {
    this.#types.set(error, type);
  }

  override isRegistered(): boolean {
    return true;
  }

  override nameOf(error: Error): string {
    return this.#types.get(error) ?? super.nameOf(error);
  }
}

/** The classes with their names; a list goes by the names of the classes. */
function entriesOf(registered: RegisteredErrors): readonly (readonly [string, ErrorClass])[] {
  if (Array.isArray(registered)) {
    return registered.map((known: ErrorClass) => [nameOfClass(known), known]);
  }
  if (typeof registered !== "object" || registered === null) {
    throw new TypeError(
      `Cannot use ${describe(registered)} as errors: give an object with a class for each name`,
    );
  }
  return Object.entries(registered);
}

/** The name of a class; a static property may hide it. */
function nameOfClass(known: ErrorClass): string {
  const name: unknown = (known as ErrorClass | null | undefined)?.name;
  return typeof name === "string" ? name : "";
}

const builtInNames: ReadonlySet<string> = new Set(builtIn.map(({ name }) => name));

/** The name of a class of the language from another realm, such as one of `node:vm`, known by its text. */
function nameInOtherRealm(owner: unknown): string | undefined {
  if (typeof owner !== "function" || !builtInNames.has(owner.name)) return undefined;
  const text = Function.prototype.toString.call(owner);
  return /\{\s*\[native code\]\s*\}$/.test(text) ? owner.name : undefined;
}
