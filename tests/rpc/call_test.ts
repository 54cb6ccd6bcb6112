/** Typed calls: methods, errors, values, time-outs and redelivery. */
import { assert, assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import { callContext, Client, connect, RemoteError, serve, withOptions } from "../../mod.ts";
import { wireVersion } from "../../src/rpc/message.ts";
import { privateChannelsOf } from "../support/bells.ts";
import { CustomError } from "../fixtures/typed_errors.ts";
import type { Api } from "../fixtures/typed.ts";
import type { SurpriseApi } from "../fixtures/typed_surprise.ts";
import {
  assertRejectsCode,
  doomed,
  longEnough,
  newTarget,
  ownRuntime,
  pattern,
  runtimes,
  sleep,
  spawn,
  test,
} from "../support/harness.ts";
import {
  assertEndsSoonWith,
  rejection,
  startService,
  typed,
  typedAt,
} from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";

for (const site of sites) {
  test(`${site.title}: methods: sync, async and inherited ones answer`, async () => {
    using there = await typedAt(site);
    const { remote, service } = there;
    assertEquals(await remote.add(1, 2), 3);
    assertEquals(await remote.addLater(1, 2), 3);
    assertEquals(await remote.inherited(), "from above");
    assertEquals(await remote.pid(), service.pid);
    assertEquals([await remote.count(), await remote.count()], [1, 2]);
  });

  test(`${site.title}: many calls at once: each gets its own answer`, async () => {
    using there = await typedAt(site, { slots: 16, concurrency: 3 });
    const calls = Array.from(
      { length: 500 },
      (_, index) => index % 2 ? there.remote.add(index, 1) : there.remote.addLater(index, 1),
    );
    assertEquals(await Promise.all(calls), calls.map((_, index) => index + 1));
  });

  test(`${site.title}: a thrown error keeps its name, message, properties, stack and cause`, async () => {
    using there = await typedAt(site);
    const error = await rejection<RemoteError>(there.remote.fail("range"));
    assertInstanceOf(error, RemoteError);
    assertEquals(error.code, "REMOTE");
    assertEquals([error.remoteName, error.remoteMessage], ["RangeError", "as it was asked to"]);
    assert(error.remoteStack.includes("typed.ts"), error.remoteStack);
    assertEquals(error.remoteProperties, { when: new Date(7), big: 2n ** 70n });
    assertInstanceOf(error.cause, TypeError);
    assertEquals([error.cause.message, error.cause.cause], ["underneath", { why: [1n] }]);
  });

  test(`${site.title}: a thrown value that is no error arrives as the cause of a RemoteError`, async () => {
    using there = await typedAt(site);
    const text = await rejection<RemoteError>(there.remote.fail("text"));
    assertEquals([text.remoteMessage, text.cause], ["only text", "only text"]);
    const nothing = await rejection<RemoteError>(there.remote.fail("undefined"));
    assertEquals([nothing.remoteMessage, nothing.cause], ["undefined", undefined]);
  });

  test(`${site.title}: a registered class of errors arrives as an instance of that class`, async () => {
    using there = await typedAt(site);
    const error = await rejection<CustomError>(there.remote.fail("custom"));
    assertInstanceOf(error, CustomError);
    assert(error.hasMethods());
    assertEquals([error.name, error.message], ["CustomError", "of its own"]);
    assertInstanceOf(error.cause, TypeError);
    assert(error.stack?.includes("typed.ts"));
    // As a value, too.
    const [value] = await there.remote.echo(new CustomError("here"));
    assertInstanceOf(value, CustomError);
    assert(value.hasMethods());
  });

  test(`${site.title}: a class of errors that only one side knows arrives as a RemoteError`, async () => {
    using there = await typedAt(site, {}, { errors: [] });
    const error = await rejection<RemoteError>(there.remote.fail("custom"));
    assertInstanceOf(error, RemoteError);
    assertEquals(error.remoteName, "CustomError");
    assertEquals(error.remoteProperties, { details: new Map([["one", 1]]) });
  });

  test(`${site.title}: a value that cannot be sent: NOT_SERIALIZABLE with its path`, async () => {
    using there = await typedAt(site);
    const { remote } = there;
    const wrong: [unknown, string][] = [
      [() => {}, "arguments[0]: it is a function"],
      [{ a: [{ b: Symbol("s") }] }, "arguments[0].a[0].b: it is a symbol"],
      [new Map([["key", new WeakMap()]]), "it is a WeakMap"],
      [new URL("http://localhost"), "it is a URL"],
      [Promise.resolve(), "it is a Promise"],
    ];
    for (const [value, message] of wrong) {
      await assertRejectsCode(remote.echo(value), "NOT_SERIALIZABLE", message);
    }
    await assertRejectsCode(remote.unsendable(), "NOT_SERIALIZABLE", "it is a function");
    const nested: unknown[] = [];
    let inner = nested;
    for (let depth = 0; depth < 2000; depth++) inner.push(inner = []);
    await assertRejectsCode(remote.echo(nested), "NOT_SERIALIZABLE", "deeper");
    // The connection still works.
    assertEquals(await remote.add(1, 1), 2);
  });

  test(`${site.title}: getters of arguments may throw, or make a call`, async () => {
    using there = await typedAt(site);
    const { remote } = there;
    const error = await rejection(remote.echo({
      get trouble() {
        throw new RangeError("mine");
      },
    }));
    assertInstanceOf(error, RangeError);
    let inner: Promise<number> | undefined;
    const outer = remote.echo({
      before: "x",
      get value() {
        inner = remote.add(20, 22);
        return 7;
      },
      after: "y",
    });
    assertEquals(await outer, [{ before: "x", value: 7, after: "y" }]);
    assertEquals(await inner, 42);
  });

  test(`${site.title}: long byte arrays arrive, beside each other and as views`, async () => {
    using there = await typedAt(site);
    const long = pattern(100_000, 1);
    const floats = new Float64Array(5_000).map((_, index) => index / 3).subarray(10, 4_000);
    const sent = [long, { inside: [floats, "text", long.subarray(5, 50_000)] }, long];
    const back = await there.remote.echo(...sent);
    assertEquals(back, sent);
    // The same value is the same on the other side, and so it is here.
    assert(back[0] === back[2]);
    assert(await there.remote.same(long, long));
    assertEquals(await there.remote.same(long, long.slice()), false);
    // Of a view only what it shows has come.
    const { inside } = back[1] as { inside: [Float64Array, string, Uint8Array] };
    assertEquals(inside[0].buffer.byteLength, floats.byteLength);
  });

  test(`${site.title}: a raw method reads the bytes in place`, async () => {
    using there = await typedAt(site);
    assertEquals(await there.remote.rawSum(new Uint8Array(100_000).fill(3)), [true, 300_000]);
    assertEquals(await there.remote.rawSum(new Uint8Array(10).fill(3)), [false, 30]);
  });

  test(`${site.title}: time-outs and aborts end the call and abort the signal of its method`, async () => {
    using there = await typedAt(site);
    const { remote, service } = there;
    await longEnough(50, async (timeout) => {
      const before = await remote.holds();
      await assertRejectsCode(withOptions(remote, { timeout }).hold(), "TIMEOUT");
      return await remote.holds() > before;
    });
    await service.expect("holding 1");
    // The caller may be a moment ahead of the deadline that the service sees.
    assertMatch(await service.line(), /^aborted (TIMEOUT|CANCELLED)$/);
    const controller = new AbortController();
    const held = doomed(withOptions(remote, { signal: controller.signal }).hold());
    await service.expect("holding 1");
    const reason = new Error("changed my mind");
    controller.abort(reason);
    assertEquals(await rejection(held), reason);
    await service.expect("aborted CANCELLED");
    assertEquals(
      await rejection(withOptions(remote, { signal: controller.signal }).add(1, 2)),
      reason,
    );
    const left = await withOptions(remote, { timeout: 20_000 }).timeRemaining();
    assert(left > 0 && left <= 20_000, `${left}`);
    assertEquals(await withOptions(remote, { timeout: Infinity }).timeRemaining(), Infinity);
  });

  test(`${site.title}: closing the connection cancels its calls`, async () => {
    using there = await typedAt(site);
    const held = doomed(there.remote.hold());
    await there.service.expect("holding 1");
    there.remote[Symbol.dispose]();
    await assertRejectsCode(held, "CLOSED");
    await there.service.expect("aborted CANCELLED");
    await assertRejectsCode(there.remote.add(1, 2), "CLOSED");
  });

  test(`${site.title}: a call waits for its channel, and for a new one after unlink`, async () => {
    const target = site.newTarget();
    using remote = connect<Api>(target, { timeout: 30_000 });
    const early = remote.pid();
    await sleep(20);
    const first = await site.start("typed.ts", target, {});
    assertEquals(await early, first.pid);
    assertEquals(await remote.pid(), first.pid);
    first.send("unlink");
    await first.expect("unlinked");
    const second = await site.start("typed.ts", target, {});
    assertEquals(await remote.pid(), second.pid);
    second.send("unlink");
    await second.expect("unlinked");
    await assertEndsSoonWith("NO_SERVER", (timeout) => withOptions(remote, { timeout }).pid());
  });
}

for (const runtime of runtimes) {
  test(`${runtime} serves: random bytes as requests do not disturb other calls`, async () => {
    using there = await typed(runtime);
    const { remote, target } = there;
    // So that there is a private channel as well.
    const stream = remote.naturals();
    assertEquals((await stream.next()).value, 0);
    for (const path of [target, ...privateChannelsOf(target)]) {
      using client = Client.open(path);
      const requests: Promise<unknown>[] = [];
      for (let seed = 0; seed < 400; seed++) {
        const message = pattern(seed % 90, seed);
        // Most of them get past the version, and to one of the kinds.
        if (seed % 4) {
          message.set(
            [wireVersion, seed % 14, seed % 5, 0, message.length, 0, 0, 0].slice(0, message.length),
          );
        }
        // A service holds requests that look like leases.
        requests.push(client.request(message, { timeout: 2_000 }).catch(() => null));
        if (requests.length % 50 === 0) await Promise.all(requests);
      }
      await Promise.all(requests);
    }
    assertEquals((await stream.next()).value, 1);
    assertEquals(await remote.add(1, 2), 3);
  });

  test(`${runtime} serves: a service that closes answers its calls first`, async () => {
    using there = await typed(runtime);
    const later = there.remote.addLater(1, 2);
    await there.remote.add(1, 1);
    there.service.send("stop");
    assertEquals(await later, 3);
    await there.service.expect("stopped");
    await there.service.ended();
  });

  test(`${runtime} serves: calls of idempotent methods are made again after a death, others are not`, async () => {
    const target = newTarget();
    const first = await startService(runtime, target);
    using remote = connect<Api>(target, { timeout: 30_000 });
    const once = doomed(remote.holdOnce());
    await first.expect("holding 1");
    await first.killed();
    await assertRejectsCode(once, "SERVER_DIED");

    const second = await startService(runtime, target);
    const again = withOptions(remote, { idempotent: ["hold"], retry: { attempts: 5 } });
    const held = doomed(again.hold());
    await second.expect("holding 1");
    // The next attempt may find no service, and waits.
    await second.killed();
    const third = await startService(runtime, target);
    await third.expect("holding 1");
    // This one is not in the list.
    const other = doomed(again.holdOnce());
    await third.expect("holding 1");
    await third.killed();
    await assertRejectsCode(other, "SERVER_DIED");
    const fourth = await startService(runtime, target);
    await fourth.expect("holding 1");
    remote[Symbol.dispose]();
    await assertRejectsCode(held, "CLOSED");
  });

  test(`${runtime} serves: maxDeliveries 2: the next service gets the request of a dead one`, async () => {
    const target = newTarget();
    const first = await startService(runtime, target, { maxDeliveries: 2, idempotent: true });
    using remote = connect<Api>(target, { timeout: 30_000 });
    const held = remote.holdOnce();
    await first.expect("holding 1");
    const second = await startService(runtime, target, { idempotent: true });
    await first.killed();
    assertEquals(await held, "delivery 2");
    // The caller can forbid it.
    const once = doomed(withOptions(remote, { maxDeliveries: 1 }).hold());
    await second.expect("holding 1");
    await second.killed();
    await assertRejectsCode(once, "SERVER_DIED");
  });
}

test("calls that wait for a channel: each keeps its own time-out and signal", async () => {
  const target = newTarget();
  using remote = connect<{ add(a: number, b: number): number }>(target);
  const controller = new AbortController();
  const many = Array.from({ length: 2_000 }, (_, index) => remote.add(index, 1));
  const short = doomed(withOptions(remote, { timeout: 20 }).add(1, 2));
  const aborted = doomed(withOptions(remote, { signal: controller.signal }).add(1, 2));
  controller.abort(new Error("not any more"));
  assertEquals((await rejection(aborted)).message, "not any more");
  await assertRejectsCode(short, "NO_SERVER", "no service is open there");
  await using service = serve(target, { add: (a: number, b: number) => a + b });
  assertEquals(await Promise.all(many), many.map((_, index) => index + 1));
  assertEquals(service.stats().clients, 1);
});

for (const transport of transports) {
  test(`${transport.title}: concurrency: no more calls at once than allowed`, async () => {
    const target = transport.newTarget();
    let [now, most] = [0, 0];
    const api = {
      async work() {
        most = Math.max(most, ++now);
        await sleep(1);
        now -= 1;
      },
    };
    await using service = serve(target, api, { concurrency: 3 });
    using remote = connect<typeof api>(target);
    await Promise.all(Array.from({ length: 50 }, () => remote.work()));
    assertEquals(most, 3);
    void service;
  });
}

for (const transport of transports) {
  test(`${transport.title}: calls made by a method inherit its deadline`, async () => {
    const [inner, outer] = [transport.newTarget(), transport.newTarget()];
    const api = { left: () => callContext()!.timeRemaining };
    await using innerService = serve(inner, api);
    using remote = connect<typeof api>(inner, { timeout: Infinity });
    const middle = {
      async inherited() {
        await sleep(1);
        return await remote.left();
      },
      async own() {
        await sleep(1);
        return await withOptions(remote, { inheritDeadline: false }).left();
      },
      async shorter() {
        return await withOptions(remote, { timeout: 10_000 }).left();
      },
    };
    await using outerService = serve(outer, middle);
    using caller = connect<typeof middle>(outer, { timeout: 30_000 });
    const left = await caller.inherited();
    assert(left > 0 && left <= 30_000, `${left}`);
    assertEquals(await caller.own(), Infinity);
    assert(await caller.shorter() <= 10_000);
    // Outside of a method nothing is inherited.
    assertEquals(callContext(), undefined);
    assertEquals(await remote.left(), Infinity);
    void [innerService, outerService];
  });
}

for (const runtime of ownRuntime) {
  test(`${runtime}: a method that returns a promise for the first time keeps its context`, async () => {
    const target = newTarget();
    const service = await spawn(runtime, "typed_surprise.ts", [target]);
    await service.expect("ready");
    using remote = connect<SurpriseApi>(target, { timeout: 20_000 });
    for (let call = 0; call < 300; call++) assertEquals(await remote.left(false), null);
    // The first surprise, and one beside it: each sees its own.
    const soon = withOptions(remote, { timeout: 10_000 });
    const [later, sooner] = await Promise.all([remote.left(true), soon.left(true)]);
    assert(later! > 10_000 && later! <= 20_000, `${later}`);
    assert(sooner! > 0 && sooner! <= 10_000, `${sooner}`);
    assertEquals(await remote.left(false), null);
    await service.killed();
  });
}

for (const runtime of ownRuntime) {
  test(`${runtime}: a connection that waits for nothing does not keep its process alive`, async () => {
    const target = newTarget();
    await using service = serve(target, { add: (a: number, b: number) => a + b });
    const client = await spawn(runtime, "typed_client.ts", [target, "connected"]);
    await client.expect("added 3");
    await client.ended();
    void service;
  });
}
