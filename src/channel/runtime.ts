/**
 * What the typed layer needs of the runtime.
 *
 * @module
 */
import type { ContextRunner, ContextVariable } from "../ffi/backend.ts";
import { backend } from "../ffi/load.ts";

export type { ContextRunner, ContextVariable };
export { later, laterForSure, now, timerMax } from "../ffi/timers.ts";

/**
 * Captures the asynchronous context of the caller. Returns what runs a function in that context, and
 * undoes whatever the function has changed about it.
 */
export function captureContext(): ContextRunner {
  return backend().captureContext();
}

/** Makes a variable of the asynchronous context. */
export function contextVariable<T>(): ContextVariable<T> {
  return backend().contextVariable<T>();
}
