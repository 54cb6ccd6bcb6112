/**
 * Sends 200 requests and counts the answers of each server.
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

// Only for the counts below. Requests would also wait for servers that start later.
while (client.servers < Number(servers)) await setTimeout(10);

const answers = new Map<string, number>();
await Promise.all(Array.from({ length: 200 }, async () => {
  const name = new TextDecoder().decode(await client.request("work"));
  answers.set(name, (answers.get(name) ?? 0) + 1);
}));
const counts = [...answers].map(([name, count]) => `${name} ${count}`).sort();
const sum = [...answers.values()].reduce((a, b) => a + b);
console.log(`${sum} answers: ${counts.join(", ")}`);

// A server that takes one of these takes no more requests, so each server gets exactly one.
await Promise.all(Array.from({ length: client.servers }, () => client.request("quit")));
Server.unlink(target);
