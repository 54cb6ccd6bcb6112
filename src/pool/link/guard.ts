/**
 * What native code does for workers and their supervisors: the guard thread, claims, and the end of a
 * process with all that it has started. See native/worker/.
 *
 * @module
 */
import type { HandleCore } from "../../channel/handle_core.ts";
import { checkOpen } from "../../channel/channel.ts";
import { callFailure } from "../../channel/failure.ts";
import { TandemError } from "../../errors.ts";
import { guardNone, Status } from "../../ffi/layout.ts";
import { native } from "../../ffi/load.ts";

/** What a guard has to know. Times are in milliseconds; infinite ones are never over. */
export interface GuardOptions {
  /** The descriptor of the worker's record; null: there is none, and no call is watched. */
  readonly recordFd: number | null;
  /** A descriptor that hangs up when the supervisor is gone; null: there is none. */
  readonly lifeline: number | null;
  /** How long a call may go on when no client waits for it any more. */
  readonly abortGrace: number;
  /** How long a call may take. */
  readonly hungTimeout: number;
}

/**
 * Starts the thread that guards this process, once. A later call adds what an earlier one left out.
 *
 * @throws {TandemError} `CORRUPT` when a descriptor is not open or is no record; `NO_SPACE`, `UNSUPPORTED` when
 * the thread cannot be started
 */
export function startGuard({ recordFd, lifeline, abortGrace, hungTimeout }: GuardOptions): void {
  const status = native().tandem_guard_start(
    recordFd ?? guardNone,
    lifeline ?? guardNone,
    abortGrace,
    hungTimeout,
  );
  if (status === 0) return;
  const tried = "start the guard of this worker";
  if (status === -Status.corrupt) {
    throw new TandemError(
      "CORRUPT",
      `Cannot ${tried}: descriptor ${lifeline} is not open, or descriptor ${recordFd} is not the ` +
        "record of a worker; let a pool start this program",
    );
  }
  if (status === -Status.unsupported) {
    throw new TandemError(
      "UNSUPPORTED",
      `Cannot ${tried}: the system refuses another thread; raise the limit of threads`,
    );
  }
  throw callFailure(status, tried);
}

/**
 * Claims the channel of a handle, for as long as the handle is open. Everyone can use the channel as before.
 *
 * @returns false: another handle has the claim
 */
export function claim({ channel }: HandleCore): boolean {
  checkOpen(channel, "handle");
  const status = channel.native.tandem_claim(channel.address);
  if (status >= 0) return status === 1;
  throw new TandemError(
    "PERMISSION",
    "Cannot claim the channel: the operating system refused a lock on its file; " +
      "check the locks of its file system",
  );
}

/** Kills a process, its group if it leads one, and all that it has started. It must be a child of this process. */
export function killTree(pid: number): void {
  native().tandem_kill_tree(pid);
}

/** Kills all that this process has started. Those that outlive it belong to nobody. */
export function killChildren(): void {
  native().tandem_kill_children();
}
