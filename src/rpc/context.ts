/**
 * What a method may know about the call that it works on.
 *
 * @module
 */
import type { RequestCore } from "../channel/request_core.ts";
import { type ContextVariable, contextVariable } from "../runtime/context.ts";

/** The call that a method works on. See {@linkcode callContext}. */
export interface CallContext {
  /** Its name; empty where the interface is a bare function. */
  readonly method: string;
  /**
   * Aborts when the caller cancels, times out, stops iterating or dies. Its reason is a
   * {@linkcode TandemError} with the code `CANCELLED` or `TIMEOUT`.
   */
  readonly signal: AbortSignal;
  /** Milliseconds left of the caller's deadline; Infinity if it has none, and in a generator's body. */
  readonly timeRemaining: number;
  /** 1 the first time that the call is handed to a service, one more after each death of one. */
  readonly deliveries: number;
  /** W3C trace context of the caller: `traceparent`, if it has sent one. */
  readonly traceparent: string | undefined;
  /** Beside {@linkcode traceparent}: `tracestate`. */
  readonly tracestate: string | undefined;
}

/** Of a call. */
export class RequestContext implements CallContext {
  readonly method: string;
  readonly #request: RequestCore;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;

  constructor(
    method: string,
    request: RequestCore,
    traceparent: string | undefined,
    tracestate: string | undefined,
  ) {
    this.method = method;
    this.#request = request;
    this.traceparent = traceparent;
    this.tracestate = tracestate;
  }

  get signal(): AbortSignal {
    return this.#request.signal;
  }

  get timeRemaining(): number {
    return this.#request.isAnswered ? Infinity : this.#request.timeRemaining;
  }

  get deliveries(): number {
    return this.#request.deliveries;
  }
}

/** Of a generator's body: its call was answered when it began. */
export class StreamContext implements CallContext {
  readonly method: string;
  readonly signal: AbortSignal;
  readonly timeRemaining: number = Infinity;
  readonly deliveries: number;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;

  constructor(call: CallContext, signal: AbortSignal) {
    this.method = call.method;
    this.deliveries = call.deliveries;
    this.traceparent = call.traceparent;
    this.tracestate = call.tracestate;
    this.signal = signal;
  }
}

let storage: ContextVariable<CallContext> | null = null;

/** Makes contexts follow what a method awaits. Only services need it, so only they pay for it. */
export function prepareContexts(): void {
  storage ??= contextVariable<CallContext>();
}

/**
 * Runs `body` on behalf of a call. What `body` does to the asynchronous context beside that stays as
 * long as the caller's own context does: see {@linkcode Backend.captureContext}.
 */
export function runInContext<T>(context: CallContext, body: () => T): T {
  return storage!.run(context, body);
}

/**
 * The call that the running method works on, also after it has awaited something, and in the body of
 * a generator.
 *
 * @example Stop when nobody waits any more
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
 * @returns undefined: no call of this process's services is being worked on here
 */
export function callContext(): CallContext | undefined {
  return storage?.getStore();
}
