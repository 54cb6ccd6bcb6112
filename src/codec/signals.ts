/**
 * Recognizes signals, and reads them. Users can replace the properties of the same names.
 *
 * @module
 */
import { getterOf } from "../base/brands.ts";

const aborted = getterOf<boolean>(AbortSignal.prototype, "aborted");
const reason = getterOf<unknown>(AbortSignal.prototype, "reason");

/** Whether a value is an AbortSignal, and does not only have its prototype. */
export function isSignal(value: unknown): value is AbortSignal {
  try {
    aborted(value);
    return true;
  } catch {
    return false;
  }
}

/** Whether a signal has aborted. */
export const hasAborted: (signal: AbortSignal) => boolean = aborted;
/** Why a signal has aborted. */
export const abortReason: (signal: AbortSignal) => unknown = reason;
