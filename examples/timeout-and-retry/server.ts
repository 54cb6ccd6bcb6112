/**
 * Gets stuck at the first attempt of every third job. It notices that the client has cancelled the call, and
 * stops working on it.
 *
 * @module
 */
import { once } from "node:events";
import { Server } from "@tandem/ipc";

const stop = new AbortController();
await using server = Server.open("example-timeout-and-retry");

const seen = new Set<string>();
let givenUp = 0;
await server.serve(async (request) => {
  const job = request.text();
  if (job === "quit") return stop.abort();
  const isFirstTime = !seen.has(job);
  seen.add(job);
  if (isFirstTime && Number(job) % 3 === 0) {
    // Stands for a disk or a network that does not answer.
    const { signal } = request;
    if (!signal.aborted) await once(signal, "abort");
    givenUp += 1;
    return; // No client would get the answer.
  }
  return `job ${job} done`;
}, { signal: stop.signal });

console.log(`given up because the client had: ${givenUp}`);
server.unlink();
