/** AbortSignals travel: their aborts and reasons follow. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { Client, connect, serve, TandemError } from "../../mod.ts";
import { whenAborted } from "../fixtures/by_reference.ts";
import { CustomError } from "../fixtures/typed_errors.ts";
import { privateChannelsOf } from "../support/bells.ts";
import {
  assertRejectsCode,
  atEnd,
  eventually,
  isBare,
  pairs,
  runtime,
  spawn,
  test,
} from "../support/harness.ts";
import { borrowing } from "../support/borrowing.ts";
import { processSite } from "../support/site.ts";
import { sites, transports } from "../support/sites.ts";

/** A signal that counts its listeners. */
function counted(controller: AbortController): { signal: AbortSignal; count(): number } {
  const { signal } = controller;
  const listeners = new Set<unknown>();
  const { prototype } = EventTarget;
  Object.defineProperties(signal, {
    addEventListener: {
      value: (...args: Parameters<typeof prototype.addEventListener>) => {
        listeners.add(args[1]);
        prototype.addEventListener.apply(signal, args);
      },
    },
    removeEventListener: {
      value: (...args: Parameters<typeof prototype.removeEventListener>) => {
        listeners.delete(args[1]);
        prototype.removeEventListener.apply(signal, args);
      },
    },
  });
  return { signal, count: () => listeners.size };
}

