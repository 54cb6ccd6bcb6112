/**
 * Sends a picture of 16 MiB and looks at the answer, without copying either.
 *
 * @module
 */
import { Client } from "@tandem/ipc";

using client = await Client.connect("example-large-messages", { timeout: 10_000 });
const byteLength = 16 << 20;

// The request's place in shared memory: a file, say, can be read straight into it.
using draft = client.allocate(byteLength);
for (let index = 0; index < byteLength; index++) draft.bytes[index] = index;
using call = draft.send();

await call.ready();
// The answer's place. It is good until the call is released, here by `using`.
const negative = call.view()!;
const isRight = negative.every((value, index) => value === 255 - (index & 255));
console.log(`${negative.byteLength} bytes there and back, each of them right: ${isRight}`);

// Where the answer has to be kept, it can be written to memory that is used again and again.
const into = new Uint8Array(byteLength);
for (const size of [1 << 20, 1000, 3]) {
  const answer = await client.request(new Uint8Array(size).fill(1), { into });
  console.log(
    `${answer.byteLength} bytes of ${answer[0]}, no new memory: ${answer.buffer === into.buffer}`,
  );
}
client.post("");
