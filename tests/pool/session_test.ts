/** Sessions of a pool of real worker processes. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStrictEquals,
} from "@std/assert";
import process from "node:process";
import { type RemoteError, withOptions } from "../../mod.ts";
import type { LogRecord, Pool, SessionOptions } from "../../src/pool/main.ts";
import type { Api } from "../fixtures/pool/session.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  longEnough,
  newTarget,
  sleep,
  test,
} from "../support/harness.ts";
import { allEnded, exitIn, undisturbed } from "../support/pool.ts";
import { Notes, sessionPool } from "../support/session_pool.ts";

/** The process that served a session. */
async function pidOf(pool: Pool<Api>, options: SessionOptions = {}): Promise<number> {
  await using session = await pool.checkout(options);
  const pid = await session.call.pid();
  assertEquals(session.worker.pid, pid);
  return pid;
}

/** What a promise rejects with. */
async function rejection(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it resolved");
}

test("values of all kinds arrive, errors keep their text, and name the call", async () => {
  const pool = await sessionPool(1);
  await using session = await pool.checkout({ name: "MY CLIENT", afterError: "keep" });
  const values = [1, "\u{1d1da}", { nested: [true, null] }, new Date(0), new Uint8Array([1, 2])];
  assertEquals(await session.call.same(...values), values);
  const error = await assertRejectsCode(session.call.fail("\u{1d1da} broken"), "REMOTE");
  assertEquals((error as RemoteError).remoteMessage, "\u{1d1da} broken");
  assertEquals(error.method, "fail");
  const died = await assertRejectsCode(session.call.exit(1), "SERVER_DIED", '"MY CLIENT"');
  assertEquals(died.method, "exit");
});

test("one worker: sessions get it in the order in which they asked, and no call runs between", async () => {
  const pool = await sessionPool(1);
  const first = await pool.checkout();
  const order: string[] = [];
  const use = async (name: string) => {
    await using session = await pool.checkout();
    order.push(name);
    await session.call.note(`${name} 1`);
    await session.call.note(`${name} 2`);
    return session.worker.pid;
  };
  const others = [use("a"), use("b"), use("c")];
  const plain = pool.call.note("plain").then(() => order.push("plain"));
  const last = use("d");
  await first.call.note("first");
  await sleep(20);
  assertEquals([order, await first.call.done()], [[], ["first"]]);
  await first.close();
  const pids = await Promise.all([...others, last]);
  await plain;
  assertEquals(new Set(pids), new Set([first.worker.pid]));
  assertEquals(order, ["a", "b", "c", "plain", "d"]);
  const steps = ["a 1", "a 2", "checkoutDone", "b 1", "b 2", "checkoutDone", "c 1", "c 2"];
  assertEquals(
    await pool.call.done(),
    ["first", "checkoutDone", ...steps, "checkoutDone", "plain", "d 1", "d 2", "checkoutDone"],
  );
});

test("a surge: 100 sessions over 5 workers are all served", async () => {
  const pool = await sessionPool(5);
  const notes = new Notes();
  const serve = async (number: number) => {
    await using session = await pool.checkout();
    const [, pid, [same]] = await Promise.all([
      session.call.hold(notes.path, "a"),
      session.call.pid(),
      session.call.same(number),
    ]);
    assertEquals(same, number);
    return pid;
  };
  const sessions = Array.from({ length: 100 }, (_, number) => serve(number));
  // The others could serve all of them while one stands still.
  await eventually(() => notes.lines.length === 5, "each worker has a session");
  notes.release("a");
  const pids = await Promise.all(sessions);
  assertEquals(new Set(pids), new Set(pool.workers().map(({ pid }) => pid)));
  assertEquals(new Set(pids).size, 5);
});

test("an error clears the queue: exactly one exception, the rest is dropped", async () => {
  const pool = await sessionPool(1);
  const session = await pool.checkout({ afterError: "keep" });
  const outcomes = await Promise.allSettled([
    session.call.note("one"),
    session.call.fail("two"),
    session.call.note("three"),
    session.call.note("four"),
  ]);
  const codes = outcomes.map((outcome) =>
    outcome.status === "fulfilled" ? outcome.value : outcome.reason.code
  );
  assertEquals(codes, ["one", "REMOTE", "CANCELLED", "CANCELLED"]);
  assertEquals(await session.call.note("rollback"), "rollback");
  assertEquals(await session.call.done(), ["one", "two", "rollback"]);
  await session.close();
});

