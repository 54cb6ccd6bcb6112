/**
 * Limits: every form of acquiring, releases, refusals, events, and the loss of locks.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import process from "node:process";
import { TandemError } from "../../mod.ts";
import { Limit, type LimitChange, type LimitOptions, Lock } from "../../src/limit/main.ts";
import type { LimitAnswer, LimitCommand } from "../fixtures/limit.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  type Child,
  doomed,
  eventually,
  newTarget,
  pairs,
  present,
  runtime,
  spawn,
  test,
} from "../support/harness.ts";
import { startThread } from "../support/threads.ts";

type Several<Count> = Count extends 2 ? [Limit, Limit]
  : Count extends 3 ? [Limit, Limit, Limit]
  : [Limit, Limit, Limit, Limit];

/** Contenders of one new limit. */
function contenders<Count extends 2 | 3 | 4>(
  count: Count,
  options: LimitOptions = {},
): { readonly all: Several<Count> } & Disposable {
  const target = newTarget();
  const all = Array.from({ length: count }, () => new Limit(target, options)) as Several<Count>;
  return { all, [Symbol.dispose]: () => all.forEach((limit) => limit.close()) };
}

async function startContender(
  target: string,
  options: LimitOptions = {},
  other: Parameters<typeof spawn>[0] = runtime,
): Promise<Child> {
  const child = await spawn(other, "limit.ts", [target, JSON.stringify(options)], {
    denoPermissions: ["--allow-ffi", "--v8-flags=--expose-gc"],
  });
  assertEquals(await child.message<unknown>(), { ready: true });
  return child;
}

function ask(child: Child, command: LimitCommand): Promise<LimitAnswer> {
  return child.ask<LimitAnswer>(command);
}

test("the try form: a place, none left, and one again", () => {
  using limits = contenders(3, { max: 2 });
  const [first, second, third] = limits.all;
  const one = present(first.tryAcquire());
  const two = present(second.tryAcquire());
  assertEquals([one.id, two.id], [1, 2]);
  assertEquals([one.mode, one.isHeld, first.isHeld], ["exclusive", true, true]);
  assertEquals(third.tryAcquire(), null);
  assertEquals(third.refusal, "timeout");
  assertEquals(one.release(), true);
  assertEquals([one.isHeld, first.isHeld, first.lock], [false, false, null]);
  assertEquals(one.release(), false);
  assertEquals(present(third.tryAcquire()).id, 1);
  assertEquals(third.refusal, null);
});

test("the blocking form waits for its time, and gets a free place at once", () => {
  using limits = contenders(2);
  const [first, second] = limits.all;
  const lock = present(first.acquireSync());
  assertEquals(second.acquireSync({ timeout: 3 }), null);
  assertEquals(second.refusal, "timeout");
  assertEquals(second.waiters(), []);
  lock.release();
  assertEquals(present(second.acquireSync({ timeout: 0 })).id, 1);
});

test("the promise form gets the place that another gives back, in the order of the calls", async () => {
  using limits = contenders(4);
  const [first, ...others] = limits.all;
  const got: number[] = [];
  let lock = present(first.tryAcquire());
  const waits = others.map(async (limit, index) => {
    const lock = present(await limit.acquire());
    got.push(index);
    return lock;
  });
  assertEquals(others.map((limit) => limit.tryAcquire()), [null, null, null]);
  const tokens = [lock.token];
  for (const wait of waits) {
    lock.release();
    lock = await wait;
    tokens.push(lock.token);
  }
  assertEquals(got, [0, 1, 2]);
  assertEquals(tokens, tokens.toSorted((a, b) => a < b ? -1 : 1));
  assertEquals(new Set(tokens).size, 4);
});

test("a second acquire of one object returns its lock, also while it waits", async () => {
  using limits = contenders(2);
  const [first, second] = limits.all;
  const lock = present(first.tryAcquire());
  assert(first.tryAcquire() === lock);
  assert(first.acquireSync() === lock);
  assert(await first.acquire() === lock);
  assert(first.lock === lock);

  const waiting = second.acquire();
  const again = second.acquire();
  assertEquals(second.tryAcquire(), null);
  assertEquals(second.acquireSync({ timeout: 1 }), null);
  lock.release();
  const sync = present(second.acquireSync());
  assert(await waiting === sync);
  assert(await again === sync);
});

