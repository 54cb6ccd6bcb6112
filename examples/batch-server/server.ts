/**
 * Keeps a ledger. A commit costs the same for one entry as for a hundred, so the server takes all waiting
 * requests, commits once, and then answers them.
 *
 * @module
 */
import { Server } from "@tandem/ipc";

await using server = Server.open("example-batch-server", { slots: 1024 });

let balance = 0;
let entries = 0;
let commits = 0;

for (let isOver = false; !isOver;) {
  // Waits only for the first request, so that a single request need not wait for more.
  const batch = await server.receiveMany(100);
  commit(batch.filter((request) => !request.oneWay).map((request) => Number(request.text())));
  // Answers only after the commit. With `maxDeliveries: 2`, another server would get the requests if this one
  // died before.
  for (const request of batch) request.reply();
  isOver = batch.some((request) => request.oneWay); // The client posts only the end.
}
console.log(`${entries} deposits in ${commits} commits, balance ${balance}`);
server.unlink();

/** Stands for something slow, such as a write to a disk. */
function commit(amounts: readonly number[]): void {
  if (amounts.length === 0) return;
  for (const amount of amounts) balance += amount;
  entries += amounts.length;
  commits += 1;
}
