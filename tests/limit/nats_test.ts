/**
 * Limits across machines: what they have in common with those of one machine, over a real NATS server. What they
 * do when links, processes and servers fail is in `nats_faults_test.ts`.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import process from "node:process";
import { Limit, type LimitChange, type Lock } from "../../src/limit/main.ts";
import { isOlder } from "../../src/nats/streams.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  eventually,
  present,
  runtime,
  test as register,
} from "../support/harness.ts";
import { natsLimits, newNatsLimit, noNats, sees } from "../support/nats_limit.ts";

function test(name: string, body: () => Promise<void>): void {
  register(`NATS limit: ${name}`, body, { skip: noNats });
}

test("places, none left, and one again", async () => {
  const [first, second, third] = natsLimits(3, { max: 2 });
  const one = present(await first!.acquire());
  const two = present(await second!.acquire());
  assertEquals([one.id, two.id], [1, 2]);
  assertEquals([one.mode, one.isHeld, first!.isHeld], ["exclusive", true, true]);
  assert(two.token > one.token);
  assertEquals([await third!.acquire({ timeout: 0 }), third!.refusal], [null, "timeout"]);
  assertEquals([await third!.acquire({ timeout: 20 }), third!.refusal], [null, "timeout"]);
  assertEquals(one.release(), true);
  assertEquals([one.isHeld, one.heartbeat(), first!.isHeld, first!.lock], [
    false,
    false,
    false,
    null,
  ]);
  assertEquals(one.release(), false);
  const three = present(await third!.acquire());
  assertEquals([three.id, third!.refusal], [1, null]);
  assert(three.token > two.token);
});

test("waiters are served in the order in which they asked, and nobody overtakes them", async () => {
  const [holder, hasty] = natsLimits(2);
  let lock = present(await holder!.acquire());
  const limits = natsLimits(8, {}, holder!.target);
  const served: number[] = [];
  const waits: Promise<Lock>[] = [];
  for (const [index, limit] of limits.entries()) {
    waits.push(
      limit.acquire().then((lock) => {
        served.push(index);
        return present(lock);
      }),
    );
    await sees(holder!, 1, index + 1);
  }
  const tickets = holder!.waiters().map(({ ticket }) => ticket);
  assertEquals(tickets, [...tickets].sort((a, b) => a - b));
  for (const wait of waits) {
    assertEquals(await hasty!.acquire({ timeout: 0 }), null);
    lock.release();
    const next = await wait;
    assert(next.token > lock.token);
    lock = next;
  }
  assertEquals(served, limits.map((_, index) => index));
});

test("a second acquire of one object returns its lock, also while it waits", async () => {
  const [first, second] = natsLimits(2);
  const lock = present(await first!.acquire());
  assertEquals(await first!.acquire(), lock);
  const waits = [second!.acquire(), second!.acquire({ timeout: 0 })];
  lock.release();
  const [one, two] = await Promise.all(waits);
  assertEquals(one, two);
  present(one);
  // The release of before may not have arrived.
  one!.release();
  present(await second!.acquire({ timeout: 0 }));
});

test("aborts and closed limits keep nobody from a place", async () => {
  const [holder, aborted, closed, last] = natsLimits(4);
  const lock = present(await holder!.acquire());
  const cancel = new AbortController();
  const reason = new Error("on purpose");
  const ends = [
    aborted!.acquire({ signal: cancel.signal }).catch((error) => error),
    closed!.acquire().catch((error) => error.code),
  ];
  await sees(holder!, 1, 2);
  const waits = last!.acquire();
  await sees(holder!, 1, 3);
  cancel.abort(reason);
  assertEquals(await ends[0], reason);
  closed!.close();
  closed!.close();
  assertEquals(await ends[1], "CLOSED");
  await assertRejectsCode(closed!.acquire(), "CLOSED");
  assertThrowsCode(() => closed!.holders(), "CLOSED");
  await sees(holder!, 1, 1);
  holder!.close();
  assertEquals(lock.isHeld, false);
  present(await waits);
  await assertRejects(
    () => aborted!.acquire({ signal: AbortSignal.abort(reason) }),
    Error,
    "on purpose",
  );
});

test("an abort, a timeout and a grant at the same time: the place is with one contender or with none", async () => {
  const [holder, waiter] = natsLimits(2);
  for (let round = 0; round < 12; round++) {
    const lock = present(await holder!.acquire());
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
    await sees(holder!, 0, 0);
  }
});

test("shared locks have one place together; an exclusive waiter comes before later sharers", async () => {
  const [one, two, writer, late] = natsLimits(4);
  const first = present(await one!.acquire({ mode: "shared" }));
  const second = present(await two!.acquire({ mode: "shared" }));
  assertEquals([first.id, second.id, second.mode], [1, 1, "shared"]);
  await assertRejectsCode(one!.acquire({ mode: "exclusive" }), "MISMATCH");
  const waits = writer!.acquire();
  await sees(one!, 2, 1);
  assertEquals(await late!.acquire({ mode: "shared", timeout: 0 }), null);
  first.release();
  second.release();
  assertEquals(present(await waits).mode, "exclusive");
});

test("steal: the lock is lost, its signal aborts, and the thief has a greater token", async () => {
  const [one, two, waiter, thief] = natsLimits(4, { max: 2 });
  const events: string[] = [];
  one!.onChange(({ kind }) => events.push(kind));
  const locks = [present(await one!.acquire()), present(await two!.acquire())];
  const { signal } = locks[0]!;
  const waits = waiter!.acquire();
  await sees(thief!, 2, 1);
  const stolen = present(await thief!.acquire({ steal: true, timeout: 0 }));
  assert(locks.every((lock) => lock.token < stolen.token));
  await eventually(() => signal.aborted && !locks[1]!.isHeld, "both learn of it");
  assertEquals(signal.reason.code, "CANCELLED");
  assertEquals(locks[1]!.signal.reason.code, "CANCELLED");
  assertEquals(locks.map((lock) => lock.release()), [false, false]);
  assertEquals(events, ["acquired", "lost"]);
  // Two places were taken, one is used: the other is for the one that waits.
  present(await waits);
  await sees(thief!, 2, 0);
});

test("standby: as many may wait as it says", async () => {
  const [holder, waiter, third] = natsLimits(3, { standby: 1 });
  const lock = present(await holder!.acquire());
  const waits = waiter!.acquire();
  await sees(holder!, 1, 1);
  assertEquals([await third!.acquire(), third!.refusal], [null, "standby-full"]);
  lock.release();
  present(await waits);
});

test("standby: a limit of its own, which several limits share", async () => {
  const standby = { max: 1, target: newNatsLimit() };
  const [one, two, three] = natsLimits(3, { standby });
  const [other, another] = natsLimits(2, { standby });
  present(await one!.acquire());
  const lock = present(await other!.acquire());
  const waits = two!.acquire();
  await sees(one!, 1, 1);
  assertEquals([await three!.acquire(), three!.refusal], [null, "standby-full"]);
  assertEquals([await another!.acquire(), another!.refusal], [null, "standby-full"]);
  one!.lock!.release();
  present(await waits);
  await eventually(async () => {
    const waiting = another!.acquire({ timeout: 300 });
    await waiting;
    return another!.refusal === "timeout";
  }, "the place for waiters is free again");
  lock.release();
});

test("the newest first: a newcomer makes older waiters retire", async () => {
  const [holder, older, newer] = natsLimits(3, { order: "newest" });
  const lock = present(await holder!.acquire());
  const first = older!.acquire();
  await sees(holder!, 1, 1);
  const second = newer!.acquire();
  assertEquals([await first, older!.refusal], [null, "replaced"]);
  lock.release();
  present(await second);
  assertEquals(newer!.order, "newest");
});

test("run: the lock is held while the function runs, and released whatever it does", async () => {
  const [limit, other] = natsLimits(2);
  assertEquals(
    await limit!.run(async (lock) => {
      assertEquals(await other!.run(() => 1, { timeout: 0 }), null);
      const inner = await limit!.run((same) => same === lock);
      assertEquals([inner, lock.isHeld], [true, true]);
      return "done";
    }),
    "done",
  );
  assertEquals(limit!.isHeld, false);
  await assertRejects(() => limit!.run(() => Promise.reject(new Error("mine"))), Error, "mine");
  assertEquals(await other!.run((lock) => lock.id), 1);
  // A lock that was acquired otherwise stays.
  const lock = await limit!.acquire();
  await limit!.run(() => {});
  assertEquals(lock!.isHeld, true);
});

test("retries: a number is a time, and a function is asked", async () => {
  const target = newNatsLimit();
  const [holder] = natsLimits(1, {}, target);
  present(await holder!.acquire());
  const [none] = natsLimits(1, { retries: 0 }, target);
  assertEquals([await none!.acquire(), none!.refusal], [null, "retries"]);
  const [some] = natsLimits(1, { retries: 2, interval: 0.02 }, target);
  assertEquals([await some!.acquire(), some!.refusal], [null, "retries"]);
  const asked: number[] = [];
  const [asking] = natsLimits(1, {
    interval: 0.01,
    retries: (attempt) => asked.push(attempt) < 3,
  }, target);
  assertEquals([await asking!.acquire(), asking!.refusal], [null, "retries"]);
  assertEquals(asked, [1, 2, 3]);
  await sees(holder!, 1, 0);
});

test("resize counts for all; another max is a mismatch while one holds or waits", async () => {
  const [one, two, three] = natsLimits(3, { max: 1 });
  present(await one!.acquire());
  const waits = [two!.acquire(), three!.acquire()];
  await sees(one!, 1, 2);
  one!.resize(3);
  const locks = await Promise.all(waits);
  assertEquals(locks.map((lock) => lock!.id).sort(), [2, 3]);
  await eventually(() => two!.max === 3, "others see the new size");
  const [other] = natsLimits(1, { max: 2 }, one!.target);
  await assertRejectsCode(other!.acquire(), "MISMATCH");
  const [newest] = natsLimits(1, { order: "newest" }, one!.target);
  await assertRejectsCode(newest!.acquire(), "MISMATCH");
  assertThrows(() => one!.resize(0), RangeError);
  for (const limit of [one, two, three]) limit!.close();
  await sees(other!, 0, 0);
  present(await other!.acquire());
  assertEquals(other!.max, 2);
});

test("resize counts for objects with an option, too, and stays", async () => {
  const [a, b] = natsLimits(2, { max: 1 });
  const [one] = [present(await a!.acquire()), await b!.ready];
  assertEquals(await b!.acquire({ timeout: 0 }), null);
  a!.resize(3);
  const two = present(await b!.acquire());
  assertEquals([one.id, two.id], [1, 2]);
  one.release();
  two.release();
  await sees(a!, 0, 0);
  present(await b!.acquire()).release();
  assertEquals(b!.max, 3);
});

test("who holds and who waits, and what happens to an object", async () => {
  const [holder, waiter] = natsLimits(2);
  assertThrowsCode(() => holder!.holders(), "UNSUPPORTED");
  const changes: LimitChange["kind"][] = [];
  using _listening = waiter!.onChange(({ kind }) => changes.push(kind));
  const lock = present(await holder!.acquire());
  const waits = waiter!.acquire({ mode: "shared" });
  await sees(holder!, 1, 1);
  const [held] = holder!.holders();
  const { id, token, pid, mode, ticket } = held!;
  assertEquals(
    { id, token, pid, mode, ticket, runtime: held!.runtime },
    { id: 1, token: lock.token, pid: process.pid, mode: "exclusive", ticket: lock.ticket, runtime },
  );
  assert(Math.abs(held!.since - Date.now()) < 600_000);
  const [waiting] = holder!.waiters();
  assertEquals([waiting!.id, waiting!.token, waiting!.mode], [0, 0n, "shared"]);
  lock.release();
  present(await waits).release();
  assertEquals(changes, ["standby", "acquired", "released"]);
});

test("names and prefixes: only the same ones meet", async () => {
  const target = newNatsLimit();
  const locks: Lock[] = [];
  for (const name of ["", ".x", ".*", ".>", " x", "/x", "é", "=2E"]) {
    const [limit] = natsLimits(1, {}, target + name);
    locks.push(present(await limit!.acquire({ timeout: 0 })));
  }
  for (const prefix of ["shop", "shop.a", "shop_-a", "shop_a"]) {
    const [limit] = natsLimits(1, { nats: { prefix } }, target);
    locks.push(present(await limit!.acquire({ timeout: 0 })));
  }
  const [again] = natsLimits(1, { nats: { prefix: "shop.a" } }, target);
  assertEquals(await again!.acquire({ timeout: 0 }), null);
  assert(locks.every(({ isHeld }) => isHeld));
});

test("what cannot be is refused with advice, and wrong options at once", async () => {
  const [limit] = natsLimits(1);
  assertThrowsCode(() => limit!.acquireSync(), "UNSUPPORTED");
  assertThrowsCode(() => limit!.runSync(() => 1), "UNSUPPORTED");
  const error = assertThrowsCode(() => limit!.tryAcquire(), "UNSUPPORTED");
  assert(String(error).includes("acquire({ timeout: 0 })"));
  const lock = present(await limit!.acquire());
  assertThrowsCode(() => lock.exec("true"), "UNSUPPORTED");
  const { target } = limit!;
  assertThrowsCode(
    () => new Limit(target, { standby: { max: 1, target: "local" } }),
    "UNSUPPORTED",
  );
  assertThrows(() => new Limit(target, { lease: 999 }), RangeError);
  assertThrows(() => new Limit(target, { max: 0 }), RangeError);
  assertThrows(() => new Limit(target, { nats: 1 as never }), TypeError);
  assertThrows(() => new Limit(target, { nats: { prefix: "a b" } }), TypeError);
  assertThrows(() => new Limit("nats://127.0.0.1:4222/"), TypeError);
  await assertRejects(() => limit!.run(1 as never), TypeError);
});

test("versions of servers that are too old", () => {
  const older = ["2.10.29", "2.11.0", "1.99.99"].filter((one) => !isOlder(one, "2.11.1"));
  const newer = ["2.11.1", "2.12.0-RC.3", "3.0.0"].filter((one) => isOlder(one, "2.11.1"));
  assertEquals([older, newer], [[], []]);
  return Promise.resolve();
});

test("many contenders at once: never more than max, each served once", async () => {
  const max = 3;
  const limits = natsLimits(24, { max });
  let holding = 0;
  let most = 0;
  const tokens: bigint[] = [];
  await Promise.all(limits.map((limit) =>
    limit.run(async (lock) => {
      holding += 1;
      most = Math.max(most, holding);
      tokens.push(lock.token);
      await Promise.resolve();
      assertEquals(lock.isHeld, true);
      holding -= 1;
    })
  ));
  assert(most <= max);
  assertEquals(new Set(tokens).size, limits.length);
});