test("a time-out of the promise form, and an abort", async () => {
  using limits = contenders(2);
  const [first, second] = limits.all;
  const lock = present(first.tryAcquire());
  assertEquals(await second.acquire({ timeout: 5 }), null);
  assertEquals(second.refusal, "timeout");
  assertEquals(await second.acquire({ timeout: 0 }), null);

  const stop = new AbortController();
  const waiting = doomed(second.acquire({ signal: stop.signal }));
  assertEquals(first.waiters().length, 1);
  const reason = new Error("enough");
  stop.abort(reason);
  assert(await waiting.catch((error) => error) === reason);
  assertEquals(first.waiters(), []);
  assert(await doomed(second.acquire({ signal: stop.signal })).catch((error) => error) === reason);
  lock.release();
  assertEquals(second.tryAcquire() !== null, true);
});

test("closing releases the lock, and rejects the promise", async () => {
  using limits = contenders(3);
  const [first, second, third] = limits.all;
  const lock = present(first.tryAcquire());
  const waiting = doomed(second.acquire());
  const last = third.acquire();
  second.close();
  await assertRejectsCode(waiting, "CLOSED");
  first.close();
  first.close();
  assertEquals([lock.isHeld, lock.release(), lock.heartbeat()], [false, false, false]);
  assertEquals(present(await last).id, 1);
  assertThrowsCode(() => first.tryAcquire(), "CLOSED", "limit");
  assertThrowsCode(() => first.holders(), "CLOSED");
  await assertRejectsCode(first.acquire(), "CLOSED");
});

test("standby: as many may wait as it says", async () => {
  using limits = contenders(4, { standby: 2 });
  const [first, second, third, fourth] = limits.all;
  const lock = present(first.tryAcquire());
  const waits = [second.acquire(), third.acquire()];
  assertEquals(await fourth.acquire(), null);
  assertEquals(fourth.refusal, "standby-full");
  assertEquals(fourth.acquireSync(), null);
  assertEquals(fourth.refusal, "standby-full");
  lock.release();
  present(await waits[0]).release();
  assertEquals(present(await waits[1]).release(), true);
});

test("standby: a limit of its own, which several limits share", async () => {
  const standby = { max: 1, target: newTarget() };
  using limits = contenders(3, { standby });
  const [first, second, third] = limits.all;
  using others = contenders(2, { standby });
  const [busy, other] = others.all;
  const lock = present(first.tryAcquire());
  present(busy.tryAcquire());
  const waiting = second.acquire();
  assertEquals(await third.acquire(), null);
  assertEquals(third.refusal, "standby-full");
  assertEquals(other.acquireSync(), null);
  assertEquals(other.refusal, "standby-full");
  lock.release();
  present(await waiting);
  // The place on standby is free again.
  const next = third.acquire({ timeout: 60_000 });
  assertEquals(first.waiters().length, 1);
  second.lock?.release();
  assertEquals(present(await next).isHeld, true);
});

test("the newest first: a newcomer makes older waiters retire", async () => {
  using limits = contenders(3, { order: "newest" });
  const [first, second, third] = limits.all;
  const lock = present(first.tryAcquire());
  const older = second.acquire();
  const newer = third.acquire();
  assertEquals(await older, null);
  assertEquals(second.refusal, "replaced");
  lock.release();
  assertEquals(present(await newer).isHeld, true);
  assertEquals([first.order, first.max], ["newest", 1]);
});

test("shared locks have one place together; an exclusive waiter comes before later sharers", async () => {
  using limits = contenders(4, { max: 1 });
  const [a, b, writer, late] = limits.all;
  const shared = [a, b].map((limit) => present(limit.tryAcquire({ mode: "shared" })));
  assertEquals(shared.map(({ id, mode }) => [id, mode]), [[1, "shared"], [1, "shared"]]);
  assertEquals(writer.tryAcquire(), null);
  const waiting = writer.acquire();
  assertEquals(late.tryAcquire({ mode: "shared" }), null);
  const lateWaiting = late.acquire({ mode: "shared" });
  assertThrowsCode(() => a.tryAcquire({ mode: "exclusive" }), "MISMATCH", "shared");
  assert(a.tryAcquire() === shared[0]);
  for (const lock of shared) lock.release();
  const exclusive = present(await waiting);
  assertEquals(exclusive.mode, "exclusive");
  assert(writer.tryAcquire({ mode: "shared" }) === exclusive);
  exclusive.release();
  assertEquals(present(await lateWaiting).mode, "shared");
});

