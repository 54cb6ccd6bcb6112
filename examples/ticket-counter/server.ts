/**
 * Hands out numbers, each of them once. The request says how many, the answer is the first of them.
 *
 * @module
 */
import { IntServer } from "@tandem/ipc";

const stop = new AbortController();
await using server = IntServer.open("example-ticket-counter");

// Beyond what a `number` can count to: values are signed integers of 64 bits.
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
