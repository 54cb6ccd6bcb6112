/**
 * A child of forks.ts.
 *
 * @module
 */
import process from "node:process";
import type { Task } from "./forks.ts";

process.on("message", ([id, value]: Task) => {
  if (value === null) process.exit(70);
  process.send!([id, value]);
});
process.on("disconnect", () => process.exit());
