/**
 * How much the tests of faults try: a bounded part by default, all of it when the environment has
 * `TANDEM_PROOF=full`.
 *
 * @module
 */
import process from "node:process";

/** `bounded` or, when all is asked for, `full`. */
export function size(bounded: number, full: number): number {
  return process.env.TANDEM_PROOF === "full" ? full : bounded;
}

/** Tells what was tried, for the summary of a proof. */
export function tried(count: number, what: string): void {
  console.log(`tried: ${count} ${what}`);
}
