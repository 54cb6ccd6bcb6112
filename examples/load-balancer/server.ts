/**
 * One of several servers. Start as many as you like, whenever you like.
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

// With one request at a time a slow server does not keep any waiting that a quick one could do: what
// it has not taken is everybody's.
await server.serve(async (request) => {
  if (request.text() === "quit") stop.abort();
  else await setTimeout(Number(milliseconds)); // stands for the work
  return name;
}, { concurrency: 1, signal: stop.signal });
