/**
 * How the processes that the demo starts learn that it is over.
 *
 * @module
 */
import process from "node:process";

/**
 * Calls `end` when the main process closes this one's standard input, or has died: the kernel
 * closes it then, however it died.
 */
export function whenOver(end: () => void): void {
  process.stdin.on("end", end);
  process.stdin.resume();
}
