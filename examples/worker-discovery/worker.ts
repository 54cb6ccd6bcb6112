/**
 * A worker: it counts prime numbers. It tells nobody but the registry that it is there.
 *
 * @module
 */
import { Node } from "@tandem/ipc/node";

/** What workers can do. */
export interface Worker {
  /** How many prime numbers there are from `from` to below `to`. */
  count(from: number, to: number): number;
  quit(): void;
}

await using node = await Node.start({ name: "worker", group: "example-worker-discovery" });
using port = node.port<Worker>();
port.on("count", countPrimes);
// The entry goes with the port, so nobody has to take a dead worker off a list.
node.registry.register("workers", port);

// It has no handler, so it waits for this. Other messages go to their handlers meanwhile.
await port.receive({ match: ([tag]) => tag === "quit" });

function countPrimes(from: number, to: number): number {
  let count = 0;
  for (let number = Math.max(from, 2); number < to; number++) if (isPrime(number)) count += 1;
  return count;
}

function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) {
    if (number % divisor === 0) return false;
  }
  return true;
}