test("stealing: the lock is lost, its signal aborts, and the thief has a greater token", async () => {
  using limits = contenders(2);
  const [holder, thief] = limits.all;
  const changes: LimitChange[] = [];
  using _listening = holder.onChange((change) => changes.push(change));
  const lock = present(holder.tryAcquire());
  const { signal } = lock;
  const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
  const alive = doomed(holder.acquire());
  await alive;
  const stolen = present(thief.tryAcquire({ steal: true }));
  assert(stolen.token > lock.token);
  await eventually(() => signal.aborted);
  await aborted;
  const { reason } = signal;
  assert(reason instanceof TandemError);
  assertEquals(reason.code, "CANCELLED");
  assert(reason.message.includes(`process ${process.pid}`), reason.message);
  assertEquals([lock.isHeld, holder.lock, lock.release()], [false, null, false]);
  assertEquals(changes, [{ kind: "acquired", lock }, { kind: "lost", lock }]);
  assertEquals(stolen.isHeld, true);
});

test("a stolen lock without a signal: it is known when it is asked for", () => {
  using limits = contenders(2);
  const [holder, thief] = limits.all;
  const lock = present(holder.tryAcquire());
  assertEquals(present(thief.acquireSync({ steal: true })).id, 1);
  assertEquals([lock.isHeld, lock.heartbeat()], [false, false]);
  assertEquals(lock.signal.aborted, true);
  assertEquals(lock.signal.reason.code, "CANCELLED");
});

test("run: the lock is held while the function runs, and released whatever it does", async () => {
  using limits = contenders(2);
  const [limit, other] = limits.all;
  assertEquals(await limit.run((lock) => Promise.resolve(lock.id)), 1);
  assertEquals(limit.isHeld, false);
  const failure = await assertRejects(() =>
    limit.run(() => {
      throw new Error("oops");
    })
  );
  assertEquals([(failure as Error).message, limit.isHeld], ["oops", false]);
  assertEquals(limit.runSync((lock) => lock.isHeld), true);
  assertThrows(() => limit.runSync(() => Promise.resolve(1)), TypeError, "run()");
  assertEquals(limit.isHeld, false);

  const kept = present(limit.tryAcquire());
  assertEquals(limit.runSync((lock) => lock === kept), true);
  assertEquals(kept.isHeld, true);
  assertEquals(await other.run(() => 1, { timeout: 0 }), null);
  assertEquals(other.runSync(() => 1, { timeout: 1 }), null);
  kept.release();

  const inner = await limit.run(async () => {
    await limit.run(() => {});
    return limit.isHeld;
  });
  assertEquals([inner, limit.isHeld], [true, false]);
});

test("the events of an object", async () => {
  using limits = contenders(2);
  const [first, second] = limits.all;
  const kinds: string[] = [];
  const listening = second.onChange(({ kind }) => kinds.push(kind));
  const lock = present(first.tryAcquire());
  const waiting = second.acquire();
  assertEquals(kinds, ["standby"]);
  lock.release();
  const got = present(await waiting);
  got.release();
  assertEquals(kinds, ["standby", "acquired", "released"]);
  listening[Symbol.dispose]();
  second.tryAcquire();
  assertEquals(kinds.length, 3);
});

test("listeners may throw, close the limit, or acquire", async () => {
  using limits = contenders(3);
  const [first, second, third] = limits.all;
  const lock = present(first.tryAcquire());
  second.onChange(({ kind }) => kind === "standby" && second.close());
  await assertRejectsCode(second.acquire(), "CLOSED");
  const again: Promise<Lock | null>[] = [];
  third.onChange(({ kind }) => {
    if (kind === "standby") again.push(third.acquire());
  });
  const waiting = third.acquire();
  assert(again[0] === waiting);
  lock.release();
  assertEquals(present(await waiting).isHeld, true);
});

