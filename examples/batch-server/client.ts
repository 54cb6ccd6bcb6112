/**
 * Makes 10,000 deposits, as many at a time as the channel has slots.
 *
 * @module
 */
import { Client } from "@tandem/ipc";

using client = await Client.connect("example-batch-server", { timeout: 10_000 });

let next = 1;
const last = 10_000;
// One chain of requests for each slot, so that no chain waits for a slot.
await Promise.all(Array.from({ length: client.slots }, async () => {
  while (next <= last) await client.request(String(next++));
}));

console.log(`${last} deposits committed, the sum should be ${last * (last + 1) / 2}`);
client.post("quit");
