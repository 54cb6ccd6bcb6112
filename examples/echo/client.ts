/**
 * Sends four messages and prints the answers.
 *
 * @module
 */
import { Client } from "@tandem/ipc";

// Waits until the server has made the channel, so that either may start first.
using client = await Client.connect("example-echo", { timeout: 10_000 });

for (const message of ["hello", "shared memory", "¿qué tal?", ""]) {
  const answer = await client.request(message);
  console.log(`"${message}" -> "${new TextDecoder().decode(answer)}"`);
}

// A post has no answer.
client.post("quit");
