/** Locks of several processes and runtimes. The test's own process is one of them. */
import { assert, assertEquals } from "@std/assert";
import process from "node:process";
import { locks } from "@tandem/ipc/limit";
import {
  type Child,
  eventually,
  type Runtime,
  runtime,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";
import { hold, isFree, limitFolder, newLockName, stateOf } from "../support/locks.ts";
import { startThread } from "../support/threads.ts";

/** An event of fixtures/locks.ts. */
interface Event {
  readonly event: string;
  readonly key?: string;
  readonly name?: string;
  readonly message?: string;
  readonly token?: string;
  readonly id?: number;
}

/** Every runtime meets the next one. */
const other: Runtime = runtimes[(runtimes.indexOf(runtime) + 1) % runtimes.length]!;

function start(): Promise<Child> {
  return spawn(other, "locks.ts", [], {
    env: { TANDEM_DIR: limitFolder() },
    denoPermissions: ["--allow-ffi", "--v8-flags=--expose-gc"],
  });
}

async function expectEvent(child: Child, event: string, key: string): Promise<Event> {
  const found = await child.message<Event>();
  assertEquals([found.event, found.key], [event, key], JSON.stringify(found));
  return found;
}

test("processes get a lock one at a time, in the order of their requests", async () => {
  const name = newLockName();
  const child = await start();
  const first = hold(locks, name);
  await first.granted;
  child.send({ hold: "second", name });
  await eventually(async () => (await stateOf(locks, name)).pending.length === 1);
  const third = hold(locks, name);
  child.send({ hold: "fourth", name });
  await eventually(async () => (await stateOf(locks, name)).pending.length === 3);
  first.release();
  await expectEvent(child, "granted", "second");
  assertEquals(third.isGranted, false);
  child.send({ release: "second" });
  await expectEvent(child, "ended", "second");
  await third.granted;
  third.release();
  await expectEvent(child, "granted", "fourth");
  assertEquals(await isFree(locks, name), false);
  child.send({ release: "fourth" });
  await expectEvent(child, "ended", "fourth");
  assertEquals(await isFree(locks, name), true);
});

test("processes share a lock; ifAvailable sees the holders and waiters of others", async () => {
  const name = newLockName();
  const child = await start();
  child.send({ hold: "shared", name, options: { mode: "shared" } });
  await expectEvent(child, "granted", "shared");
  assertEquals(await isFree(locks, name, "shared"), true);
  assertEquals(await isFree(locks, name), false);
  const alone = hold(locks, name);
  child.send({ hold: "late", name, options: { mode: "shared", ifAvailable: true } });
  await expectEvent(child, "not available", "late");
  child.send({ release: "late" });
  await expectEvent(child, "ended", "late");
  child.send({ release: "shared" });
  await expectEvent(child, "ended", "shared");
  await alone.granted;
  alone.release();
  await alone.result;
});

test("a lock that another process steals: AbortError, lock.signal, a greater token", async () => {
  const name = newLockName();
  const child = await start();
  child.send({ hold: "victim", name });
  const victim = await expectEvent(child, "granted", "victim");
  let thief = 0n;
  await locks.request(name, { steal: true }, async (lock) => {
    thief = lock.token;
    // Two events at once: the order in which the promise and the signal report it is not promised.
    const events = [await child.message<Event>(), await child.message<Event>()];
    const names = events.map(({ event }) => event).sort();
    assertEquals(names, ["failed", "lost"]);
    for (const { name, message } of events) {
      assertEquals(name, "AbortError");
      assert(message!.includes(`process ${process.pid}`), message);
    }
    // Its code still runs, and what it does with the lock's resource can be refused by the token.
    child.send({ release: "victim" });
    assertEquals(await isFree(locks, name), false);
  });
  assert(thief > BigInt(victim.token!));
  assertEquals(await isFree(locks, name), true);
});

test("a stopped process loses its lock to a thief, and learns of it when it goes on", async () => {
  const name = newLockName();
  const child = await start();
  child.send({ hold: "stopped", name });
  await expectEvent(child, "granted", "stopped");
  await child.stopped();
  assertEquals(await isFree(locks, name), false);
  const got = await locks.request(name, { steal: true }, (lock) => lock.name);
  assertEquals(got, name);
  child.kill("SIGCONT");
  const events = [await child.message<Event>(), await child.message<Event>()];
  assertEquals(events.map(({ event }) => event).sort(), ["failed", "lost"]);
});

test("a process that is killed loses its locks and its place in the queue", async () => {
  const name = newLockName();
  const [holder, waiter] = await Promise.all([start(), start()]);
  holder.send({ hold: "held", name });
  await expectEvent(holder, "granted", "held");
  waiter.send({ hold: "waits", name });
  await eventually(async () => (await stateOf(locks, name)).pending.length === 1);
  const own = hold(locks, name);
  waiter.kill("SIGKILL");
  await waiter.exited;
  holder.kill("SIGKILL");
  await own.granted;
  await eventually(async () => (await stateOf(locks, name)).pending.length === 0);
  own.release();
  await own.result;
});

test("a Worker that ends loses its lock", async () => {
  const name = newLockName();
  const granted = Promise.withResolvers<void>();
  const worker = startThread(new URL("../fixtures/locks_worker.ts", import.meta.url), {
    onMessage: () => granted.resolve(),
    onError: (message) => granted.reject(new Error(message)),
  });
  try {
    worker.post(name);
    await granted.promise;
    assertEquals(await isFree(locks, name), false);
  } finally {
    worker.terminate();
  }
  await eventually(() => isFree(locks, name));
});

test("query tells the processes apart by their clientId", async () => {
  const name = newLockName("who? me");
  const child = await start();
  child.send({ hold: "child", name });
  await expectEvent(child, "granted", "child");
  const own = hold(locks, name, { mode: "shared" });
  const found = await locks.query();
  const [held] = found.held.filter((info) => info.name === name);
  const [pending] = found.pending.filter((info) => info.name === name);
  assertEquals([held!.clientId, held!.pid, held!.mode], [
    `${other}-${child.pid}`,
    child.pid,
    "exclusive",
  ]);
  assertEquals([pending!.clientId, pending!.pid], [`${runtime}-${process.pid}`, process.pid]);
  assertEquals(pending!.mode, "shared");
  assert(Math.abs(held!.since - Date.now()) < 3_600_000);
  child.send({ query: true });
  const seen = await child.message<{ held: { name: string }[]; pending: { name: string }[] }>();
  assertEquals(seen.held.filter((info) => info.name === name).length, 1);
  assertEquals(seen.pending.filter((info) => info.name === name).length, 1);
  child.send({ release: "child" });
  await own.granted;
  own.release();
  await own.result;
});

test("a lock that is held for ever by a forgotten promise is no forgotten lock", async () => {
  const name = newLockName();
  const child = await start();
  child.send({ forever: name });
  await expectEvent(child, "granted", name);
  for (let turn = 0; turn < 3; turn++) {
    assertEquals((await child.ask<Event>({ collect: true })).event, "collected");
  }
  assertEquals(await isFree(locks, name), false);
  assertEquals(child.stderr, "");
});

test("a request keeps its process alive until it settles, while it waits and while its callback does", async () => {
  const [name, otherName] = [newLockName(), newLockName()];
  const own = hold(locks, name);
  await own.granted;
  const [waiter, holder] = await Promise.all([start(), start()]);
  waiter.send({ hold: "waits", name });
  await eventually(async () => (await stateOf(locks, name)).pending.length === 1);
  waiter.end();
  holder.send({ hold: "held", name: otherName });
  await expectEvent(holder, "granted", "held");
  holder.end();
  own.release();
  await expectEvent(waiter, "granted", "waits");
  // Both callbacks wait for a word that cannot come any more.
  const stolen = async (name: string) =>
    assertEquals(await locks.request(name, { steal: true }, () => "stolen"), "stolen");
  await Promise.all([stolen(name), stolen(otherName)]);
  for (const [child, key] of [[waiter, "waits"], [holder, "held"]] as const) {
    // In any order, as above.
    const events = [await child.message<Event>(), await child.message<Event>()];
    assertEquals(events.map(({ event }) => event).sort(), ["failed", "lost"]);
    assertEquals(events.map((event) => event.key), [key, key]);
  }
  assertEquals((await waiter.exited).code, 0);
  assertEquals((await holder.exited).code, 0);
});
