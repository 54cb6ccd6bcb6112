/**
 * Sends 200 requests to whoever is free, and counts who answered.
 *
 *     client.ts SERVERS
 *
 * @module
 */
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { Client, Server } from "@tandem/ipc";

const target = "example-load-balancer";
const [servers = "2"] = process.argv.slice(2);
using client = await Client.connect(target, { timeout: 10_000 });

// Only to have something to see: requests would wait for servers that come later.
while (client.servers < Number(servers)) await setTimeout(10);

const answers = new Map<string, number>();
await Promise.all(Array.from({ length: 200 }, async () => {
  const name = new TextDecoder().decode(await client.request("work"));
  answers.set(name, (answers.get(name) ?? 0) + 1);
}));
const counts = [...answers].map(([name, count]) => `${name} ${count}`).sort();
const sum = [...answers.values()].reduce((a, b) => a + b);
console.log(`${sum} answers: ${counts.join(", ")}`);

// Who takes one of these takes nothing more, so each server gets exactly one.
await Promise.all(Array.from({ length: client.servers }, () => client.request("quit")));
Server.unlink(target);
