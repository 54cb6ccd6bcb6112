/**
 * Ends on SIGTERM or SIGINT (Ctrl-C), and leaves nobody without an answer.
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
// Signals are heard while the event loop runs: a server that blocks in `receiveSync` hears none.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort(signal));

// `await using` closes when everything in progress has ended; `using` would close at once.
await using server = Server.open("example-graceful-shutdown");

// After the signal nothing more is taken, and this resolves when the handlers in progress have ended.
await server.serve(work, { concurrency: 2, signal: stop.signal });

// What was queued by then could be left to other servers, or to the next one: it is safe in the
// channel. This server is the last, and does it now.
for (const request of server.tryReceiveMany()) request.reply(await work(request));

const { replies, queued } = server.stats();
console.log(`${stop.signal.reason}: ${replies} requests answered, ${queued} left`);
// It does not unlink the channel: the next server finds there what clients have sent meanwhile.

async function work(request: ServerRequest): Promise<string> {
  if (request.text() === "pid") return String(process.pid);
  const key = await derive(request.text(), "salt", 8);
  return key.toHex();
}
