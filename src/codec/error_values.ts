/**
 * Takes errors apart, and makes errors from their parts.
 *
 * @module
 */
import { type ErrorClass, type ErrorClasses, suppressedError } from "./error_classes.ts";

/** The parts of an error that a message carries. */
export interface ErrorParts {
  /** The nearest class that the sender knows. */
  readonly type: string;
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  readonly hasCause: boolean;
  readonly cause: unknown;
  readonly properties: readonly [string, unknown][];
}

/** Properties that are no part of a list of keys, by class. */
const hiddenProperties: readonly (readonly [ErrorClass, readonly string[]])[] = [
  [AggregateError, ["errors"]],
  ...(suppressedError ? [[suppressedError, ["error", "suppressed"]]] as const : []),
];

/** They are sent apart, or a message must not set them. */
const notProperties: ReadonlySet<string> = new Set(["name", "message", "stack", "cause"]);

/** Takes an error apart. Never throws, whatever its getters do. */
export function errorParts(error: Error, classes: ErrorClasses): ErrorParts {
  const type = classes.nameOf(error);
  const text = (name: "name" | "message" | "stack", otherwise = "") => {
    const value = attempt(() => error[name]);
    if (typeof value === "string") return value;
    return attempt(() => String(value ?? otherwise)) ?? otherwise;
  };
  const hasCause = attempt(() => Object.hasOwn(error, "cause") || error.cause !== undefined);
  const names = attempt(() => Object.keys(error)) ?? [];
  for (const [known, own] of hiddenProperties) {
    const isOne = attempt(() => error instanceof known) === true;
    if (isOne || type === known.name) names.push(...own);
  }
  const properties: [string, unknown][] = [];
  for (const name of new Set(names)) {
    if (notProperties.has(name)) continue;
    const value = attempt(() => [(error as unknown as Record<string, unknown>)[name]]);
    if (value) properties.push([name, value[0]]);
  }
  return {
    type,
    // An error without a prototype has no name.
    name: classes.errorName(text("name", type), type),
    message: text("message"),
    stack: text("stack"),
    hasCause: hasCause === true,
    cause: attempt(() => error.cause),
    properties,
  };
}

/** Makes an error of the nearest class that the receiver knows, without its cause and properties. */
export function makeError(
  type: string,
  name: string,
  message: string,
  stack: string,
  classes: ErrorClasses,
): Error {
  const known = classes.get(type) ?? Error;
  // The constructor of a user's class must not run.
  if (known === DOMException || known.prototype instanceof DOMException) {
    const error = Reflect.construct(DOMException, [message, name], known);
    classes.made(error, type);
    return error;
  }
  const args = known === AggregateError ? [[], message] : [message];
  const base = known === AggregateError ? AggregateError : Error;
  const error: Error = withoutStack(() => Reflect.construct(base, args, known));
  if (error.name !== name) setHidden(error, "name", name);
  setHidden(error, "stack", stack);
  classes.made(error, type);
  return error;
}

/** Sets a property like `cause`, `message` and `stack`: own, and not enumerable. */
export function setHidden(error: Error, name: string, value: unknown): void {
  Object.defineProperty(error, name, { value, writable: true, configurable: true });
}

/** Whether a property of an error is no part of its list of keys. */
export function isHidden(error: Error, name: string): boolean {
  return hiddenProperties.some(([known, own]) => own.includes(name) && error instanceof known);
}

/** A message may hold any number of errors, and each stack taken here would cost a kilobyte. */
function withoutStack<T>(make: () => T): T {
  const holder = Error as { stackTraceLimit?: number };
  const limit = holder.stackTraceLimit;
  try {
    holder.stackTraceLimit = 0;
    return make();
  } finally {
    if (limit !== undefined) holder.stackTraceLimit = limit;
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
