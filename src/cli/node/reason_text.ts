/**
 * Why ports end, as one line.
 *
 * @module
 */
import type { Reason } from "@tandem/ipc/node";
import { oneLine, plain } from "../values.ts";

/** As `kill: not needed ["its details"]`. */
export function reasonText({ kind, message, details }: Reason): string {
  const values = details.length > 0 ? ` ${JSON.stringify(details, plain)}` : "";
  return `${message === "" ? kind : `${kind}: ${oneLine(message)}`}${values}`;
}
