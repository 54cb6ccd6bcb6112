/**
 * Calls the servers of the channel and of the socket in turn, slice by slice: whatever the machine
 * does meanwhile, it does to all of them.
 *
 * @module
 */
import process from "node:process";
import { Client } from "../../mod.ts";
import { tell } from "../lib/child.ts";
import { connectSocket } from "../lib/sockets.ts";
import type { Slices } from "../floor.ts";

const [target = "", path = "", count = "", sliceMs = ""] = process.argv.slice(2);
const ms = Number(sliceMs);
const payload = new Uint8Array(12);
const into = new Uint8Array(12);
using client = Client.open(target);
const socket = await connectSocket(path, payload);

const slices: Slices = { into: [], plain: [], socket: [] };
// The first round is for the compilers and is thrown away.
for (let slice = -1; slice < Number(count); slice++) {
  const into = runInto();
  const plain = runPlain();
  const echoed = await socket.run(ms);
  if (slice < 0) continue;
  slices.into.push(into);
  slices.plain.push(plain);
  slices.socket.push(echoed);
}
tell(slices);
process.exit();

/** Calls a second, the answer written to memory that is there. */
function runInto(): number {
  return run(() => client.requestSync(payload, { into }));
}

/** Calls a second, the answer in an array of its own. */
function runPlain(): number {
  return run(() => client.requestSync(payload));
}

function run(call: () => Uint8Array): number {
  const begin = performance.now();
  for (let calls = 0;;) {
    // Looking at the clock costs a tenth of a call; once in a batch it is not seen.
    for (let rest = 32; rest > 0; rest--) {
      payload[0] = ++calls;
      const answer = call();
      if (answer.byteLength !== 12 || answer[0] !== payload[0]) throw new Error("Not an echo");
    }
    const elapsed = performance.now() - begin;
    if (elapsed >= ms) return calls / elapsed * 1e3;
  }
}
