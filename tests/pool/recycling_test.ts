/** Workers that are replaced by plan: after so many calls, after a while, beyond their memory, and on restart. */
import { assert, assertEquals } from "@std/assert";
import type { Pool } from "../../src/pool/main.ts";
import type { Api } from "../fixtures/pool/changing.ts";
import { assertRejectsCode, eventually, newTarget, sleep, test } from "../support/harness.ts";
import {
  Events,
  Journal,
  ModeFile,
  readyPool,
  readyWorker,
  readyWorkers,
  startPool,
  workerFile,
} from "../support/pool.ts";
import { poolTest } from "../support/pool_ways.ts";
import { rejection } from "../support/rpc_helper.ts";

test("maxCalls: each worker serves exactly so many calls, and its successor is ready first", async () => {
  const pool = await readyPool(1, { maxCalls: 3 });
  const events = new Events(pool);
  const pids: number[] = [];
  for (let call = 0; call < 12; call++) pids.push(await pool.call.pid());
  const served = new Map<number, number>();
  for (const pid of pids) served.set(pid, (served.get(pid) ?? 0) + 1);
  assertEquals([...served.values()], [3, 3, 3, 3]);
  const [first, second] = [...served.keys()] as [number, number];
  await events.exitOf(first);
  assert(events.indexOf("ready", second) < events.indexOf("exited", first), events.story.join());
  const { code, reason } = await events.exitOf(first);
  assertEquals([code, reason], [0, "exit"]);
});

poolTest(
  "maxCalls: a worker that ends its last call after its successor is ready has no second one",
  async (way) => {
    const { pool, remote } = await way.ready(1, { maxCalls: 1 });
    const events = new Events(pool);
    const [first] = pool.workers();
    const journal = new Journal();
    const call = remote.hold(journal.path, "a");
    await eventually(() => events.of("ready").length === 1, "its successor is ready");
    journal.release("a");
    await call;
    await events.exitOf(first!.pid);
    assertEquals(events.of("starting").length, 1, events.story.join());
  },
);

test("maxCalls under load: no worker serves more, and no call fails", async () => {
  const pool = await readyPool(2, { maxCalls: 5 });
  const pids = await Promise.all(Array.from({ length: 40 }, () => pool.call.sleep(1)));
  const served = new Map<number, number>();
  for (const pid of pids) served.set(pid, (served.get(pid) ?? 0) + 1);
  assert(Math.max(...served.values()) <= 5, String([...served.values()]));
  assert(served.size >= 8);
});

test("maxCalls 1: every call has a process of its own", async () => {
  const pool = await readyPool(1, { maxCalls: 1 });
  const pids: number[] = [];
  for (let call = 0; call < 4; call++) pids.push(await pool.call.pid());
  assertEquals(new Set(pids).size, 4);
  assertEquals(await pool.call.count(), 1);
});

test("maxLifetime: old workers are replaced between two calls, and their successors are ready first", async () => {
  const pool = await readyPool(1, { maxLifetime: 500 });
  const events = new Events(pool);
  // No call: it may last for the worker's lifetime.
  const first = readyWorker(pool).pid;
  let isDone = false;
  const load = (async () => {
    while (!isDone) await pool.call.sleep(3);
  })();
  await eventually(() => events.of("exited").length >= 2, "two workers are replaced");
  isDone = true;
  await load;
  const { worker, exit } = events.of("exited")[0]!;
  assertEquals([worker.pid, exit!.code, exit!.reason], [first, 0, "exit"]);
  const second = events.of("ready")[0]!.worker.pid;
  assert(events.indexOf("ready", second) < events.indexOf("exited", first), events.story.join());
});

test("maxMemoryBytes: a worker that has grown is replaced between two calls", async () => {
  const limit = 250 << 20;
  const pool = await readyPool(1, { maxMemoryBytes: limit });
  const events = new Events(pool);
  assert(pool.workers()[0]!.rssBytes < limit, "the worker is too big from the start");
  const first = await pool.call.pid();
  await sleep(100);
  assertEquals(await pool.call.grow(300 << 20), first);
  const { code, reason } = await events.exitOf(first);
  assertEquals([code, reason], [0, "exit"]);
  const second = await pool.call.pid();
  assert(
    second !== first && events.indexOf("ready", second) < events.indexOf("exited", first),
    events.story.join(),
  );
});

/** Callers that call one after the other until they are told to stop. */
class LoadOf {
  #isDone = false;
  readonly versions: string[] = [];
  readonly #callers: Promise<void>[];

