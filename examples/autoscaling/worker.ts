/**
 * Does one job after another, and ends after a time without jobs.
 *
 *     worker.ts IDLE_MILLISECONDS
 *
 * @module
 */
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { Server } from "@tandem/ipc";

const timeout = Number(process.argv[2]);
// The parent process closes the pipe, or is gone.
process.stdin.on("end", () => process.exit()).resume();

using server = Server.open("example-autoscaling");

for (;;) {
  const request = await server.receive({ timeout });
  if (!request) break; // Other workers take later requests.
  await setTimeout(5); // stands for the work, such as a query of a database
  request.reply();
}

// Listening to stdin would keep this process alive.
process.exit();
