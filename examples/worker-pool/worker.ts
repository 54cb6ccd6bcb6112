/**
 * One worker of the pool: counts prime numbers, which keeps a processor busy.
 *
 * @module
 */
import process from "node:process";
import { Server } from "@tandem/ipc";

const stop = new AbortController();
process.stdin.on("end", () => stop.abort()).resume();

// Every worker opens the channel alike; the first one makes it. When a worker dies the request that
// it held is handed to one other.
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
