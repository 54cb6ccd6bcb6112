/**
 * Does one job after another, and ends when there has been none for so long.
 *
 *     worker.ts IDLE_MILLISECONDS
 *
 * @module
 */
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { Server } from "@tandem/ipc";

const timeout = Number(process.argv[2]);
// The process that started this one wants it to end, or is gone.
process.stdin.on("end", () => process.exit()).resume();

using server = Server.open("example-autoscaling");

for (;;) {
  const request = await server.receive({ timeout });
  if (!request) break; // Nothing was taken either: what comes now is another worker's.
  await setTimeout(5); // stands for the work: a question to a database, say
  request.reply();
}

// Listening to stdin would keep this process alive.
process.exit();