test("retries: a number is a time, and a function is asked", async () => {
  const target = newTarget();
  using holder = new Limit(target);
  const lock = present(holder.tryAcquire());
  using counted = new Limit(target, { retries: 2, interval: 0.005 });
  assertEquals(await counted.acquire(), null);
  assertEquals(counted.refusal, "retries");
  assertEquals(counted.acquireSync(), null);
  using once = new Limit(target, { retries: 0 });
  assertEquals(await once.acquire(), null);
  assertEquals(once.refusal, "retries");

  const attempts: number[] = [];
  const retries = (attempt: number) => {
    attempts.push(attempt);
    return attempts.length < 3;
  };
  using asked = new Limit(target, { retries, interval: 0.002 });
  assertEquals(asked.acquireSync(), null);
  assertEquals([asked.refusal, attempts], ["retries", [1, 2, 3]]);
  attempts.length = 0;
  assertEquals(await asked.acquire(), null);
  assertEquals(attempts, [1, 2, 3]);
  assertEquals(holder.waiters(), []);

  using failing = new Limit(target, {
    retries: () => {
      throw new Error("no idea");
    },
  });
  assertEquals((await assertRejects(() => failing.acquire()) as Error).message, "no idea");
  assertThrows(() => failing.acquireSync(), Error, "no idea");
  assertEquals(holder.waiters(), []);
  lock.release();
});

test("resize counts for all that have the limit open; another max is a mismatch meanwhile", async () => {
  using limits = contenders(3, { max: 1 });
  const [first, second, third] = limits.all;
  const lock = present(first.tryAcquire());
  const waiting = second.acquire();
  third.resize(2);
  assertEquals(present(await waiting).id, 2);
  assertEquals([first.max, second.max, third.max], [2, 2, 2]);
  const mismatch = assertThrowsCode(
    () => new Limit(first.target, { max: 3 }),
    "MISMATCH",
    "2",
    "3",
  );
  assert(mismatch.message.includes("max"));
  assertThrowsCode(() => new Limit(first.target, { order: "newest" }), "MISMATCH", "newest");
  lock.release();
  second.lock?.release();
  using fourth = new Limit(first.target, { max: 3 });
  assertEquals(fourth.max, 3);
});

test("who holds and who waits", async () => {
  using limits = contenders(3, { max: 1 });
  const [first, second, third] = limits.all;
  const before = Date.now();
  const lock = present(first.tryAcquire());
  const waits = [second.acquire(), third.acquire({ mode: "shared" })];
  const [holder, ...more] = third.holders();
  assertEquals(more, []);
  const { id, token, pid, mode, ticket } = present(holder);
  assertEquals(
    { id, token, pid, mode, ticket, runtime: holder?.runtime },
    { id: 1, token: lock.token, pid: process.pid, mode: "exclusive", ticket: lock.ticket, runtime },
  );
  assert(holder!.title.length > 0);
  assert(holder!.since >= before - 1000 && holder!.since <= Date.now() + 1000);
  const waiters = first.waiters();
  assertEquals(waiters.map(({ id, token, mode }) => ({ id, token, mode })), [
    { id: 0, token: 0n, mode: "exclusive" },
    { id: 0, token: 0n, mode: "shared" },
  ]);
  assert(waiters[0]!.ticket < waiters[1]!.ticket);
  lock.release();
  present(await waits[0]).release();
  present(await waits[1]).release();
});

test("the file is deleted: the lock is lost, and later locks have greater tokens", async () => {
  const target = newTarget();
  using limit = new Limit(target);
  using other = new Limit(target);
  const lock = present(limit.tryAcquire());
  const waiting = other.acquire({ timeout: 60_000 });
  const { signal } = lock;
  assertEquals(lock.heartbeat(), true);
  rmSync(target);
  await eventually(() => signal.aborted);
  assertEquals(signal.reason.code, "NOT_FOUND");
  assertEquals([lock.isHeld, lock.heartbeat(), limit.lock], [false, false, null]);
  const next = present(await waiting);
  assert(next.token > lock.token);
  assertEquals(limit.tryAcquire(), null);
  assertEquals(limit.holders().length, 1);
});

test("the file is deleted while nobody holds: contenders meet on the new one", async () => {
  const target = newTarget();
  using first = new Limit(target);
  using second = new Limit(target);
  present(first.tryAcquire()).release();
  rmSync(target);
  // For some milliseconds it is taken for granted that the file is there; then the lock is lost.
  await eventually(() => present(first.tryAcquire()).heartbeat());
  assertEquals(second.tryAcquire(), null);
  assertEquals(first.isHeld, true);
});

