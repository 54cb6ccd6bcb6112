/** Remotes whose calls go to one certain process. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { chmodSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import {
  callContext,
  connect,
  instance,
  RemoteError,
  serve,
  Server,
  services,
  withOptions,
} from "../../mod.ts";
import type { Api } from "../fixtures/typed.ts";
import {
  assertRejectsCode,
  type Child,
  doomed,
  eventually,
  longEnough,
  newTarget,
  runtimes,
  test,
} from "../support/harness.ts";
import { collect, rejection, startService, typedAt } from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";

/** One service in each runtime, all on one target. */
async function both(options = {}): Promise<{ target: string; started: Child[] }> {
  const target = newTarget();
  const started: Child[] = [];
  for (const runtime of runtimes) started.push(await startService(runtime, target, options));
  return { target, started };
}

test("all calls go to the process that was asked for, whoever else is there", async () => {
  const { target, started } = await both();
  using remote = connect<Api>(target, { timeout: 30_000 });
  for (const { pid } of started) {
    const one = instance(remote, pid);
    const asked = await Promise.all(Array.from({ length: 30 }, () => one.pid()));
    assertEquals(new Set(asked), new Set([pid]));
    // State of that process, streams with their own ways back, and what is too long for a slot.
    assertEquals([await one.count(), await one.count()], [1, 2]);
    assertEquals(
      await one.sum((async function* () {
        yield 1;
        yield 2;
      })()),
      3,
    );
    assertEquals(await collect(one.pieces(10, 3)).then(({ length }) => length), 3);
    assertEquals(await one.length(new Uint8Array(3_000_000)), 3_000_000);
    assertEquals((await one.big(3_000_000)).byteLength, 3_000_000);
    const error = await rejection<RemoteError>(one.fail("of its own kind"));
    assertEquals([error.constructor, error.remoteName], [RemoteError, "RangeError"]);
  }
});

for (const site of sites) {
  test(`${site.title}: options compose in either order, and have their effects`, async () => {
    using there = await typedAt(site, { version: "1" });
    const { remote, service } = there;
    const { pid } = service;
    for (
      const hasty of [
        withOptions(instance(remote, pid), { timeout: 20_000 }),
        instance(withOptions(remote, { timeout: 20_000 }), pid),
      ]
    ) {
      const left = await hasty.timeRemaining();
      assert(left <= 20_000, `${left}`);
    }
    await longEnough(50, async (timeout) => {
      const before = await instance(remote, pid).holds();
      const late = withOptions(instance(remote, pid), { timeout }).hold();
      await assertRejectsCode(late, "TIMEOUT");
      return await instance(remote, pid).holds() > before;
    });
    await service.expect("holding 1");
    // The caller may be a moment ahead of the deadline that the service sees.
    assertMatch(await service.line(), /^aborted (TIMEOUT|CANCELLED)$/);
    const leaving = new AbortController();
    const call = doomed(withOptions(instance(remote, pid), { signal: leaving.signal }).hold());
    await service.expect("holding 1");
    const reason = new Error("no longer");
    leaving.abort(reason);
    assertEquals(await rejection(call), reason);
    await service.expect("aborted CANCELLED");
    const unknown = instance(remote, pid) as unknown as { missing(): Promise<void> };
    await assertRejectsCode(unknown.missing(), "UNKNOWN_METHOD");
    using other = connect<Api>(there.target, { version: "2", timeout: 10_000 });
    await assertRejectsCode(instance(other, pid).pid(), "MISMATCH");
  });
}

