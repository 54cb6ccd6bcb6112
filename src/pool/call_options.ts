/**
 * The options of pools, attached pools and workers that belong to calls.
 *
 * @module
 */
import type { EndOptions } from "../rpc/options.ts";

/** The options that belong to calls. They are checked with the connection. */
export function callOptionsOf<Call>(
  options: EndOptions & { around?: Call },
): EndOptions & { around?: Call } {
  const { around, errors, maxMessageBytes, maxTreeBytes, onCall, version } = options;
  const all = { around, errors, maxMessageBytes, maxTreeBytes, onCall, version };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
