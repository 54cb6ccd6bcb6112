/**
 * The error of a call that could never be answered.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import { placed } from "./outgoing.ts";

/** @param path the ports, from the one that calls back to itself */
export function cycleError(port: string, method: string, path: readonly string[]): TandemError {
  const error = new TandemError(
    "BUSY",
    `Cannot call ${method} of ${port}: it would wait for the port that calls (${
      path.join(" → ")
    }); let one of them send a message instead of waiting for an answer, or raise its concurrency`,
  );
  return placed(error, port, method);
}
