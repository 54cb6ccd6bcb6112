/**
 * Sends one request after another, and then several at the same time.
 *
 * @module
 */
import { Client } from "@tandem/ipc";

using client = await Client.connect("example-foreign-event-loop", { timeout: 10_000 });

for (const word of ["one", "after", "another"]) console.log(await ask(word));
console.log(...await Promise.all(["and", "all", "together"].map(ask)));
client.post("quit");

async function ask(word: string): Promise<string> {
  return new TextDecoder().decode(await client.request(word));
}