for (const { title, newTarget } of transports) {
  test(`${title}: a call beyond the concurrency waits for its turn, and may leave the queue`, async () => {
    const target = newTarget();
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const api = {
      hold(name: string): Promise<string> {
        begun.push(name);
        return new Promise((resolve) => ends.push(() => resolve(name)));
      },
    };
    await using _service = serve(target, api, { concurrency: 1 });
    using remote = connect<typeof api>(target, { timeout: 60_000 });
    const one = instance(remote, process.pid);
    const calls = [one.hold("first")];
    await eventually(() => begun.length === 1);
    const leaving = new AbortController();
    calls.push(doomed(withOptions(one, { signal: leaving.signal }).hold("leaves")));
    calls.push(one.hold("last"));
    // Their requests have arrived when a later one has been answered.
    await services(remote);
    leaving.abort();
    await rejection(calls[1]!);
    await services(remote);
    assertEquals(begun, ["first"]);
    ends.shift()!();
    assertEquals(await calls[0], "first");
    await eventually(() => begun.length === 2);
    assertEquals(begun, ["first", "last"]);
    ends.shift()!();
    assertEquals(await calls[2], "last");
  });

  test(`${title}: nothing is there`, async () => {
    const target = newTarget();
    using remote = connect<{ pid(): number }>(target, { timeout: 60_000 });
    await assertRejectsCode(instance(remote, process.pid).pid(), "NO_SERVER", `${process.pid}`);
    await using _service = serve(target, { pid: () => process.pid });
    await assertRejectsCode(instance(remote, 2 ** 30).pid(), "NO_SERVER", `${2 ** 30}`);
    assertEquals(await instance(remote, process.pid).pid(), process.pid);
  });

  test(`${title}: a service that has just started takes calls of its own`, async () => {
    const target = newTarget();
    for (let round = 0; round < 5; round++) {
      const service = serve(target, { pid: () => callContext()!.peer.pid });
      using remote = connect<{ pid(): number }>(target, { timeout: 60_000 });
      assertEquals(await instance(remote, process.pid).pid(), process.pid);
      await service.close();
      await assertRejectsCode(instance(remote, process.pid).pid(), "NO_SERVER");
    }
  });

  test(`${title}: a service that closes lets its calls end, and takes no others`, async () => {
    const target = newTarget();
    const { promise, resolve } = Promise.withResolvers<string>();
    const begun = Promise.withResolvers<void>();
    const api = {
      wait: () => {
        begun.resolve();
        return promise;
      },
    };
    const service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 60_000 });
    const one = instance(remote, process.pid);
    const call = one.wait();
    await begun.promise;
    const closed = service.close();
    await assertRejectsCode(one.wait(), "NO_SERVER");
    resolve("in time");
    assertEquals(await call, "in time");
    await closed;
    await assertRejectsCode(one.wait(), "NO_SERVER");
  });

  test(`${title}: a service that closes at once ends its calls with SERVER_DIED`, async () => {
    const target = newTarget();
    const begun = Promise.withResolvers<void>();
    const api = {
      wait: () => {
        begun.resolve();
        return new Promise<void>(() => {});
      },
    };
    const service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 60_000 });
    const call = doomed(instance(remote, process.pid).wait());
    await begun.promise;
    await service.close({ timeout: 0 });
    await assertRejectsCode(call, "SERVER_DIED");
  });

  test(`${title}: it shares the connection of the remote, and cannot close it`, async () => {
    const target = newTarget();
    await using _service = serve(target, { pid: () => process.pid });
    const remote = connect<{ pid(): number }>(target, { timeout: 60_000 });
    const one = instance(remote, process.pid);
    one[Symbol.dispose]();
    assertEquals(await one.pid(), process.pid);
    const again = instance(instance(remote, 1), process.pid);
    assertEquals(await again.pid(), process.pid);
    remote[Symbol.dispose]();
    await assertRejectsCode(one.pid(), "CLOSED");
  });

  test(`${title}: wrong arguments`, () => {
    using remote = connect<{ pid(): number }>(newTarget());
    assertThrows(() => instance({} as Disposable, 1), TypeError, "remote");
    assertThrows(() => instance(remote, "1" as unknown as number), TypeError, "pid");
    for (const pid of [0, -1, 1.5, NaN, 2 ** 32]) {
      assertThrows(() => instance(remote, pid), RangeError, "pid");
    }
  });
}

for (const runtime of runtimes) {
  test(`${runtime} serves: its process dies in a call, and no other service gets it`, async () => {
    const target = newTarget();
    const options = { idempotent: true, maxDeliveries: 3 };
    const doomedService = await startService(runtime, target, options);
    const other = await startService(runtime, target, options);
    using remote = connect<Api>(target, { timeout: 60_000 });
    const one = instance(remote, doomedService.pid);
    const calls = [doomed(one.hold()), doomed(one.hold())];
    await doomedService.expect("holding 1");
    await doomedService.expect("holding 1");
    await doomedService.killed();
    for (const call of calls) await assertRejectsCode(call, "SERVER_DIED");
    await assertRejectsCode(one.pid(), "NO_SERVER");
    assertEquals(await remote.pid(), other.pid);
  });

  test(`${runtime} serves: a stopped process holds up only its own calls, also when it is killed`, async () => {
    const target = newTarget();
    const stopped = await startService(runtime, target);
    const other = await startService(runtime, target);
    using remote = connect<Api>(target, { timeout: 60_000 });
    await stopped.stopped();
    const one = instance(remote, stopped.pid);
    await assertRejectsCode(withOptions(one, { timeout: 100 }).pid(), "TIMEOUT");
    const waiting = doomed(one.pid());
    assertEquals(await instance(remote, other.pid).pid(), other.pid);
    await stopped.killed();
    await assertRejectsCode(waiting, "SERVER_DIED");
  });
}

test("a service whose private path is removed makes another one", async () => {
  const target = newTarget();
  await using _service = serve(target, { pid: () => process.pid });
  using remote = connect<{ pid(): number }>(target, { timeout: 60_000 });
  const one = instance(remote, process.pid);
  assertEquals(await one.pid(), process.pid);
  const folder = join(`${target}.bells`, `u${process.geteuid!()}`);
  const [path] = readdirSync(folder).filter((name) => /^p[^.]*$/.test(name));
  assert(Server.unlink(join(folder, path!)));
  await eventually(async () => await one.pid().catch(() => 0) === process.pid);
});

test("a service that could have no private path has one as soon as it can", async () => {
  const target = newTarget();
  const own = join(`${target}.bells`, `u${process.geteuid!()}`);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  // Nobody puts files into a folder into which others may write.
  chmodSync(own, 0o777);
  await using _service = serve(target, { pid: () => process.pid });
  using remote = connect<{ pid(): number }>(target, { timeout: 1_000 });
  const one = instance(remote, process.pid);
  await assertRejectsCode(one.pid(), "NO_SERVER");
  chmodSync(own, 0o700);
  await eventually(async () => await one.pid().catch(() => 0) === process.pid);
});

test("a process that serves raw requests takes no calls of its own", async () => {
  const target = newTarget();
  using _server = Server.open(target);
  using remote = connect<{ pid(): number }>(target, { timeout: 60_000 });
  const one = withOptions(instance(remote, process.pid), { timeout: 50 });
  await assertRejectsCode(one.pid(), "NO_SERVER", "without typed calls");
});
