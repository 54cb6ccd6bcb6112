/** Arguments are captured when the method is called, and refused then if they cannot be sent. */
import { assert, assertEquals } from "@std/assert";
import { Client, connect, type Remote, serve, Server, withOptions } from "../../mod.ts";
import type { Checks } from "../fixtures/typed_checks.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  newTarget,
  runtimes,
  test,
} from "../support/harness.ts";
import { collect, OneAndTwo, rejection, startChecks } from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";

/** Values that their owner changes as soon as they are given away, and what they were. */
function changing(): { values: unknown[]; change: () => void; expected: unknown[] } {
  const make = () => [
    new Uint8Array(10).fill(1),
    new Uint8Array(5_000).fill(1),
    new Float64Array(1_000).fill(1),
    [1, 2, 3],
    { name: "before", list: [{ deep: true }] },
    new Map([["key", 1]]),
    new Set([1]),
    new Date(1),
    new Uint8Array(3_000_000).fill(1),
  ];
  const values = make();
  const [short, long, floats, list, object, map, set, date, huge] = values as [
    Uint8Array,
    Uint8Array,
    Float64Array,
    number[],
    { name: string; list: { deep: boolean }[] },
    Map<string, number>,
    Set<number>,
    Date,
    Uint8Array,
  ];
  const change = () => {
    for (const array of [short, long, floats, huge]) array.fill(9);
    list.push(4);
    object.name = "after";
    object.list[0]!.deep = false;
    map.set("key", 2);
    set.add(2);
    date.setTime(2);
  };
  return { values, change, expected: make() };
}

for (const site of sites) {
  test(`${site.title}: arguments that change before there is a channel are sent as they were`, async () => {
    const target = site.newTarget();
    using remote = connect<Checks>(target, { timeout: 30_000 });
    const { values, change, expected } = changing();
    const call = remote.echo(...values);
    change();
    const service = await site.start("typed_checks.ts", target, {});
    assertEquals(await call, expected);
    // And while the channel is there.
    const again = changing();
    const second = remote.echo(...again.values);
    again.change();
    assertEquals(await second, again.expected);
    void service;
  });

  test(`${site.title}: a stream stays unread while its call waits for a channel`, async () => {
    const target = site.newTarget();
    using remote = connect<Checks>(target, { timeout: 30_000, idempotent: true });
    let began = false;
    async function* numbers(): AsyncGenerator<number> {
      began = true;
      yield 1;
      yield 2;
    }
    const readable = new ReadableStream<number>({
      start(controller) {
        controller.enqueue(3);
        controller.close();
      },
    });
    const calls = [remote.collect(numbers()), remote.collect(readable)];
    const nested = withOptions(remote, { idempotent: false }).collect(numbers());
    assertEquals(began, false);
    await site.start("typed_checks.ts", target, {});
    assertEquals(await Promise.all(calls), [[1, 2], [3]]);
    assertEquals(await nested, [1, 2]);
  });
}

for (const runtime of runtimes) {
  test(`${runtime} serves: arguments that change while a call waits for a slot are sent as they were`, async () => {
    const target = newTarget();
    const service = await startChecks(runtime, target, { slots: 1 });
    using remote = connect<Checks>(target, { timeout: 30_000 });
    const controller = new AbortController();
    const holding = doomed(withOptions(remote, { signal: controller.signal }).holdAlways(1));
    await service.expect("holding 1");
    const { values, change, expected } = changing();
    const waiting = remote.echo(...values);
    change();
    controller.abort(new Error("enough"));
    await rejection(holding);
    // The slot is the server's until it is closed or killed: another service takes the rest.
    await service.killed();
    await startChecks(runtime, target, { slots: 1 });
    assertEquals(await waiting, expected);
  });

  test(`${runtime} serves: arguments that change before a channel is replaced are sent as they were`, async () => {
    const target = newTarget();
    await startChecks(runtime, target);
    using remote = connect<Checks>(target, { timeout: 30_000 });
    await remote.pid();
    for (const idempotent of [false, true]) {
      Server.unlink(target);
      const { values, change, expected } = changing();
      let reads = 0;
      const counting = {
        get number() {
          return ++reads;
        },
      };
      const numbers = new OneAndTwo();
      const [changed, counted, collected] = [
        withOptions(remote, { idempotent }).echo(...values),
        withOptions(remote, { idempotent }).echo(counting as unknown),
        withOptions(remote, { idempotent }).collect(numbers.read()),
      ];
      change();
      const next = await startChecks(runtime, target);
      assertEquals(await changed, expected);
      assertEquals(await counted, [{ number: 1 }]);
      assertEquals(reads, 1);
      assertEquals(await collected, [1, 2]);
      await eventually(() => numbers.hasEnded);
      assertEquals(await remote.pid(), next.pid);
    }
  });

  test(`${runtime} serves: another attempt sends the same bytes as the first`, async () => {
    const target = newTarget();
    const first = await startChecks(runtime, target);
    using remote = connect<Checks>(target, { timeout: 30_000, idempotent: true });
    await remote.pid();
    const list = [1, 2];
    const call = doomed(remote.holdAlways(list));
    await first.expect("holding [1,2]");
    list.push(3);
    await first.killed();
    const second = await startChecks(runtime, target);
    await second.expect("holding [1,2]");
    // Long ones as well.
    const huge = changing();
    const echoed = remote.echo(...huge.values);
    huge.change();
    assertEquals(await echoed, huge.expected);
    remote[Symbol.dispose]();
    await assertRejectsCode(call, "CLOSED");
  });

  test(`${runtime} serves: a call with a stream is not made again`, async () => {
    const target = newTarget();
    let holder = await startChecks(runtime, target, { maxDeliveries: 3, idempotent: true });
    using remote = connect<Checks>(target, { timeout: 30_000, idempotent: true });
    for (let round = 0; round < 2; round++) {
      const numbers = new OneAndTwo();
      const call = doomed(remote.holdFirst(numbers.read()));
      await holder.expect("holding 1");
      const next = await startChecks(runtime, target, { idempotent: true });
      await holder.killed();
      await assertRejectsCode(call, "SERVER_DIED");
      await eventually(() => numbers.hasEnded, "the stream ends with its call");
      holder = next;
    }
  });
}