test("after an error the worker is replaced, unless the session keeps it", async () => {
  const pool = await sessionPool(1);
  const pid = await pidOf(pool);
  assertEquals(await pidOf(pool), pid);
  {
    await using session = await pool.checkout({ afterError: "keep" });
    for (let count = 0; count < 2; count++) {
      await assertRejectsCode(session.call.fail("kept"), "REMOTE");
      assertEquals(await session.call.pid(), pid);
    }
  }
  assertEquals(await pidOf(pool), pid);
  {
    await using session = await pool.checkout();
    await assertRejectsCode(session.call.fail("replaced"), "REMOTE");
    assertEquals(await session.call.pid(), pid);
  }
  assertNotEquals(await pidOf(pool), pid);
  // A plain call that throws does not replace the worker.
  const second = await pool.call.pid();
  await assertRejectsCode(pool.call.fail("plain"), "REMOTE");
  assertEquals(await pool.call.pid(), second);
});

test("a worker is replaced after maxCalls, but not in the middle of a session", async () => {
  const pool = await sessionPool(1, { maxCalls: 2 });
  const pids: number[] = [];
  for (let count = 0; count < 3; count++) {
    await using session = await pool.checkout();
    pids.push(await session.call.pid());
    for (let more = 0; more < 3; more++) assertEquals(await session.call.pid(), pids.at(-1));
  }
  assertEquals(new Set(pids).size, 3);
});

test("abort sticks, ends the call in progress, and the worker is replaced", async () => {
  const pool = await sessionPool(1, { abortGrace: 20_000 });
  const notes = new Notes();
  const session = await pool.checkout({ afterError: "keep" });
  const running = doomed(session.call.obey(notes.path, "a"));
  await notes.has("begin a");
  const reason = new RangeError("manual");
  session.abort(reason);
  assertStrictEquals(await rejection(running), reason);
  for (let count = 0; count < 2; count++) {
    assertStrictEquals(await rejection(session.call.note("never")), reason);
  }
  await notes.has("aborted a");
  await session.close();
  assertNotEquals(await pidOf(pool), session.worker.pid);
});

test("abort replaces a worker that blocks its thread", async () => {
  const pool = await sessionPool(1, { abortGrace: 50 });
  const notes = new Notes();
  const session = await pool.checkout();
  const running = doomed(session.call.block(notes.path));
  await notes.has("begin block");
  session.abort(new RangeError("manual"));
  assertMatch(String(await rejection(running)), /manual/);
  assertNotEquals(await pidOf(pool), session.worker.pid);
});

test("the worker exits: an error with its exit at once, which sticks; the pool goes on", async () => {
  const pool = await sessionPool(1);
  const session = await pool.checkout();
  const running = doomed(session.call.exit(3));
  const cleared = doomed(session.call.note("never"));
  const error = await assertRejectsCode(running, "SERVER_DIED");
  const { code, reason, pid } = exitIn(error);
  assertEquals([code, reason, pid], [3, "exit", session.worker.pid]);
  assertStrictEquals((await assertRejectsCode(cleared, "CANCELLED")).cause, error);
  for (let count = 0; count < 2; count++) {
    assertEquals(exitIn(await rejection(session.call.note("never"))), exitIn(error));
  }
  await session.close();
  assertNotEquals(await pidOf(pool), session.worker.pid);
});

test("the worker is killed between two calls: the next one has the exit", async () => {
  await undisturbed(async () => {
    const pool = await sessionPool(1);
    const session = await pool.checkout();
    await session.call.note("alive");
    process.kill(session.worker.pid, "SIGKILL");
    // It may take a call until then.
    await allEnded([session.worker.pid]);
    const exit = exitIn(await rejection(session.call.note("dead")));
    assertEquals([exit.signal, exit.reason, exit.pid], ["SIGKILL", "crash", session.worker.pid]);
    await session.close();
  });
});

test("the worker exits in the middle of a stream", async () => {
  const pool = await sessionPool(1);
  const session = await pool.checkout();
  const rows: number[] = [];
  const read = async () => {
    for await (const row of session.call.rowsUntilExit(2)) rows.push(row);
  };
  const reading = doomed(read());
  const behind = session.call.note("never");
  const error = await rejection(reading);
  assertEquals([rows, exitIn(error).code], [[1, 2], 4]);
  assertStrictEquals((await assertRejectsCode(behind, "CANCELLED")).cause, error);
  await session.close();
});

