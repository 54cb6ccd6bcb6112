/**
 * Hands out each number once. The request is how many, and the answer is the first number.
 *
 * @module
 */
import { IntServer } from "@tandem/ipc";

const stop = new AbortController();
await using server = IntServer.open("example-ticket-counter");

// A `number` cannot count further than this, but values are signed integers of 64 bits.
let next = 2n ** 53n;
await server.serve(({ value: count }) => {
  if (count === 0n) return stop.abort();
  if (count < 0n) throw new RangeError(`cannot hand out ${count} tickets`);
  const first = next;
  next += count;
  return first;
}, { signal: stop.signal });

console.log(`handed out: ${next - 2n ** 53n}`);
server.unlink();
