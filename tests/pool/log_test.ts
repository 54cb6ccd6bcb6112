/** What a worker logs: src/pool/worker/log.ts, worker_log.ts and console_capture.ts. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { setTimeout as sleep } from "node:timers/promises";
import type { SentRecord } from "../../src/pool/link/control.ts";
import { log } from "../../src/pool/worker/log.ts";
import type { WorkerApi } from "../fixtures/pool_worker.ts";
import { FakeSupervisor, type FakeTerms } from "../support/fake_supervisor.ts";
import { assertRejectsCode, doomed, eventually, runtimes, test } from "../support/harness.ts";
import type { Runtime } from "../support/harness.ts";
import { collect, rejection } from "../support/rpc_helper.ts";

async function start(runtime: Runtime, terms: FakeTerms = {}): Promise<FakeSupervisor> {
  const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", terms);
  await supervisor.when("ready");
  supervisor.reports.length = 0;
  return supervisor;
}

/** Waits until the worker has ended that many calls, and returns their records. */
async function recordsOf(
  supervisor: FakeSupervisor,
  calls: number,
): Promise<readonly SentRecord[]> {
  await eventually(() => supervisor.record.read().calls === calls);
  return supervisor.records;
}

for (const runtime of runtimes) {
  test(`records of a ${runtime} worker arrive in order, with their call and its timers`, async () => {
    const supervisor = await start(runtime);
    using remote = supervisor.connect<WorkerApi>();
    await remote.logs();
    const records = await recordsOf(supervisor, 1);
    const shown = records.map(({ level, message, timers }) => [level, message, timers.length]);
    assertEquals(shown.filter(([, message]) => message !== records[3]!.message), [
      ["debug", "one", 0],
      ["warning", "two", 1],
      ["info", "three { b: [ 2 ] }", 0],
      ["error", "five", 0],
    ]);
    assertEquals(records[3]!.level, "error");
    assertMatch(records[3]!.message, /^Error: four\n {4}at /);
    assertEquals(records[0]!.properties, { a: 1 });
    assertEquals(records[4]!.properties.n, 5);
    assertStringIncludes(String(records[4]!.properties.f), "Function");
    const { call } = records[0]!;
    assertEquals(call?.method, "logs");
    for (const record of records) assertEquals([record.call, record.session], [call, null]);
    const [timer] = records[1]!.timers;
    assert(timer);
    assertEquals(timer.name, "decode");
    assert(timer.duration >= 0 && Math.abs(timer.startedAt - Date.now()) < 60_000);
    assertEquals([supervisor.stdout, supervisor.stderr], ["", ""]);
  });

  test(`a failing call of a ${runtime} worker keeps its records, and no timer is lost`, async () => {
    const supervisor = await start(runtime);
    using remote = supervisor.connect<WorkerApi>();
    await assertRejectsCode(remote.logThenFail() as Promise<unknown>, "REMOTE");
    const [trying, rest, ...others] = await recordsOf(supervisor, 1);
    assertEquals([trying?.message, trying?.timers], ["trying", []]);
    assertEquals([rest?.level, rest?.timers[0]?.name, rest?.call], [
      "debug",
      "before",
      trying?.call,
    ]);
    assertMatch(rest!.message, /^before: \d+\.\d ms$/);
    assertEquals(others, []);
  });

  test(`a generator of a ${runtime} worker logs for its call, also after the answer`, async () => {
    const supervisor = await start(runtime);
    using remote = supervisor.connect<WorkerApi>();
    assertEquals(await collect(remote.count()), [1, 2]);
    await eventually(() => supervisor.records.length === 3);
    const { records } = supervisor;
    assertEquals(records.slice(0, 2).map(({ message }) => message), ["first", "second"]);
    assertEquals(records[2]!.timers.map(({ name }) => name), ["second"]);
    for (const { call } of records) assertEquals(call, records[0]!.call);
    assertEquals(records[0]!.call?.method, "count");
  });

  test(`the last words of a ${runtime} worker that is killed are there`, async () => {
    const supervisor = await start(runtime);
    using remote = supervisor.connect<WorkerApi>();
    await assertRejectsCode(remote.logThenCrash(), "SERVER_DIED");
    await supervisor.exited;
    assertEquals(supervisor.records.map(({ message }) => message), ["last words"]);
  });

  test(`a ${runtime} worker logs for a call that was aborted`, async () => {
    const supervisor = await start(runtime, { assignment: { abortGrace: 20_000 } });
    const aborting = new AbortController();
    using remote = supervisor.connect<WorkerApi>({ signal: aborting.signal });
    const call = doomed(remote.aborted());
    await eventually(() => supervisor.record.read().running.length === 1);
    aborting.abort(new Error("enough"));
    assertEquals((await rejection(call)).message, "enough");
    const [record] = await recordsOf(supervisor, 1);
    assertEquals([record?.message, record?.call?.method], ["aborted", "aborted"]);
  });

  test(`all methods of the console of a ${runtime} worker write records`, async () => {
    const supervisor = await start(runtime);
    using remote = supervisor.connect<WorkerApi>();
    await remote.prints();
    const records = await recordsOf(supervisor, 1);
    const trace = records[3]!;
    assertMatch(trace.message, /^Trace: trace\n {4}at .*prints.*pool_worker/);
    const shown = records.filter((record) => record !== trace);
    assertEquals(shown.map(({ level, message }) => [level, message.split("\n")[0]]), [
      ["debug", "debug"],
      ["info", "info 1"],
      ["warning", "warn"],
      ["error", "Assertion failed: assert"],
      ["info", "group"],
      ["info", "  inside"],
      ["info", "┌─────────┬───┐"],
      ["info", "default: 1"],
      ["info", ""],
    ]);
    assertEquals([supervisor.stdout, supervisor.stderr], ["", ""]);
  });

  test(`a ${runtime} worker drops records that nobody reads, and says how many`, async () => {
    const supervisor = await start(runtime);
    using remote = supervisor.connect<WorkerApi>();
    const count = 3_000;
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const kept = () => supervisor.records.filter(({ call }) => call?.method === "flood");
    let logged = 0;
    do {
      const flooded = remote.flood(count);
      logged += count;
      // This thread reads no reports meanwhile, unless the worker is slow.
      Atomics.wait(pause, 0, 0, 200);
      await flooded;
      await sleep(50);
    } while (kept().length === logged);
    // The states still have room.
    supervisor.order({ kind: "retire" });
    await supervisor.exited;
    const note = /^(\d+) log records were dropped/;
    const dropped = supervisor.records.map(({ message }) => Number(note.exec(message)?.[1] ?? 0));
    assertEquals(dropped.reduce((sum, number) => sum + number) + kept().length, logged);
    const numbers = kept().slice(logged - count).map(({ message }) =>
      Number(message.split(" ")[1])
    );
    assertEquals(numbers, numbers.toSorted((a, b) => a - b));
    assert(kept().length > 500);
  });

  test(`a ${runtime} worker that crashes during its import has reported what it printed`, async () => {
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", { args: ["setup"] });
    await supervisor.exited;
    const [record] = supervisor.records;
    assertEquals([record?.message, record?.call], ["in setup", null]);
  });
}

test("outside of a pool, log prints to the console", () => {
  const printed: unknown[][] = [];
  const { debug, info, warn, error } = console;
  try {
    for (const name of ["debug", "info", "warn", "error"] as const) {
      console[name] = (...args: unknown[]) => void printed.push([name, ...args]);
    }
    log.debug("d", { a: 1 });
    log.info("i");
    log.warn("w");
    log.error("e", { b: 2 });
    {
      using _timer = log.time("t");
    }
  } finally {
    Object.assign(console, { debug, info, warn, error });
  }
  assertMatch(String(printed.pop()?.[1]), /^t: \d+\.\d ms$/);
  assertEquals(printed, [["debug", "d", { a: 1 }], ["info", "i"], ["warn", "w"], ["error", "e", {
    b: 2,
  }]]);
});