test("timeout in progress: the call ends, and a worker that goes on is killed", async () => {
  const pool = await sessionPool(1, { abortGrace: 50 });
  await longEnough(200, async (timeout) => {
    const notes = new Notes();
    await using session = await pool.checkout();
    const hasty = withOptions(session.call, { timeout });
    await assertRejectsCode(hasty.hold(notes.path, "a"), "TIMEOUT");
    if (notes.lines.length === 0) return false;
    const exit = exitIn(await rejection(session.call.pid()));
    assertEquals([exit.reason, exit.pid], ["timeout", session.worker.pid]);
    assertEquals(notes.lines, ["begin a"]);
    return true;
  });
});

test("timeout in progress: a worker that obeys goes on with the session", async () => {
  const pool = await sessionPool(1, { abortGrace: 20_000 });
  await longEnough(200, async (timeout) => {
    const notes = new Notes();
    await using session = await pool.checkout();
    const hasty = withOptions(session.call, { timeout });
    await assertRejectsCode(hasty.obey(notes.path, "a"), "TIMEOUT");
    if (notes.lines.length === 0) return false;
    assertEquals(await session.call.pid(), session.worker.pid);
    assertEquals(notes.lines, ["begin a", "aborted a"]);
    return true;
  });
});

test("a hung worker is replaced before the timeout, which is no timeout of the call", async () => {
  const pool = await sessionPool(1, { hungTimeout: 400 });
  const notes = new Notes();
  const session = await pool.checkout({ timeout: 20_000 });
  const exit = exitIn(await rejection(session.call.block(notes.path)));
  assertEquals(exit.reason, "hung");
  await session.close();
});

test("no worker is free in time: TIMEOUT; and the queue is full: BUSY", async () => {
  const pool = await sessionPool(1, { maxQueue: 1 });
  const first = await pool.checkout();
  await assertRejectsCode(pool.checkout({ timeout: 50 }), "TIMEOUT", "check out");
  const waiting = pool.checkout();
  // The slots are those of the queue and of the worker's own call, which it has not taken while it is held.
  const taken = doomed(pool.call.note("taken"));
  await assertRejectsCode(pool.checkout(), "BUSY", "maxQueue");
  await first.close();
  const second = await waiting;
  assertEquals(await second.call.pid(), first.worker.pid);
  await second.close();
  await taken;
});

test("a signal ends the wait for a worker, which goes to the next one", async () => {
  const pool = await sessionPool(1);
  const first = await pool.checkout();
  const stop = new AbortController();
  const waiting = doomed(pool.checkout({ signal: stop.signal }));
  const next = pool.checkout();
  const reason = new Error("no longer");
  stop.abort(reason);
  assertStrictEquals(await rejection(waiting), reason);
  await first.close();
  const session = await next;
  assertEquals(session.worker.pid, first.worker.pid);
  await session.close();
});

test("maxHold: calls reject with CLOSED, and the worker is replaced", async () => {
  const pool = await sessionPool(1, { abortGrace: 50 });
  await longEnough(400, async (maxHold) => {
    const notes = new Notes();
    const session = await pool.checkout({ maxHold });
    await assertRejectsCode(session.call.hold(notes.path, "a"), "CLOSED", "maxHold");
    await assertRejectsCode(session.call.note("late"), "CLOSED", "maxHold");
    assertNotEquals(await pidOf(pool), session.worker.pid);
    // The worker may have begun the call too late.
    return notes.lines.includes("begin a");
  });
  // Also a session without a call.
  const idle = await pool.checkout({ maxHold: 100 });
  assertNotEquals(await pidOf(pool), idle.worker.pid);
  // The worker may notice first, and still answer.
  await eventually(
    () => idle.call.note("late").then(() => false, ({ code }) => code === "CLOSED"),
    "the session has noticed",
  );
});

test("checkoutDone runs before the worker takes another call, and is not a part of it after abort", async () => {
  const notes = new Notes();
  const pool = await sessionPool(1, { env: { TEST_CHECKOUT_NOTES: notes.path } });
  const first = await pool.checkout();
  await first.call.note("a");
  await first.close();
  assertEquals(notes.lines, [`done ${first.worker.pid}`]);
  assertEquals(await pool.call.done(), ["a", "checkoutDone"]);
  const second = await pool.checkout();
  second.abort();
  await pidOf(pool);
  const [, ...others] = notes.lines;
  assert(!others.includes(`done ${second.worker.pid}`), notes.lines.join());
});

