/**
 * Posts log records, and waits neither for answers nor for a server. The records outlive this process.
 *
 * @module
 */
import { Client } from "@tandem/ipc";

// The first process makes the channel, so both use the same sizes.
using client = Client.open("example-one-way", { create: { slots: 64, maxRequestBytes: 4096 } });

let lost = 0;
for (let number = 1; number <= 100; number++) {
  // A full log must not stop the program, so it drops and counts records that do not fit.
  if (!client.post(JSON.stringify({ number, text: `record ${number}` }))) lost += 1;
}
console.log(`${100 - lost} records posted, ${lost} lost`);
