/**
 * The extent of the tests of faults: a bounded part by default, all of it if the environment has
 * `TANDEM_PROOF=full`.
 *
 * @module
 */
import process from "node:process";

/** `bounded`, or `full` in a full proof. */
export function size(bounded: number, full: number): number {
  return process.env.TANDEM_PROOF === "full" ? full : bounded;
}

/** Prints the extent of a test, for the summary of a proof. */
export function tried(count: number, what: string): void {
  console.log(`tried: ${count} ${what}`);
}
