/** The worker's side of a pool: src/pool/worker/work.ts and bootstrap.ts, with a supervisor made here. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Server, type TandemError } from "../../mod.ts";
import { checkout } from "../../scripts/tools.ts";
import { work, workerInfo } from "../../src/pool/worker/work.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  doomed,
  eventually,
  folder,
  longEnough,
  runtimes,
  test,
} from "../support/harness.ts";
import { FakeSupervisor } from "../support/fake_supervisor.ts";
import { rejection } from "../support/rpc_helper.ts";
import type { WorkerApi } from "../fixtures/pool_worker.ts";

for (const runtime of runtimes) {
  test(`a ${runtime} worker sets up, reports that it is ready, serves and retires`, async () => {
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", { args: ["", "x"] });
    const { methods } = await supervisor.when("ready");
    assert(methods.includes("echo"));
    using remote = supervisor.connect<WorkerApi>();
    const info = { pool: "fake", number: 3, pid: supervisor.pid, args: ["", "x"] };
    assertEquals(await remote.info(), info);
    assertEquals(await remote.echo({ a: [1] }), { a: [1] });
    const error = await assertRejectsCode(remote.fail("no"), "REMOTE", "no");
    // A failure is counted last.
    await eventually(() => supervisor.record.read().failures === 1);
    assertEquals(supervisor.record.read().calls, 3);
    assert(error);
    supervisor.order({ kind: "retire" });
    assertEquals(await supervisor.exited, { code: 0, signal: null });
    const texts = supervisor.records.map(({ message }) => message);
    assertEquals(texts, ["importing", "setup", "exit"]);
    assertEquals([supervisor.stdout, supervisor.stderr], ["", ""]);
  });

  test(`a ${runtime} worker needs no bootstrap`, async () => {
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", { hasBootstrap: false });
    await supervisor.when("ready");
    using remote = supervisor.connect<WorkerApi>();
    assertEquals((await remote.info()).number, 3);
    supervisor.hangUp();
    assertEquals(await supervisor.exited, { code: null, signal: "SIGKILL" });
  });

  for (const mode of ["late", "async"]) {
    test(`a ${runtime} worker may call work() late: ${mode}`, async () => {
      const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", { args: [mode] });
      await supervisor.when("ready");
    });
  }

  test(`a ${runtime} worker reports why its file cannot be imported`, async () => {
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", { args: ["throw"] });
    const { failure } = await supervisor.when("failed");
    const error = failure.error as Error;
    assertEquals([failure.during, error.name, error.message], [
      "import",
      "RangeError",
      "at import",
    ]);
    assertEquals(await supervisor.exited, { code: 1, signal: null });
    assertStringIncludes(supervisor.stderr, "at import");
    assertEquals(supervisor.all("uncaught"), []);
  });

  test(`a ${runtime} worker reports a thrown value, and describes an error that cannot be sent`, async () => {
    const values = new FakeSupervisor(runtime, "pool_worker.ts", { args: ["value"] });
    assertEquals((await values.when("failed")).failure.error, { code: 7 });
    const unsendable = new FakeSupervisor(runtime, "pool_worker.ts", { args: ["unsendable"] });
    const { error } = (await unsendable.when("failed")).failure;
    assertEquals((error as Error).message, "has a function");
  });

  test(`a ${runtime} worker reports an error of its setup`, async () => {
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", { args: ["setup"] });
    const { failure } = await supervisor.when("failed");
    const error = failure.error as Error;
    assertEquals([failure.during, error.name], ["setup", "TypeError"]);
    assertEquals(await supervisor.exited, { code: 1, signal: null });
    assertEquals(supervisor.records.map(({ message }) => message), ["in setup"]);
    assertStringIncludes(supervisor.stderr, "setup failed");
  });

  test(`a ${runtime} worker that does not call work(), or never sets up, says so`, async () => {
    for (
      const [mode, during, text] of [["nothing", "import", "work("], ["stuck", "setup", "setup"]]
    ) {
      const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", { args: [mode!] });
      const { failure } = await supervisor.when("failed");
      assertEquals(failure.during as string, during);
      assertStringIncludes((failure.error as Error).message, text!);
      assertEquals((await supervisor.exited).code, 1);
    }
  });

  test(`a ${runtime} worker calls work() once, with methods`, async () => {
    const twice = new FakeSupervisor(runtime, "pool_worker.ts", { args: ["twice"] });
    assertStringIncludes(String((await twice.when("failed")).failure.error), "call work() once");
    const empty = new FakeSupervisor(runtime, "pool_worker.ts", { args: ["empty"] });
    assertStringIncludes(String((await empty.when("failed")).failure.error), "methods");
  });

  test(`a ${runtime} worker reports what nobody has caught, and ends`, async () => {
    for (const method of ["throwLater", "reject"] as const) {
      const supervisor = new FakeSupervisor(runtime, "pool_worker.ts");
      await supervisor.when("ready");
      using remote = supervisor.connect<WorkerApi>();
      remote[method]().catch(() => {});
      const { error } = await supervisor.when("uncaught");
      assertEquals((error as Error).name, "TypeError");
      assertEquals(await supervisor.exited, { code: 1, signal: null });
      assertStringIncludes(supervisor.stderr, (error as Error).message);
    }
  });

  test(`a ${runtime} worker that calls process.exit() reports nothing`, async () => {
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts");
    await supervisor.when("ready");
    using remote = supervisor.connect<WorkerApi>();
    const call = doomed(remote.exit(7) as Promise<unknown>);
    assertEquals(await supervisor.exited, { code: 7, signal: null });
    await assertRejectsCode(call, "SERVER_DIED");
    assertEquals(supervisor.all("uncaught"), []);
  });

  test(`a ${runtime} worker takes as many calls at once as it may`, async () => {
    const assignment = { concurrency: 2 };
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", { assignment });
    await supervisor.when("ready");
    using remote = supervisor.connect<WorkerApi>();
    const holds = await Promise.all([1, 2, 3, 4, 5].map(() => remote.hold()));
    assertEquals(Math.max(...holds), 2);
  });

  test(`a ${runtime} worker ends exactly maxCalls calls, then waits for orders`, async () => {
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", {
      assignment: { maxCalls: 3 },
    });
    await supervisor.when("ready");
    using remote = supervisor.connect<WorkerApi>();
    const calls = [1, 2, 3, 4, 5].map((value) => remote.echo(value));
    await Promise.all(calls.slice(0, 3));
    assertEquals((await supervisor.when("spent")).reason, "calls");
    const kinds = supervisor.reports.map(({ kind }) => kind).filter((kind) => kind !== "log");
    // A worker that has stood still between two calls is stirred again.
    assertEquals([...new Set(kinds)], ["ready", "stirred", "aging", "spent"]);
    assertEquals(kinds.filter((kind) => kind !== "stirred").length, 3);
    await eventually(() => supervisor.record.read().calls === 3);
    supervisor.order({ kind: "goOn" });
    assertEquals(await Promise.all(calls), [1, 2, 3, 4, 5]);
    assertEquals(supervisor.all("spent").length, 1);
  });

  test(`a ${runtime} worker of one call is aging at its beginning`, async () => {
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", {
      assignment: { maxCalls: 1 },
    });
    await supervisor.when("ready");
    using remote = supervisor.connect<WorkerApi>();
    // It goes on as long as its caller is there.
    doomed(remote.aborted());
    await supervisor.when("aging");
    assertEquals(supervisor.all("spent"), []);
  });

  test(`a ${runtime} worker is spent after an error if the pool wants so`, async () => {
    const assignment = { afterError: "replace" } as const;
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", { assignment });
    await supervisor.when("ready");
    using remote = supervisor.connect<WorkerApi>();
    await remote.echo(1);
    await rejection(remote.fail("no") as Promise<unknown>);
    assertEquals((await supervisor.when("spent")).reason, "error");
    const later = doomed(remote.echo(2));
    supervisor.order({ kind: "retire" });
    assertEquals((await supervisor.exited).code, 0);
    assertEquals(supervisor.record.read().calls, 2);
    void later;
  });

  test(`a ${runtime} worker that fails fast rests, if there are others`, async () => {
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts");
    await supervisor.when("ready");
    using remote = supervisor.connect<WorkerApi>();
    supervisor.order({ kind: "pace", milliseconds: 60_000 });
    // Orders come before calls that are made later only if the worker has seen them.
    await remote.failLater(20).catch(() => {});
    await rejection(remote.fail("alone") as Promise<unknown>);
    assertEquals(await remote.echo("no rest"), "no rest");
    using other = Server.fromFd(supervisor.channelFd);
    await rejection(remote.fail("beside another") as Promise<unknown>);
    const waiting = doomed(remote.echo("another takes it"));
    const request = await other.receive();
    assert(request);
    supervisor.order({ kind: "retire" });
    assertEquals((await supervisor.exited).code, 0);
    request.fail(new Error("taken"));
    await assertRejectsCode(waiting, "REMOTE");
    assertEquals(supervisor.record.read().calls, 4);
  });

  test(`a retired ${runtime} worker ends its calls first`, async () => {
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", { args: ["bad exit"] });
    await supervisor.when("ready");
    using remote = supervisor.connect<WorkerApi>();
    const failing = doomed(remote.failLater(200));
    // And not its record: the call may have ended before this process looks again.
    await supervisor.when("stirred");
    supervisor.order({ kind: "retire" });
    await assertRejectsCode(failing as Promise<unknown>, "REMOTE", "later");
    assertEquals(await supervisor.exited, { code: 1, signal: null });
    assertEquals(supervisor.records.map(({ message }) => message).slice(2), [
      "exit",
      "exit has thrown",
    ]);
  });

  test(`a ${runtime} worker dies with its supervisor, also while it blocks`, async () => {
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts");
    await supervisor.when("ready");
    using remote = supervisor.connect<WorkerApi>();
    doomed(remote.block(60_000));
    await supervisor.when("stirred");
    await eventually(() => supervisor.record.read().running.length === 1);
    supervisor.hangUp();
    assertEquals(await supervisor.exited, { code: null, signal: "SIGKILL" });
  });

  test(`a ${runtime} worker in a call that nobody waits for is killed after abortGrace`, async () => {
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", {
      assignment: { abortGrace: 100 },
    });
    await supervisor.when("ready");
    await longEnough(50, async (timeout) => {
      using remote = supervisor.connect<WorkerApi>({ timeout });
      const { code } = await rejection(remote.block(60_000)) as TandemError;
      // One that began too late for the attempt before kills the worker.
      assert(code === "TIMEOUT" || code === "SERVER_DIED" || code === "NO_SERVER", code);
      const { running, ended } = supervisor.record.read();
      return running.length > 0 || ended !== null;
    });
    assertEquals(await supervisor.exited, { code: null, signal: "SIGKILL" });
    assertEquals(supervisor.record.read().ended?.reason, "timeout");
  });

  test(`a ${runtime} worker may have another copy of the package than its bootstrap`, async () => {
    const copy = join(folder(), "copy");
    for (const part of ["src", "mod.ts"]) {
      cpSync(join(checkout, part), join(copy, part), { recursive: true });
    }
    const file = join(copy, "worker.ts");
    writeFileSync(
      file,
      // Not main.ts: the oldest Node does not parse all of it outside of the checkout.
      `import { log } from "./src/pool/worker/log.ts";
       import { work, workerInfo } from "./src/pool/worker/work.ts";
       console.log("importing");
       work({
         number(): number {
           log.info("by log");
           console.warn("by console");
           return workerInfo().number;
         },
       });`,
    );
    const supervisor = new FakeSupervisor(runtime, file);
    await supervisor.when("ready");
    using remote = supervisor.connect<{ number(): number }>();
    assertEquals(await remote.number(), 3);
    const { records } = supervisor;
    assertEquals(records.map(({ level, message, call }) => [level, message, call?.method]), [
      ["info", "importing", undefined],
      ["info", "by log", "number"],
      ["warning", "by console", "number"],
    ]);
    supervisor.hangUp();
    await supervisor.exited;
  });
}

test("work() and workerInfo() outside of a pool say what to do", () => {
  assertThrowsCode(() => work({ a: () => 1 }), "NOT_FOUND", "new Pool()");
  assertThrowsCode(() => workerInfo(), "NOT_FOUND", "new Pool()");
  assertThrows(() => work({ a: () => 1 }, { setup: 5 as never }), TypeError, "setup");
});
