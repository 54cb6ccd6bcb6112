/**
 * A worker of the pool. It counts prime numbers, which keeps a processor busy.
 *
 * @module
 */
import process from "node:process";
import { Server } from "@tandem/ipc";

const stop = new AbortController();
process.stdin.on("end", () => stop.abort()).resume();

// The first worker makes the channel. When a worker dies, one other worker gets the request that it held.
await using server = Server.open("example-worker-pool", { maxDeliveries: 2 });

await server.serve((request) => {
  const job = request.text();
  if (job === "quit") return stop.abort();
  if (job === "crash") {
    if (request.deliveries === 1) process.exit(70);
    return `survived by the worker of delivery ${request.deliveries}`;
  }
  return String(countPrimes(Number(job)));
}, { signal: stop.signal });

// Listening to stdin would keep this process alive.
process.exit();

function countPrimes(below: number): number {
  const isComposite = new Uint8Array(below);
  let count = 0;
  for (let number = 2; number < below; number++) {
    if (isComposite[number]) continue;
    count += 1;
    for (let multiple = number * number; multiple < below; multiple += number) {
      isComposite[multiple] = 1;
    }
  }
  return count;
}
