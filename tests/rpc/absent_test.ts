/** Calls that no service is there for, and how long calls and items of streams wait. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  callContext,
  Client,
  connect,
  serve,
  type Service,
  type TandemError,
  withOptions,
} from "../../mod.ts";
import {
  assertRejectsCode,
  atEnd,
  doomed,
  longEnough,
  newTarget,
  runtimes,
  test,
} from "../support/harness.ts";
import { assertEndsSoonWith, rejection, startService } from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";

const never = (): Promise<never> => new Promise(() => {});

/** An interface with calls and streams that hang. */
const api = {
  ping: () => "pong",
  hang: never,
  left: () => callContext()!.timeRemaining,
  async *silent(): AsyncGenerator<number> {
    await never();
    yield 1;
  },
  async *stalls(): AsyncGenerator<number> {
    yield 1;
    await never();
  },
  async *twice(gate: string): AsyncGenerator<number> {
    yield 1;
    await gates.get(gate)!.promise;
    yield 2;
  },
};
const gates: Map<string, PromiseWithResolvers<void>> = new Map();

/** Leaves the target behind with its name, but without a service; a connection keeps it in memory. */
async function abandon(target: string): Promise<void> {
  const service = serve(target, api);
  const remote = connect<typeof api>(target);
  assertEquals(await remote.ping(), "pong");
  await service.close();
  atEnd(() => Promise.resolve(remote[Symbol.dispose]()));
}

function serveAtEndClosed(target: string, concurrency?: number): Service {
  const service = serve(target, api, concurrency === undefined ? {} : { concurrency, slots: 4 });
  atEnd(() => service.close({ timeout: 0 }));
  return service;
}

for (const { title, newTarget } of transports) {
  for (const what of ["no target", "a target without a service"]) {
    const prepare = async (): Promise<string> => {
      const target = newTarget();
      if (what !== "no target") await abandon(target);
      return target;
    };

    test(`${title}: ${what}: NO_SERVER when the time runs out`, async () => {
      const target = await prepare();
      using remote = connect<typeof api>(target);
      const within = (timeout: number) => withOptions(remote, { timeout });
      const hint = title === "NATS" ? "prefix" : "TANDEM_DIR";
      await assertEndsSoonWith("NO_SERVER", (time) => within(time).ping(), target, hint);
      await assertEndsSoonWith("NO_SERVER", (time) => within(time).silent().next());
      await assertRejectsCode(within(0).ping(), "NO_SERVER");
      const retried = (timeout: number) => withOptions(remote, { timeout, idempotent: true });
      await assertEndsSoonWith("NO_SERVER", (time) => retried(time).ping());
    });

    test(`${title}: ${what}: whenAbsent "fail" fails at once and sends nothing`, async () => {
      const target = await prepare();
      using remote = connect<typeof api>(target, { timeout: Infinity, whenAbsent: "fail" });
      await assertRejectsCode(remote.ping(), "NO_SERVER", target);
      await assertRejectsCode(remote.silent().next(), "NO_SERVER");
      // Another call of the same connection may wait.
      const waiting = withOptions(remote, { whenAbsent: "wait" }).ping();
      const service = serveAtEndClosed(target);
      assertEquals(await waiting, "pong");
      assertEquals(service.stats().requests, what === "no target" ? 1 : 2);
      assertEquals(await remote.ping(), "pong");
      await service.close();
      await assertRejectsCode(remote.ping(), "NO_SERVER");
    });
  }

  test(`${title}: without a service and without a slot: NO_SERVER, not BUSY`, async () => {
    const target = newTarget();
    const service = serve(target, api, { slots: 2 });
    using remote = connect<typeof api>(target);
    await remote.ping();
    await service.close();
    const queued = [doomed(remote.ping()), doomed(remote.ping())];
    // NATS tells a while after the service has left.
    await longEnough(30, async (timeout) => {
      const { code } = await rejection<TandemError>(withOptions(remote, { timeout }).ping());
      if (title === "NATS" && code !== "NO_SERVER") return false;
      assertEquals(code, "NO_SERVER");
      return true;
    });
    await assertRejectsCode(withOptions(remote, { timeout: 0 }).ping(), "NO_SERVER");
    serveAtEndClosed(target);
    assertEquals(await Promise.all(queued), ["pong", "pong"]);
  });

  test(`${title}: a service is there and silent: TIMEOUT`, async () => {
    const target = newTarget();
    serveAtEndClosed(target, 1);
    using remote = connect<typeof api>(target, { timeout: 30 });
    await assertRejectsCode(remote.hang(), "TIMEOUT");
    const first = doomed(withOptions(remote, { timeout: Infinity }).hang());
    // It waits in the queue: the only place is taken.
    await assertRejectsCode(remote.ping(), "TIMEOUT");
    remote[Symbol.dispose]();
    await assertRejectsCode(first, "CLOSED");
  });

  test(`${title}: a service that was there while the call waited: TIMEOUT`, async () => {
    const target = newTarget();
    const service = serve(target, api, { maxDeliveries: 2, idempotent: true });
    using remote = connect<typeof api>(target, { timeout: 300, retry: { attempts: 1 } });
    const handedBack = doomed(remote.hang());
    assertEquals(await withOptions(remote, { timeout: 20_000 }).ping(), "pong");
    await service.close({ timeout: 0 });
    const later = doomed(remote.ping());
    await assertRejectsCode(handedBack, "TIMEOUT");
    await assertRejectsCode(later, "NO_SERVER");
  });

  test(`${title}: the default time-out is 30 seconds, and Infinity is one on request`, async () => {
    const target = newTarget();
    await using service = serve(target, api);
    using remote = connect<typeof api>(target);
    const left = await remote.left();
    assert(left > 20_000 && left <= 30_000, `${left}`);
    assertEquals(await withOptions(remote, { timeout: Infinity }).left(), Infinity);
    using endless = connect<typeof api>(target, { timeout: Infinity });
    assertEquals(await endless.left(), Infinity);
    void service;
  });

  test(`${title}: timeout bounds the first item of a stream, itemTimeout the others`, async () => {
    const target = newTarget();
    serveAtEndClosed(target);
    using remote = connect<typeof api>(target, { timeout: 40 });
    await assertRejectsCode(remote.silent().next(), "TIMEOUT");
    await longEnough(40, async (timeout) => {
      const opening = (async () => await withOptions(remote, { timeout }).silent())();
      const awaited = await opening.catch(({ code }) => assertEquals(code, "TIMEOUT"));
      if (!awaited) return false;
      await assertRejectsCode(awaited.next(), "TIMEOUT");
      return true;
    });
    // The second item takes longer than `timeout`.
    await longEnough(40, async (timeout) => {
      gates.set(target, Promise.withResolvers());
      const limited = withOptions(remote, { timeout });
      const items = limited.twice(target);
      const first = await items.next().catch(({ code }) => code);
      if (first === "TIMEOUT") return false;
      assertEquals(first, { done: false, value: 1 });
      const second = items.next();
      await assertRejectsCode(limited.hang(), "TIMEOUT");
      gates.get(target)!.resolve();
      assertEquals(await second, { done: false, value: 2 });
      assertEquals(await items.next(), { done: true, value: undefined });
      return true;
    });
    const hasty = withOptions(remote, { timeout: 20_000, itemTimeout: 30 }).stalls();
    assertEquals(await hasty.next(), { done: false, value: 1 });
    await assertRejectsCode(hasty.next(), "TIMEOUT");
    assertEquals(await hasty.next(), { done: true, value: undefined });
  });

  test(`${title}: many time-outs at once, short and fractional ones too`, async () => {
    const target = newTarget();
    serveAtEndClosed(target);
    using remote = connect<typeof api>(target);
    const timeouts = [0.2, 1.5, 3, 40, 41.25, 60];
    const calls = timeouts.map(async (timeout) => {
      const begin = performance.now();
      await assertRejectsCode(withOptions(remote, { timeout }).hang(), "TIMEOUT");
      const took = performance.now() - begin;
      assert(took >= timeout - 0.1, `${timeout}: ${took}`);
    });
    // Traffic must not keep them waiting.
    let isOver = false;
    const traffic = (async () => {
      while (!isOver) await remote.ping();
    })();
    await Promise.all(calls);
    isOver = true;
    await traffic;
  });
}