  constructor(pool: Pool<Api>, callers: number) {
    this.#callers = Array.from({ length: callers }, () => this.#call(pool));
  }

  async #call(pool: Pool<Api>): Promise<void> {
    while (!this.#isDone) this.versions.push(await pool.call.slowVersion(2));
  }

  /** Rejects if any call has failed. */
  async end(): Promise<void> {
    this.#isDone = true;
    await Promise.all(this.#callers);
  }
}

test("restart under load: every worker is replaced, its successor ready first, and no call fails", async () => {
  const mode = new ModeFile("fine");
  const pool = startPool<Api>({ min: 2, max: 2, env: mode.env }, workerFile("changing.ts"));
  await pool.ready;
  const events = new Events(pool);
  const before = pool.workers().map(({ pid }) => pid);
  const load = new LoadOf(pool, 4);
  await eventually(() => load.versions.length > 10);
  mode.write("fine", "2");
  await pool.restart();
  const from = load.versions.length + 4;
  await eventually(() => load.versions.length > from + 10);
  await load.end();
  assertEquals(new Set(load.versions.slice(from)), new Set(["2"]));
  assert(readyWorkers(pool).every(({ pid }) => !before.includes(pid)));
  for (const pid of before) assertEquals((await events.exitOf(pid)).code, 0);
  // Two at least, one more while one is replaced.
  let live = before.length;
  for (const { kind } of events.all) {
    if (kind === "ready") live += 1;
    if (kind === "exited") live -= 1;
    assert(live >= 2 && live <= 3, events.story.join());
  }
});

test("restart with a broken file rejects with the reason; the old workers go on, and no call fails", async () => {
  const mode = new ModeFile("fine");
  const pool = startPool<Api>({ min: 2, max: 2, env: mode.env }, workerFile("changing.ts"));
  await pool.ready;
  const before = pool.workers().map(({ pid }) => pid);
  const load = new LoadOf(pool, 4);
  for (const broken of ["throws at import", "throws in setup", "exits at import"] as const) {
    mode.write(broken, "2");
    const error = await rejection(pool.restart());
    assert(/today|4/.test(error.message), error.message);
    assertEquals(readyWorkers(pool).map(({ pid }) => pid), before);
  }
  const seen = load.versions.length;
  await eventually(() => load.versions.length > seen + 10);
  mode.write("fine", "3");
  await pool.restart();
  await load.end();
  assertEquals(new Set(load.versions), new Set(["1", "3"]));
  assertEquals(await pool.call.version(), "3");
});

poolTest(
  "restart while a call goes on longer than stopTimeout: the call ends SERVER_DIED, and restart resolves",
  async (way) => {
    const { pool, remote } = await way.ready(1, { stopTimeout: 200, abortGrace: 50 });
    const journal = new Journal();
    const [before] = pool.workers();
    const call = rejection(remote.hold(journal.path, "a"));
    await journal.has("begin a");
    await pool.restart();
    assertEquals((await call as { code?: string }).code, "SERVER_DIED");
    assert(await remote.pid() !== before!.pid);
  },
);

test("two restarts at once: both resolve, and no call fails", async () => {
  const pool = await readyPool(2);
  const before = pool.workers().map(({ pid }) => pid);
  const calls = Array.from({ length: 20 }, () => pool.call.sleep(5));
  await Promise.all([pool.restart(), pool.restart()]);
  await Promise.all(calls);
  assert(readyWorkers(pool).every(({ pid }) => !before.includes(pid)));
});

test("restart while another one starts a worker: that worker becomes ready before it is replaced", async () => {
  const mode = new ModeFile("fine");
  const pool = startPool<Api>({ min: 1, max: 1, env: mode.env }, workerFile("changing.ts"));
  await pool.ready;
  mode.write("waits in setup", "2");
  const first = pool.restart();
  await eventually(() => mode.starts.length === 2);
  mode.write("fine", "3");
  const second = pool.restart();
  // Time for a successor that must not start yet.
  await sleep(300);
  assertEquals(mode.starts.length, 2);
  mode.letGo();
  await Promise.all([first, second]);
  assertEquals(await pool.call.version(), "3");
});

test("restart of a closed pool is CLOSED", async () => {
  const pool = await readyPool(1, { target: newTarget() });
  await pool.close();
  await assertRejectsCode(pool.restart(), "CLOSED");
});