test("the file is deleted while another object holds: there is a place in the new one", async () => {
  for (const isSync of [true, false]) {
    const target = newTarget();
    using holder = new Limit(target);
    using second = new Limit(target);
    const lock = present(holder.tryAcquire());
    rmSync(target);
    await eventually(() => second.holders().length === 0);
    assertEquals(holder.holders().length, 1);
    const next = present(isSync ? second.tryAcquire() : await second.acquire());
    assert(next.token > lock.token);
    assertEquals([lock.heartbeat(), next.heartbeat()], [false, true]);
    assertEquals(holder.tryAcquire(), null);
  }
});

test("wrong options", async () => {
  const target = newTarget();
  const wrong: [unknown, new () => Error][] = [
    [{ max: 0 }, RangeError],
    [{ max: 1025 }, RangeError],
    [{ max: "3" }, TypeError],
    [{ standby: -1 }, RangeError],
    [{ standby: { max: 1 } }, TypeError],
    [{ standby: { max: 0, target } }, RangeError],
    [{ order: "oldets" }, TypeError],
    [{ title: 1 }, TypeError],
    [{ mode: 0o1000 }, RangeError],
    [{ retries: -1 }, RangeError],
    [{ retries: "3" }, TypeError],
    [{ interval: -1 }, RangeError],
    [{ interval: "1" }, TypeError],
    [null, TypeError],
  ];
  for (const [options, error] of wrong) {
    assertThrows(() => new Limit(target, options as LimitOptions), error, "Cannot use");
  }
  assertThrows(() => new Limit("no/../\0"), TypeError);
  assertThrows(() => new Limit(1 as never), TypeError);
  using limit = new Limit(target);
  assertThrows(() => limit.tryAcquire({ mode: "both" as never }), TypeError);
  assertThrows(() => limit.tryAcquire({ steal: 1 as never }), TypeError);
  assertThrows(() => limit.acquireSync({ timeout: -1 }), RangeError);
  assertThrows(() => limit.acquireSync({ timeout: "1" as never }), TypeError);
  await assertRejects(() => limit.acquire({ timeout: NaN }), RangeError);
  assertThrows(() => limit.resize(0), RangeError);
  assertThrows(() => limit.onChange(1 as never), TypeError);
  await assertRejects(() => limit.run(1 as never), TypeError);
  assertThrows(() => limit.runSync(1 as never), TypeError);
  assertThrows(() => new (Lock as unknown as new () => Lock)(), TypeError, "Limit");
});

for (const { server, client } of pairs) {
  test(`a killed holder's place goes to the waiter of another process: ${server}, ${client}`, async () => {
    const target = newTarget();
    const holder = await startContender(target, {}, server);
    const waiter = await startContender(target, {}, client);
    const held = await ask(holder, { op: "try" });
    assertEquals(held.id, 1);
    assertEquals(await ask(waiter, { op: "promise" }), { waits: true });
    holder.kill("SIGKILL");
    const granted = await waiter.message<LimitAnswer>();
    assertEquals(granted.id, 1);
    assert(BigInt(granted.token!) > BigInt(held.token!));
  });
}

test("a blocked waiter gets the place of a killed holder", async () => {
  const target = newTarget();
  const holder = await startContender(target);
  const waiter = await startContender(target);
  assertEquals((await ask(holder, { op: "sync" })).id, 1);
  waiter.send({ op: "sync" });
  using limit = new Limit(target);
  await eventually(() => limit.waiters().length === 1);
  holder.kill("SIGKILL");
  assertEquals((await waiter.message<LimitAnswer>()).id, 1);
});

test("a stolen lock of another process: its signal aborts", async () => {
  const target = newTarget();
  const holder = await startContender(target);
  assertEquals((await ask(holder, { op: "try" })).id, 1);
  assertEquals(await ask(holder, { op: "lost" }), { waits: true });
  using limit = new Limit(target);
  present(limit.tryAcquire({ steal: true }));
  const lost = await holder.message<LimitAnswer>();
  assertEquals(lost.code, "CANCELLED");
  assert(lost.message!.includes(`process ${process.pid}`), lost.message);
});

