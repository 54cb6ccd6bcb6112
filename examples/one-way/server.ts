/**
 * Collects the log records that wait, and ends.
 *
 * @module
 */
import { Server } from "@tandem/ipc";

using server = Server.open("example-one-way", { slots: 64, maxRequestBytes: 4096 });

const numbers: number[] = [];
for (let request = server.tryReceive(); request; request = server.tryReceive()) {
  const { number } = request.json() as { number: number };
  numbers.push(number);
  // Goes nowhere, but says that the record is done with. Without it, should this process die, the
  // record would go to another collector (with `maxDeliveries: 2`).
  request.reply();
}
console.log(`${numbers.length} records, from ${numbers[0]} to ${numbers.at(-1)}`);
server.unlink();
