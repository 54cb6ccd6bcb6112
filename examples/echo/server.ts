/**
 * Sends every request back, until one says "quit".
 *
 * @module
 */
import { Server } from "@tandem/ipc";

const stop = new AbortController();
await using server = Server.open("example-echo");

await server.serve((request) => {
  if (request.text() === "quit") stop.abort();
  // A view of the request in shared memory. It is good until the answer is there, so it may be one.
  return request.bytes;
}, { signal: stop.signal });

console.log(`${server.stats().replies} requests answered`);
// The channel is a file. It outlives its processes, so that a server may come back to it.
server.unlink();
