/**
 * Gives the pool twenty jobs at the same time, and one that kills a worker.
 *
 * @module
 */
import { Client } from "@tandem/ipc";

using client = await Client.connect("example-worker-pool", { timeout: 10_000 });

const limits = Array.from({ length: 20 }, (_, index) => (index + 1) * 50_000);
const [crash, ...counts] = await Promise.all(["crash", ...limits.map(String)].map(ask));

console.log(`${counts.length} jobs done`);
console.log(`primes below 50000: ${counts[0]}, below 1000000: ${counts.at(-1)}`);
console.log(`the job that crashed a worker: ${crash}`);

// One worker gets this and ends. The supervisor ends the others.
client.post("quit");

async function ask(job: string): Promise<string> {
  return new TextDecoder().decode(await client.request(job));
}
