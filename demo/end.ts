/**
 * Lets the processes of the demo notice its end.
 *
 * @module
 */
import process from "node:process";

/**
 * Calls `end` when the standard input of this process closes: the main process closes it, or has died, and
 * the kernel has closed it.
 */
export function onEnd(end: () => void): void {
  process.stdin.on("end", end);
  process.stdin.resume();
}
