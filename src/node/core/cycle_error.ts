/**
 * The error of a request that could never be answered.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import { placed, type RequestPlace, triedText } from "./outgoing.ts";

/** @param path the ports, from the one that calls back to itself */
export function cycleError(place: RequestPlace, path: readonly string[]): TandemError {
  const error = new TandemError(
    "BUSY",
    `Cannot ${triedText(place)}: it would wait for the port that calls (${
      path.join(" → ")
    }); let one of them send a message instead of waiting for an answer, or raise its concurrency`,
  );
  return placed(error, place.target, place.method);
}
