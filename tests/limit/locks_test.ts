/** What `locks` has beyond the Web Locks specification, and what it costs. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Limit, locks, type NamedLock } from "@tandem/ipc/limit";
import { assertRefusedLater } from "../support/bad_input_assert.ts";
import { eventually, test } from "../support/harness.ts";
import { hold, isFree, limitFolder, newLockName, stateOf } from "../support/locks.ts";

test("max: so many hold the lock at once, and the next one waits", async () => {
  const name = newLockName();
  const holders = [1, 2, 3].map(() => hold(locks, name, { max: 3 }));
  const found = await Promise.all(holders.map(({ granted }) => granted)) as NamedLock[];
  assertEquals(found.map(({ id }) => id).sort(), [1, 2, 3]);
  const fourth = hold(locks, name, { max: 3 });
  assertEquals((await stateOf(locks, name)).pending.length, 1);
  holders[1]!.release();
  assertEquals((await fourth.granted as NamedLock).id, 2);
  for (const one of [...holders, fourth]) one.release();
  await Promise.all([...holders, fourth].map(({ result }) => result));
});

test("max: another number is a MISMATCH while the lock is held, and adopted when nobody uses it", async () => {
  const name = newLockName();
  const held = hold(locks, name, { max: 2 });
  await held.granted;
  await assertRefusedLater(locks.request(name, () => {}), "MISMATCH", "1", "2");
  held.release();
  await held.result;
  assertEquals(await locks.request(name, (lock) => lock.id), 1);
  for (const max of [0, 1025, 1.5, NaN]) {
    await assertRefusedLater(locks.request(name, { max }, () => {}), RangeError, "max");
  }
});

test("timeout: a request that waits longer rejects with TIMEOUT, and leaves the queue", async () => {
  const name = newLockName();
  const held = hold(locks, name);
  await held.granted;
  for (const timeout of [0, 20]) {
    const refused = locks.request(name, { timeout }, () => {});
    await assertRefusedLater(refused, "TIMEOUT", name, `${timeout} ms`);
  }
  assertEquals((await stateOf(locks, name)).pending, []);
  for (const timeout of [-1, NaN]) {
    await assertRefusedLater(locks.request(name, { timeout }, () => {}), RangeError);
  }
  held.release();
  await held.result;
  assertEquals(await locks.request(name, { timeout: 0 }, () => "in time"), "in time");
});

test("token: it grows with each grant", async () => {
  const name = newLockName();
  const tokens: bigint[] = [];
  for (let turn = 0; turn < 5; turn++) {
    tokens.push(await locks.request(name, ({ token }) => token));
  }
  assertEquals(tokens, tokens.toSorted((one, other) => one < other ? -1 : 1));
  assertEquals(new Set(tokens).size, tokens.length);
});

test("signal: it aborts when the lock is stolen, with the AbortError of the promise", async () => {
  const name = newLockName();
  const aborted = Promise.withResolvers<unknown>();
  const victim = locks.request(name, ({ signal }) => {
    assertEquals(signal.aborted, false);
    signal.addEventListener("abort", () => aborted.resolve(signal.reason));
    return new Promise<void>(() => {});
  });
  const failure = assertRejects(() => victim, DOMException);
  await eventually(async () => (await stateOf(locks, name)).held.length === 1);
  await locks.request(name, { steal: true }, () => {});
  const reason = await aborted.promise;
  assert(reason === await failure);
  assertMatch((reason as Error).message, /^Cannot hold lock "test-.*stolen/);
});

test("signal: it tells of a theft that was never listened for, also when the callback has blocked", async () => {
  const name = newLockName();
  let lock: NamedLock | undefined;
  // The theft happens within the callback, so no turn passes before it ends.
  const victim = locks.request(name, (granted) => {
    lock = granted;
    using thief = new Limit(name);
    thief.acquireSync({ steal: true });
  });
  const failure = await assertRejects(() => victim, DOMException);
  assertEquals(failure.name, "AbortError");
  assertEquals([lock!.signal.aborted, lock!.signal.reason], [true, failure]);
});

test("signal: it stays silent when the callback has ended", async () => {
  const name = newLockName();
  const early = await locks.request(name, ({ signal }) => signal);
  const late = await locks.request(name, (lock) => lock);
  const { signal } = late as NamedLock;
  await locks.request(name, { steal: true }, () => {});
  assertEquals([early.aborted, signal.aborted], [false, false]);
});

test("a lock whose file is deleted is lost within a second", async () => {
  const name = newLockName();
  const held = hold(locks, name);
  await held.granted;
  rmSync(join(limitFolder(), `${name}.limit`));
  await assertRefusedLater(held.result, "NOT_FOUND", name);
  assertEquals(await isFree(locks, name), true);
  held.release();
});

test("a Limit of the same name is the same lock", async () => {
  const name = newLockName();
  using limit = new Limit(name);
  using lock = limit.tryAcquire()!;
  assertEquals(await isFree(locks, name), false);
  assertEquals(await stateOf(locks, name), { held: ["exclusive"], pending: [] });
  const waiting = hold(locks, name);
  assertEquals(limit.waiters().length, 1);
  lock.release();
  await waiting.granted;
  assertEquals(limit.tryAcquire(), null);
  waiting.release();
  await waiting.result;
});

test("query gives names as they were requested, in their order", async () => {
  const start = newLockName("query");
  const names = [" z", "/a", "\u00e9", "", "_20_", "-long".repeat(28)].map((end) =>
    newLockName(`${start}${end}`)
  );
  const held = names.map((name) => hold(locks, name));
  await Promise.all(held.map(({ granted }) => granted));
  const found = (await locks.query()).held.map(({ name }) => name).filter((name) =>
    name.startsWith(start)
  );
  assertEquals(found, names.toSorted());
  for (const one of held) one.release();
  await Promise.all(held.map(({ result }) => result));
});

test("query makes no file, and minds none that is no limit", async () => {
  const name = newLockName("no-limit");
  const path = join(limitFolder(), `${name}.limit`);
  const before = readdirSync(limitFolder()).sort();
  await locks.query();
  assertEquals(readdirSync(limitFolder()).sort(), before);
  const { writeFileSync } = await import("node:fs");
  writeFileSync(path, "no limit");
  assertEquals(await stateOf(locks, name), { held: [], pending: [] });
  assert(existsSync(path));
});

test("one request after the other keeps one limit open, and many names keep few", async () => {
  const name = newLockName();
  await locks.request(name, () => {});
  const before = descriptors();
  for (let turn = 0; turn < 100; turn++) await locks.request(name, () => {});
  // Limits of earlier tests may be closed meanwhile.
  assert(descriptors() <= before, `${descriptors()} descriptors instead of ${before}`);
  const names = Array.from({ length: 60 }, () => newLockName());
  for (const name of names) await locks.request(name, () => {});
  const few = 16 * 6;
  assert(descriptors() <= before + few, `${descriptors()} descriptors instead of ${before}`);
});

test("many requests of one process wait for one lock, and each gets it once", async () => {
  const name = newLockName();
  const order: number[] = [];
  const numbers = Array.from({ length: 100 }, (_, index) => index);
  await Promise.all(numbers.map((number) =>
    locks.request(name, async () => {
      await Promise.resolve();
      order.push(number);
    })
  ));
  assertEquals(order, numbers);
});

test("a context of the caller reaches the callback", async () => {
  const { AsyncLocalStorage } = await import("node:async_hooks");
  const storage = new AsyncLocalStorage<string>();
  const name = newLockName();
  const held = hold(locks, name);
  await held.granted;
  const seen = storage.run("mine", () => [
    locks.request(name, () => storage.getStore()),
    locks.request(newLockName(), () => storage.getStore()),
  ]);
  held.release();
  assertEquals(await Promise.all(seen), ["mine", "mine"]);
});

test("nothing global is touched", () => {
  const { navigator } = globalThis as { navigator?: { locks?: unknown } };
  assert(navigator?.locks !== locks);
});

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}
