/**
 * Sessions: one worker of a pool, held for several calls.
 *
 * @module
 */
import { notConstructible } from "../../base/maker.ts";
import type { Remote } from "../../rpc/types.ts";
import type { SessionWorker } from "../types.ts";
import { SessionCaller, type SessionParts } from "./session_caller.ts";

/**
 * A worker that this program holds: it runs the calls of the session, one at a time, in the order in which
 * they were made, and no others.
 *
 * - The arguments of a call are those at the time when it was made.
 * - A call that returns a stream occupies the session until the stream has ended or was left.
 * - If a call fails, the calls that wait behind it reject with `CANCELLED`, whose `cause` is the first error.
 *   Calls that are made after the error run, so that a program can roll back.
 * - If the worker dies, calls reject with `SERVER_DIED`, whose `cause` is a {@linkcode WorkerExit}; so do all
 *   later ones.
 *
 * `await using` gives the worker back, when the calls in progress have ended. So does the end of this process,
 * however it ends, and forgetting the session. After an error the pool replaces the worker, unless the
 * session's `afterError` is `"keep"`.
 */
export class Session<Api extends object> implements AsyncDisposable {
  /** The interface of the worker. */
  readonly call: Remote<Api>;
  /** The worker. */
  readonly worker: SessionWorker;
  readonly #caller: SessionCaller;

  private constructor({ caller, remote }: SessionParts) {
    if (!(caller instanceof SessionCaller)) throw notConstructible("Session", "pool.checkout()");
    this.#caller = caller;
    this.worker = caller.core.worker;
    this.call = remote as Remote<Api>;
  }

  /**
   * Ends the session at once. The call in progress and all further calls reject with `error`, and the pool
   * replaces the worker. Has no effect on a session that has ended.
   *
   * @param error default: a {@linkcode TandemError} with the code `CANCELLED`
   */
  abort(error?: unknown): void {
    this.#caller.core.abort(error);
  }

  /**
   * Gives the worker back to the pool when the calls that were made have ended. A stream among them is left
   * if its reader asks for nothing for as long as the session's `timeout`. You may call it twice.
   *
   * @returns resolves when the worker is free again, or is being replaced; never rejects
   */
  close(): Promise<void> {
    return this.#caller.core.close();
  }

  /** Does what {@linkcode close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
