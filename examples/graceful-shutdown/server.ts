/**
 * Ends on SIGTERM or SIGINT (Ctrl-C), after it has answered all requests.
 *
 * @module
 */
import { scrypt } from "node:crypto";
import process from "node:process";
import { promisify } from "node:util";
import { Server, type ServerRequest } from "@tandem/ipc";

const derive = promisify(scrypt) as (
  text: string,
  salt: string,
  size: number,
) => Promise<Uint8Array>;
const stop = new AbortController();
// Signal handlers run in the event loop: a server that blocks in `receiveSync` does not run them.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort(signal));

// `await using` closes when all requests in progress have ended; `using` would close at once.
await using server = Server.open("example-graceful-shutdown");

// After the signal, `serve` takes no more requests, and resolves when the running handlers have ended.
await server.serve(work, { concurrency: 2, signal: stop.signal });

// Queued requests are safe in the channel: other servers, or the next one, could answer them. This is the last
// server, so it answers them now.
for (const request of server.tryReceiveMany()) request.reply(await work(request));

const { replies, queued } = server.stats();
console.log(`${stop.signal.reason}: ${replies} requests answered, ${queued} left`);
// It does not unlink the channel, so that the next server finds requests that clients send meanwhile.

async function work(request: ServerRequest): Promise<string> {
  if (request.text() === "pid") return String(process.pid);
  const key = await derive(request.text(), "salt", 8);
  return key.toHex();
}
