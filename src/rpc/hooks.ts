/**
 * What is told about calls.
 *
 * @module
 */

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

/** Tells a hook, which is nobody's business when it throws. */
export function tell(hook: ((call: CallRecord) => void) | undefined, call: CallRecord): void {
  if (!hook) return;
  try {
    hook(call);
  } catch (error) {
    // As from an event handler: not lost, and not in the way of the call.
    queueMicrotask(() => {
      throw error;
    });
  }
}
