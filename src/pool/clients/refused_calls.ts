/**
 * The errors of calls that a pool does not take.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";

/** @param open how many calls the client has open */
export function tooManyOpen(open: number): TandemError {
  return new TandemError(
    "BUSY",
    `Cannot call the pool: this client has ${open} calls open, as many as maxQueuePerClient and the ` +
      "workers allow; wait for some of them",
  );
}