for (const site of sites) {
  test(`${site.title}: whenAbsent "fail" finds a service of another process`, async () => {
    const target = site.newTarget();
    using remote = connect<{ add(a: number, b: number): number }>(target, { whenAbsent: "fail" });
    await assertRejectsCode(remote.add(1, 2), "NO_SERVER");
    await site.start("typed.ts", target, {});
    assertEquals(await remote.add(1, 2), 3);
  });
}

for (const runtime of runtimes) {
  test(`${runtime} serves: killed, it is absent at once and when the time runs out`, async () => {
    const target = newTarget();
    const service = await startService(runtime, target);
    using remote = connect<{ add(a: number, b: number): number }>(target, { timeout: 50 });
    assertEquals(await withOptions(remote, { timeout: 20_000 }).add(1, 2), 3);
    await service.killed();
    await assertRejectsCode(withOptions(remote, { whenAbsent: "fail" }).add(1, 2), "NO_SERVER");
    await assertRejectsCode(remote.add(1, 2), "NO_SERVER");
    // A connection that has never seen it.
    using other = connect<{ add(a: number, b: number): number }>(target, { timeout: 50 });
    await assertRejectsCode(withOptions(other, { whenAbsent: "fail" }).add(1, 2), "NO_SERVER");
    await assertRejectsCode(other.add(1, 2), "NO_SERVER");
  });
}

test("a channel that a client made, and that no service has ever opened: NO_SERVER", async () => {
  const target = newTarget();
  using client = Client.open(target, { create: {} });
  using remote = connect<typeof api>(target, { timeout: 30 });
  await assertRejectsCode(remote.ping(), "NO_SERVER", target);
  await assertRejectsCode(withOptions(remote, { whenAbsent: "fail" }).ping(), "NO_SERVER");
  void client;
});

test("wrong limits are refused: whenAbsent, itemTimeout, timeout", () => {
  const target = newTarget();
  const wrong = (options: object) => () => connect(target, options);
  assertThrows(wrong({ whenAbsent: "never" }), TypeError, "whenAbsent");
  assertThrows(wrong({ whenAbsent: true }), TypeError, "whenAbsent");
  assertThrows(wrong({ itemTimeout: -1 }), RangeError, "itemTimeout");
  assertThrows(wrong({ itemTimeout: "1" }), TypeError, "itemTimeout");
  assertThrows(wrong({ timeout: NaN }), RangeError, "timeout");
  using remote = connect<typeof api>(target);
  assertThrows(() => withOptions(remote, { itemTimeout: NaN }), RangeError, "itemTimeout");
});
