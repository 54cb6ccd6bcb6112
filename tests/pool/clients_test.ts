/** Pools with a target: clients in other processes, second supervisors, and calls of every worker. */
import { assert, assertEquals } from "@std/assert";
import { mkdirSync, rmdirSync } from "node:fs";
import process from "node:process";
import { Client, connect } from "../../mod.ts";
import { Pool } from "../../src/pool/main.ts";
import { controlTarget } from "../../src/pool/supervisor/pool_channel.ts";
import type { Load } from "../fixtures/pool/caller.ts";
import type { PoolPlan } from "../fixtures/pool/supervisor.ts";
import type { Api } from "../fixtures/pool/worker.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  type Child,
  eventually,
  newTarget,
  runtime,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";
import {
  allEnded,
  Events,
  Journal,
  openDescriptors,
  poolDefaults,
  readyPool,
  readyWorkers,
  startPool,
  workerFile,
} from "../support/pool.ts";
import { poolTest } from "../support/pool_ways.ts";
import { rejection } from "../support/rpc_helper.ts";

async function startCaller(target: string): Promise<Child> {
  const caller = await spawn(runtime, "pool/caller.ts", [target, "30000"]);
  await caller.expect("ready");
  return caller;
}

async function startSupervisor(target: string): Promise<Child> {
  const plan: PoolPlan = {
    file: workerFile("worker.ts").href,
    options: { ...poolDefaults, target, min: 2, max: 2 },
    isAwaited: true,
  };
  const child = await spawn(runtime, "pool/supervisor.ts", [JSON.stringify(plan)], {
    denoPermissions: ["--allow-all"],
  });
  await child.expect("ready");
  return child;
}

for (const client of runtimes) {
  test(`${client} calls a pool of ${runtime} by its target`, async () => {
    const target = newTarget();
    const caller = await spawn(client, "pool/caller.ts", [target, "30000"]);
    await caller.expect("ready");
    // Before there is a pool.
    caller.send(["call", "echo", "early"]);
    await readyPool(2, { target });
    assertEquals(await caller.message(), { result: "early" });
    const { error } = await caller.ask<{ error: { code: string } }>(["call", "fail", "no"]);
    assertEquals(error.code, "REMOTE");
    const died = await caller.ask<{ error: { code: string } }>(["call", "die", "exit 3", null]);
    assertEquals(died.error.code, "SERVER_DIED");
    assertEquals(await caller.ask(["call", "echo", "late"]), { result: "late" });
  });
}

test("no pool at all: a call times out, or fails at once if it is to", async () => {
  const target = newTarget();
  using waits = connect<Api>(target, { timeout: 200 });
  await assertRejectsCode(waits.echo(1), "NO_SERVER");
});

test("idle workers serve any client, and the death of clients harms nobody", async () => {
  const target = newTarget();
  // The calls of dead clients end by themselves, also on a worker that stands still for a while.
  const pool = await readyPool(2, { target, abortGrace: 20_000 });
  const events = new Events(pool);
  const pids = pool.workers().map(({ pid }) => pid);
  for (let round = 0; round < 3; round++) {
    const callers = await Promise.all([0, 1].map(() => startCaller(target)));
    for (const caller of callers) assertEquals(await caller.ask(["load", 8]), "loading");
    await eventually(() =>
      pool.workers().reduce((sum, { calls }) => sum + calls, 0) > 200 * (round + 1)
    );
    await callers[0]!.killed();
    assertEquals(await pool.call.echo(round), round);
    const { failures } = await callers[1]!.ask<Load>(["stop"]);
    assertEquals(failures, []);
    await callers[1]!.killed();
  }
  assertEquals(events.all, []);
  assertEquals(readyWorkers(pool).map(({ pid }) => pid), pids);
});

test("everywhere: each worker has the call once, also through an attached pool", async () => {
  const target = newTarget();
  const pool = await readyPool(3, { target });
  const pids = pool.workers().map(({ pid }) => pid).sort();
  const values = (results: readonly PromiseSettledResult<number>[]) =>
    results.map((result) => result.status === "fulfilled" ? result.value : -1).sort();
  assertEquals(values(await pool.everywhere.pid()), pids);
  for (let count = 1; count <= 3; count++) {
    assertEquals(values(await pool.everywhere.count()), [count, count, count]);
  }
  await using attached = Pool.attach<Api>(target);
  assertEquals(values(await attached.everywhere.pid()), pids);
  assertEquals(values(await attached.everywhere.count()), [4, 4, 4]);
});

poolTest(
  "everywhere waits for busy workers, and one that dies has a result of its own",
  async (way) => {
    const { pool, remote, everywhere } = await way.ready(2);
    const journal = new Journal();
    const works = rejection(remote.hang(journal.path, "a"));
    await journal.has("begin a");
    const busy = pool.workers().find(({ state }) => state === "busy")!;
    const results = everywhere.pid();
    process.kill(busy.pid, "SIGKILL");
    const outcomes = (await results).map((result) =>
      result.status === "fulfilled" ? "fine" : result.reason.code
    );
    // The worker may die before the call has reached it.
    const [failure, other] = outcomes.toSorted();
    assert(failure === "SERVER_DIED" || failure === "NO_SERVER", failure);
    assertEquals(other, "fine");
    assertEquals((await works as { code?: string }).code, "SERVER_DIED");
  },
);

