/** Arrays that are made ahead for the answers of a burst. */
import { assert, assertEquals } from "@std/assert";
import { ArrayStock, stockFor } from "../../src/channel/array_stock.ts";
import { setImmediate } from "../../src/runtime/timers.ts";
import { test } from "../support/harness.ts";

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await new Promise<void>((resolve) => void setImmediate(resolve));
  }
}

test("a stock of arrays: as many as the last burst took, and no more than its limits", () => {
  const cases = [
    [0, 12, 0],
    [15, 12, 0],
    [16, 12, 16],
    [256, 12, 256],
    [10_000, 12, 256],
    [256, 1_024, 64],
    [256, 100_000, 0],
    [256, 0, 0],
  ] as const;
  for (const [taken, length, count] of cases) assertEquals(stockFor(taken, length), count);
});

test("a stock of arrays: each array is given once, has its length, and is all zero", async () => {
  const stock = new ArrayStock();
  const given = new Set<ArrayBuffer>();
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 100; index++) {
      const array = stock.take(12);
      assertEquals([...array], Array(12).fill(0));
      assertEquals([array.byteOffset, array.buffer.byteLength], [0, 12]);
      array.fill(1);
      given.add(array.buffer);
    }
    stock.refill(12, () => true);
    await turns(4);
  }
  assertEquals(given.size, 300);
  assertEquals(stock.take(13).byteLength, 13);
});

test("a stock of arrays: it is filled over several turns, and only as long as nothing is awaited", async () => {
  const stock = new ArrayStock();
  for (let index = 0; index < 200; index++) stock.take(8);
  let looks = 0;
  stock.refill(8, () => ++looks < 3);
  await turns(8);
  // The third look has ended it.
  assertEquals(looks, 3);
  for (let index = 0; index < 200; index++) stock.take(8);
  stock.refill(8, () => (looks += 1) > 0);
  await turns(8);
  assert(looks > 3, "a later burst fills it");
  const before = looks;
  await turns(4);
  assertEquals(looks, before, "a full stock is left alone");
});