for (const site of sites) {
  test(`${site.title}: signals abort with their reasons, in the order of the aborts`, async () => {
    using there = await borrowing(site);
    const names = ["first", "second", "third"];
    const controllers = new Map(names.map((name) => [name, new AbortController()]));
    const signals = new Map([...controllers].map(([name, { signal }]) => [name, signal]));
    const call = there.remote.reasons({ signals });
    await there.service.expect("waiting for 3");
    controllers.get("second")!.abort({ deep: [1, new Date(5)] });
    controllers.get("third")!.abort("enough");
    controllers.get("first")!.abort(0);
    assertEquals(await call, [["second", { deep: [1, new Date(5)] }], ["third", "enough"], [
      "first",
      0,
    ]]);
    await there.stop();
  });

  test(`${site.title}: a signal that has aborted arrives so, with any reason`, async () => {
    using there = await borrowing(site);
    const { remote } = there;
    for (const reason of [1, "why", null, new Map([["a", 1n]]), [undefined], false]) {
      assertEquals(await remote.look(AbortSignal.abort(reason)), { aborted: true, reason });
    }
    const fresh = await remote.look(new AbortController().signal);
    assertEquals(fresh, { aborted: false, reason: undefined });
    // Its reason refers to the signal itself.
    const controller = new AbortController();
    controller.abort({ signal: controller.signal });
    const [back] = await remote.echo(controller.signal) as [AbortSignal];
    assertEquals(Object.keys(back.reason as object), ["signal"]);
    assert(back.reason.signal === back);
    for (const unsendable of [() => 1, Promise.resolve(), { deep: { symbol: Symbol("s") } }]) {
      const { aborted, reason } = await remote.look(AbortSignal.abort(unsendable));
      assert(aborted);
      assertInstanceOf(reason, Error);
      assertStringIncludes(reason.message, "cannot be sent");
    }
    await there.stop();
  });

  test(`${site.title}: errors as reasons keep their kind, whether early or late`, async () => {
    using there = await borrowing(site);
    const { remote } = there;
    const reasons: [unknown, string][] = [
      [undefined, "DOMException AbortError"],
      [new DOMException("late", "TimeoutError"), "DOMException TimeoutError"],
      [new RangeError("far"), "RangeError far"],
      [new CustomError("own"), "CustomError own"],
      [new Error("caused", { cause: () => 1 }), "Error caused"],
    ];
    for (const [reason, kind] of reasons) {
      assertEquals(await remote.kind(AbortSignal.abort(reason)), kind);
      const controller = new AbortController();
      const call = remote.kind(controller.signal);
      controller.abort(reason);
      assertEquals(await call, kind);
    }
    assertEquals(await remote.kind(AbortSignal.timeout(1)), "DOMException TimeoutError");
    const [one, other] = [new AbortController(), new AbortController()];
    const call = remote.kind(AbortSignal.any([one.signal, other.signal]));
    other.abort(new TypeError("any"));
    assertEquals(await call, "TypeError any");
    const unsendable = new AbortController();
    const described = remote.kind(unsendable.signal);
    unsendable.abort(() => 1);
    assertStringIncludes(await described, "cannot be sent");
    await there.stop();
  });

  test(`${site.title}: a reason may be a long message, or too long for any`, async () => {
    using there = await borrowing(site);
    for (const isLate of [false, true]) {
      const controller = new AbortController();
      const reason = new Uint8Array(3_000_000).fill(7);
      if (!isLate) controller.abort(reason);
      const signals = new Map([["long", controller.signal]]);
      const call = there.remote.reasons({ signals });
      await there.service.expect("waiting for 1");
      if (isLate) controller.abort(reason);
      assertEquals(await call, [["long", reason]]);
    }
    await there.stop();
  });

  test(`${site.title}: a reason that costs too much is described, and hides no other`, async () => {
    const limits = { maxTreeBytes: 2 ** 14 };
    using there = await borrowing(site, limits, limits);
    const controllers = Array.from({ length: 5 }, () => new AbortController());
    const call = there.remote.lengths(controllers.map(({ signal }) => signal));
    await there.service.expect("waiting for 5");
    const huge = Array.from({ length: 1_500 }, () => ({}));
    const large = Array.from({ length: 700 }, () => ({}));
    controllers.forEach((controller, index) => controller.abort(index === 1 ? huge : large));
    assertEquals(await call, [700, -1, 700, 700, 700]);
    await there.stop();
  });

  test(`${site.title}: the same signal arrives as one, and passed back it is another`, async () => {
    using there = await borrowing(site);
    const { signal } = new AbortController();
    assert(await there.remote.isSame(signal, signal, signal));
    assert(!await there.remote.isSame(signal, new AbortController().signal));
    const [a, b] = await there.remote.echo(signal, signal);
    assert(a === b);
    assertInstanceOf(a, AbortSignal);
    await there.stop();
  });

  test(`${site.title}: signals in results live on after their call`, async () => {
    using there = await borrowing(site);
    const { remote } = there;
    const made = await remote.make(100);
    await remote.abort(7, "lucky");
    assertEquals(await whenAborted(made[7]!), "lucky");
    assertEquals(made.filter(({ aborted }) => aborted).length, 1);
    // One that has aborted between the answer and the claim, or at the same time.
    await Promise.all(made.map((_, index) => remote.abort(index, index)));
    const reasons = await Promise.all(made.map(whenAborted));
    assertEquals(reasons, made.map((_, index) => index === 7 ? "lucky" : index));
    await there.stop();
  });

  test(`${site.title}: signals in items of a stream, and in the values of its steps`, async () => {
    using there = await borrowing(site);
    const { remote } = there;
    const stream = remote.signals(3);
    const first = (await stream.next()).value as AbortSignal;
    assert(!first.aborted);
    const second = (await stream.next()).value as AbortSignal;
    assertEquals(await whenAborted(first), 0);
    // The stream ends, and its signals with it: the last one does not abort.
    await stream.return("left");
    assert(!second.aborted);
    const watching = remote.watch();
    assertEquals(await watching.next(), { done: false, value: "begin" });
    const controller = new AbortController();
    const step = watching.next(controller.signal);
    controller.abort("stepped");
    assertEquals(await step, { done: false, value: "stepped" });
    const aborted = AbortSignal.abort("before");
    assertEquals(await watching.next(aborted), { done: false, value: "aborted" });
    const { signal, count } = counted(new AbortController());
    const pending = watching.next(signal);
    await eventually(() => count() === 1, "the signal is listened to");
    await remote.look(AbortSignal.abort());
    const left = watching.return();
    controller.abort();
    void left;
    there.remote[Symbol.dispose]();
    await assertRejectsCode(pending, "CLOSED");
    await eventually(() => count() === 0, "the stream has ended, and its signals with it");
    await there.stop();
  });

  test(`${site.title}: one signal in thousands of calls leaves no listener`, async () => {
    using there = await borrowing(site);
    const { signal, count } = counted(new AbortController());
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 200 }, () => there.remote.look(signal)));
      assertEquals(count(), 0);
    }
    const failing = there.remote.echo(signal, (() => {}) as never);
    await assertRejectsCode(failing, "NOT_SERIALIZABLE");
    assertEquals(count(), 0);
    // And one that is lent while another call still has it.
    const controller = new AbortController();
    const long = there.remote.hold(controller.signal);
    await there.service.expect("holding");
    await there.remote.look(controller.signal);
    controller.abort(new TandemError("BUSY", "enough"));
    await there.service.expect("aborted BUSY");
    assertEquals(await long, "BUSY");
    await there.stop();
  });

  test(`${site.title}: a signal does not abort after its call`, async () => {
    using there = await borrowing(site);
    const controller = new AbortController();
    await there.remote.borrow(controller.signal);
    controller.abort();
    // The other side has all news by then.
    const other = new AbortController();
    const call = there.remote.hold(other.signal);
    await there.service.expect("holding");
    other.abort(new TandemError("BUSY", "enough"));
    await there.service.expect("aborted BUSY");
    await call;
    await there.stop();
  });

  test(`${site.title}: values that only look like signals are refused`, async () => {
    using there = await borrowing(site);
    const refused: [unknown, string][] = [
      [Object.create(AbortSignal.prototype), "AbortSignal"],
      [new AbortController(), "send its signal"],
      [{ deep: [new AbortController()] }, "arguments[0].deep[0]"],
      [new Proxy(new AbortController().signal, {}), "Proxy"],
      [Object.setPrototypeOf({ aborted: true, reason: 1 }, AbortSignal.prototype), "AbortSignal"],
    ];
    for (const [value, text] of refused) {
      await assertRejectsCode(there.remote.echo(value), "NOT_SERIALIZABLE", text);
    }
    // What it says of itself does not matter.
    const { signal } = new AbortController();
    Object.defineProperty(signal, "aborted", { value: true });
    Object.defineProperty(signal, "reason", { get: () => assert(false) });
    assertEquals(await there.remote.look(signal), { aborted: false, reason: undefined });
    const plain = { aborted: true, reason: "plain" };
    assertEquals<unknown[]>(await there.remote.echo(plain), [plain]);
    await there.stop();
  });
}

