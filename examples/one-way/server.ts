/**
 * Collects the waiting log records, and ends.
 *
 * @module
 */
import { Server } from "@tandem/ipc";

using server = Server.open("example-one-way", { slots: 64, maxRequestBytes: 4096 });

const numbers: number[] = [];
for (let request = server.tryReceive(); request; request = server.tryReceive()) {
  const { number } = request.json() as { number: number };
  numbers.push(number);
  // Frees the slot; the client gets no answer. If this process died before, another collector would get the
  // record (with `maxDeliveries: 2`).
  request.reply();
}
console.log(`${numbers.length} records, from ${numbers[0]} to ${numbers.at(-1)}`);
server.unlink();
