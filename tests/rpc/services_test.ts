/** The list of the services of a target. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import process from "node:process";
import { connect, serve, Server, type ServiceInfo, services } from "../../mod.ts";
import type { Api } from "../fixtures/typed.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  longEnough,
  newTarget,
  runtime,
  runtimes,
  test,
} from "../support/harness.ts";
import { ownUid } from "../support/own_user.ts";
import { startService } from "../support/rpc_helper.ts";
import { transports } from "../support/sites.ts";

const uid = ownUid();

/** Services that are to respond may be slow on a busy machine. */
const patient = { timeout: 60_000 };

function pids(found: readonly ServiceInfo[]): number[] {
  return found.map(({ pid }) => pid);
}

for (const { title, newTarget } of transports) {
  test(`${title}: a target that nothing has served, and one whose services are gone`, async () => {
    const target = newTarget();
    assertEquals(await services(target), []);
    const service = serve(target, { ping: () => "pong" });
    using remote = connect<{ ping(): string }>(target, { timeout: 10_000 });
    await remote.ping();
    assertEquals((await services(target)).length, 1);
    await service.close();
    assertEquals(await services(target), []);
    assertEquals(await services(remote), []);
  });

  test(`${title}: services of one process, in their order, with what each works on`, async () => {
    const target = newTarget();
    const begun = Date.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    const api = { wait: () => promise };
    await using _one = serve(target, api, { version: "1" });
    await using _two = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 10_000 });
    const calls = [remote.wait(), remote.wait()];
    const working = () => services(remote);
    await eventually(async () =>
      (await working()).reduce((sum, { callsInProgress }) => sum + callsInProgress, 0) === 2
    );
    const found = await services(target, patient);
    assertEquals(found.map(({ version }) => version), ["1", undefined]);
    for (const { pid, uid: of, runtime: its, responds, oldest, callsInProgress } of found) {
      assertEquals([pid, of, its, responds], [process.pid, uid, runtime, true]);
      assertEquals(oldest === null, callsInProgress === 0);
      if (oldest !== null) assert(oldest >= begun && oldest <= Date.now(), `${oldest}`);
    }
    assertEquals(await services(remote, patient), found);
    resolve();
    await Promise.all(calls);
    const idle = await services(target, patient);
    assertEquals(idle.map(({ oldest }) => oldest), [null, null]);
  });

  test(`${title}: wrong arguments, an aborted signal and a closed remote`, async () => {
    const target = newTarget();
    await using _service = serve(target, { ping: () => "pong" });
    const remote = connect<{ ping(): string }>(target);
    await assertRejects(() => services({} as Disposable), TypeError, "remote");
    await assertRejects(() => services(null as unknown as string), TypeError, "remote");
    await assertRejects(() => services(target, { timeout: -1 }), RangeError);
    const reason = new Error("not now");
    const signal = AbortSignal.abort(reason);
    assertEquals(await services(target, { signal }).catch((error) => error), reason);
    remote[Symbol.dispose]();
    await assertRejectsCode(services(remote), "CLOSED");
  });
}

test("services of all runtimes: who they are, which version, and no longer when they are killed", async () => {
  const target = newTarget();
  const started = [];
  for (const [index, runtime] of runtimes.entries()) {
    started.push(await startService(runtime, target, { version: `${index}` }));
  }
  const found = await services(target, patient);
  const expected = started.map(({ pid }, index) => ({
    pid,
    uid,
    runtime: runtimes[index]!,
    version: `${index}`,
    callsInProgress: 0,
    oldest: null,
    responds: true,
  }));
  assertEquals(found, expected);
  await started[0]!.killed();
  assertEquals(await services(target, patient), expected.slice(1));
});

for (const runtime of runtimes) {
  test(`${runtime} serves: a stopped service is listed, with the calls that it holds`, async () => {
    const target = newTarget();
    const stopped = await startService(runtime, target);
    using remote = connect<Api>(target, { timeout: 60_000 });
    const call = doomed(remote.hold());
    await stopped.expect("holding 1");
    await stopped.stopped();
    const other = await startService(runtime, target);
    await longEnough(250, async (timeout) => {
      const found = await services(target, { timeout });
      assertEquals(pids(found), [stopped.pid, other.pid]);
      assertEquals(found[0]!.responds, false);
      assertEquals(found.map(({ callsInProgress }) => callsInProgress), [1, 0]);
      return found[1]!.responds;
    });
    stopped.kill("SIGCONT");
    await eventually(async () => (await services(target)).every(({ responds }) => responds));
    await stopped.killed();
    await assertRejectsCode(call, "SERVER_DIED");
  });
}

test("a server of raw requests is listed, and does not respond", async () => {
  const target = newTarget();
  using _server = Server.open(target);
  const [found, ...others] = await services(target, { timeout: 50 });
  assertEquals(others, []);
  assertEquals([found?.pid, found?.responds, found?.version], [process.pid, false, undefined]);
});
