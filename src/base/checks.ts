/**
 * Checks of arguments, and the description of values in error messages.
 *
 * @module
 */
import { now } from "../runtime/timers.ts";
import { isProxy } from "./brands.ts";

/**
 * A time-out as the native side takes it: NaN is for ever.
 *
 * @throws {RangeError} for a negative or NaN `timeout`
 */
export function timeoutOf(options: { readonly timeout?: number } | undefined): number {
  const timeout = options?.timeout;
  if (timeout === undefined || timeout === Infinity) return NaN;
  return checkTimeout(timeout, "timeout");
}

/** When a time-out for the native side is over, in the time of `performance.now()`. */
export function deadlineAfter(timeout: number): number {
  return Number.isNaN(timeout) ? Infinity : now() + timeout;
}

/** @throws {TypeError} when `timeout` is no number; @throws {RangeError} when it is negative or NaN */
export function checkTimeout(timeout: number, name: string): number {
  if (typeof timeout !== "number") {
    throw new TypeError(
      `Cannot use ${describe(timeout)} as ${name}: give milliseconds as a number`,
    );
  }
  if (!(timeout >= 0)) {
    throw new RangeError(`Cannot use ${timeout} as ${name}: give milliseconds, 0 or more`);
  }
  return timeout === Infinity ? NaN : timeout;
}

/** @throws {TypeError} when `value` is no number; @throws {RangeError} when it is not from min to max */
export function checkWhole(value: number, name: string, min: number, max: number): number {
  if (typeof value !== "number") {
    throw new TypeError(`Cannot use ${describe(value)} as ${name}: give a number`);
  }
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(
      `Cannot use ${value} as ${name}: give a whole number from ${min} to ${max}`,
    );
  }
  return value;
}

/** How much of a long value a description shows, in UTF-16 units. */
const describedUnitsMax = 200;

/** A value in an error message. Never throws. */
export function describe(value: unknown): string {
  const text = describeAll(value);
  return text.length <= describedUnitsMax ? text : `${text.slice(0, describedUnitsMax)}…`;
}

function describeAll(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, describedUnitsMax));
  if (typeof value === "bigint") return `${value}n`;
  if (isProxy(value)) return "a Proxy";
  try {
    if (value === null || typeof value !== "object") return String(value);
    return `a value of type ${value.constructor?.name ?? "object"}`;
  } catch {
    // A getter of the user has thrown.
    return `a value of type ${typeof value}`;
  }
}
