/**
 * What sessions need of the pool that they come from: one of this process, or an attached one.
 *
 * @module
 */
import type { Connection } from "../../rpc/connection.ts";
import type { CallTerms } from "../../rpc/terms.ts";
import type { SessionListener } from "./session_logs.ts";
import type { WorkerExit } from "../types.ts";

export interface SessionHome {
  /** The connection of the pool: it closes when the pool does. */
  readonly connection: Connection;
  /** The pool's `timeout`, in milliseconds. */
  readonly timeout: number;
  /** Makes a call that waits in the pool's queue, as those of `pool.call` do. */
  call(method: string, args: readonly unknown[], terms: CallTerms): AsyncGenerator<unknown>;
  /**
   * How the worker with that process id has ended. Waits, though not for long, until the supervisor knows;
   * undefined: it does not. Never rejects.
   */
  exitOfProcess(pid: number): Promise<WorkerExit | undefined>;
  /** Listens to what is logged in a session from now on. The returned function stops that. */
  onSessionLog(
    session: string,
    listener: SessionListener,
  ): (() => void) | Promise<() => void>;
}
