/** The end of a pool: in good order, in a hurry, and by SIGKILL. Nothing is left behind. */
import { assert, assertEquals } from "@std/assert";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { Pool, type PoolOptions } from "../../src/pool/main.ts";
import type { Api as ChangingApi, Mode } from "../fixtures/pool/changing.ts";
import type { PoolPlan } from "../fixtures/pool/supervisor.ts";
import type { Api } from "../fixtures/pool/worker.ts";
import {
  assertRejectsCode,
  atEnd,
  type Child,
  doomed,
  eventually,
  newTarget,
  ownRuntime,
  type Runtime,
  spawn,
  test,
} from "../support/harness.ts";
import {
  allEnded,
  allGone,
  childrenOf,
  Events,
  exists,
  Journal,
  ModeFile,
  openDescriptors,
  poolDefaults,
  readyPool,
  readyWorker,
  readyWorkers,
  startPool,
  statOf,
  workerFile,
} from "../support/pool.ts";
import { poolTest } from "../support/pool_ways.ts";
import { rejection } from "../support/rpc_helper.ts";

poolTest(
  "drain: new calls are CLOSED, the accepted ones end, and it resolves to true",
  async (way) => {
    const { pool, remote } = await way.ready(1);
    const journal = new Journal();
    const accepted = [remote.hold(journal.path, "a"), remote.hold(journal.path, "b")];
    await journal.has("begin a");
    const drained = pool.drain();
    await assertRejectsCode(remote.echo(1), "CLOSED");
    journal.release("a");
    journal.release("b");
    assertEquals(await drained, true);
    assertEquals((await Promise.all(accepted)).length, 2);
    assertEquals(journal.lines.length, 4);
    assertEquals(await pool.drain({ timeout: 0 }), true);
  },
);

poolTest("drain: false at the timeout; the calls go on, and new ones are CLOSED", async (way) => {
  const { pool, remote } = await way.ready(1);
  const journal = new Journal();
  const call = remote.hold(journal.path, "a");
  await journal.has("begin a");
  assertEquals(await pool.drain({ timeout: 50 }), false);
  await assertRejectsCode(remote.echo(1), "CLOSED");
  journal.release("a");
  assert(await call > 0);
  assertEquals(await pool.drain({ timeout: 30_000 }), true);
});

test("close waits for the accepted calls; `exit` runs in each worker, which ends with code 0", async () => {
  const exits = new Journal();
  const pool = await readyPool(2, { env: { TEST_EXIT_JOURNAL: exits.path } });
  const events = new Events(pool);
  const pids = pool.workers().map(({ pid }) => pid);
  const calls = Array.from({ length: 6 }, () => pool.call.sleep(20));
  const closed = pool.close();
  await assertRejectsCode(pool.call.echo(1), "CLOSED");
  assertEquals((await Promise.all(calls)).length, 6);
  await closed;
  assertEquals(pids.filter(exists), []);
  assertEquals(exits.lines.sort(), pids.map((pid) => `exit ${pid}`).sort());
  assertEquals(events.of("exited").map(({ exit }) => [exit!.code, exit!.reason]), [[0, "exit"], [
    0,
    "exit",
  ]]);
  assertEquals(pool.workers(), []);
  await pool.close();
  await assertRejectsCode(pool.call.echo(1), "CLOSED");
});

poolTest(
  "close with calls that do not end: after stopTimeout they reject with CLOSED, and their workers are killed",
  async (way) => {
    const { pool, remote } = await way.ready(2, { stopTimeout: 200 });
    const journal = new Journal();
    const pids = pool.workers().map(({ pid }) => pid);
    const calls = [
      rejection(remote.hang(journal.path, "a")),
      rejection(remote.hold(journal.path, "b")),
      rejection(remote.echo("waits")),
    ];
    await journal.has("begin a");
    await journal.has("begin b");
    const began = performance.now();
    await pool.close();
    assert(performance.now() - began >= 199, "it did not wait");
    assertEquals((await Promise.all(calls)).map((error) => (error as { code?: string }).code), [
      "CLOSED",
      "CLOSED",
      "CLOSED",
    ]);
    assertEquals(pids.filter(exists), []);
  },
);

test("idle workers that the pool ends and that do not end are killed after stopTimeout", async () => {
  const env = { TEST_EXIT_HANGS: "1" };
  const pool = await readyPool(1, { max: 1, env, stopTimeout: 300, minTtl: 0 });
  const events = new Events(pool);
  pool.resize({ min: 2, max: 2 });
  await eventually(() => readyWorkers(pool).length === 2, "it grows");
  pool.resize({ min: 1, max: 1 });
  await eventually(() => pool.workers().length === 1, "the other one ends");
  assertEquals(events.of("exited").map(({ exit }) => exit!.signal), ["SIGKILL"]);
});

test("a worker that must end, has no successor and does not end is killed after stopTimeout", async () => {
  const file = new ModeFile("fine");
  const pool = startPool<ChangingApi>({
    min: 1,
    max: 1,
    env: { ...file.env, TEST_EXIT_HANGS: "1" },
    afterError: "replace",
    stopTimeout: 300,
  }, workerFile("changing.ts"));
  await pool.ready;
  const events = new Events(pool);
  const { pid } = readyWorker(pool);
  file.write("throws at import", "2");
  await assertRejectsCode(pool.call.fail(), "REMOTE", "not today");
  assertEquals((await events.exitOf(pid)).signal, "SIGKILL");
});

