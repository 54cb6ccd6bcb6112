/**
 * Sends four messages and prints what comes back.
 *
 * @module
 */
import { Client } from "@tandem/ipc";

// Waits for the server to make the channel: it does not matter who is started first.
using client = await Client.connect("example-echo", { timeout: 10_000 });

for (const message of ["hello", "shared memory", "¿qué tal?", ""]) {
  const answer = await client.request(message);
  console.log(`"${message}" -> "${new TextDecoder().decode(answer)}"`);
}

// One way: there is nothing to wait for.
client.post("quit");
