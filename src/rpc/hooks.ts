/**
 * The hook that gets a record of each call.
 *
 * @module
 */

import { isThenable, report } from "../base/guard.ts";

/** A call that has ended, as `onCall` gets it. */
export interface CallRecord {
  /** Which end this process is: the caller, or the service that was called. */
  readonly side: "client" | "service";
  /** The method's name; empty if the interface is a bare function. */
  readonly method: string;
  /**
   * `"ok"`; the code of a `TandemError`, such as `"TIMEOUT"`; `"REMOTE"` when the method threw;
   * `"ABORTED"` when the caller's signal ended it.
   */
  readonly outcome: string;
  /** The error that ended the call; undefined if it succeeded. */
  readonly error: unknown;
  /** When the call began: a time of `performance.now()`. */
  readonly startedAt: number;
  /** Milliseconds from beginning to end. A stream's items are not included: its call ends when it begins. */
  readonly duration: number;
  /** For a service, how many services got the call so far; for a client, how many attempts it made. */
  readonly attempts: number;
}

/** The type of `onCall`. */
export type CallHook = (call: CallRecord) => unknown;

/**
 * Runs the hook for a call. The console gets the hook's errors, because no caller waits for it, and the
 * call goes on. Never throws.
 */
export function notifyHook(hook: CallHook | undefined, call: CallRecord): void {
  if (!hook) return;
  try {
    const result = hook(call);
    if (isThenable(result)) {
      Promise.resolve(result).then(undefined, (error) => reportFailure(hook, error));
    }
  } catch (error) {
    reportFailure(hook, error);
  }
}

function reportFailure(hook: CallHook, error: unknown): void {
  report(hook, "onCall", error);
}
