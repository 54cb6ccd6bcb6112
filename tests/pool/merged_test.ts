/** Several streams as one: fair, and without a trace of what has passed. */
import { assertEquals, assertRejects } from "@std/assert";
import { merged } from "../../src/pool/clients/merged.ts";
import { test } from "../support/harness.ts";

/** Counts, and notes that it was ended. */
async function* counting(name: string, ended: string[], max = Infinity): AsyncGenerator<string> {
  try {
    for (let count = 0; count < max; count++) yield await Promise.resolve(`${name}${count}`);
  } finally {
    ended.push(name);
  }
}

test("merged streams: each has its turn, and all end with the first that ends", async () => {
  const ended: string[] = [];
  const streams = [
    counting("a", ended, 1_000),
    counting("b", ended, 20),
    counting("c", ended, 1_000),
  ];
  const seen: string[] = [];
  for await (const item of merged(streams)) {
    seen.push(item);
    // The reader is slower than all streams.
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
  for (let round = 0; round < 20; round++) {
    assertEquals(seen.slice(3 * round, 3 * round + 3), [`a${round}`, `b${round}`, `c${round}`]);
  }
  assertEquals(ended.toSorted(), ["a", "b", "c"]);
});

test("merged streams: an error ends all, and so does the reader", async () => {
  const ended: string[] = [];
  async function* failing(): AsyncGenerator<string> {
    yield await Promise.resolve("once");
    throw new RangeError("done for");
  }
  const both = merged([counting("a", ended), failing()]);
  await assertRejects(
    async () => {
      for await (const _ of both);
    },
    RangeError,
    "done for",
  );
  const left = merged([counting("b", ended), counting("c", ended)]);
  await left.next();
  await left.return(undefined);
  // An item that was under way comes first.
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
  assertEquals(ended.toSorted(), ["a", "b", "c"]);
  assertEquals(await Array.fromAsync(merged([])), []);
});
