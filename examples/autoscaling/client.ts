/**
 * Gives the workers little to do, then much, then nothing.
 *
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { Client } from "@tandem/ipc";

using client = await Client.connect("example-autoscaling", { timeout: 10_000 });

for (let call = 0; call < 10; call++) await client.request("work");
console.log(`one after another: ${client.servers} worker`);

// Continues until more workers have started.
let most = 0;
do {
  await Promise.all(Array.from({ length: 100 }, () => client.request("work")));
  most = Math.max(most, client.servers);
} while (most < 3);
console.log(`much at once: 3 workers or more, ${most} at last`);

// Without requests the additional workers end. No event reports that, so this polls.
while (client.servers > 1) await setTimeout(20);
console.log(`nothing: ${client.servers} worker`);

using control = Client.open("example-autoscaling-control");
control.post("end");
