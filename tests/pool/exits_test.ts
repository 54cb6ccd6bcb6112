/** Workers that die in a call: the caller learns how, idempotent calls go on, and the pool replaces the worker. */
import { assert, assertEquals } from "@std/assert";
import { rmdirSync } from "node:fs";
import process from "node:process";
import type { WorkerExit } from "../../src/pool/main.ts";
import type { Death } from "../fixtures/pool/worker.ts";
import { atEnd, eventually, longEnough, present, test } from "../support/harness.ts";
import {
  Events,
  exists,
  exitIn,
  memoryGroup,
  readyPool,
  readyWorker,
  readyWorkers,
  undisturbed,
} from "../support/pool.ts";
import { near, nearTest, poolTest, type PoolWay } from "../support/pool_ways.ts";
import { rejection } from "../support/rpc_helper.ts";

type Expected = Pick<WorkerExit, "code" | "signal" | "reason">;

const deaths: readonly (readonly [Death, Expected])[] = [
  ["exit 0", { code: 0, signal: null, reason: "exit" }],
  ["exit 3", { code: 3, signal: null, reason: "exit" }],
  ["throw", { code: 1, signal: null, reason: "crash" }],
  ["reject", { code: 1, signal: null, reason: "crash" }],
  ["abort", { code: null, signal: "SIGABRT", reason: "crash" }],
  ["SIGKILL", { code: null, signal: "SIGKILL", reason: "crash" }],
  ["SIGSEGV", { code: null, signal: "SIGSEGV", reason: "crash" }],
  ["loop", { code: null, signal: "SIGKILL", reason: "hung" }],
];

for (const [death, expected] of deaths) {
  // What callers see is the same for each, so one is enough for those of other machines.
  const register = death === "exit 3" ? poolTest : nearTest;
  register(
    `${death}: SERVER_DIED with the exit as its cause, and an idempotent call goes to another worker`,
    async (way) => {
      if (death === "loop") await hangs(expected);
      else if (death === "SIGKILL") await undisturbed(() => dies(death, expected, null));
      else await dies(death, expected, null, {}, way);
    },
  );
}

const probe = memoryGroup(100 << 20);
if ("path" in probe) rmdirSync(probe.path);

test(
  "out of memory: SERVER_DIED with the exit as its cause, and an idempotent call goes to another worker",
  async () => {
    const group = memoryGroup(100 << 20);
    assert("path" in group);
    atEnd(async () => {
      await eventually(() => {
        try {
          rmdirSync(group.path);
          return true;
        } catch {
          return false;
        }
      }, "the group of processes is empty");
    });
    await dies("memory", { code: null, signal: "SIGKILL", reason: "oom" }, group.path);
  },
  { skip: "why" in probe ? `no memory group can be made: ${probe.why}` : null },
);

async function hangs(expected: Expected): Promise<void> {
  await longEnough(300, async (hungTimeout) => {
    try {
      await dies("loop", expected, null, { hungTimeout });
      return true;
    } catch (error) {
      // A worker that stands still for so long is hung in any other call as well.
      assertEquals(exitIn(error).reason, "hung");
      return false;
    }
  });
}

async function dies(
  death: Death,
  expected: Expected,
  group: string | null,
  options: { hungTimeout?: number } = {},
  way: PoolWay = near,
): Promise<void> {
  const { pool, remote } = await way.ready(1, { ...options, idempotent: ["dieOnce"] });
  const events = new Events(pool);
  const { pid, number } = readyWorker(pool);
  const error = await rejection(remote.die(death, group));
  const exit = exitIn(error);
  const { code, signal, reason } = exit;
  assertEquals({ code, signal, reason }, expected);
  assertEquals({ pid: exit.pid, number: exit.number }, { pid, number });
  assert(exit.stderr.includes(`about to die: ${death}`), `stderr is "${exit.stderr}"`);
  if (death === "throw" || death === "reject") {
    assert(exit.stderr.includes("nobody catches this"), exit.stderr);
  }
  assert(error.message.includes("die"), error.message);
  assertEquals(await events.exitOf(pid), exit);
  const next = await remote.pid();
  assert(next !== pid && !exists(pid));
  assertEquals(await remote.dieOnce(death, group), 2);
  assertEquals((await events.exitOf(next)).reason, expected.reason);
  assertEquals(events.of("exited").length, 2);
}

poolTest(
  "an idempotent call that kills every worker: SERVER_DIED after two workers, and the next call is answered",
  async (way) => {
    const { pool, remote } = await way.ready(2, { idempotent: true });
    const events = new Events(pool);
    exitIn(await rejection(remote.die("SIGKILL", null)));
    assertEquals(await remote.echo(1), 1);
    // The pool may learn of the first death after the second one.
    await eventually(() => events.of("exited").length >= 2, "the pool knows of both");
    await eventually(() => readyWorkers(pool).length === 2, "the dead are replaced");
    assertEquals(events.of("exited").length, 2);
  },
);

test("maxDeliveries: as many workers as it says get the call", async () => {
  const pool = await readyPool(1, { idempotent: true, maxDeliveries: 4 });
  const events = new Events(pool);
  exitIn(await rejection(pool.call.die("exit 0", null)));
  await eventually(() => readyWorkers(pool).length === 1, "the dead are replaced");
  assertEquals(events.of("exited").length, 4);
});

test("a worker that is killed while it is idle is replaced, and no call fails", () =>
  undisturbed(async () => {
    const pool = await readyPool(2);
    const events = new Events(pool);
    const { pid } = readyWorker(pool);
    process.kill(pid, "SIGKILL");
    const { code, signal, reason } = await events.exitOf(pid);
    assertEquals({ code, signal, reason }, { code: null, signal: "SIGKILL", reason: "crash" });
    await eventually(() => readyWorkers(pool).length === 2, "the dead one is replaced");
    assertEquals(await Promise.all([1, 2, 3].map((value) => pool.call.echo(value))), [1, 2, 3]);
    // The smallest free number.
    assertEquals(readyWorkers(pool).map(({ number }) => number).sort(), [1, 2]);
  }));

test("a worker that is killed before it is ready is replaced", async () => {
  const pool = await readyPool(1, { max: 2 });
  const events = new Events(pool);
  pool.resize({ min: 2 });
  await eventually(() => events.of("starting").length === 1);
  const { worker } = present(events.of("starting")[0]);
  process.kill(worker.pid, "SIGKILL");
  assertEquals((await events.exitOf(worker.pid)).signal, "SIGKILL");
  await eventually(() => readyWorkers(pool).length === 2, "it is replaced");
});

poolTest("what a worker writes to its standard error is kept up to its last lines", async (way) => {
  const { remote } = await way.ready(1);
  await remote.complain(20_000);
  const { stderr } = exitIn(await rejection(remote.die("SIGKILL", null)));
  assert(
    stderr.endsWith("about to die: SIGKILL\n") || stderr.endsWith("about to die: SIGKILL"),
    stderr.slice(-100),
  );
  assert(stderr.includes("complaint 19999"), stderr.slice(-200));
  assert(stderr.length < 100_000, `it keeps ${stderr.length} characters`);
});
