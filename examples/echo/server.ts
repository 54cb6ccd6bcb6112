/**
 * Sends every request back, until one is "quit".
 *
 * @module
 */
import { Server } from "@tandem/ipc";

const stop = new AbortController();
await using server = Server.open("example-echo");

await server.serve((request) => {
  if (request.text() === "quit") stop.abort();
  // A view of the request in shared memory. It is valid until the answer is written, so it can be the answer.
  return request.bytes;
}, { signal: stop.signal });

console.log(`${server.stats().replies} requests answered`);
// The channel is a file. It outlives its processes, so that a server can be restarted.
server.unlink();
