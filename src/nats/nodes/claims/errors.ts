/**
 * What claims among the nodes of all machines fail with.
 *
 * @module
 */
import { TandemError } from "../../../errors.ts";

export function closedClaims(node: string): TandemError {
  return new TandemError("CLOSED", `Cannot claim a key: the node ${node} was closed`);
}

export function overAtOnce(node: string): TandemError {
  return new TandemError(
    "DISCONNECTED",
    `Cannot claim a key: the lease of the node ${node} was over before NATS had answered; try again`,
  );
}

export function changedTooOften(key: string): TandemError {
  return new TandemError(
    "BUSY",
    `Cannot claim ${JSON.stringify(key)}: other nodes keep changing it in NATS; try again`,
  );
}

export function lostClaim(key: string, why: string): TandemError {
  return new TandemError(
    "CANCELLED",
    `The claim of ${JSON.stringify(key)} is lost: ${why}; stop what it is for`,
  );
}
