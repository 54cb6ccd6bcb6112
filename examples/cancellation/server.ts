/**
 * Searches for a very long time, and stops when nobody waits for the result any more.
 *
 * @module
 */
import { setImmediate } from "node:timers/promises";
import { Server } from "@tandem/ipc";

const stop = new AbortController();
await using server = Server.open("example-cancellation");

await server.serve(async (request) => {
  const text = request.text();
  if (text === "hello") return;
  if (text === "quit") return stop.abort();
  const { signal } = request;
  // Work in pieces: in between the event loop learns that the client is gone. `text` was taken before:
  // after the end `request.bytes` may be another request's.
  while (!signal.aborted) await setImmediate();
  console.log(`search ${text} stopped: ${signal.reason.code}`);
}, { signal: stop.signal });

server.unlink();
