/** The worker's half of sessions: src/pool/worker/session_host.ts. */
import { assert, assertEquals } from "@std/assert";
import { Client, Server, withOptions } from "../../mod.ts";
import type { SessionOptions } from "../../src/pool/options.ts";
import { checkOut } from "../../src/pool/session/check_out.ts";
import type { Session } from "../../src/pool/session/session.ts";
import type { SessionHome } from "../../src/pool/session/session_home.ts";
import { Connection } from "../../src/rpc/connection.ts";
import { parseConnectOptions } from "../../src/rpc/terms.ts";
import type { WorkerApi } from "../fixtures/pool_worker.ts";
import { FakeSupervisor, type FakeTerms } from "../support/fake_supervisor.ts";
import {
  assertRejectsCode,
  atEnd,
  doomed,
  eventually,
  newTarget,
  type Runtime,
  runtime as ownRuntime,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";
import { rejection } from "../support/rpc_helper.ts";

class Stage extends FakeSupervisor {
  readonly connection: Connection;

  constructor(runtime: Runtime, terms: FakeTerms = {}) {
    super(runtime, "pool_worker.ts", terms);
    const client = Client.fromFd(this.channelFd);
    this.connection = new Connection(client, parseConnectOptions({}));
    atEnd(() => Promise.resolve(this.connection.close()));
  }

  checkOut(options?: SessionOptions): Promise<Session<WorkerApi>> {
    const { connection } = this;
    const home: SessionHome = {
      connection,
      timeout: 20_000,
      call: (...call) => connection.call(...call),
      exitOfProcess: () => Promise.resolve(undefined),
      onSessionLog: () => () => {},
    };
    return checkOut<WorkerApi>(home, options);
  }

  /** What was reported of sessions: ids are "held". */
  get session(): string[] {
    return this.read().flatMap((report) => {
      if (report.kind === "held") return [report.session === null ? "free" : "held"];
      return report.kind === "spent" ? [`spent ${report.reason}`] : [];
    });
  }
}

async function start(runtime: Runtime, terms: FakeTerms = {}): Promise<Stage> {
  const stage = new Stage(runtime, terms);
  await stage.when("ready");
  return stage;
}

for (const runtime of runtimes) {
  test(`a ${runtime} worker that a session holds takes no other calls, and comes back`, async () => {
    const stage = await start(runtime);
    using remote = stage.connect<WorkerApi>();
    const session = await stage.checkOut();
    assertEquals(session.worker, { number: 3, pid: stage.pid });
    let hasEchoed = false;
    const other = remote.echo("other").then(() => hasEchoed = true);
    assertEquals(await session.call.counts(), { done: 0 });
    assertEquals(await session.call.echo("own"), "own");
    await session.call.logs();
    assertEquals([hasEchoed, stage.session], [false, ["held"]]);
    await session.close();
    await other;
    assertEquals(await remote.counts(), { done: 1 });
    assertEquals(stage.session, ["held", "free"]);
    const logged = stage.records.filter(({ call }) => call?.method === "logs");
    const [held] = stage.all("held");
    assert(logged.length === 5 && held?.session);
    for (const record of logged) assertEquals(record.session, held.session);
    await using again = await stage.checkOut();
    assertEquals(again.worker, session.worker);
  });

  test(`a ${runtime} worker is spent after a session with an error, unless it is to be kept`, async () => {
    const stage = await start(runtime);
    const kept = await stage.checkOut({ afterError: "keep" });
    await assertRejectsCode(kept.call.fail("no") as Promise<unknown>, "REMOTE");
    await kept.close();
    const session = await stage.checkOut();
    await assertRejectsCode(session.call.fail("no") as Promise<unknown>, "REMOTE");
    assertEquals(await session.call.echo("rollback"), "rollback");
    await session.close();
    assertEquals(stage.session, ["held", "free", "held", "free", "spent session"]);
    using remote = stage.connect<WorkerApi>();
    const late = doomed(remote.echo("late"));
    stage.order({ kind: "retire" });
    assertEquals((await stage.exited).code, 0);
    void late;
  });

  test(`a ${runtime} worker is spent when its session ends in another way`, async () => {
    const aborted = await start(runtime);
    (await aborted.checkOut()).abort();
    await aborted.when("spent");
    const closed = await start(runtime);
    await closed.checkOut();
    closed.connection.close();
    await closed.when("spent");
    const long = await start(runtime);
    const session = await long.checkOut({ maxHold: 30 });
    await long.when("spent");
    // The worker may notice first.
    await eventually(async () => {
      const code = await session.call.echo(1).then(() => "none", (error) => error.code);
      return code === "CLOSED";
    });
    const failing = await start(runtime, { args: ["bad done"] });
    await (await failing.checkOut()).close();
    assertEquals(failing.records.at(-1)?.message, "checkoutDone has thrown");
    for (const stage of [aborted, closed, long, failing]) {
      assertEquals(stage.session, ["held", "free", "spent session"]);
      // It waits to be retired, and takes no calls.
      using client = Client.fromFd(stage.channelFd);
      client.post("nobody takes this");
      stage.order({ kind: "goOn" });
      stage.order({ kind: "retire" });
      assertEquals((await stage.exited).code, 0);
      assertEquals(client.stats().queued, 1);
    }
  });

  test(`a checkout that nobody waits for any more leaves a ${runtime} worker unharmed`, async () => {
    const stage = await start(runtime, { assignment: { concurrency: 2 } });
    using remote = stage.connect<WorkerApi>();
    const ending = new AbortController();
    const busy = doomed(withOptions(remote, { signal: ending.signal }).aborted());
    await eventually(() => stage.record.read().running.length === 1);
    // It waits until the call has ended.
    await assertRejectsCode(stage.checkOut({ timeout: 50 }), "TIMEOUT");
    assertEquals(await remote.echo("free"), "free");
    ending.abort(new Error("enough"));
    assertEquals((await rejection(busy)).message, "enough");
    assertEquals(stage.session, []);
  });

  test(`a ${runtime} worker gives back a session when its calls have ended`, async () => {
    const stage = await start(runtime, { assignment: { abortGrace: 10_000 } });
    const session = await stage.checkOut({ afterError: "keep" });
    // The call goes on for a while when its caller has left.
    await assertRejectsCode(withTimeout(session), "TIMEOUT");
    await session.close();
    const { methods } = await stage.when("ready");
    const running = stage.record.read().running.map(({ method }) => methods[method]);
    assert(!running.includes("failLater"));
    assertEquals(stage.session, ["held", "free"]);
  });

  test(`a ${runtime} worker retires when its session has ended`, async () => {
    const stage = await start(runtime);
    const session = await stage.checkOut();
    stage.order({ kind: "retire" });
    for (let i = 0; i < 20; i++) assertEquals(await session.call.echo(i), i);
    await session.close();
    assertEquals((await stage.exited).code, 0);
    assertEquals(stage.session, ["held", "free"]);
  });

  test(`a ${runtime} worker that is spent during a session says so afterwards`, async () => {
    const stage = await start(runtime, { assignment: { maxCalls: 2 } });
    const session = await stage.checkOut();
    for (let i = 0; i < 5; i++) assertEquals(await session.call.echo(i), i);
    await session.close();
    assertEquals(stage.session, ["held", "free", "spent calls"]);
  });

  test(`a ${runtime} worker is spent when the process that held it was killed`, async () => {
    const target = newTarget();
    using server = Server.open(target);
    const supervisor = new FakeSupervisor(runtime, "pool_worker.ts", {
      assignment: { path: target },
    });
    await supervisor.when("ready");
    const holder = await spawn(ownRuntime, "pool_holder.ts", [target], {
      denoPermissions: ["--allow-all"],
    });
    assertEquals(await holder.message(), "held");
    assertEquals(supervisor.all("spent"), []);
    await holder.killed();
    assertEquals((await supervisor.when("spent")).reason, "session");
    assertEquals(supervisor.all("held").length, 2);
    server.unlink();
  });
}

/** A call of the session with a time-out of its own. */
function withTimeout(session: Session<WorkerApi>): Promise<unknown> {
  return withOptions(session.call, { timeout: 30 }).failLater(300) as Promise<unknown>;
}
