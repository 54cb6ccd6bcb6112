/**
 * Sends a picture of 16 MiB and reads the answer, without copying either.
 *
 * @module
 */
import { Client } from "@tandem/ipc";

using client = await Client.connect("example-large-messages", { timeout: 10_000 });
const byteLength = 16 << 20;

// The draft is in shared memory. A program could read a file directly into it, for example.
using draft = client.allocate(byteLength);
for (let index = 0; index < byteLength; index++) draft.bytes[index] = index;
using call = draft.send();

await call.ready();
// The answer in shared memory. It is valid until `using` releases the call.
const negative = call.view()!;
const isRight = negative.every((value, index) => value === 255 - (index & 255));
console.log(`${negative.byteLength} bytes there and back, each of them right: ${isRight}`);

// To keep answers without new memory for each, let the call write them into one array.
const into = new Uint8Array(byteLength);
for (const size of [1 << 20, 1000, 3]) {
  const answer = await client.request(new Uint8Array(size).fill(1), { into });
  console.log(
    `${answer.byteLength} bytes of ${answer[0]}, no new memory: ${answer.buffer === into.buffer}`,
  );
}
client.post("");
