/**
 * Functions that run around every call of a service or a connection.
 *
 * @module
 */
import type { CallContext } from "./context.ts";
import type { Metadata } from "./metadata.ts";

/** A call, as {@linkcode Around} sees it on either side. Assignments take effect at the next `next()`. */
export interface AroundCall {
  /** Which end this process is: the caller, or the service that was called. */
  readonly side: "client" | "service";
  /** The method's name; empty if the interface is a bare function. */
  readonly method: string;
  /** The arguments. To change them, assign another array. */
  args: readonly unknown[];
  /** The metadata, frozen. To change them, assign `{ ...call.metadata, key: value }`. */
  metadata: Metadata;
}

/** A call that `around` of {@linkcode connect} sees before it is sent. */
export interface ClientCall extends AroundCall {
  /** This process is the caller. */
  readonly side: "client";
  /** The target of the connection. */
  readonly target: string;
  /**
   * Milliseconds for each `next()`. The call's own timeout bounds them all together, so a longer one has
   * no effect.
   */
  timeout: number;
  /** Cancels what `next()` sends. If you assign another signal, the caller's own still cancels it, too. */
  signal: AbortSignal | undefined;
}

/**
 * A call that `around` of {@linkcode serve} sees before its method runs. {@linkcode callContext} returns
 * it, here and in the method, which finds the metadata that `around` has assigned.
 */
export interface ServiceCall extends AroundCall, CallContext {
  /** This process is the service that was called. */
  readonly side: "service";
  /** The metadata, frozen. To change them, assign `{ ...call.metadata, key: value }`. */
  metadata: Metadata;
}

/**
 * Goes on with the call.
 *
 * - In a service it runs the method, and resolves to its result; if the method returns a stream, to the
 *   stream. It can be called once.
 * - In a client it sends the call. It can be called again, for example after a failure: each time sends
 *   another call. The returned promise can be iterated, if the result is a stream.
 *
 * After the end of the call it rejects with a `TypeError`.
 */
export type Next = () => Promise<unknown>;

/**
 * Runs around every call of a service or a connection, as middleware and interceptors do elsewhere. What
 * it returns, or what its promise resolves to, is the result of the call. What it throws is the call's
 * error.
 *
 * @typeParam Call {@linkcode ServiceCall}, {@linkcode ClientCall}, or for both sides
 * {@linkcode AroundCall}
 * @param call the call; `args` and `metadata` may be assigned
 * @param next goes on with the call
 *
 * @example Time the calls of either side
 * ```ts
 * import { type AroundCall, connect, type Next, serve } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const lines: string[] = [];
 * async function timed(call: AroundCall, next: Next): Promise<unknown> {
 *   const begin = performance.now();
 *   try {
 *     return await next();
 *   } finally {
 *     const time = performance.now() - begin;
 *     lines.push(`${call.side}: ${call.method} took ${time < 5_000 ? "less" : "more"} than 5 s`);
 *   }
 * }
 *
 * const api = { add: (a: number, b: number) => a + b };
 * await using service = serve("timed", api, { around: timed });
 * using remote = connect<typeof api>("timed", { timeout: 10_000, around: timed });
 * assertEquals(await remote.add(1, 2), 3);
 * assertEquals(lines, ["service: add took less than 5 s", "client: add took less than 5 s"]);
 * service.unlink();
 * ```
 *
 * @example Two functions, one inside the other
 * ```ts
 * import { type Around, connect, serve, type ServiceCall } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const outer: Around<ServiceCall> = async (call, next) => {
 *   call.args = [...call.args, "outer"];
 *   return `(${await next()})`;
 * };
 * const inner: Around<ServiceCall> = async (call, next) => {
 *   call.args = [...call.args, "inner"];
 *   return `[${await next()}]`;
 * };
 *
 * const api = { join: (...words: string[]) => words.join(" ") };
 * await using service = serve("words", api, {
 *   around: (call, next) => outer(call, async () => await inner(call, next)),
 * });
 * using remote = connect<typeof api>("words", { timeout: 10_000 });
 * assertEquals(await remote.join("first"), "([first outer inner])");
 * service.unlink();
 * ```
 */
export type Around<Call extends AroundCall = AroundCall> = (call: Call, next: Next) => unknown;
