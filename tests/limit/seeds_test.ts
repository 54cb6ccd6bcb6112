/**
 * What IPC::ConcurrencyLimit 0.17, its WithStandby and its WithLatestStandby do, and what they fail at: each feature,
 * each of their tests and each known weakness has a test here. `tests/README.md` has the table.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { existsSync, readFileSync, statSync } from "node:fs";
import process from "node:process";
import { Limit, type LimitOptions } from "../../src/limit/main.ts";
import {
  assertThrowsCode,
  doomed,
  eventually,
  newTarget,
  ownRuntime,
  present,
  settled,
  sleep,
  test,
} from "../support/harness.ts";
import {
  assertIdle,
  type Contender,
  openLimit,
  openLimits,
  startContender,
  startProcess,
  waiting,
} from "../support/limit.ts";

test("the constructor takes no place", () => {
  const [one, other] = openLimits(2);
  assertEquals([one!.isHeld, one!.lock, one!.holders()], [false, null, []]);
  present(other!.tryAcquire());
});

test("wrong options are refused by the constructor, not by the first attempt", () => {
  const wrong: readonly unknown[] = [
    { max: 0 },
    { max: 1025 },
    { max: 1.5 },
    { max: "3" },
    { order: "random" },
    { standby: -1 },
    { standby: { max: 1 } },
    { interval: -1 },
    { interval: NaN },
    { retries: -1 },
    { retries: "many" },
    { mode: 0o10000 },
  ];
  const target = newTarget();
  for (const options of wrong) {
    const failure = thrownBy(() => new Limit(target, options as LimitOptions).close());
    const isRight = failure instanceof TypeError || failure instanceof RangeError;
    assert(isRight, `${JSON.stringify(options)}: ${failure}`);
  }
  assertThrows(() => new Limit(undefined as unknown as string), TypeError);
  assert(!existsSync(target), "a refused constructor makes no file");
});

test("ids are 1 to max, each given once; then there is no place, and no wait for one", () => {
  const target = newTarget();
  const limits = openLimits(21, { max: 20 }, target);
  const ids = limits.map((limit) => limit.tryAcquire()?.id ?? null);
  assertEquals(ids.slice(0, 20).sort((a, b) => a! - b!), numbers(20));
  assertEquals([ids[20], limits[20]!.refusal], [null, "timeout"]);
  assertEquals(limits[0]!.holders().map(({ id }) => id).sort((a, b) => a - b), numbers(20));
});

test("one place: a second object gets none, and repeated attempts return the same lock", async () => {
  const [one, other] = openLimits(2);
  const lock = present(one!.tryAcquire());
  assertEquals([lock.id, lock.isHeld, one!.isHeld], [1, true, true]);
  assert(one!.tryAcquire() === lock);
  assert(one!.acquireSync() === lock);
  assert(await one!.acquire() === lock);
  assert(one!.lock === lock);
  assertEquals([other!.tryAcquire(), other!.isHeld, other!.lock], [null, false, null]);
  lock.release();
  assertEquals([lock.isHeld, one!.isHeld, one!.lock], [false, false, null]);
  assertEquals(present(other!.tryAcquire()).id, 1);
});

test("two places: different ids, and the third object gets none", () => {
  const [one, two, three] = openLimits(3, { max: 2 });
  const first = present(one!.tryAcquire());
  const second = present(two!.tryAcquire());
  assertEquals([first.id, second.id].sort(), [1, 2]);
  assertEquals(three!.tryAcquire(), null);
  second.release();
  assertEquals(present(three!.tryAcquire()).id, second.id, "a freed id is used again");
});

test("a second release does nothing, not even to a lock that was acquired meanwhile", () => {
  const limit = openLimit();
  const first = present(limit.tryAcquire());
  first.release();
  first.release();
  const second = present(limit.tryAcquire());
  first.release();
  assertEquals([first.isHeld, second.isHeld], [false, true]);
  assert(second.token > first.token, "every lock has a token of its own");
});

test("the end of a scope releases what `using` declares", () => {
  const [one, other] = openLimits(2);
  {
    using lock = one!.tryAcquire();
    assertEquals([lock?.id, other!.tryAcquire()], [1, null]);
  }
  assertEquals(present(other!.tryAcquire()).id, 1);
  {
    using limit = openLimit(newTarget());
    present(limit.tryAcquire());
  }
  assertEquals(one!.holders().length, 1);
});

test("shared locks have one id; exclusive and shared ones exclude each other", () => {
  const [one, two, three, other] = openLimits(4);
  const shared = [one!, two!, three!].map((limit) => present(limit.tryAcquire({ mode: "shared" })));
  assertEquals(shared.map(({ id, mode }) => [id, mode]), Array(3).fill([1, "shared"]));
  assertEquals(other!.tryAcquire(), null);
  for (const lock of shared.slice(1)) lock.release();
  assertEquals(other!.tryAcquire(), null, "one sharer is left");
  shared[0]!.release();
  const exclusive = present(other!.tryAcquire());
  assertEquals(exclusive.mode, "exclusive");
  assertEquals(one!.tryAcquire({ mode: "shared" }), null);
  exclusive.release();
  present(one!.tryAcquire({ mode: "shared" }));
});

test("shared locks leave the other places free", () => {
  const [one, two, three, four] = openLimits(4, { max: 2 });
  const shared = [one!, two!].map((limit) => present(limit.tryAcquire({ mode: "shared" })).id);
  assertEquals(shared, [1, 1]);
  assertEquals(present(three!.tryAcquire()).id, 2);
  assertEquals(four!.tryAcquire(), null);
  present(four!.tryAcquire({ mode: "shared" }));
});

test("an exclusive waiter blocks later sharers", async () => {
  const [sharer, exclusive, late] = openLimits(3);
  const shared = present(sharer!.tryAcquire({ mode: "shared" }));
  const waits = exclusive!.acquire();
  await waiting(sharer!, 1);
  assertEquals(late!.tryAcquire({ mode: "shared" }), null);
  const lateWaits = late!.acquire({ mode: "shared" });
  await waiting(sharer!, 2);
  shared.release();
  const lock = present(await waits);
  assertEquals(late!.isHeld, false);
  lock.release();
  assertEquals(present(await lateWaits).mode, "shared");
});

test("the file stays and has no content of its holder's: the next lock's token is greater", () => {
  const target = newTarget();
  const tokens = numbers(3).map(() => {
    using limit = new Limit(target);
    return present(limit.tryAcquire()).token;
  });
  assert(existsSync(target));
  assertEquals(statSync(target).mode & 0o777, 0o600);
  assert(tokens[0]! < tokens[1]! && tokens[1]! < tokens[2]!, String(tokens));
  // Microseconds since the epoch when the file was made: greater than those of any file before.
  const age = Date.now() * 1000 - Number(tokens[0]);
  assert(age >= -1_000_000 && age < 3600e6, `${age} µs`);
});

test("holders and waiters are known by process, runtime, place, token, time and order", async () => {
  const target = newTarget();
  const before = Date.now();
  const [one, two, three] = openLimits(3, {}, target);
  const lock = present(one!.tryAcquire({ mode: "shared" }));
  const waits = [doomed(two!.acquire()), doomed(three!.acquire({ mode: "shared" }))];
  await waiting(one!, 2);
  const [holder] = one!.holders();
  const { since, title: _, ...known } = present(holder);
  const { id, token, ticket } = lock;
  const own = { pid: process.pid, runtime: ownRuntime[0] };
  assertEquals(known, { ...own, id, token, ticket, mode: "shared" });
  // The kernel's coarse clock is a tick late.
  assert(since >= before - 20 && since <= Date.now() + 1, `${since - before}`);
  const waiters = two!.waiters().map(({ since: _since, title: _title, ticket: _, ...rest }) =>
    rest
  );
  assertEquals(waiters, [
    { ...own, id: 0, token: 0n, mode: "exclusive" },
    { ...own, id: 0, token: 0n, mode: "shared" },
  ]);
  lock.release();
  present(await waits[0]).release();
  present(await waits[1]);
});

test("a waiter that has no attempt left is refused, and gets the lock otherwise", async () => {
  const [holder] = openLimits(1);
  const lock = present(holder!.tryAcquire());
  const none = openLimit(holder!.target, { retries: 0, interval: 0 });
  assertEquals([await none.acquire(), none.refusal], [null, "retries"]);
  const three = openLimit(holder!.target, { retries: 3, interval: 0.05 });
  const began = performance.now();
  assertEquals([await three.acquire(), three.refusal], [null, "retries"]);
  assert(performance.now() - began >= 145, "three intervals");
  assertEquals([three.acquireSync(), three.refusal], [null, "retries"]);
  assertEquals(holder!.waiters(), [], "no place among the waiters is kept");
  const many = openLimit(holder!.target, { retries: 1000, interval: 1 });
  const waits = many.acquire();
  await waiting(holder!, 1);
  lock.release();
  present(await waits);
  assertEquals(many.refusal, null);
});

test("`retries` as a function is asked from 1 on, and its place among the waiters stays", async () => {
  const [holder] = openLimits(1);
  const lock = present(holder!.tryAcquire());
  const attempts: number[] = [];
  const limit = openLimit(holder!.target, {
    interval: 0.01,
    retries: (attempt) => {
      attempts.push(attempt);
      return attempt < 4;
    },
  });
  assertEquals([await limit.acquire(), limit.refusal], [null, "retries"]);
  assertEquals(attempts, [1, 2, 3, 4]);
  const tickets = new Set<number>();
  const patient = openLimit(holder!.target, {
    interval: 0.01,
    retries: (attempt) => {
      for (const { ticket } of holder!.waiters()) tickets.add(ticket);
      if (attempt === 5) lock.release();
      return true;
    },
  });
  present(await patient.acquire());
  assertEquals(tickets.size, 1, "it queues once");
});

test("what `retries` throws rejects the attempt, and no place is kept", async () => {
  const [holder] = openLimits(1);
  present(holder!.tryAcquire());
  const limit = openLimit(holder!.target, {
    interval: 0.01,
    retries: () => {
      throw new Error("on purpose");
    },
  });
  let caught: unknown;
  await limit.acquire().catch((error) => caught = error);
  assertEquals((caught as Error).message, "on purpose");
  assertEquals(holder!.waiters(), []);
});

test("one waiter is allowed: the second is refused at once, until the first has its lock", async () => {
  const [holder] = openLimits(1);
  const lock = present(holder!.tryAcquire());
  const [first, second, third] = openLimits(3, { standby: 1 }, holder!.target);
  const waits = first!.acquire();
  await waiting(holder!, 1);
  assertEquals([await second!.acquire(), second!.refusal], [null, "standby-full"]);
  assertEquals([second!.acquireSync(), second!.refusal], [null, "standby-full"]);
  assertEquals(first!.isHeld, false, "who stands by holds nothing");
  lock.release();
  const next = present(await waits);
  // The place among the waiters is free, because the first is none any more.
  const later = second!.acquire();
  await waiting(holder!, 1);
  assertEquals([await third!.acquire(), third!.refusal], [null, "standby-full"]);
  next.release();
  present(await later);
});

test("nobody may stand by: an attempt gets a free place, or null at once", async () => {
  const [one, other] = openLimits(2, { standby: 0 });
  const lock = present(await one!.acquire());
  assertEquals([await other!.acquire(), other!.refusal], [null, "standby-full"]);
  lock.release();
  present(await other!.acquire());
});

test("a limit of its own for the waiters: two limits share it, and it is free when they have their locks", async () => {
  const standby = { max: 1, target: newTarget() };
  const [one, two] = [openLimit(), openLimit()];
  const locks = [one, two].map((limit) => present(limit.tryAcquire()));
  const first = openLimit(one.target, { standby });
  const second = openLimit(two.target, { standby });
  const waits = first.acquire();
  await waiting(one, 1);
  assertEquals([await second.acquire(), second.refusal], [null, "standby-full"]);
  locks[0]!.release();
  present(await waits);
  const next = second.acquire();
  await waiting(two, 1);
  locks[1]!.release();
  present(await next);
  first.close();
  second.close();
  assertIdle(standby.target, 1);
});

test("refused and timed-out waiters leave no place taken among the waiters", async () => {
  const [holder] = openLimits(1);
  present(holder!.tryAcquire());
  for (const standby of [1, { max: 1, target: newTarget() }]) {
    const limit = openLimit(holder!.target, { standby });
    assertEquals([await limit.acquire({ timeout: 1 }), limit.refusal], [null, "timeout"]);
    // It is still there, without a place.
    const other = openLimit(holder!.target, { standby });
    assertEquals([await other.acquire({ timeout: 1 }), other.refusal], [null, "timeout"]);
    limit.close();
    other.close();
  }
});

test("the title says who stands by, and is restored", async () => {
  const [holder] = openLimits(1);
  const titled = await startProcess(ownRuntime[0]);
  const plain = titleOf(titled.pid);
  for (const form of ["promise", "sync"] as const) {
    const lock = present(holder!.tryAcquire());
    await titled.open(holder!.target, { title: true });
    const waits = titled.acquire({}, form);
    await waiting(holder!, 1);
    await eventually(() => holder!.waiters()[0]?.title.endsWith(" - standby"), "the title tells");
    assert(titleOf(titled.pid).endsWith(" - standby"), titleOf(titled.pid));
    lock.release();
    assertEquals((await waits).id, 1);
    assertEquals(titleOf(titled.pid), plain);
    assert(!holder!.holders()[0]!.title.endsWith("standby"));
    await titled.tell({ do: "close" });
  }
});

test("newest first: a newcomer replaces the one that stands by, three times", async () => {
  const [holder] = openLimits(1, { order: "newest" });
  const lock = present(holder!.tryAcquire());
  const waits: Promise<unknown>[] = [];
  const limits = openLimits(4, { order: "newest" }, holder!.target);
  for (const [index, limit] of limits.entries()) {
    waits.push(limit.acquire());
    await eventually(() => holder!.waiters().length === 1, "one stands by");
    if (index === 0) continue;
    assertEquals(await waits[index - 1], null);
    assertEquals(limits[index - 1]!.refusal, "replaced");
  }
  lock.release();
  present(await waits[3]);
  assertEquals(limits.map(({ isHeld }) => isHeld), [false, false, false, true]);
});

test("newest first: of 30 that come one after the other, those that get the lock get it in that order", async () => {
  const [holder] = openLimits(1, { order: "newest" });
  const lock = present(holder!.tryAcquire());
  const winners: number[] = [];
  const limits = openLimits(30, { order: "newest" }, holder!.target);
  const ends = limits.map(async (limit, index) => {
    const won = await limit.acquire();
    if (!won) return assertEquals(limit.refusal, "replaced");
    winners.push(index);
    // Others come meanwhile.
    await sleep(1);
    won.release();
  });
  await eventually(() => holder!.waiters().length === 1, "one is left");
  lock.release();
  await Promise.all(ends);
  assert(winners.length > 0);
  assertEquals(winners, [...winners].sort((a, b) => a - b));
  assertEquals(winners.at(-1), 29, "the newest");
});

test("newest first, and two may stand by: the two newest do, and the newest is served first", async () => {
  const options = { order: "newest", standby: 2 } as const;
  const [holder] = openLimits(1, options);
  const lock = present(holder!.tryAcquire());
  const limits = openLimits(4, options, holder!.target);
  const order: number[] = [];
  const ends: Promise<unknown>[] = [];
  for (const [index, limit] of limits.entries()) {
    ends.push(
      limit.acquire().then((won) => {
        if (!won) return;
        order.push(index);
        won.release();
      }),
    );
    await eventually(() => holder!.waiters().length === Math.min(index + 1, 2), "they stand by");
  }
  await Promise.all(ends.slice(0, 2));
  assertEquals(limits.slice(0, 2).map(({ refusal }) => refusal), ["replaced", "replaced"]);
  lock.release();
  await Promise.all(ends);
  assertEquals(order, [3, 2]);
});

for (const runtime of ownRuntime) {
  test(`${runtime}: newest first across processes: older ones retire, and titles tell who stands by`, async () => {
    const [holder] = openLimits(1, { order: "newest" });
    const lock = present(holder!.tryAcquire());
    const options = { order: "newest", title: true } as const;
    const processes: Contender[] = [];
    const waits: ReturnType<Contender["acquire"]>[] = [];
    for (let number = 0; number < 3; number++) {
      const contender = await startContender(runtime, holder!.target, options);
      processes.push(contender);
      waits.push(contender.acquire());
      await eventually(() => {
        const [waiter, ...others] = holder!.waiters();
        return others.length === 0 && waiter?.pid === contender.pid &&
          waiter.title.endsWith(" - standby");
      }, "only the newest stands by, and its title says so");
      if (number > 0) assertEquals((await waits[number - 1])!.refusal, "replaced");
    }
    lock.release();
    assertEquals((await waits[2])!.id, 1);
    const titles = processes.map(({ pid }) => titleOf(pid));
    assert(titles.every((title) => !title.includes("standby")), `${titles}`);
  });

  test(`${runtime}: a waiter that sleeps is woken by the release, without having looked`, async () => {
    const [holder] = openLimits(1);
    const lock = present(holder!.tryAcquire());
    const contender = await startContender(runtime, holder!.target);
    for (const form of ["promise", "sync"] as const) {
      const waits = contender.acquire({}, form);
      await waiting(holder!, 1);
      await settled(contender.child);
      if (form === "promise") lock.release();
      else present(holder!.lock).release();
      assertEquals((await waits).id, 1);
      const again = holder!.acquire();
      await waiting(holder!, 1);
      await contender.tell({ do: "release" });
      present(await again);
    }
  });

  test(`${runtime}: a lock whose objects are forgotten is kept, and reported once`, async () => {
    const [watcher] = openLimits(1);
    const flags = runtime === "deno" ? ["--v8-flags=--expose-gc"] : [];
    const contender = await startProcess(runtime, flags);
    await contender.open(watcher!.target);
    assertEquals((await contender.acquire()).id, 1);
    await contender.tell({ do: "forget" });
    await eventually(async () => {
      await contender.tell({ do: "collect" });
      return contender.child.stderr !== "";
    }, "the forgotten lock is reported");
    for (let round = 0; round < 3; round++) await contender.tell({ do: "collect" });
    assertEquals(contender.child.stderr.match(/forg|garbage|collected/gi)?.length, 1);
    assertEquals(watcher!.tryAcquire(), null, "never two holders");
    await contender.child.killed();
    await eventually(() => watcher!.tryAcquire(), "the place is free once it has ended");
  });
}

test("events tell what became of an attempt", async () => {
  const [holder, limit] = openLimits(2);
  const events: string[] = [];
  using _ = limit!.onChange(({ kind, lock }) => void events.push(`${kind} ${lock?.id ?? "-"}`));
  const lock = present(holder!.tryAcquire());
  const waits = limit!.acquire();
  await waiting(holder!, 1);
  lock.release();
  present(await waits).release();
  await eventually(() => events.length === 3, `${events}`);
  present(limit!.tryAcquire());
  present(holder!.tryAcquire({ steal: true }));
  await eventually(() => events.length === 5, `${events}`);
  assertEquals(events, ["standby -", "acquired 1", "released 1", "acquired 1", "lost 1"]);
});

test("another limit on the same target: the file's terms, or MISMATCH while somebody contends", () => {
  const [holder] = openLimits(1, { max: 2 });
  const lock = present(holder!.tryAcquire());
  assertEquals(openLimit(holder!.target).max, 2);
  assertThrowsCode(() => new Limit(holder!.target, { max: 3 }), "MISMATCH", "2", "3");
  assertThrowsCode(() => new Limit(holder!.target, { order: "newest" }), "MISMATCH");
  lock.release();
  assertEquals(openLimit(holder!.target, { max: 3 }).max, 3);
});

/** As lists of processes show it. */
function titleOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function thrownBy(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  return null;
}
