/**
 * Sends twenty requests before it reads the first answer.
 *
 * @module
 */
import { Client } from "@tandem/ipc";

using client = await Client.connect("example-async-pipeline", { timeout: 10_000 });

const calls = [];
for (let number = 1; number <= 20; number++) {
  // Returns as soon as the request is sent. It waits only while all slots are taken.
  calls.push(await client.send(`password ${number}`));
}
console.log(`${client.pending} calls in flight`);

// The channel keeps the answers until the client gets them, so their order does not matter.
const keys: string[] = [];
for (const call of calls) keys.push((await call.get()).toHex());

console.log(`${keys.length} answers, ${client.pending} calls in flight`);
console.log(`the first ${keys[0]!.slice(0, 16)}, the last ${keys.at(-1)!.slice(0, 16)}`);
client.post("quit");
