/**
 * Cancels calls in three ways.
 *
 * @module
 */
import { Client, type TandemError } from "@tandem/ipc";

using client = await Client.connect("example-cancellation", { timeout: 10_000 });

// 1. By a signal, as with fetch(): the user has gone, or another answer came first.
const controller = new AbortController();
const search = client.request("one", { signal: controller.signal });
await client.request("hello"); // The server takes requests in order, so it is searching now.
controller.abort(new Error("the user has gone"));
await search.catch((error: Error) => console.log(`one: ${error.message}`));

// 2. By `cancel`. Any process that knows the id of the call can use `client.cancel(id)`.
const call = await client.send("two");
await client.request("hello");
console.log(`two: cancelled before there was an answer: ${call.cancel()}`);
await call.get().catch((error: TandemError) => console.log(`two: ${error.code}`));

// 3. By a deadline, which the server knows, too (`request.timeRemaining`).
await client.request("three", { timeout: 2_000 }).catch((error: TandemError) => {
  console.log(`three: ${error.code}`);
});

console.log(`calls in flight: ${client.pending}`);
client.post("quit");
