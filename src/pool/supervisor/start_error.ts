/**
 * Why callers get no worker: as it travels from the supervisor to them.
 *
 * @module
 */
import { RemoteError, TandemError } from "../../errors.ts";
import { describeExit } from "./exits.ts";
import type { WorkerExit } from "../types.ts";

const startErrorName = "WorkerStartError";

/** A worker has ended before it was ready, and has not said why. */
export function startError(exit: WorkerExit, why: string = ""): Error {
  const error = new Error(
    `Cannot start a worker: ${describeExit(exit)} before it was ready${why}`,
  );
  return Object.assign(error, { name: startErrorName, exit });
}

/** The error of a call, as callers that know pools get it. */
export function explainStart(error: unknown): unknown {
  if (!(error instanceof RemoteError) || error.remoteName !== startErrorName) return error;
  const exit = error.remoteProperties["exit"];
  return new TandemError("SERVER_DIED", error.remoteMessage, { cause: exit });
}
