/**
 * Turns pictures into their negatives, entirely in shared memory.
 *
 * @module
 */
import { Server } from "@tandem/ipc";

// This is address space. Only messages use memory.
const largest = 64 << 20;
const options = { slots: 4, maxRequestBytes: largest, maxResponseBytes: largest };

const stop = new AbortController();
await using server = Server.open("example-large-messages", options);

await server.serve((request) => {
  const pixels = request.bytes;
  if (pixels.byteLength === 0) return stop.abort();
  // The answer is written in shared memory and needs no copy.
  const negative = request.allocate(pixels.byteLength);
  for (let index = 0; index < pixels.byteLength; index++) negative[index] = 255 - pixels[index]!;
  return negative;
}, { signal: stop.signal });

server.unlink();
