/** How many workers a pool has: it grows with the queue, and shrinks when it is idle. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { connect } from "../../mod.ts";
import { Pool } from "../../src/pool/main.ts";
import type { PoolPlan } from "../fixtures/pool/supervisor.ts";
import type { Api } from "../fixtures/pool/worker.ts";
import {
  atEnd,
  doomed,
  eventually,
  newTarget,
  ownRuntime,
  sleep,
  spawn,
  test,
} from "../support/harness.ts";
import {
  Events,
  Journal,
  poolDefaults,
  readyPool,
  readyWorkers,
  startPool,
  workerFile,
} from "../support/pool.ts";
import { poolTest } from "../support/pool_ways.ts";
import { rejection } from "../support/rpc_helper.ts";

test("ready resolves when min workers are ready, and the pool tells what happened in order", async () => {
  const pool = startPool({ min: 2, max: 4 });
  const events = new Events(pool);
  await pool.ready;
  const workers = pool.workers();
  assertEquals(
    workers.map(({ number, state, method, calls }) => ({ number, state, method, calls })),
    [
      { number: 1, state: "idle", method: null, calls: 0 },
      { number: 2, state: "idle", method: null, calls: 0 },
    ],
  );
  for (const { pid, rssBytes, since } of workers) {
    assert(pid > 0 && rssBytes > 1_000_000 && since <= Date.now() && since > Date.now() - 60_000);
    assert(
      events.indexOf("starting", pid) < events.indexOf("ready", pid) ||
        events.of("starting").length < 2,
    );
  }
  await pool.close();
  for (const { pid } of workers) {
    assert(events.indexOf("ready", pid) < events.indexOf("exited", pid), events.story.join());
    const { code, signal, reason } = await events.exitOf(pid);
    assertEquals({ code, signal, reason }, { code: 0, signal: null, reason: "exit" });
  }
});

poolTest(
  "workers(): a busy worker has its method and since when, and counts its calls",
  async (way) => {
    const { pool, remote } = await way.ready(1);
    const journal = new Journal();
    await remote.echo(1);
    const before = Date.now();
    const call = remote.hold(journal.path, "a");
    await journal.has("begin a");
    const [busy] = pool.workers();
    assertEquals([busy!.state, busy!.method, busy!.calls], ["busy", "hold", 1]);
    assert(busy!.since >= before - 1 && busy!.since <= Date.now(), String(busy!.since));
    journal.release("a");
    await call;
    // A call is counted a moment after it has ended.
    await eventually(() => pool.workers()[0]!.state === "idle" && pool.workers()[0]!.calls === 2);
    const [idle] = pool.workers();
    assertEquals([idle!.method, idle!.calls], [null, 2]);
    assert(idle!.since >= busy!.since);
  },
);

test("a listener that is disposed of hears no more; one that throws harms nobody", async () => {
  const pool = await readyPool(1, { max: 2 });
  let heard = 0;
  const listening = pool.onWorker(() => void (heard += 1));
  listening[Symbol.dispose]();
  pool.onWorker(() => {
    throw new Error("of the listener");
  });
  const events = new Events(pool);
  pool.resize({ min: 2 });
  await eventually(() => readyWorkers(pool).length === 2);
  assertEquals(heard, 0);
  assertEquals(events.story, ["starting 2", "ready 2"]);
});

test("a burst: the pool starts several workers at once, up to max", async () => {
  const pool = await readyPool(1, { max: 4 });
  const events = new Events(pool);
  const journal = new Journal();
  const names = ["a", "b", "c", "d", "e", "f"];
  const calls = names.map((name) => pool.call.hold(journal.path, name));
  await eventually(() => events.of("ready").length === 3, "the pool grows");
  assertEquals(events.story.slice(0, 3), ["starting 2", "starting 3", "starting 4"]);
  await eventually(() => journal.lines.length === 4);
  assertEquals(pool.workers().map(({ state }) => state), ["busy", "busy", "busy", "busy"]);
  for (const name of names) journal.release(name);
  assertEquals(new Set(await Promise.all(calls)).size, 4);
  assertEquals(events.of("starting").length, 3);
});

test("calls that the workers there are can serve start no others", async () => {
  const pool = await readyPool(2, { max: 4 });
  const events = new Events(pool);
  for (let round = 0; round < 50; round++) {
    await pool.call.echo(round);
    await sleep(5);
  }
  assertEquals(events.all, []);
});

/** Calls through an attached pool: the supervisor hears of none of them. */
function attachedTo(target: string): ReturnType<typeof Pool.attach<Api>> {
  const attached = Pool.attach<Api>(target);
  // deno-lint-ignore require-await -- an end of a test is a promise
  atEnd(async () => attached.close());
  return attached;
}

