/**
 * Keeps a ledger. A commit costs the same for one entry as for a hundred, so it takes the
 * requests that are there, commits once, and answers them then.
 *
 * @module
 */
import { Server } from "@tandem/ipc";

await using server = Server.open("example-batch-server", { slots: 1024 });

let balance = 0;
let entries = 0;
let commits = 0;

for (let isOver = false; !isOver;) {
  // Waits for the first only: a lone request is not held up until there are a hundred.
  const batch = await server.receiveMany(100);
  commit(batch.filter((request) => !request.oneWay).map((request) => Number(request.text())));
  // Answered, it is safe. Until then it is this server's: it would be handed on if this one died and
  // the channel had `maxDeliveries: 2`.
  for (const request of batch) request.reply();
  isOver = batch.some((request) => request.oneWay); // The one thing that the client posts is the end.
}
console.log(`${entries} deposits in ${commits} commits, balance ${balance}`);
server.unlink();

/** Stands for something slow, like waiting for a disk. */
function commit(amounts: readonly number[]): void {
  if (amounts.length === 0) return;
  for (const amount of amounts) balance += amount;
  entries += amounts.length;
  commits += 1;
}