test("a second supervisor of a target is refused with EXISTS and the first one's process, and harms nobody", async () => {
  const target = newTarget();
  const first = await startSupervisor(target);
  const error = await rejection((async () => {
    const second = startPool({ target, min: 1, max: 2 });
    await second.ready;
  })());
  assertEquals((error as { code?: string }).code, "EXISTS", error.message);
  assert(error.message.includes(String(first.pid)), error.message);
  using remote = connect<Api>(target, { timeout: 30_000 });
  assertEquals(await remote.echo(1), 1);
  // When the first one is gone, another may come.
  assertEquals(await first.ask(["close"]), "closed");
  await first.killed();
  await readyPool(1, { target, max: 2 });
  assertEquals(await remote.echo(2), 2);
});

test("a pool that cannot be made leaves its target to the next one", async () => {
  const target = newTarget();
  // In the place of the channel on which the supervisor answers attached pools.
  const obstacle = controlTarget(target);
  mkdirSync(obstacle);
  const make = () => assertThrowsCode(() => startPool({ target, min: 1, max: 2 }), "CORRUPT");
  make();
  const before = openDescriptors();
  make();
  assertEquals(openDescriptors(), before);
  rmdirSync(obstacle);
  const pool = await readyPool(1, { target, max: 2 });
  assertEquals(await pool.call.echo(1), 1);
});

test("a supervisor that was killed leaves its target to the next one, and calls that waited are served", async () => {
  const target = newTarget();
  const first = await startSupervisor(target);
  const pids = await first.ask<number[]>(["pids"]);
  using remote = connect<Api>(target, { timeout: 30_000 });
  assert(pids.includes(await remote.pid()));
  await first.killed();
  await allEnded(pids);
  const waits = [remote.echo(1), remote.echo(2)];
  const pool = await readyPool(1, { target, max: 2 });
  assertEquals(await Promise.all(waits), [1, 2]);
  const pid = await remote.pid();
  assert(pool.workers().some((worker) => worker.pid === pid));
});

test("handOver under load: the new pool's workers take over, the old ones end, and no call fails", async () => {
  const target = newTarget();
  const first = await startSupervisor(target);
  const old = await first.ask<number[]>(["pids"]);
  const caller = await startCaller(target);
  assertEquals(await caller.ask(["load", 4]), "loading");
  {
    await using attached = Pool.attach<Api>(target);
    await eventually(
      async () => (await attached.stats()).replies > 20,
      "old workers have answered",
    );
  }
  const journal = new Journal();
  assertEquals(await first.ask(["start", "hold", journal.path, "a"]), "started");
  await journal.has("begin a");
  const pool = startPool({ target, min: 2, max: 2, handOver: true });
  await eventually(() => readyWorkers(pool).length === 2, "the new workers are ready");
  // The call of the old pool ends in its own time.
  journal.release("a");
  await journal.has("end a");
  await pool.ready;
  await allEnded(old);
  const since = pool.workers().reduce((sum, { calls }) => sum + calls, 0);
  await eventually(() => pool.workers().reduce((sum, { calls }) => sum + calls, 0) > since + 50);
  const { failures, pids, done } = await caller.ask<Load>(["stop"]);
  assertEquals(failures, []);
  assert(done > 50);
  const now = pool.workers().map(({ pid }) => pid);
  assert(
    pids.some((pid) => old.includes(pid)) && pids.some((pid) => now.includes(pid)),
    String(pids),
  );
});

test("handOver from a supervisor that is killed before it has read the request", async () => {
  const target = newTarget();
  const first = await startSupervisor(target);
  const old = await first.ask<number[]>(["pids"]);
  await first.stopped();
  const size = { min: 2, max: 2 };
  const pool = startPool({ target, ...size, handOver: true, stopTimeout: Infinity });
  let isReady = false;
  void pool.ready.then(() => isReady = true);
  using control = Client.open(controlTarget(target));
  await eventually(() => control.stats().queued > 0, "the first one is asked");
  await first.killed();
  await eventually(() => isReady, "the second one has the target");
  await allEnded(old);
  // It does not take the request of its own.
  await using attached = Pool.attach<Api>(target);
  assertEquals((await attached.stats()).workers, 2);
  const pids = readyWorkers(pool).map(({ pid }) => pid);
  assertEquals(pids.length, 2);
  assert(pids.includes(await attached.call.pid()));
});

test("restart under load of another process: no call fails there", async () => {
  const target = newTarget();
  const pool = await readyPool(2, { target });
  const before = pool.workers().map(({ pid }) => pid);
  const caller = await startCaller(target);
  assertEquals(await caller.ask(["load", 8]), "loading");
  for (let round = 0; round < 2; round++) await pool.restart();
  const now = pool.workers().map(({ pid }) => pid);
  assertEquals(now.filter((pid) => before.includes(pid)), []);
  const { failures, done } = await caller.ask<Load>(["stop"]);
  assertEquals(failures, []);
  assert(done > 0);
});