test("sessions hold different workers, and plain calls go to those that are free", async () => {
  const pool = await sessionPool(3);
  const sessions = await Promise.all([pool.checkout(), pool.checkout()]);
  const held = sessions.map(({ worker }) => worker.pid);
  assertEquals(new Set(held).size, 2);
  const states = new Map(pool.workers().map(({ pid, state }) => [pid, state]));
  await eventually(
    () =>
      held.every((pid) => pool.workers().find((worker) => worker.pid === pid)?.state === "busy"),
    `the held workers are busy: ${JSON.stringify([...states])}`,
  );
  const others = new Set(await Promise.all(Array.from({ length: 20 }, () => pool.call.pid())));
  assertEquals(others.size, 1);
  assert(!held.includes([...others][0]!));
  // Numbers and processes belong together.
  for (const session of sessions) {
    assertEquals(await session.call.number(), session.worker.number);
    await session.close();
  }
});

test("with concurrency, a session waits for the worker's calls and keeps others out", async () => {
  const pool = await sessionPool(1, { concurrency: 4 });
  const notes = new Notes();
  const before = ["a", "b"].map((name) => pool.call.hold(notes.path, name));
  await notes.has("begin a");
  await notes.has("begin b");
  const waiting = pool.checkout();
  const plain = pool.call.note("plain");
  await sleep(30);
  notes.release("a");
  await before[0];
  await sleep(30);
  notes.release("b");
  const session = await waiting;
  await session.call.note("in the session");
  await sleep(20);
  assertEquals(await session.call.done(), ["in the session"]);
  await session.close();
  await plain;
  assertEquals(await pool.call.done(), ["in the session", "checkoutDone", "plain"]);
  await Promise.all(before);
});

test("everywhere reaches a worker that a session holds", async () => {
  const pool = await sessionPool(2);
  await using session = await pool.checkout();
  const results = await pool.everywhere.pid();
  const pids = results.map((result) => result.status === "fulfilled" ? result.value : 0);
  assert(pids.includes(session.worker.pid));
  assertEquals(new Set(pids).size, 2);
});

test("what handlers log comes to the session in order, with pids, timers, and also after an error", async () => {
  const pool = await sessionPool(2, { env: { TEST_CHECKOUT_LOG: "1" } });
  const others: LogRecord[] = [];
  using listening = pool.onLog((record) => others.push(record));
  void listening;
  const records: LogRecord[] = [];
  const session = await pool.checkout({
    afterError: "keep",
    onLog: (record) => records.push(record),
  });
  await pool.call.logged("of a plain call");
  for (let count = 1; count <= 4; count++) await session.call.logged(`step ${count}`);
  await session.call.timed("decode");
  await assertRejectsCode(session.call.logAndFail("before the error"), "REMOTE");
  await session.close();
  const messages = records.map(({ message }) => message.replace(/: .* ms$/, ""));
  assertEquals(messages, [
    ...["step 1", "step 2", "step 3", "step 4"],
    ...["decode measured", "decode", "before the error", "checkout done"],
  ]);
  const { pid, number } = session.worker;
  assertEquals(new Set(records.map(({ worker }) => worker)), new Set([number]));
  assertEquals(records[0]!.properties, { pid });
  assertEquals(records.map(({ call }) => call?.method ?? null), [
    ...["logged", "logged", "logged", "logged"],
    ...["timed", "timed", "logAndFail", null],
  ]);
  assertEquals(records.flatMap(({ timers }) => timers).map(({ name }) => name), ["decode"]);
  // The pool's own listener gets all.
  await eventually(() => others.length >= 9, "all records arrive");
});

test("closing the pool ends sessions with CLOSED", async () => {
  const pool = await sessionPool(1, { stopTimeout: 0 });
  const notes = new Notes();
  const session = await pool.checkout();
  const running = doomed(session.call.hold(notes.path, "a"));
  await notes.has("begin a");
  await pool.close();
  await assertRejectsCode(running, "CLOSED");
  await assertRejectsCode(session.call.note("late"), "CLOSED");
  await session.close();
  await assertRejectsCode(pool.checkout(), "CLOSED");
});

test("a worker that restarts while a session holds it ends after the session", async () => {
  const pool = await sessionPool(1);
  const session = await pool.checkout();
  const restarted = pool.restart();
  // The successor takes the calls of others.
  await eventually(() => pool.workers().length === 2, "the successor starts");
  assertNotEquals(await pool.call.pid(), session.worker.pid);
  assertEquals(await session.call.pid(), session.worker.pid);
  await session.close();
  await restarted;
  assertEquals(pool.workers().length, 1);
});

test("sessions of a pool with a target work, too", async () => {
  const pool = await sessionPool(1, { target: newTarget() });
  await using session = await pool.checkout();
  const rows: number[] = [];
  for await (const row of session.call.rows(3)) rows.push(row);
  assertEquals(rows, [1, 2, 3]);
});
