/**
 * The context of the call that a method handles.
 *
 * @module
 */
import type { Peer } from "../base/peer.ts";
import type { Metadata } from "./metadata.ts";
import { type ContextVariable, contextVariable } from "../runtime/context.ts";

/** The call that a method handles. See {@linkcode callContext}. */
export interface CallContext {
  /** The method's name; empty if the interface is a bare function. */
  readonly method: string;
  /**
   * Aborts when the caller cancels, times out, stops iterating or dies. Its reason is a
   * {@linkcode TandemError} with the code `CANCELLED` or `TIMEOUT`.
   */
  readonly signal: AbortSignal;
  /** Milliseconds left of the caller's deadline; Infinity if it has none, and in a generator's body. */
  readonly timeRemaining: number;
  /** 1 for the first service that gets the call; one more each time that such a service has died. */
  readonly deliveries: number;
  /**
   * The process that made the call, as it describes itself; see {@linkcode Peer}. Read it before the method
   * ends: after the answer it is unknown, unless your code has read it before.
   */
  readonly peer: Peer;
  /** The caller's W3C trace context: its `traceparent`, if it sent one. */
  readonly traceparent: string | undefined;
  /** The `tracestate` that belongs to {@linkcode traceparent}. */
  readonly tracestate: string | undefined;
  /**
   * What the caller sent beside the arguments (see {@linkcode CallOptions.metadata}), frozen; empty if it
   * sent nothing. It comes from another process: check it as you check arguments.
   */
  readonly metadata: Metadata;
}

let storage: ContextVariable<CallContext> | null = null;

/** Makes contexts follow a method across `await`. Only services need that, so only they pay for it. */
export function prepareContexts(): void {
  storage ??= contextVariable<CallContext>();
}

/**
 * Runs `body` in the context of a call. Other changes that `body` makes to the asynchronous context last
 * as long as the caller's own context: see {@linkcode Backend.captureContext}.
 */
export function runInContext<T>(context: CallContext, body: () => T): T {
  return storage!.run(context, body);
}

/**
 * The call that the running method handles. It also works after an `await`, and in the body of a
 * generator.
 *
 * @example Stop when the caller no longer waits
 * ```ts
 * import { callContext, connect, serve } from "@tandem/ipc";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const api = {
 *   async digest(bytes: Uint8Array): Promise<string> {
 *     await Promise.resolve();
 *     const { signal, timeRemaining } = callContext()!;
 *     signal.throwIfAborted();
 *     assert(timeRemaining <= 1_000);
 *     return `${bytes.byteLength} bytes`;
 *   },
 * };
 *
 * await using service = serve("context", api);
 * using remote = connect<typeof api>("context", { timeout: 1_000 });
 * assertEquals(await remote.digest(new Uint8Array(3)), "3 bytes");
 * service.unlink();
 * ```
 *
 * @returns undefined: this code does not run in a method of a service
 */
export function callContext(): CallContext | undefined {
  return storage?.getStore();
}
