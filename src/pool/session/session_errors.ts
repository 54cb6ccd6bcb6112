/**
 * The errors of sessions.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";

/** A session in messages. */
export function titleOf(name: string | undefined): string {
  return name === undefined ? "the session" : `the session ${JSON.stringify(name)}`;
}

export function workerDied(title: string, worker: { number: number; pid: number }): TandemError {
  return new TandemError(
    "SERVER_DIED",
    `Cannot go on with ${title}: its worker ${worker.number} (process ${worker.pid}) has gone; ` +
      "check out another one",
  );
}

/** @param cause the error of the call that has failed */
export function callCleared(title: string, cause: unknown): TandemError {
  return new TandemError(
    "CANCELLED",
    `Cannot make a call of ${title}: a call before it has failed, which is the cause; ` +
      "calls that are made after that error run",
    { cause },
  );
}

export function heldTooLong(title: string, maxHold: number): TandemError {
  return new TandemError(
    "CLOSED",
    `Cannot go on with ${title}: it has held its worker for its maxHold of ${maxHold} ms, so the worker ` +
      "is replaced; check out another one",
  );
}

export function poolClosed(title: string): TandemError {
  return new TandemError("CLOSED", `Cannot go on with ${title}: the pool is closed`);
}

export function sessionClosed(title: string): TandemError {
  return new TandemError(
    "CLOSED",
    `Cannot make a call of ${title}: it is closed; check out another worker`,
  );
}

export function sessionAborted(title: string): TandemError {
  return new TandemError("CANCELLED", `Cannot go on with ${title}: abort() has ended it`);
}

/** No worker was free in time, or too many calls wait for one. */
export function notCheckedOut(error: TandemError, target: string, timeout: number): TandemError {
  const { code } = error;
  const found = code === "BUSY"
    ? "as many calls wait as maxQueue and maxQueuePerClient allow; try again later"
    : `no worker became free within ${timeout} ms; raise the timeout, or max of the pool`;
  const place = JSON.stringify(target);
  const wrapped = new TandemError(code, `Cannot check out a worker of ${place}: ${found}`, {
    cause: error,
  });
  wrapped.target = target;
  return wrapped;
}
