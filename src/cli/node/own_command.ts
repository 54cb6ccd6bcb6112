/**
 * The command that runs this program in this runtime, with other arguments.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";

/** The program, its flags and its file, as this process was started, and then the arguments. */
export function ownCommand(args: readonly string[]): string[] {
  const words = readFileSync("/proc/self/cmdline", "utf8").split("\0").slice(0, -1);
  const own = process.argv.length - 2;
  return [process.execPath, ...words.slice(1, words.length - own), ...args];
}
