/**
 * The options of sessions once they are checked. Each option is read once.
 *
 * @module
 */
import { checkTimeout, describe } from "../../base/checks.ts";
import type { SessionOptions } from "../options.ts";
import type { LogRecord } from "../types.ts";

export interface SessionTerms {
  /** Milliseconds; Infinity: no limit. */
  readonly timeout: number;
  /** Milliseconds; Infinity: no limit. */
  readonly maxHold: number;
  readonly signal: AbortSignal | undefined;
  readonly name: string | undefined;
  readonly afterError: "keep" | "replace";
  readonly onLog: ((record: LogRecord) => void) | undefined;
}

/** What the worker is told of a session. */
export type HeldTerms = Pick<SessionTerms, "maxHold" | "name" | "afterError">;

/**
 * @param timeout the pool's
 * @throws {RangeError} {TypeError} for an invalid option
 */
export function parseSessionOptions(options: SessionOptions, timeout: number): SessionTerms {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot use ${describe(options)} as options: give an object`);
  }
  const { maxHold = Infinity, signal, name, afterError = "replace", onLog } = options;
  const { timeout: own = timeout } = options;
  checkTimeout(own, "timeout");
  checkTimeout(maxHold, "maxHold");
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`Cannot use ${describe(signal)} as signal: give an AbortSignal`);
  }
  if (name !== undefined && typeof name !== "string") {
    throw new TypeError(`Cannot use ${describe(name)} as name: give a string`);
  }
  if (afterError !== "keep" && afterError !== "replace") {
    throw new TypeError(
      `Cannot use ${describe(afterError)} as afterError: give "keep" or "replace"`,
    );
  }
  if (onLog !== undefined && typeof onLog !== "function") {
    throw new TypeError(`Cannot use ${describe(onLog)} as onLog: give a function`);
  }
  return { timeout: own, maxHold, signal, name, afterError, onLog };
}
