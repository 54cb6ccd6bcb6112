/**
 * What is told about calls.
 *
 * @module
 */

import { isThenable, report } from "../base/guard.ts";

/** A call that has ended, as `onCall` is told of it. */
export interface CallRecord {
  /** Whether this process has called or was called. */
  readonly side: "client" | "service";
  /** Name of the method; empty where the interface is a bare function. */
  readonly method: string;
  /**
   * `"ok"`; the code of a `TandemError`, such as `"TIMEOUT"`; `"REMOTE"` when the method threw;
   * `"ABORTED"` when the caller's signal ended it.
   */
  readonly outcome: string;
  /** What the call ended with, unless it went well. */
  readonly error: unknown;
  /** When it began, of `performance.now()`. */
  readonly startedAt: number;
  /** Milliseconds from its beginning to its end; of a stream, to its first byte and not to its last. */
  readonly duration: number;
  /** How often it was handed to a service, or, for a client, how often it was tried. */
  readonly attempts: number;
}

/** What `onCall` is. */
export type CallHook = (call: CallRecord) => unknown;

/**
 * Tells a hook. What it throws, or rejects with, has no caller: it is reported on the console, and the
 * call goes on. Never throws.
 */
export function tell(hook: CallHook | undefined, call: CallRecord): void {
  if (!hook) return;
  try {
    const told = hook(call);
    if (isThenable(told)) Promise.resolve(told).then(undefined, (error) => blame(hook, error));
  } catch (error) {
    blame(hook, error);
  }
}

function blame(hook: CallHook, error: unknown): void {
  report(hook, "onCall", error);
}
