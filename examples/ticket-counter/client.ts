/**
 * Takes 1,000 tickets with one call each, and then ten with one call.
 *
 * @module
 */
import { IntClient, type RemoteError } from "@tandem/ipc";

using client = await IntClient.connect("example-ticket-counter", { timeout: 10_000 });

// A `number` works as long as it is a safe integer.
const tickets = await Promise.all(Array.from({ length: 1000 }, () => client.request(1)));
console.log(`${new Set(tickets).size} different tickets`);

const first = client.requestSync(10n);
console.log(`and ten, from ${first} to ${first + 9n}`);

await client.request(-1).catch((error: RemoteError) => console.log(error.remoteMessage));
client.post(0);
