/**
 * One of several servers. Start any number at any time.
 *
 *     server.ts NAME MILLISECONDS
 *
 * @module
 */
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { Server } from "@tandem/ipc";

const [name = "a server", milliseconds = "1"] = process.argv.slice(2);
const stop = new AbortController();
await using server = Server.open("example-load-balancer");

// A slow server takes one request at a time, so that the others remain for quick servers.
await server.serve(async (request) => {
  if (request.text() === "quit") stop.abort();
  else await setTimeout(Number(milliseconds)); // stands for the work
  return name;
}, { concurrency: 1, signal: stop.signal });
