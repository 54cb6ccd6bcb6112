/**
 * Three ways to give up.
 *
 * @module
 */
import { Client, type TandemError } from "@tandem/ipc";

using client = await Client.connect("example-cancellation", { timeout: 10_000 });

// 1. A signal, as with fetch(): when the user has gone, or another answer came first.
const controller = new AbortController();
const search = client.request("one", { signal: controller.signal });
await client.request("hello"); // Requests are taken in their order: the server is searching now.
controller.abort(new Error("the user has gone"));
await search.catch((error: Error) => console.log(`one: ${error.message}`));

// 2. By hand. Whoever knows its id, in any process, can do the same with `client.cancel(id)`.
const call = await client.send("two");
await client.request("hello");
console.log(`two: cancelled before there was an answer: ${call.cancel()}`);
await call.get().catch((error: TandemError) => console.log(`two: ${error.code}`));

// 3. A deadline. The server knows it, too (`request.timeRemaining`).
await client.request("three", { timeout: 500 }).catch((error: TandemError) => {
  console.log(`three: ${error.code}`);
});

console.log(`calls in flight: ${client.pending}`);
client.post("quit");
