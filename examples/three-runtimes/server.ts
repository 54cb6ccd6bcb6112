/**
 * Compresses bytes, and answers with the name of its runtime.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { Server } from "@tandem/ipc";

const stop = new AbortController();
await using server = Server.open("example-three-runtimes");

await server.serve((request) => {
  // A request knows whether it was a string or bytes. Functions of the runtime get a copy, because another
  // process could change the shared bytes meanwhile.
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
