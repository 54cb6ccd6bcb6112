/**
 * The side of a benchmark that is started by parent.ts.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";

/**
 * Says something to the parent. It is on its way when this returns, also if the thread then blocks.
 */
export function report(message: unknown): void {
  console.log(JSON.stringify(message));
}

/** Calls `handle` with all that the parent says; ends the process when the parent is gone. */
export function listen<Message>(handle: (message: Message) => void): void {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => handle(JSON.parse(line) as Message));
  lines.on("close", () => process.exit());
}
