/**
 * The command `tandem`: looks at channels, calls services from a shell, and runs pools of workers.
 *
 * @module
 */
import process from "node:process";
import { run } from "./app.ts";
import { processContext } from "./context.ts";

// A reader such as `head` has seen enough.
process.stdout.on("error", (error: { readonly code?: string }) => {
  if (error.code === "EPIPE") process.exit();
  throw error;
});

process.exitCode = await run(process.argv.slice(2), processContext());
