/**
 * Searches for a very long time, and stops when no client waits for the result any more.
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
  // Between pieces of work, the event loop notices the cancellation. After that, `request.bytes` may belong
  // to another request, so this uses `text`.
  while (!signal.aborted) await setImmediate();
  console.log(`search ${text} stopped: ${signal.reason.code}`);
}, { signal: stop.signal });

server.unlink();