for (const transport of transports) {
  test(`${transport.title}: a value that cannot be sent is refused at once, even without a service`, async () => {
    const target = transport.newTarget();
    for (const idempotent of [false, true]) {
      using remote = connect<Checks>(target, { idempotent, maxMessageBytes: 100_000 });
      await assertRejectsCode(remote.echo(() => {}), "NOT_SERIALIZABLE", "arguments[0]");
      await assertRejectsCode(
        remote.echo(1, { list: [Symbol("x")] } as unknown as number),
        "NOT_SERIALIZABLE",
        "arguments[1].list[0]",
      );
      await assertRejectsCode(remote.echo(new Uint8Array(100_001)), "TOO_LARGE", "maxMessageBytes");
      const failing = {
        get property() {
          throw new RangeError("of the getter");
        },
      };
      await rejection(remote.echo(failing as unknown));
      // A stream in the same call ends.
      let returned = false;
      const stream = {
        [Symbol.asyncIterator]: () => ({
          next: () => Promise.resolve({ done: true, value: 0 }),
          return: () => {
            returned = true;
            return Promise.resolve({ done: true, value: 0 });
          },
        }),
      };
      await assertRejectsCode(
        remote.echo(stream as unknown, (() => {}) as unknown),
        "NOT_SERIALIZABLE",
      );
      await eventually(() => returned, "the stream is ended");
    }
  });
}

for (const transport of transports) {
  test(`${transport.title}: a stream of a call that was never sent ends with the call`, async () => {
    using remote = connect<Checks>(transport.newTarget(), { timeout: 10 });
    async function* numbers(): AsyncGenerator<number> {
      yield 1;
    }
    const stream = numbers();
    await assertRejectsCode(remote.collect(stream), "NO_SERVER");
    assertEquals(await stream.next(), { done: true, value: undefined });
  });
}

for (const transport of transports) {
  test(`${transport.title}: values passed to next() are sent as they were`, async () => {
    const target = transport.newTarget();
    const api = {
      async *heard(): AsyncGenerator<unknown, void, unknown> {
        let value: unknown = "ready";
        for (;;) value = yield value;
      },
    };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target);
    const stream = remote.heard();
    await stream.next();
    const list = [1];
    const step = stream.next(list);
    list.push(2);
    assertEquals(await step, { done: false, value: [1] });
    await stream.return();
    void service;
  });
}

for (
  const [what, given] of Object.entries({
    "an argument": (remote: Remote<Checks>) => [remote.pid()],
    "a property": (remote: Remote<Checks>) => [{ deep: [remote.pid()] }],
    "a key of a map": (remote: Remote<Checks>) => [new Map([[remote.pid(), 1]])],
    "a promise": () => [Promise.resolve(1)],
    "a rejected promise": () => [doomed(Promise.reject(new Error("of the test")))],
    "a promise of a class": () => [new (class Later extends Promise<number> {})(() => {})],
    "what is a promise and a stream": () => [{
      then: () => {},
      async *[Symbol.asyncIterator]() {},
    }],
  })
) {
  test(`${what} that is pending: NOT_SERIALIZABLE with its path and a hint`, async () => {
    const target = newTarget();
    using absent = connect<Checks>(newTarget());
    await assertRejectsCode(
      absent.echo(...given(doomedCalls(absent)) as unknown[]),
      "NOT_SERIALIZABLE",
      "arguments[0]",
      "await it first",
    );
    const api = {
      echo: (...values: unknown[]) => values,
      pid: () => 1,
      results: () => given(inner as unknown as Remote<Checks>)[0] as object,
      wrapped: () => ({ inside: given(inner as unknown as Remote<Checks>)[0] }),
      async *items(): AsyncGenerator<unknown> {
        yield { inside: given(inner as unknown as Remote<Checks>)[0] };
      },
    };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    using inner = connect<typeof api>(target, { timeout: 30_000 });
    await assertRejectsCode(
      remote.echo(...given(remote as unknown as Remote<Checks>) as unknown[]),
      "NOT_SERIALIZABLE",
      "arguments[0]",
      "await it first",
    );
    await assertRejectsCode(remote.wrapped(), "NOT_SERIALIZABLE", "inside", "await it first");
    await assertRejectsCode(
      collect(remote.items()),
      "NOT_SERIALIZABLE",
      "inside",
      "await it first",
    );
    void service;
  });
}

/** Calls of a remote without a service end with it, which is no error of the test. */
function doomedCalls(remote: Remote<Checks>): Remote<Checks> {
  return {
    pid: () => {
      const call = remote.pid();
      call.catch(() => {});
      return call;
    },
  } as unknown as Remote<Checks>;
}

test("a result that is the promise of another call is awaited", async () => {
  const target = newTarget();
  const api = {
    one: () => 1,
    // deno-lint-ignore require-await -- a promise that is returned
    passedOn: async () => inner.one(),
    plain: () => inner.one(),
  };
  await using service = serve(target, api);
  using inner = connect<{ one(): number }>(target);
  using remote = connect<{ one(): number; passedOn(): number; plain(): number }>(target);
  assertEquals([await remote.passedOn(), await remote.plain()], [1, 1]);
  using client = Client.open(target);
  assert(client.servers === 1);
  void service;
});
