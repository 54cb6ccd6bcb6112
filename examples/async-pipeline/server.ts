/**
 * Works on up to eight slow requests at the same time.
 *
 * @module
 */
import { pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import { Server } from "@tandem/ipc";

const deriveKey = promisify(pbkdf2);
const stop = new AbortController();
await using server = Server.open("example-async-pipeline");

let inProgress = 0;
let mostInProgress = 0;
await server.serve(async (request) => {
  const password = request.text();
  if (password === "quit") return stop.abort();
  mostInProgress = Math.max(mostInProgress, ++inProgress);
  // Other threads do this work. Meanwhile the event loop takes the next request.
  const key = await deriveKey(password, "salt", 20_000, 32, "sha256");
  inProgress -= 1;
  return key;
}, { concurrency: 8, signal: stop.signal });

console.log(`${mostInProgress} requests in progress at once, at most`);
server.unlink();
