/** Pools from other processes: calls, sessions, deaths of holders, logs. */
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  type LogRecord,
  Pool,
  type PoolOptions,
  type PoolStats,
  type WorkerInfo,
} from "../../src/pool/main.ts";
import type { Answer, Failed, Wish } from "../fixtures/pool/attached.ts";
import type { Api } from "../fixtures/pool/session.ts";
import {
  assertRejectsCode,
  atEnd,
  type Child,
  doomed,
  eventually,
  longEnough,
  newTarget,
  ownRuntime,
  type Runtime,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";
import { exitIn } from "../support/pool.ts";
import { Notes, sessionPool, startSessionPool } from "../support/session_pool.ts";

interface Stage {
  readonly pool: Pool<Api>;
  readonly target: string;
}

async function poolAt(workers: number, options: PoolOptions = {}): Promise<Stage> {
  const target = newTarget();
  return { pool: await sessionPool(workers, { target, ...options }), target };
}

async function attachFrom(runtime: Runtime, target: string): Promise<Child> {
  const child = await spawn(runtime, "pool/attached.ts", [target], {
    denoPermissions: ["--allow-all"],
  });
  await child.expect("ready");
  return child;
}

/** An attached pool of this process, which is detached when the test ends. */
function attachHere(target: string, timeout = 30_000): ReturnType<typeof Pool.attach<Api>> {
  const attached = Pool.attach<Api>(target, { timeout });
  // deno-lint-ignore require-await -- an end of a test is a promise
  atEnd(async () => attached.close());
  return attached;
}

async function ask<T>(child: Child, wish: Wish): Promise<T> {
  const answer = await child.ask<Answer<T>>(wish);
  if ("error" in answer) throw new Error(`${answer.error.code}: ${answer.error.message}`);
  return answer.result;
}

async function failed(child: Child, wish: Wish): Promise<Failed> {
  const answer = await child.ask<Answer<unknown>>(wish);
  if ("error" in answer) return answer.error;
  throw new Error(`${wish.join(" ")} has succeeded: ${JSON.stringify(answer.result)}`);
}

/** The process of the only worker, once it takes calls. */
async function onlyWorker({ pool }: Stage): Promise<number> {
  return await pool.call.pid();
}

for (const runtime of runtimes) {
  test(`${runtime} is attached: calls and sessions of workers of all runtimes`, async () => {
    const { pool, target } = await poolAt(3, { runtime: runtimes });
    const pids = pool.workers().map(({ pid }) => pid).sort();
    assertEquals(new Set(pool.workers().map((worker) => worker.runtime)).size, 3);
    const child = await attachFrom(runtime, target);
    assert(pids.includes(await ask(child, ["call", "pid"])));
    const results = await ask<PromiseFulfilledResult<number>[]>(child, ["everywhere", "pid"]);
    assertEquals(results.map(({ value }) => value).sort(), pids);
    // Each worker in turn, because the others are held.
    const held = [await pool.checkout(), await pool.checkout()];
    for (let count = 0; count < 3; count++) {
      const pid = await ask<number>(child, ["checkout", { name: "from outside" }]);
      assert(!held.some(({ worker }) => worker.pid === pid));
      assertEquals(await ask(child, ["session", "same", "a", 1]), ["a", 1]);
      assertEquals(await ask(child, ["session", "pid"]), pid);
      await ask(child, ["checkin"]);
      await held.shift()?.close();
      held.push(await pool.checkout());
    }
    for (const session of held) await session.close();
    const workers = await ask<WorkerInfo[]>(child, ["workers"]);
    assertEquals(workers.map(({ pid }) => pid).sort(), pids);
    const stats = await ask<PoolStats>(child, ["stats"]);
    assertEquals([stats.workers, stats.slots], [3, pool.stats().slots]);
  });
}

for (const runtime of ownRuntime) {
  test(`${runtime} holds a session and is killed: the worker is replaced, half-used by nobody`, async () => {
    const notes = new Notes();
    const stage = await poolAt(1, { env: { TEST_CHECKOUT_NOTES: notes.path } });
    const child = await attachFrom(runtime, stage.target);
    const pid = await ask<number>(child, ["checkout", {}]);
    await ask(child, ["session", "note", "half of the work"]);
    const waiting = onlyWorker(stage);
    await child.killed();
    assertNotEquals(await waiting, pid);
    assertEquals(await stage.pool.call.done(), []);
    // Nothing was cleaned up as if the session had ended well.
    assertEquals(notes.lines, []);
  });

  test(`${runtime} is killed in the middle of a call of its session`, async () => {
    const stage = await poolAt(1, { abortGrace: 50 });
    const notes = new Notes();
    const child = await attachFrom(runtime, stage.target);
    const pid = await ask<number>(child, ["checkout", {}]);
    await ask(child, ["start", "hold", notes.path, "a"]);
    await notes.has("begin a");
    await child.killed();
    assertNotEquals(await onlyWorker(stage), pid);
    assertEquals(notes.lines, ["begin a"]);
  });

  test(`${runtime} holds a session and is stopped: maxHold frees the worker`, async () => {
    const stage = await poolAt(1);
    const child = await attachFrom(runtime, stage.target);
    let pid = 0;
    await longEnough(1_500, async (maxHold) => {
      pid = await ask<number>(child, ["checkout", { maxHold }]);
      const noted = await child.ask<Answer<string>>(["session", "note", "half of the work"]);
      if ("result" in noted) return true;
      assertEquals(noted.error.code, "CLOSED");
      return false;
    });
    await child.stopped();
    assertNotEquals(await onlyWorker(stage), pid);
    child.kill("SIGCONT");
    const error = await failed(child, ["session", "note", "too late"]);
    assertEquals(error.code, "CLOSED");
    assert(error.message.includes("maxHold"), error.message);
    // The process itself goes on.
    const next = await ask<number>(child, ["checkout", {}]);
    assertEquals(await ask(child, ["session", "pid"]), next);
    await ask(child, ["checkin"]);
  });

  test(`${runtime} ends in order with a session that it has not closed`, async () => {
    const stage = await poolAt(1);
    const child = await attachFrom(runtime, stage.target);
    const pid = await ask<number>(child, ["checkout", {}]);
    assertEquals(await ask(child, ["leave"]), "left");
    // A session keeps no process alive.
    assertEquals(await child.exited, { code: 0, signal: null });
    assertNotEquals(await onlyWorker(stage), pid);
  });

  test(`${runtime} is killed while it waits for a worker: others get it`, async () => {
    const stage = await poolAt(1);
    const first = await stage.pool.checkout();
    const child = await attachFrom(runtime, stage.target);
    child.send(["checkout", {}]);
    await eventually(() => stage.pool.stats().queued > 0, "the process waits");
    const next = stage.pool.checkout();
    await child.killed();
    await first.close();
    const session = await next;
    assertEquals(session.worker.pid, first.worker.pid);
    await session.close();
  });
}

test("holders are killed at any moment: no worker stays held", async () => {
  const stage = await poolAt(2);
  for (let round = 0; round < 6; round++) {
    const children = await Promise.all(ownRuntime.map((name) => attachFrom(name, stage.target)));
    for (const child of children) await ask(child, ["load", 4]);
    const served = stage.pool.stats().replies;
    // A different moment in each round: a session takes several answers.
    await eventually(() => stage.pool.stats().replies > served + 3 * round, "sessions are served");
    await Promise.all(children.map((child) => child.killed()));
  }
  const isFree = () => {
    const workers = stage.pool.workers();
    return workers.length === 2 && workers.every(({ state }) => state === "idle");
  };
  await eventually(isFree, "both workers are free");
  const sessions = [await stage.pool.checkout(), await stage.pool.checkout()];
  await Promise.all(sessions.map((session) => session.close()));
});

test("a worker dies in a call of an attached process: its exit is the cause", async () => {
  const { target } = await poolAt(1);
  for (const runtime of ownRuntime) {
    const child = await attachFrom(runtime, target);
    const plain = await failed(child, ["call", "exit", 3]);
    assertEquals([plain.code, plain.exit?.code, plain.exit?.reason], ["SERVER_DIED", 3, "exit"]);
    const pid = await ask<number>(child, ["checkout", {}]);
    const { code, exit } = await failed(child, ["session", "exit", 4]);
    assertEquals([code, exit?.code, exit?.pid], ["SERVER_DIED", 4, pid]);
    const later = await failed(child, ["session", "pid"]);
    assertEquals([later.code, later.exit?.code], ["SERVER_DIED", 4]);
  }
});

test("errors, aborts and streams of a session of an attached pool", async () => {
  const { target, pool } = await poolAt(1);
  const attached = attachHere(target);
  const session = await attached.checkout();
  const rows: number[] = [];
  for await (const row of session.call.rows(3)) rows.push(row);
  assertEquals(rows, [1, 2, 3]);
  const failing = doomed(session.call.fail("broken"));
  const cleared = doomed(session.call.note("never"));
  const error = await assertRejectsCode(failing, "REMOTE", "broken");
  assertStrictEquals((await assertRejectsCode(cleared, "CANCELLED")).cause, error);
  assertEquals(await session.call.note("rollback"), "rollback");
  await session.close();
  // The default is the same as in the pool's own process.
  assertNotEquals(await pool.call.pid(), session.worker.pid);
});

test("an attached pool waits for a pool that is still to come", async () => {
  const target = newTarget();
  const attached = attachHere(target);
  const early = attached.call.same("early");
  const session = attached.checkout();
  const pool = startSessionPool(1, { target });
  assertEquals(await early, ["early"]);
  await (await session).close();
  assertEquals(await attached.call.pid(), await pool.call.pid());
});

test("nobody supervises the target: calls end within their timeout", async () => {
  const attached = attachHere(newTarget(), 100);
  await assertRejectsCode(attached.call.pid(), "TIMEOUT");
  await assertRejectsCode(attached.checkout(), "TIMEOUT");
  await assertRejectsCode(attached.checkout({ timeout: 50 }), "TIMEOUT", "50 ms");
  const detached = attachHere(newTarget());
  const waiting = doomed(detached.call.pid());
  const session = doomed(detached.checkout());
  detached.close();
  detached.close();
  await assertRejectsCode(waiting, "CLOSED");
  await assertRejectsCode(session, "CLOSED");
  await assertRejectsCode(detached.call.pid(), "CLOSED");
  await assertRejectsCode(detached.workers(), "CLOSED");
});

test("maxQueuePerClient holds from the first call of an attached pool", async () => {
  const { target, pool } = await poolAt(1, { maxQueuePerClient: 2 });
  const own = await pool.checkout();
  const attached = attachHere(target);
  const calls = Array.from({ length: 10 }, (_, index) => doomed(attached.call.same(index)));
  const outcomes = Promise.allSettled(calls);
  for (const call of calls.slice(3)) await assertRejectsCode(call, "BUSY", "maxQueuePerClient");
  await assertRejectsCode(attached.call.same(0), "BUSY");
  // Another client has a queue of its own.
  const other = attachHere(target).call.same("other");
  await own.close();
  const values = (await outcomes).flatMap((one) => one.status === "fulfilled" ? one.value : []);
  assertEquals([values, await other], [[0, 1, 2], ["other"]]);
  // A larger pool takes more of each client.
  pool.resize({ min: 2, max: 2 });
  const held = [await pool.checkout(), await pool.checkout()];
  const three = [1, 2, 3].map((value) => attached.call.same(value));
  let fourth: Promise<unknown> | undefined;
  await eventually(() => {
    if (!fourth) {
      const call = attached.call.same(4);
      call.catch(() => fourth = undefined);
      fourth = call;
    }
    return pool.stats().queued === 4;
  }, "a fourth call can wait");
  await Promise.all(held.map((session) => session.close()));
  assertEquals(await Promise.all([...three, fourth]), [[1], [2], [3], [4]]);
  assertEquals(await attached.call.same("later"), ["later"]);
});

test("records come to attached pools and their sessions, as to the pool itself", async () => {
  const { target, pool } = await poolAt(2, { env: { TEST_CHECKOUT_LOG: "1" } });
  const attached = attachHere(target);
  const own: LogRecord[] = [];
  pool.onLog((record) => void own.push(record));
  const all: LogRecord[] = [];
  const listening = attached.onLog((record) => void all.push(record));
  const records: LogRecord[] = [];
  const session = await attached.checkout({ onLog: (record) => void records.push(record) });
  await pool.call.logged("of a plain call");
  await session.call.logged("one");
  await session.call.logged("two");
  await session.close();
  const texts = (list: readonly LogRecord[]) => list.map(({ message }) => message);
  assertEquals(texts(records), ["one", "two", "checkout done"]);
  assertEquals(new Set(records.map(({ worker }) => worker)), new Set([session.worker.number]));
  await eventually(() => all.length === 4 && own.length === 4, "all records arrive");
  assertEquals(all, own);
  listening[Symbol.dispose]();
  await pool.call.logged("nobody listens");
  await eventually(() => own.length === 5, "the pool has it");
  assertEquals(all.length, 4);
});

test("the pool closes and another one comes: an attached pool goes on", async () => {
  const { target, pool } = await poolAt(1);
  const attached = attachHere(target);
  const records: LogRecord[] = [];
  attached.onLog((record) => void records.push(record));
  const pid = await attached.call.pid();
  const session = await attached.checkout();
  await pool.close({ timeout: 0 });
  await assertRejectsCode(session.call.pid(), "SERVER_DIED");
  await session.close();
  const next = startSessionPool(1, { target });
  assertNotEquals(await attached.call.pid(), pid);
  await eventually(async () => {
    await next.call.logged("again");
    return records.length > 0;
  }, "its records come");
});

test("a target is a text", () => {
  assertThrows(() => Pool.attach(1 as unknown as string), TypeError, "target");
  assertThrows(() => Pool.attach("pool", { timeout: -1 }), RangeError, "timeout");
});

test("an exit is found for each of many calls", async () => {
  const { target } = await poolAt(3);
  const attached = attachHere(target);
  const errors = await Promise.all([11, 12, 13].map(async (code) => {
    const error = await assertRejectsCode(attached.call.exit(code), "SERVER_DIED");
    return exitIn(error).code === code;
  }));
  assertEquals(errors, [true, true, true]);
});
