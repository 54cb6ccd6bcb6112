/**
 * The asynchronous context, which follows a call through all its awaits.
 *
 * @module
 */
import type { ContextRunner, ContextVariable } from "./backend.ts";
import { backend } from "./current.ts";

export type { ContextRunner, ContextVariable };

/**
 * Captures the asynchronous context of the caller. The returned function runs another function in that
 * context, and undoes the changes that this function makes to it.
 */
export function captureContext(): ContextRunner {
  return backend().captureContext();
}

/** Makes a variable of the asynchronous context. */
export function contextVariable<T>(): ContextVariable<T> {
  return backend().contextVariable<T>();
}