test("the pool grows in a burst after short calls of others, one soon after the other", async () => {
  const target = newTarget();
  const pool = await readyPool(1, { max: 2, target });
  const attached = attachedTo(target);
  const journal = new Journal();
  // Longer than the supervisor looks after a call: no pause between two calls is long enough to be reported.
  const until = performance.now() + 2_000;
  while (performance.now() < until) {
    await attached.call.echo(1);
    await sleep(1);
  }
  const calls = ["a", "b"].map((name) => doomed(attached.call.hold(journal.path, name)));
  await eventually(() => readyWorkers(pool).length === 2, "the pool grows");
  for (const name of ["a", "b"]) journal.release(name);
  await Promise.all(calls);
});

test("idle workers beyond min end after idleTimeout, in good order", async () => {
  const pool = await readyPool(1, { max: 3, idleTimeout: 300, minTtl: 0 });
  const events = new Events(pool);
  const journal = new Journal();
  const calls = ["a", "b", "c"].map((name) => pool.call.hold(journal.path, name));
  await eventually(() => journal.lines.length === 3);
  const released = performance.now();
  for (const name of ["a", "b", "c"]) journal.release(name);
  const pids = await Promise.all(calls);
  await eventually(() => pool.workers().length === 1, "the pool shrinks");
  for (const { at, exit, worker } of events.of("exited")) {
    // One that stands still before it takes its first call is idle, too.
    if (!pids.includes(worker.pid)) continue;
    assert(at - released >= 250, "a worker ended too early");
    assertEquals([exit!.code, exit!.reason], [0, "exit"]);
  }
  // It goes no further, and still serves.
  await sleep(500);
  assertEquals(readyWorkers(pool).length, 1);
  assertEquals(await pool.call.echo(1), 1);
});

test("minTtl: no worker that is not needed ends earlier", async () => {
  const pool = await readyPool(1, { max: 3, idleTimeout: 0, minTtl: 1_000 });
  const events = new Events(pool);
  // By a resize, and not by calls: a worker that took longer than that to start is not needed before it has its call.
  pool.resize({ min: 3 });
  await eventually(() => readyWorkers(pool).length === 3, "the pool grows");
  pool.resize({ min: 1 });
  await eventually(() => pool.workers().length === 1, "the pool shrinks");
  const last = events.of("starting").at(-1)!;
  assertEquals(events.of("exited").length, 2);
  for (const { at } of events.of("exited")) {
    assert(at - last.at >= 950, `a worker ended ${at - last.at} ms after the last start`);
  }
});

test("minSpare: so many idle workers are kept ready beside the busy ones, up to max", async () => {
  const pool = await readyPool(1, { max: 3, minSpare: 1 });
  const journal = new Journal();
  const idle = () => pool.workers().filter(({ state }) => state === "idle").length;
  assertEquals(pool.workers().length, 1);
  const calls = [pool.call.hold(journal.path, "a")];
  await eventually(() => pool.workers().length === 2 && idle() === 1, "a spare worker");
  calls.push(pool.call.hold(journal.path, "b"));
  await eventually(() => pool.workers().length === 3 && idle() === 1, "another spare worker");
  calls.push(pool.call.hold(journal.path, "c"));
  await journal.has("begin c");
  await sleep(50);
  assertEquals([pool.workers().length, idle()], [3, 0]);
  for (const name of ["a", "b", "c"]) journal.release(name);
  await Promise.all(calls);
});

