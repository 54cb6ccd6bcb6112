/**
 * Sends twenty requests before it looks at the first answer.
 *
 * @module
 */
import { Client } from "@tandem/ipc";

using client = await Client.connect("example-async-pipeline", { timeout: 10_000 });

const calls = [];
for (let number = 1; number <= 20; number++) {
  // Comes back as soon as the request is sent; it waits only while all slots are taken.
  calls.push(await client.send(`password ${number}`));
}
console.log(`${client.pending} calls in flight`);

// Answers are kept until somebody gets them, so the order in which they are ready does not matter.
const keys: string[] = [];
for (const call of calls) keys.push((await call.get()).toHex());

console.log(`${keys.length} answers, ${client.pending} calls in flight`);
console.log(`the first ${keys[0]!.slice(0, 16)}, the last ${keys.at(-1)!.slice(0, 16)}`);
client.post("quit");