for (const { title, newTarget } of transports) {
  test(`${title}: a received signal is passed on to a third`, async () => {
    const [near, far] = [newTarget(), newTarget()];
    await using last = serve(far, {
      wait: (signal: AbortSignal): Promise<unknown> => whenAborted(signal),
    });
    using onward = connect<{ wait(signal: AbortSignal): Promise<unknown> }>(far);
    await using first = serve(near, {
      pass: (signal: AbortSignal): Promise<unknown> => onward.wait(signal),
    });
    using remote = connect<{ pass(signal: AbortSignal): Promise<unknown> }>(near);
    const controller = new AbortController();
    const call = remote.pass(controller.signal);
    controller.abort("through two");
    assertEquals(await call, "through two");
    for (const service of [first, last]) service.unlink();
  });

  test(`${title}: a call with a signal is made before its service is there`, async () => {
    const target = newTarget();
    using remote = connect<{ wait(signal: AbortSignal): Promise<unknown> }>(target);
    const [early, late] = [new AbortController(), new AbortController()];
    const calls = [remote.wait(early.signal), remote.wait(late.signal)];
    early.abort("early");
    await using service = serve(target, {
      wait: (signal: AbortSignal): Promise<unknown> => whenAborted(signal),
    });
    assertEquals(await calls[0], "early");
    late.abort("late");
    assertEquals(await calls[1], "late");
    service.unlink();
  });
}

if (!isBare) {
  for (const { server, client, title } of pairs) {
    test(`${title}: a lent signal aborts when its sender is killed`, async () => {
      using there = await borrowing(processSite(server));
      const lender = await spawn(client, "lender.ts", [there.target, "signal"]);
      await there.service.expect("holding");
      await lender.killed();
      await there.service.expect("aborted SERVER_DIED");
      await there.stop();
    });
  }

  test("received signals abort when their service is killed", async () => {
    const site = processSite(runtime);
    using there = await borrowing(site);
    const made = await there.remote.make(3);
    await (there.service as Awaited<ReturnType<typeof site.start>>).killed();
    for (const reason of await Promise.all(made.map(whenAborted))) {
      assertInstanceOf(reason, TandemError);
      assertEquals(reason.code, "SERVER_DIED");
    }
  });

  test("lent signals take two slots of their host, and none after a while", async () => {
    using there = await borrowing(processSite(runtime));
    const controllers = Array.from({ length: 50 }, () => new AbortController());
    const calls = controllers.map(({ signal }) => there.remote.hold(signal));
    for (const _ of calls) await there.service.expect("holding");
    // The service has a private channel, too.
    const channels = privateChannelsOf(there.target).map((path) => Client.open(path));
    atEnd(() => Promise.resolve(channels.forEach((channel) => channel.close())));
    const slotsInUse = () => channels.reduce((sum, channel) => sum + channel.stats().inFlight, 0);
    await eventually(() => slotsInUse() === 2, "one lease, one request for news");
    for (const { abort } of controllers.map((c) => ({ abort: () => c.abort(process.pid) }))) {
      abort();
    }
    for (const _ of calls) await there.service.expect("aborted undefined");
    await Promise.all(calls);
    await eventually(() => slotsInUse() === 0, "the lease is given up");
    await there.stop();
  });
}
