/** The number of places changes while contenders hold and wait, and only when they agree to it. */
import { assertEquals, assertThrows } from "@std/assert";
import { Limit } from "../../src/limit/main.ts";
import { assertThrowsCode, eventually, ownRuntime, present, test } from "../support/harness.ts";
import { assertIdle, openLimit, openLimits, startContender, waiting } from "../support/limit.ts";

test("more places: those that wait get them at once, in order", async () => {
  const [one, two, three, four] = openLimits(4);
  present(one!.tryAcquire());
  const waits = [two!.acquire(), three!.acquire(), four!.acquire()];
  await waiting(one!, 3);
  one!.resize(3);
  const ids = [present(await waits[0]).id, present(await waits[1]).id];
  assertEquals(ids.sort(), [2, 3]);
  assertEquals([four!.isHeld, one!.waiters().length], [false, 1]);
  assertEquals([one!, two!, four!].map(({ max }) => max), [3, 3, 3], "all see it");
  assertEquals(openLimit(one!.target).max, 3);
});

test("fewer places: holders keep theirs, and nobody gets one until enough are free", async () => {
  const [one, two, three, waiter] = openLimits(4, { max: 3 });
  const locks = [one!, two!, three!].map((limit) => present(limit.tryAcquire()));
  one!.resize(1);
  assertEquals(locks.map(({ isHeld }) => isHeld), [true, true, true]);
  const waits = waiter!.acquire();
  await waiting(one!, 1);
  locks[0]!.release();
  locks[1]!.release();
  assertEquals([waiter!.tryAcquire(), waiter!.isHeld], [null, false], "one of three still holds");
  locks[2]!.release();
  assertEquals(present(await waits).id, 1);
});

test("nobody waits: a resize counts for the next one", () => {
  const [one, two, three] = openLimits(3);
  const lock = present(one!.tryAcquire());
  two!.resize(2);
  assertEquals(present(two!.tryAcquire()).id, 2);
  one!.resize(1);
  lock.release();
  assertEquals(three!.tryAcquire(), null);
});

test("sizes that no limit has are a RangeError, and change nothing", () => {
  const [limit] = openLimits(1, { max: 2 });
  for (const max of [0, -1, 1025, 1.5, NaN, Infinity]) {
    assertThrows(() => limit!.resize(max), RangeError);
  }
  assertEquals(limit!.max, 2);
});

test("another max: MISMATCH while one holds or waits, adopted when none does", async () => {
  const [holder, waiter] = openLimits(2, { max: 1 });
  const target = holder!.target;
  const idle = openLimit(target, { max: 1 });
  const lock = present(holder!.tryAcquire());
  const waits = waiter!.acquire();
  await waiting(holder!, 1);
  assertThrowsCode(() => new Limit(target, { max: 2 }), "MISMATCH", "1", "2");
  lock.release();
  assertThrowsCode(() => new Limit(target, { max: 2 }), "MISMATCH", "1", "2");
  present(await waits).release();
  const other = openLimit(target, { max: 2 });
  assertEquals(other.max, 2);
  const held = present(other.tryAcquire());
  // The handle that asked for one place learns that the limit has another number.
  assertThrowsCode(() => idle.tryAcquire(), "MISMATCH", "1", "2");
  held.release();
  assertEquals([present(idle.tryAcquire()).id, idle.max], [1, 1]);
});

test("a resize counts for those that asked for another number before", () => {
  const [one, two] = openLimits(2, { max: 1 });
  one!.resize(2);
  present(one!.tryAcquire());
  assertEquals([present(two!.tryAcquire()).id, two!.max], [2, 2]);
});

for (const runtime of ownRuntime) {
  test(`${runtime}: another process resizes, or dies with other terms`, async () => {
    const [one, two] = openLimits(2, {});
    const other = await startContender(runtime, one!.target);
    await other.acquire();
    const waits = [one!.acquire(), two!.acquire()];
    await waiting(one!, 2);
    await other.tell({ do: "resize", max: 2 });
    const first = present(await waits[0]);
    assertEquals(first.id, 2);
    await other.child.killed();
    const second = present(await waits[1]);
    assertEquals(second.id, 1);
    first.release();
    second.release();
    const dying = await startContender(runtime, one!.target, { max: 7 });
    await dying.acquire();
    await dying.child.killed();
    await eventually(() => {
      try {
        return openLimit(one!.target, { max: 4 }).max === 4;
      } catch (error) {
        if ((error as { code?: string }).code === "MISMATCH") return false;
        throw error;
      }
    }, "the dead one's terms are no one's");
    for (const limit of [one!, two!]) limit.close();
    assertIdle(one!.target, 4);
  });
}