test("close while workers start: they end, and ready rejects", async () => {
  const { env } = new ModeFile("never ready");
  const options: PoolOptions = { ...poolDefaults, min: 3, max: 3, env };
  const pool = new Pool<Api>(workerFile("changing.ts"), options);
  const ready = doomed(pool.ready);
  const call = doomed(pool.call.pid());
  const events = new Events(pool);
  await pool.close();
  assertEquals(pool.workers(), []);
  assert(events.of("ready").length === 0);
  await assertRejectsCode(ready, "CLOSED");
  assertEquals(await call.catch((error: { code: string }) => error.code), "CLOSED");
});

test("nothing is left: no process, no zombie, no descriptor, no file", async () => {
  const round = async () => {
    const workers: number[] = [];
    const children: number[] = [];
    {
      await using pool = new Pool<Api>(workerFile("worker.ts"), {
        ...poolDefaults,
        target: newTarget(),
        min: 2,
        max: 3,
      });
      await pool.ready;
      workers.push(...pool.workers().map(({ pid }) => pid));
      const { pid } = pool.workers()[0]!;
      process.kill(pid, "SIGKILL");
      // It may take a call until then.
      await allEnded([pid]);
      await pool.call.pid();
      await rejection(pool.call.die("exit 3", null));
      await Promise.all(Array.from({ length: 5 }, () => pool.call.sleep(5)));
      children.push(await pool.call.child(false), await pool.call.child(true));
    }
    await allGone(workers);
    await allEnded(children);
  };
  // What is loaded once stays.
  await round();
  const before = openDescriptors();
  const own = childrenOf(process.pid);
  await round();
  assertEquals(childrenOf(process.pid), own);
  await eventually(
    () => openDescriptors() <= before,
    `${openDescriptors()} descriptors, not ${before}`,
  );
});

test("a pool that is forgotten keeps no process alive, and its workers end with it", async () => {
  for (const runtime of ownRuntime) {
    const child = await spawn(runtime, "pool/forgotten.ts", [], {
      denoPermissions: ["--allow-all"],
    });
    const pids = await child.message<number[]>();
    assertEquals(pids.length, 2);
    child.end();
    await child.ended();
    await allEnded(pids);
  }
});

test("a pool with a target keeps its process alive, as a service does", async () => {
  for (const runtime of ownRuntime) {
    const target = newTarget();
    const child = await spawn(runtime, "pool/kept.ts", [target], {
      denoPermissions: ["--allow-all"],
    });
    const pids = await child.message<number[]>();
    child.end();
    const attached = Pool.attach<Api>(target);
    // deno-lint-ignore require-await -- an end of a test is a promise
    atEnd(async () => attached.close());
    for (let call = 0; call < 20; call++) {
      assertEquals(await attached.call.echo(call), call);
      await sleep(50);
    }
    child.kill("SIGKILL");
    await allEnded(pids);
  }
});

/** A supervisor in a process of its own. */
async function supervisor(runtime: Runtime, ...plans: PoolPlan[]): Promise<Child> {
  const args = plans.map((plan) => JSON.stringify(plan));
  const child = await spawn(runtime, "pool/supervisor.ts", args, {
    denoPermissions: ["--allow-all"],
  });
  await child.expect("ready");
  return child;
}

for (const runtime of ownRuntime) {
  for (const target of [false, true]) {
    test(`${runtime}: the supervisor is killed while workers loop, block, start, wait and have children: all end${target ? ", with a target" : ""}`, async () => {
      const journal = new Journal();
      const blocks = new ModeFile("blocks at import" satisfies Mode);
      const child = await supervisor(
        runtime,
        {
          file: workerFile("worker.ts").href,
          options: { ...poolDefaults, min: 6, max: 6, ...(target ? { target: newTarget() } : {}) },
          isAwaited: true,
        },
        {
          file: workerFile("changing.ts").href,
          options: { ...poolDefaults, min: 1, max: 1, env: blocks.env },
          isAwaited: false,
        },
      );
      const children: number[] = [];
      for (const isDetached of [false, true]) {
        const { result } = await child.ask<{ result: number }>(["call", "child", isDetached]);
        children.push(result);
      }
      for (const method of ["loop", "hang", "hold"] as const) {
        assertEquals(await child.ask(["start", method, journal.path, method]), "started");
        await journal.has(`begin ${method}`);
      }
      await eventually(() => blocks.starts.length === 1);
      const pids = await child.ask<number[]>(["pids"]);
      assertEquals(pids.length, 7);
      atEnd(async () => {
        for (const pid of [...pids, ...children]) {
          try {
            process.kill(pid, "SIGKILL");
          } catch {
            // It has ended, as it should.
          }
        }
        await Promise.resolve();
      });
      assert(children.every(exists));
      await child.killed();
      await allEnded([...pids, ...children]);
    });
  }
}

test("each worker leads a process group of its own, which Ctrl-C does not reach", async () => {
  const pool = await readyPool(2);
  const own = statOf("self")[2];
  for (const { pid } of pool.workers()) {
    assertEquals(statOf(pid)[2], String(pid));
    assert(statOf(pid)[2] !== own);
  }
});

test("the children of a worker that dies end with it", async () => {
  const pool = await readyPool(1);
  const children = [await pool.call.child(false)];
  await rejection(pool.call.die("SIGKILL", null));
  await pool.call.pid();
  await allEnded(children);
});
