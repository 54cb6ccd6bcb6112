/**
 * Writes log records for whoever collects them, and does not wait: not for an answer, nor for there
 * to be a server. The records outlive this process.
 *
 * @module
 */
import { Client } from "@tandem/ipc";

// Whoever comes first makes the channel; both use the same sizes.
using client = Client.open("example-one-way", { create: { slots: 64, maxRequestBytes: 4096 } });

let lost = 0;
for (let number = 1; number <= 100; number++) {
  // A program must not stand still because its log does: what does not fit is left out and counted.
  if (!client.post(JSON.stringify({ number, text: `record ${number}` }))) lost += 1;
}
console.log(`${100 - lost} records posted, ${lost} lost`);
