/**
 * What code of users may throw, and how that is looked at: a thrown value may be anything, with
 * getters, prototypes and conversions that throw themselves, such as a revoked `Proxy`.
 *
 * @module
 */
import { type ErrorCode, TandemError } from "../errors.ts";

/** Whether a value is an error of this package, whatever looking at it does. */
export function isTandemError(value: unknown): value is TandemError {
  try {
    return value instanceof TandemError;
  } catch {
    return false;
  }
}

/** The code of an error of this package; undefined for all else. */
export function codeOf(value: unknown): ErrorCode | undefined {
  try {
    return value instanceof TandemError ? value.code : undefined;
  } catch {
    return undefined;
  }
}

/** A value as text: of an error its message. Never throws. */
export function textOf(value: unknown): string {
  try {
    return String(value instanceof Error ? value.message : value);
  } catch {
    return "a value that cannot be shown";
  }
}

/** What a function of a user has thrown so far, as far as it was reported. */
const reported: WeakMap<object, Set<string>> = new WeakMap();
/** Of one function so many errors are reported; each of them once. */
const reportedMax = 10;

/**
 * Tells the user of an error for which no caller is waiting, on the console. Each error of a function
 * is reported once, so that one that fails each time does not flood the console. Never throws.
 *
 * @param source the function that has failed
 * @param what it is, such as "onCall"
 */
export function report(source: object, what: string, error: unknown): void {
  try {
    const known = reported.get(source) ?? new Set();
    reported.set(source, known);
    const text = textOf(error);
    if (known.has(text) || known.size >= reportedMax) return;
    known.add(text);
    // The call goes on as it would have.
    console.error(`@tandem/ipc: ${what} has thrown: ${text}`, stackOf(error));
  } catch {
    // The console is of the user as well.
  }
}

/** A string, so that the console looks at nothing of the error itself. */
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
 * @throws what its `then` does, if it is a getter
 */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (typeof value === "object" || typeof value === "function") && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}
