/** Calls that time out, are cancelled or hang: the signal first, then the worker, and no other call. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { withOptions } from "../../mod.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  longEnough,
  runtime,
  sleep,
  spawn,
  test,
} from "../support/harness.ts";
import {
  allEnded,
  Events,
  exitIn,
  Journal,
  readyPool,
  readyWorker,
  readyWorkers,
} from "../support/pool.ts";
import { poolTest } from "../support/pool_ways.ts";
import { rejection } from "../support/rpc_helper.ts";

poolTest(
  "a timeout: the caller has its error at once, the worker is killed after abortGrace, the next call has a new one",
  async (way) => {
    const abortGrace = 300;
    await longEnough(100, async (timeout) => {
      const { pool, remote } = await way.ready(1, { abortGrace });
      const events = new Events(pool);
      const journal = new Journal();
      const pid = await remote.pid();
      const began = performance.now();
      const call = withOptions(remote, { timeout }).hold(journal.path, "a");
      await assertRejectsCode(call, "TIMEOUT");
      assert(performance.now() - began >= timeout - 1, "it timed out too early");
      // What has not begun harms no worker.
      if (journal.lines.length === 0) return false;
      const { signal, code, reason, number } = await events.exitOf(pid);
      assertEquals({ signal, code, reason, number }, {
        signal: "SIGKILL",
        code: null,
        reason: "timeout",
        number: 1,
      });
      const [exited] = events.of("exited");
      const lived = exited!.at - began;
      assert(
        lived >= timeout + abortGrace - 1,
        "the worker was killed before the grace had passed",
      );
      assert(await remote.pid() !== pid);
      assertEquals(journal.lines, ["begin a"]);
      return true;
    });
  },
);

poolTest("a handler that ends on its signal within the grace: its worker lives on", async (way) => {
  const { remote } = await way.ready(1, { abortGrace: 10_000 });
  const journal = new Journal();
  const pid = await remote.pid();
  for (const name of ["a", "b", "c"]) {
    await longEnough(30, async (timeout) => {
      const call = withOptions(remote, { timeout }).obey(journal.path, name);
      await assertRejectsCode(call, "TIMEOUT");
      return journal.lines.includes(`begin ${name}`);
    });
    await journal.has(`aborted ${name}`);
    assertEquals(await remote.pid(), pid);
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

poolTest(
  "a call that is cancelled while it waits harms no worker and never begins",
  async (way) => {
    const { pool, remote } = await way.ready(1, { abortGrace: 0 });
    const journal = new Journal();
    const pid = await remote.pid();
    const works = remote.hold(journal.path, "a");
    await journal.has("begin a");
    const stop = new AbortController();
    const waits = doomed(withOptions(remote, { signal: stop.signal }).hold(journal.path, "b"));
    await eventually(() => pool.stats().queued === 1, "b waits");
    stop.abort("left");
    assertEquals(await waits.catch((reason: unknown) => reason), "left");
    // From another machine, the news takes a while.
    await eventually(() => pool.stats().queued === 0, "the pool knows");
    journal.release("a");
    assertEquals(await works, pid);
    assertEquals(await remote.pid(), pid);
    assertEquals(journal.lines, ["begin a", "end a"]);
  },
);

poolTest(
  "the kill is bound to the call: one that ends in the grace leaves the next call of its worker alone",
  async (way) => {
    await longEnough(200, async (abortGrace) => {
      const { remote } = await way.ready(1, { abortGrace });
      const journal = new Journal();
      const pid = await remote.pid();
      const hasty = withOptions(remote, { timeout: abortGrace / 4 });
      const late = doomed(hasty.hold(journal.path, "late"));
      const next = doomed(remote.hold(journal.path, "next"));
      await assertRejectsCode(late, "TIMEOUT");
      journal.release("late");
      await Promise.race([journal.has("begin next"), next.catch(() => {})]);
      // It began too late, or did not end in the grace.
      if (!["begin late", "end late"].every((line) => journal.lines.includes(line))) return false;
      // Longer than the grace of the call before.
      await sleep(2 * abortGrace);
      journal.release("next");
      // The call before may have noted its end when its grace was over: the worker was killed for it then. One that is
      // killed in the next call makes that fail.
      if (await next !== pid) return false;
      assertEquals(await remote.pid(), pid);
      return true;
    });
  },
);

test("concurrency: a call that ignores its timeout takes its worker's other calls with it, and idempotent ones go on", async () => {
  // A call that began too late for an attempt takes a worker with it as well, more than two perhaps.
  const options = { concurrency: 2, abortGrace: 50, idempotent: ["hold"], maxDeliveries: 31 };
  const pool = await readyPool(1, options);
  const events = new Events(pool);
  const journal = new Journal();
  const pid = await pool.call.pid();
  const other = pool.call.hold(journal.path, "other");
  await journal.has("begin other");
  await longEnough(100, async (timeout) => {
    const ignores = withOptions(pool.call, { timeout }).hold(journal.path, "a");
    await assertRejectsCode(ignores, "TIMEOUT");
    return journal.lines.includes("begin a");
  });
  assertEquals((await events.exitOf(pid)).reason, "timeout");
  journal.release("other");
  assert(await other !== pid);
});

poolTest(
  "hungTimeout ends a call that awaits for ever: SERVER_DIED with the reason, and not TIMEOUT",
  async (way) => {
    // A worker that stands still for so long is hung in any call, so there is no other.
    const { pool, remote } = await way.ready(1, { hungTimeout: 200, timeout: 20_000 });
    const journal = new Journal();
    const { pid } = readyWorker(pool);
    const began = performance.now();
    const exit = exitIn(await rejection(remote.hold(journal.path, "a")));
    assert(performance.now() - began >= 199, "it ended too early");
    const { reason, signal } = exit;
    assertEquals({ reason, signal, pid: exit.pid }, { reason: "hung", signal: "SIGKILL", pid });
    await eventually(() => readyWorkers(pool).length === 1, "it is replaced");
    assert(readyWorker(pool).pid !== pid);
  },
);

test("hungTimeout counts for one call: a worker that is busy for longer with many lives", async () => {
  await longEnough(400, async (hungTimeout) => {
    const pool = await readyPool(1, { hungTimeout });
    const { pid } = readyWorker(pool);
    try {
      for (let round = 0; round < 8; round++) {
        assertEquals(await pool.call.sleep(hungTimeout / 4), pid);
      }
      assertEquals(await pool.call.busy(hungTimeout / 4), pid);
      return true;
    } catch (error) {
      // A busy machine may have stood still for longer than the call was to take.
      assertEquals(exitIn(error).reason, "hung");
      return false;
    }
  });
});

poolTest(
  "the death of a caller: the handler's signal aborts, and a worker that goes on is killed",
  async (way) => {
    await longEnough(50, async (abortGrace) => {
      const target = way.newTarget();
      const { pool } = await way.ready(2, { target, abortGrace });
      const events = new Events(pool);
      const journal = new Journal();
      const caller = await spawn(runtime, "pool/caller.ts", [target, "30000"], {
        denoPermissions: ["--allow-all"],
      });
      await caller.expect("ready");
      assertEquals(await caller.ask(["start", "obey", journal.path, "obeys"]), "started");
      assertEquals(await caller.ask(["start", "hang", journal.path, "hangs"]), "started");
      await journal.has("begin obeys");
      await journal.has("begin hangs");
      const stateOf = (method: string) =>
        pool.workers().find((worker) => worker.method === method)!;
      const [obeys, hangs] = [stateOf("obey").pid, stateOf("hang").pid];
      await caller.killed();
      assertEquals((await events.exitOf(hangs)).reason, "timeout");
      await allEnded([hangs]);
      await eventually(() => pool.workers().filter(({ state }) => state === "idle").length === 2);
      // A worker that stood still for the whole grace did not get to obey.
      if (events.of("exited").some(({ worker }) => worker.pid === obeys)) return false;
      assertEquals(journal.lines.at(-1), "aborted obeys");
      assert(pool.workers().some(({ pid }) => pid === obeys), "the worker that obeyed is gone");
      return true;
    });
  },
);
