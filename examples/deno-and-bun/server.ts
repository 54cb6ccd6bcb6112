/**
 * Compresses what it gets, and says on which runtime.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { Server } from "@tandem/ipc";

const stop = new AbortController();
await using server = Server.open("example-deno-and-bun");

await server.serve((request) => {
  // Whether it was a string or bytes is known on the other side, whatever that runs on.
  // Functions of the runtime get a copy: others could change the shared bytes under them.
  if (!request.isText) return gzipSync(request.copy());
  switch (request.text()) {
    case "who":
      return navigator.userAgent;
    case "fail":
      throw new RangeError("on purpose", { cause: "the client asked for it" });
    case "quit":
      return stop.abort();
  }
}, { signal: stop.signal });

server.unlink();
