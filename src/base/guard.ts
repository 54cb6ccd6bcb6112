/**
 * Looking at values that code of users has thrown. A thrown value may be anything, with getters,
 * prototypes and conversions that throw themselves, such as a revoked `Proxy`.
 *
 * @module
 */
import { type ErrorCode, TandemError } from "../errors.ts";

/** Whether a value is an error of this package. Never throws. */
export function isTandemError(value: unknown): value is TandemError {
  try {
    return value instanceof TandemError;
  } catch {
    return false;
  }
}

/** The code of an error of this package; undefined for other values. Never throws. */
export function codeOf(value: unknown): ErrorCode | undefined {
  try {
    return value instanceof TandemError ? value.code : undefined;
  } catch {
    return undefined;
  }
}

/** The message of an error, or another value as text. Never throws. */
export function textOf(value: unknown): string {
  try {
    return String(value instanceof Error ? value.message : value);
  } catch {
    return "a value that cannot be shown";
  }
}

/** The errors of each user function that were reported so far. */
const reported: WeakMap<object, Set<string>> = new WeakMap();
/** How many errors of one function are reported, each of them once. */
const reportedMax = 10;

/**
 * Reports an error that reaches no caller on the console. Each error of a function is reported once, so
 * that a function that fails each time does not flood the console. Never throws.
 *
 * @param source the function that has failed
 * @param what the name of the source in the report, such as "onCall"
 */
export function report(source: object, what: string, error: unknown): void {
  try {
    const known = reported.get(source) ?? new Set();
    reported.set(source, known);
    const text = textOf(error);
    if (known.has(text) || known.size >= reportedMax) return;
    known.add(text);
    console.error(`@tandem/ipc: ${what} has thrown: ${text}`, stackOf(error));
  } catch {
    // The console may be code of the user, too.
  }
}

/** Tells the program's author of something that no code of the program gets as an error. Never throws. */
export function remark(text: string): void {
  try {
    console.warn(`@tandem/ipc: ${text}`);
  } catch {
    // The console may be code of the user, too.
  }
}

/** A string, so that the console does not inspect the error itself. */
function stackOf(error: unknown): string {
  try {
    return error instanceof Error ? `\n${error.stack}` : "";
  } catch {
    return "";
  }
}

/**
 * Whether a value can be awaited.
 *
 * @throws the error of its `then`, if that is a getter
 */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (typeof value === "object" || typeof value === "function") && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}
