/** Places are given in the order of the requests, whoever asks, gives up, or comes in between. */
import { assert, assertEquals } from "@std/assert";
import type { Limit, Lock } from "../../src/limit/main.ts";
import { eventually, present, runtimes, test } from "../support/harness.ts";
import {
  assertIdle,
  assertTickets,
  type Contender,
  openLimit,
  openLimits,
  startProcess,
  waiting,
} from "../support/limit.ts";

test("waiters of one process are served in the order in which they asked", async () => {
  const [holder] = openLimits(1);
  let lock = present(holder!.tryAcquire());
  const limits = openLimits(12, {}, holder!.target);
  const served: number[] = [];
  const waits = limits.map((limit, index) =>
    limit.acquire().then((lock) => {
      served.push(index);
      return present(lock);
    })
  );
  await waiting(holder!, 12);
  for (const wait of waits) {
    lock.release();
    lock = await wait;
    assertTickets(holder!, { holders: [lock], waiters: waits.length - served.length });
  }
  assertEquals(served, limits.map((_, index) => index));
});

test("an attempt that does not wait overtakes nobody", async () => {
  const [holder, waiter, hasty] = openLimits(3, { max: 2 });
  const first = present(holder!.tryAcquire());
  const second = present(waiter!.tryAcquire());
  const third = openLimit(holder!.target);
  const waits = third.acquire();
  await waiting(holder!, 1);
  first.release();
  // Before the event loop turns, so before the waiter knows.
  assertEquals(hasty!.tryAcquire(), null);
  assertEquals(present(await waits).id, first.id);
  second.release();
  present(hasty!.tryAcquire());
});

test("one that gives up, by time or by signal, keeps nobody behind it from its place", async () => {
  const [holder, timed, aborted, closed, last] = openLimits(5);
  const lock = present(holder!.tryAcquire());
  const cancel = new AbortController();
  const reason = new Error("on purpose");
  const ends = [
    timed!.acquire({ timeout: 30 }),
    aborted!.acquire({ signal: cancel.signal }).catch((error) => error),
    closed!.acquire().catch((error) => error.code),
  ];
  await waiting(holder!, 3);
  const waits = last!.acquire();
  await waiting(holder!, 4);
  assertEquals([await ends[0], timed!.refusal], [null, "timeout"]);
  cancel.abort(reason);
  assertEquals(await ends[1], reason);
  closed!.close();
  assertEquals(await ends[2], "CLOSED");
  assertEquals(holder!.waiters().length, 1);
  lock.release();
  present(await waits);
});

test("an abort, a timeout and a grant at the same time: the place is with one contender or with none", async () => {
  const [holder, waiter] = openLimits(2);
  for (let round = 0; round < 20; round++) {
    const lock = present(holder!.tryAcquire());
    const cancel = new AbortController();
    const waits = waiter!.acquire({ signal: cancel.signal, timeout: 1 + round % 3 }).catch(() =>
      null
    );
    if (round % 2) await Promise.resolve();
    if (round % 4 === 1) cancel.abort();
    lock.release();
    if (round % 4 === 3) cancel.abort();
    const won = await waits;
    assertEquals(waiter!.isHeld, won !== null);
    won?.release();
    assertEquals([holder!.holders(), holder!.waiters()], [[], []]);
  }
  holder!.close();
  waiter!.close();
  assertIdle(holder!.target, 1);
});

test("steal takes the places from all holders, and its own comes before those that wait", async () => {
  const [one, two, waiter, thief] = openLimits(4, { max: 2 });
  const locks = [one!, two!].map((limit) => present(limit.tryAcquire()));
  const signals = locks.map(({ signal }) => signal);
  const waits = waiter!.acquire();
  await waiting(thief!, 1);
  const stolen = present(thief!.tryAcquire({ steal: true }));
  assert(locks.every((lock) => lock.token < stolen.token), "the thief's token is greater");
  await eventually(() => signals.every(({ aborted }) => aborted), "both learn of it");
  assertEquals(locks.map(({ isHeld }) => isHeld), [false, false]);
  assertEquals([one!.isHeld, one!.heartbeat()], [false, false]);
  // Two places were taken, one is used: the other is for the one that waits.
  present(await waits);
  assertEquals(thief!.holders().length, 2);
  for (const lock of locks) lock.release();
  assertEquals(thief!.holders().length, 2, "a lost lock releases nothing");
});

test("contenders of all runtimes are served in the order of their tickets", async () => {
  const holder = openLimit();
  const processes = await Promise.all(runtimes.map((runtime) => startProcess(runtime)));
  // One that blocks a process has to be its last.
  for (const [form, rounds] of [["promise", 3], ["sync", 1]] as const) {
    const lock = present(holder.tryAcquire());
    const waits: { contender: Contender; on: string; grant: ReturnType<Contender["acquire"]> }[] =
      [];
    for (let round = 0; round < rounds; round++) {
      for (const contender of processes) {
        const on = `${form} ${round}`;
        await contender.open(holder.target, {}, on);
        waits.push({ contender, on, grant: contender.acquire({}, form, on) });
        await waiting(holder, waits.length);
      }
    }
    lock.release();
    let before = lock.ticket;
    for (const [index, { contender, on, grant }] of waits.entries()) {
      const { id, ticket } = await grant;
      assertEquals(id, 1);
      assert(ticket! > before, `${ticket} came after ${before}`);
      before = ticket!;
      const rest = holder.waiters();
      assertEquals(rest.length, waits.length - 1 - index);
      assert(rest.every((waiter) => waiter.ticket > ticket!));
      await contender.tell({ do: "release", on });
    }
  }
});

test("hundreds of contenders of one process: never more than max, each served once, in order", async () => {
  const max = 3;
  const [watcher] = openLimits(1, { max });
  const limits = openLimits(300, {}, watcher!.target);
  const tickets: number[] = [];
  let holding = 0;
  let most = 0;
  const work = async (limit: Limit): Promise<void> => {
    const lock: Lock = present(await limit.acquire());
    holding += 1;
    most = Math.max(most, holding);
    tickets.push(lock.ticket);
    assert(watcher!.waiters().every(({ ticket }) => ticket > lock.ticket), "nobody was overtaken");
    await Promise.resolve();
    holding -= 1;
    lock.release();
  };
  await Promise.all(limits.map(work));
  assertEquals([most <= max, tickets.length, new Set(tickets).size], [true, 300, 300]);
  for (const limit of [watcher!, ...limits]) limit.close();
  assertIdle(watcher!.target, max);
});

test("there are 1,024 contenders; the next one is BUSY, until one is closed", () => {
  const [first] = openLimits(1);
  const limits = [first!];
  let code: unknown;
  try {
    while (limits.length <= 1024) limits.push(openLimit(first!.target));
  } catch (error) {
    code = (error as { code?: unknown }).code;
  }
  assertEquals([limits.length, code], [1024, "BUSY"]);
  limits.pop()!.close();
  openLimit(first!.target).close();
});
