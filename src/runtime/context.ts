/**
 * The asynchronous context: what follows a call through everything that it awaits.
 *
 * @module
 */
import type { ContextRunner, ContextVariable } from "./backend.ts";
import { backend } from "./current.ts";

export type { ContextRunner, ContextVariable };

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
