/**
 * Used by the processes that parent.ts starts.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";

/**
 * Sends a message to the parent before it returns, so that the thread may block afterwards.
 */
export function report(message: unknown): void {
  console.log(JSON.stringify(message));
}

/** Calls `handle` with each message of the parent. Ends the process when the parent is gone. */
export function listen<Message>(handle: (message: Message) => void): void {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => handle(JSON.parse(line) as Message));
  lines.on("close", () => process.exit());
}
