/** Calls that time out, are cancelled or hang: the signal first, then the worker, and no other call. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { withOptions } from "../../mod.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  newTarget,
  runtime,
  spawn,
  test,
} from "../support/harness.ts";
import { allEnded, Events, exists, exitIn, Journal, readyPool } from "../support/pool.ts";
import { rejection } from "../support/rpc_helper.ts";

test("a timeout: the caller has its error at once, the worker is killed after abortGrace, the next call has a new one", async () => {
  const pool = await readyPool(1, { abortGrace: 300 });
  const events = new Events(pool);
  const journal = new Journal();
  const pid = await pool.call.pid();
  const began = performance.now();
  const error = await rejection(withOptions(pool.call, { timeout: 100 }).hold(journal.path, "a"));
  assertEquals((error as { code?: string }).code, "TIMEOUT");
  assert(performance.now() - began >= 99, "it timed out too early");
  assert(exists(pid), "the worker is killed before the grace has passed");
  const { signal, code, reason, number } = await events.exitOf(pid);
  assertEquals({ signal, code, reason, number }, {
    signal: "SIGKILL",
    code: null,
    reason: "timeout",
    number: 1,
  });
  const [exited] = events.of("exited");
  assert(exited!.at - began >= 399, "the worker was killed before the grace had passed");
  assert(await pool.call.pid() !== pid);
  assertEquals(journal.lines, ["begin a"]);
});

test("a handler that ends on its signal within the grace: its worker lives on", async () => {
  const pool = await readyPool(1, { abortGrace: 10_000 });
  const journal = new Journal();
  const pid = await pool.call.pid();
  for (const name of ["a", "b", "c"]) {
    const call = withOptions(pool.call, { timeout: 30 }).obey(journal.path, name);
    await assertRejectsCode(call, "TIMEOUT");
    await journal.has(`aborted ${name}`);
    assertEquals(await pool.call.pid(), pid);
  }
});

test("an AbortSignal: the reason at once, and a worker whose thread is blocked is killed", async () => {
  const pool = await readyPool(1, { abortGrace: 50 });
  const events = new Events(pool);
  const journal = new Journal();
  const pid = await pool.call.pid();
  for (const [name, method] of [["a", "hang"], ["b", "loop"], ["c", "hold"]] as const) {
    const victim = await pool.call.pid();
    const stop = new AbortController();
    const reason = new Error("changed my mind");
    const call = rejection(
      withOptions(pool.call, { signal: stop.signal })[method](journal.path, name),
    );
    await journal.has(`begin ${name}`);
    stop.abort(reason);
    assertStrictEquals(await call, reason);
    assertEquals((await events.exitOf(victim)).reason, "timeout");
  }
  assert(await pool.call.pid() !== pid);
});

test("a call that is cancelled while it waits harms no worker and never begins", async () => {
  const pool = await readyPool(1, { abortGrace: 0 });
  const journal = new Journal();
  const pid = await pool.call.pid();
  const works = pool.call.hold(journal.path, "a");
  await journal.has("begin a");
  const stop = new AbortController();
  const waits = doomed(withOptions(pool.call, { signal: stop.signal }).hold(journal.path, "b"));
  stop.abort("left");
  assertEquals(await waits.catch((reason: unknown) => reason), "left");
  journal.release("a");
  assertEquals(await works, pid);
  assertEquals(await pool.call.pid(), pid);
  assertEquals(journal.lines, ["begin a", "end a"]);
});

test("the kill is bound to the call: one that ends in the grace leaves the next call of its worker alone", async () => {
  const pool = await readyPool(1, { abortGrace: 200 });
  const journal = new Journal();
  const pid = await pool.call.pid();
  const late = doomed(withOptions(pool.call, { timeout: 50 }).hold(journal.path, "late"));
  const next = pool.call.hold(journal.path, "next");
  await assertRejectsCode(late, "TIMEOUT");
  journal.release("late");
  await journal.has("begin next");
  // Longer than the grace of the call before.
  await pool.ready;
  const since = performance.now();
  await eventually(() => performance.now() - since > 500);
  journal.release("next");
  assertEquals(await next, pid);
  assertEquals(await pool.call.pid(), pid);
});

test("concurrency: a call that ignores its timeout takes its worker's other calls with it, and idempotent ones go on", async () => {
  const pool = await readyPool(1, { concurrency: 2, abortGrace: 50, idempotent: ["sleep"] });
  const events = new Events(pool);
  const journal = new Journal();
  const pid = await pool.call.pid();
  const ignores = doomed(withOptions(pool.call, { timeout: 100 }).hold(journal.path, "a"));
  const other = pool.call.sleep(1_000);
  await assertRejectsCode(ignores, "TIMEOUT");
  assertEquals((await events.exitOf(pid)).reason, "timeout");
  assert(await other !== pid);
});

test("hungTimeout ends a call that awaits for ever: SERVER_DIED with the reason, and not TIMEOUT", async () => {
  const pool = await readyPool(1, { hungTimeout: 200, timeout: 20_000 });
  const journal = new Journal();
  const pid = await pool.call.pid();
  const began = performance.now();
  const exit = exitIn(await rejection(pool.call.hold(journal.path, "a")));
  assert(performance.now() - began >= 199, "it ended too early");
  const { reason, signal } = exit;
  assertEquals({ reason, signal, pid: exit.pid }, { reason: "hung", signal: "SIGKILL", pid });
  assert(await pool.call.pid() !== pid);
});

test("hungTimeout counts for one call: a worker that is busy for longer with many lives", async () => {
  const pool = await readyPool(1, { hungTimeout: 400 });
  const pid = await pool.call.pid();
  for (let round = 0; round < 8; round++) assertEquals(await pool.call.sleep(100), pid);
  assertEquals(await pool.call.busy(150), pid);
});

test("the death of a caller: the handler's signal aborts, and a worker that goes on is killed", async () => {
  const target = newTarget();
  const pool = await readyPool(2, { target, abortGrace: 50 });
  const events = new Events(pool);
  const journal = new Journal();
  const caller = await spawn(runtime, "pool/caller.ts", [target, "30000"]);
  await caller.expect("ready");
  assertEquals(await caller.ask(["start", "obey", journal.path, "obeys"]), "started");
  assertEquals(await caller.ask(["start", "hang", journal.path, "hangs"]), "started");
  await journal.has("begin obeys");
  await journal.has("begin hangs");
  const before = pool.workers().map(({ pid }) => pid);
  await caller.killed();
  await journal.has("aborted obeys");
  await eventually(() => events.of("exited").length === 1, "the worker that goes on is killed");
  const [exited] = events.of("exited");
  assertEquals(exited!.exit!.reason, "timeout");
  await allEnded([exited!.worker.pid]);
  const [left] = before.filter((pid) => pid !== exited!.worker.pid);
  await eventually(() => pool.workers().filter(({ state }) => state === "idle").length === 2);
  assert(pool.workers().some(({ pid }) => pid === left), "the worker that obeyed is gone");
});
