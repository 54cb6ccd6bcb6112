/**
 * Turns pictures into their negatives, from one place in shared memory to another.
 *
 * @module
 */
import { Server } from "@tandem/ipc";

// Address space only: memory is used as far as a message needs it.
const largest = 64 << 20;
const options = { slots: 4, maxRequestBytes: largest, maxResponseBytes: largest };

const stop = new AbortController();
await using server = Server.open("example-large-messages", options);

await server.serve((request) => {
  const pixels = request.bytes;
  if (pixels.byteLength === 0) return stop.abort();
  // The answer's own place: what is written here need not be copied.
  const negative = request.allocate(pixels.byteLength);
  for (let index = 0; index < pixels.byteLength; index++) negative[index] = 255 - pixels[index]!;
  return negative;
}, { signal: stop.signal });

server.unlink();