test("maxSpare: idle workers beyond it end, however short they are idle", async () => {
  const pool = await readyPool(1, { max: 4, maxSpare: 2, minTtl: 0, idleTimeout: 600_000 });
  const journal = new Journal();
  const names = ["a", "b", "c", "d"];
  const calls = names.map((name) => pool.call.hold(journal.path, name));
  await eventually(() => journal.lines.length === 4);
  for (const name of names) journal.release(name);
  await Promise.all(calls);
  await eventually(() => pool.workers().length === 2, "the pool shrinks");
  await sleep(100);
  assertEquals(readyWorkers(pool).length, 2);
});

test("resize: a higher min starts workers, a lower max ends them, and busy ones finish their calls", async () => {
  const pool = await readyPool(1, { max: 1, minTtl: 600_000 });
  pool.resize({ min: 3, max: 3 });
  await eventually(() => readyWorkers(pool).length === 3, "it grows");
  const journal = new Journal();
  const calls = ["a", "b"].map((name) => pool.call.hold(journal.path, name));
  await eventually(() => journal.lines.length === 2);
  pool.resize({ min: 1, max: 1 });
  await eventually(() => pool.workers().length === 2, "the idle one ends");
  journal.release("a");
  journal.release("b");
  assertEquals(new Set(await Promise.all(calls)).size, 2);
  await eventually(() => pool.workers().length === 1, "one of the others ends");
  assertEquals(await pool.call.echo(1), 1);
});

test("resize: a range that makes no sense is refused, and nothing changes", async () => {
  const pool = await readyPool(1, { max: 2 });
  for (
    const size of [{ max: 0 }, { min: -1 }, { min: 1.5 }, { max: NaN }, { min: 2, max: 1 }]
  ) {
    assertThrows(() => pool.resize(size), RangeError);
  }
  await sleep(50);
  assertEquals(pool.workers().length, 1);
});

test("min 0: a worker starts when a call comes, and ends when it is idle", async () => {
  const pool = startPool({ min: 0, max: 1, idleTimeout: 100, minTtl: 0 });
  await pool.ready;
  assertEquals(pool.workers(), []);
  const first = await pool.call.pid();
  await eventually(() => pool.workers().length === 0, "it ends");
  assert(await pool.call.pid() !== first);
});

test("min 0: a call of another process starts a worker, also when the pool has been idle for long", async () => {
  const target = newTarget();
  const pool = startPool({ min: 0, max: 1, target, idleTimeout: 50, minTtl: 0 });
  await pool.ready;
  const attached = attachedTo(target);
  using plain = connect<Api>(target);
  const pids = new Set<number>();
  for (const call of [attached.call, plain, attached.call]) {
    pids.add(await call.pid());
    await eventually(() => pool.workers().length === 0, "it ends");
    // Longer than the supervisor looks after a call.
    await sleep(1_200);
  }
  assertEquals(pids.size, 3);
});

test("min 0: a call that is given up before the supervisor looks starts a worker, too", async () => {
  for (const runtime of ownRuntime) {
    const target = newTarget();
    const plan: PoolPlan = {
      file: workerFile("worker.ts").href,
      options: { ...poolDefaults, min: 0, max: 1, target },
      isAwaited: true,
    };
    const child = await spawn(runtime, "pool/supervisor.ts", [JSON.stringify(plan)], {
      denoPermissions: ["--allow-all"],
    });
    await child.expect("ready");
    await child.stopped();
    using plain = connect<Api>(target, { timeout: 200 });
    await rejection(plain.pid());
    child.kill("SIGCONT");
    const isStarted = async () => (await child.ask<number[]>(["pids"])).length === 1;
    await eventually(isStarted, "a worker starts");
    assertEquals(await child.ask(["close"]), "closed");
  }
});