test("a forgotten lock is kept and reported once", async () => {
  const target = newTarget();
  const holder = await startContender(target);
  assertEquals((await ask(holder, { op: "try" })).id, 1);
  assertEquals(await ask(holder, { op: "forget" }), {});
  using limit = new Limit(target);
  assertEquals(limit.tryAcquire(), null);
  await eventually(() => holder.stderr.includes("has forgotten a Limit object"));
  assertEquals(await ask(holder, { op: "forget" }), {});
  assertEquals(limit.tryAcquire(), null);
  assertEquals(holder.stderr.split("has forgotten").length, 2);
});

test("a forgotten limit without a lock is closed; one that waits is not", async () => {
  const target = newTarget();
  const idle = await startContender(target);
  const waiting = await startContender(target);
  using limit = new Limit(target);
  const lock = present(limit.tryAcquire());
  assertEquals(await ask(waiting, { op: "promise" }), { waits: true });
  assertEquals(hasOpen(idle, target), true);
  for (const child of [idle, waiting]) assertEquals(await ask(child, { op: "forget" }), {});
  await eventually(async () => {
    await ask(idle, { op: "forget" });
    return !hasOpen(idle, target);
  });
  lock.release();
  assertEquals((await waiting.message<LimitAnswer>()).id, 1);
  assertEquals(idle.stderr + waiting.stderr, "");
});

/** Whether a process has the limit's folder of bells open, as each that has the limit open does. */
function hasOpen({ pid }: Child, target: string): boolean {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).some((name) => {
    try {
      return readlinkSync(`${folder}/${name}`) === `${target}.bells`;
    } catch {
      // It was closed meanwhile.
      return false;
    }
  });
}

test("a process stays alive while it waits, and not because it holds a lock", async () => {
  const target = newTarget();
  const holder = await startContender(target);
  const waiter = await startContender(target);
  assertEquals((await ask(holder, { op: "try" })).id, 1);
  assertEquals(await ask(holder, { op: "watch" }), {});
  assertEquals(await ask(waiter, { op: "promise" }), { waits: true });
  waiter.end();
  // Whatever it does when its input has ended, it has done before the holder has ended.
  holder.end();
  await holder.ended();
  assertEquals((await waiter.message<LimitAnswer>()).id, 1);
  await waiter.ended();
});

test("a thread is a contender of its own, and frees its place when it is ended, also while it blocks", async () => {
  const target = newTarget();
  using limit = new Limit(target);
  for (const form of ["promise", "sync"]) {
    const lock = present(limit.tryAcquire());
    const messages: unknown[] = [];
    const thread = startThread(new URL("../fixtures/limit_worker.ts", import.meta.url), {
      onMessage: (message) => messages.push(message),
      onError: (message) => messages.push(message),
    });
    thread.post({ target, form });
    await eventually(() => limit.waiters().length === 1);
    if (form === "promise") {
      lock.release();
      await eventually(() => messages.length === 1);
      assertEquals(messages, [1]);
      assertEquals(limit.tryAcquire(), null);
    }
    const waiting = limit.acquire();
    thread.terminate();
    // Some runtimes end a thread that blocks as soon as it has what it waits for.
    lock.release();
    present(await waiting).release();
    present(await limit.acquire()).release();
    assertEquals(limit.waiters(), []);
  }
});

test("title: it ends with “ - standby” while the process waits", async () => {
  const target = newTarget();
  const child = await startContender(target, { title: true });
  const titleOf = () => readFileSync(`/proc/${child.pid}/cmdline`, "latin1");
  const nameOf = () => readFileSync(`/proc/${child.pid}/comm`, "latin1");
  const [title, name] = [titleOf(), nameOf()];
  using limit = new Limit(target);
  const lock = present(limit.tryAcquire());
  assertEquals(await ask(child, { op: "promise" }), { waits: true });
  const [waiter] = limit.waiters();
  assert(waiter!.title.endsWith(" - standby"), waiter!.title);
  assert(title.replaceAll("\0", " ").startsWith(waiter!.title.replace(" - standby", "")));
  assert(nameOf().endsWith(" - standby\n"));
  lock.release();
  assertEquals((await child.message<LimitAnswer>()).id, 1);
  assertEquals([titleOf(), nameOf()], [title, name]);
});

test("`ready` resolves at once on one machine, unless the limit is closed", async () => {
  const limit = new Limit(newTarget());
  await limit.ready;
  limit.close();
  await assertRejectsCode(limit.ready, "CLOSED");
});
