/** Streams in both directions: items, ends, errors, back-pressure, and the death of either side. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { connect, RemoteError, serve, Server, withOptions } from "../../mod.ts";
import type { Api } from "../fixtures/typed.ts";
import {
  assertRejectsCode,
  type Child,
  doomed,
  eventually,
  newTarget,
  ownRuntime,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";
import { bellsOf, privateChannelsOf } from "../support/bells.ts";
import { collect, rejection, typed, typedAt } from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";

for (const site of sites) {
  test(`${site.title}: a generator begins with its first item, and ends with the loop`, async () => {
    using there = await typedAt(site);
    const { remote, service } = there;
    const stream = remote.naturals();
    // An answer that comes later shows that nothing was written before.
    service.send("nothing");
    assertEquals(await remote.add(1, 2), 3);
    assertEquals(await stream.next(), { done: false, value: 0 });
    await service.expect("generator begins");
    for await (const number of stream) if (number === 5) break;
    await service.expect("generator ends");
    assertEquals(await stream.next(), { done: true, value: undefined });
  });

  test(`${site.title}: next, return and throw pass values in both directions`, async () => {
    using there = await typedAt(site);
    const stream = there.remote.dialogue();
    assertEquals(await stream.next(), { done: false, value: "first" });
    assertEquals(await stream.next("a"), { done: false, value: "heard a" });
    assertEquals(await stream.throw(new Error("b")), { done: true, value: "caught b" });
    assertEquals<unknown>(await stream.next("c"), { done: true, value: undefined });
    const second = there.remote.dialogue();
    await second.next();
    assertEquals(await second.return("early"), { done: true, value: "early" });
    // One that has not begun does not begin.
    const third = there.remote.naturals();
    assertEquals(await third.return(), { done: true, value: undefined });
    const fourth = there.remote.naturals();
    const thrown = await rejection<RemoteError>(fourth.throw(new RangeError("at once")));
    assertEquals([thrown.remoteName, thrown.remoteMessage], ["RangeError", "at once"]);
    there.service.send("stop");
    await there.service.expect("stopped");
  });

  test(`${site.title}: an error in a stream ends it`, async () => {
    using there = await typedAt(site);
    const stream = there.remote.failing();
    const error = await rejection<RemoteError>(stream.next());
    assertInstanceOf(error, RemoteError);
    assertEquals([error.remoteName, error.remoteMessage], ["RangeError", "in the stream"]);
    assertEquals(await stream.next(), { done: true, value: undefined });
  });

  test(`${site.title}: a ReadableStream can be read to its end or cancelled`, async () => {
    using there = await typedAt(site);
    assertEquals(await collect(there.remote.readable(5)), [0, 1, 2, 3, 4]);
    for await (const number of there.remote.readable(100)) if (number === 2) break;
    await there.service.expect("readable cancelled");
  });

  test(`${site.title}: several steps at once resolve in order`, async () => {
    using there = await typedAt(site);
    const stream = there.remote.naturals();
    const steps = Array.from({ length: 20 }, () => stream.next());
    assertEquals((await Promise.all(steps)).map(({ value }) => value), [...steps.keys()]);
    await stream.return();
  });

  test(`${site.title}: many streams at once`, async () => {
    using there = await typedAt(site);
    const streams = Array.from(
      { length: 50 },
      (_, index) => collect(there.remote.pieces(2_000 + index, 5)),
    );
    for (const [index, pieces] of (await Promise.all(streams)).entries()) {
      assertEquals(
        pieces.map((piece) => [piece.byteLength, piece[0]]),
        [0, 1, 2, 3, 4].map((
          number,
        ) => [2_000 + index, number]),
      );
    }
  });

  test(`${site.title}: items that are longer than a slot`, async () => {
    using there = await typedAt(site);
    const pieces = await collect(there.remote.pieces(3_000_000, 3));
    assertEquals(pieces.map((piece) => [piece.length, piece[0], piece.at(-1)]), [
      [3_000_000, 0, 0],
      [3_000_000, 1, 1],
      [3_000_000, 2, 2],
    ]);
  });

  test(`${site.title}: generators, iterables and ReadableStreams can be arguments`, async () => {
    using there = await typedAt(site);
    const { remote } = there;
    async function* later() {
      yield 1;
      yield 2;
    }
    function* now() {
      yield 3;
      yield 4;
    }
    assertEquals(await remote.sum(later()), 3);
    assertEquals(await remote.sum(now() as unknown as AsyncIterable<number>), 7);
    assertEquals(await remote.sum({ [Symbol.asyncIterator]: later }), 3);
    const texts = new ReadableStream<string>({
      start(controller) {
        for (const text of ["a", "b", "c"]) controller.enqueue(text);
        controller.close();
      },
    });
    assertEquals(await remote.join(texts), "abc");
  });

  test(`${site.title}: a stream argument ends where the method stops, or with the call`, async () => {
    using there = await typedAt(site);
    let [made, ended] = [0, 0];
    async function* lent() {
      try {
        for (;;) yield made++;
      } finally {
        ended += 1;
      }
    }
    assertEquals(await there.remote.take(lent(), 3), [0, 1, 2]);
    // Nothing was made ahead of need.
    assertEquals([made, ended], [3, 1]);
    // Never begun, never ended: the method did not look at it.
    const unread = lent();
    assertEquals(await there.remote.same(unread, 1), false);
    assertEquals(await unread.next(), { done: true, value: undefined });
  });

  test(`${site.title}: an error in a stream argument reaches the method`, async () => {
    using there = await typedAt(site);
    // deno-lint-ignore require-yield -- the point is that it fails before
    async function* failing(): AsyncGenerator<number> {
      throw new RangeError("from the caller");
    }
    const error = await rejection<RemoteError>(there.remote.sum(failing()));
    assert(error.message.includes("from the caller"), error.message);
  });

  test(`${site.title}: a method can return a stream made from a stream argument`, async () => {
    using there = await typedAt(site);
    let ended = false;
    async function* numbers() {
      try {
        for (let number = 0;; number++) yield number;
      } finally {
        ended = true;
      }
    }
    const doubled: number[] = [];
    for await (const number of there.remote.double(numbers())) {
      doubled.push(number);
      if (doubled.length === 4) break;
    }
    assertEquals(doubled, [0, 2, 4, 6]);
    await eventually(() => ended, "the stream that was lent ends");
  });

  test(`${site.title}: a method that returns no stream cannot be iterated`, async () => {
    using there = await typedAt(site);
    const call = there.remote.add(1, 2) as unknown as AsyncGenerator;
    assertInstanceOf(await rejection(call.next()), TypeError);
    assertEquals(await (call as unknown as Promise<number>), 3);
  });

  test(`${site.title}: a signal ends a stream`, async () => {
    using there = await typedAt(site);
    const controller = new AbortController();
    const stream = withOptions(there.remote, { signal: controller.signal }).naturals();
    await stream.next();
    await there.service.expect("generator begins");
    const reason = new Error("enough");
    controller.abort(reason);
    assertEquals(await rejection(stream.next()), reason);
    await there.service.expect("generator ends");
  });

  test(`${site.title}: an item that cannot be sent ends the stream with a code`, async () => {
    const target = site.newTarget();
    const api = {
      async *odd(): AsyncGenerator<unknown> {
        yield 1;
        yield () => {};
      },
    };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target);
    const stream = remote.odd();
    await stream.next();
    await assertRejectsCode(stream.next(), "NOT_SERIALIZABLE", "function");
    void service;
  });

  test(`${site.title}: a closed service ends its streams with a code`, async () => {
    using there = await typedAt(site);
    const stream = there.remote.naturals();
    await stream.next();
    await there.service.expect("generator begins");
    there.service.send("stop");
    await there.service.expect("generator ends");
    await there.service.expect("stopped");
    const error = await rejection(stream.next()) as Error & { code: string };
    assert(["SERVER_DIED", "CANCELLED"].includes(error.code), error.code);
  });
}

for (const runtime of runtimes) {
  test(`${runtime} serves: a service that is killed ends its streams with a code`, async () => {
    using there = await typed(runtime);
    const { remote, service, target } = there;
    const stream = remote.naturals();
    await stream.next();
    const idle = remote.naturals();
    await idle.next();
    assertEquals(privateChannelsOf(target).length, 1);
    await service.killed();
    await assertRejectsCode(stream.next(), "SERVER_DIED");
    await assertRejectsCode(idle.next(), "SERVER_DIED");
    assertEquals(await stream.next(), { done: true, value: undefined });
    // What it has left goes with the rest of it, the private channels' own bells included.
    remote[Symbol.dispose]();
    Server.unlink(target);
    assertEquals(bellsOf(target), []);
  });

  test(`${runtime} serves: a step that waits for a killed service: SERVER_DIED`, async () => {
    using there = await typed(runtime);
    const begins = Promise.withResolvers<void>();
    async function* silent(): AsyncGenerator<number> {
      begins.resolve();
      await new Promise(() => {});
      yield 1;
    }
    const doubled = there.remote.double(silent());
    const step = doomed(doubled.next());
    // The service has taken the call: one that nobody has taken would wait for another service.
    await begins.promise;
    await eventually(
      () => privateChannelsOf(there.target).length >= 2,
      "both sides have a channel",
    );
    await there.service.killed();
    await assertRejectsCode(step, "SERVER_DIED");
  });

  for (const client of ownRuntime) {
    test(`${runtime} serves ${client}: a killed client's streams end`, async () => {
      using there = await typed(runtime);
      const { service, target } = there;
      const reader = await spawn(client, "typed_client.ts", [target, "iterate"]);
      await reader.expect("has read");
      await service.expect("generator begins");
      await reader.killed();
      await service.expect("generator ends");

      const lender = await spawn(client, "typed_client.ts", [target, "lend"]);
      await service.expect("got 0");
      await lender.killed();
      await untilLine(service, "stream failed SERVER_DIED");
      await eventually(
        () => privateChannelsOf(target).length <= 1,
        "only the service has a channel",
      );
      service.send("stop");
      await service.expect("stopped");
      there.remote[Symbol.dispose]();
      Server.unlink(target);
      assertEquals(bellsOf(target), []);
    });

    test(`${runtime} serves ${client}: an open stream does not keep its reader`, async () => {
      using there = await typed(runtime);
      const idle = await spawn(client, "typed_client.ts", [there.target, "idle"]);
      await idle.expect("read 0");
      await idle.ended();
      await there.service.expect("generator begins");
      await there.service.expect("generator ends");
    });
  }
}

for (const transport of transports) {
  test(`${transport.title}: streams of a closed connection end in the service`, async () => {
    const target = transport.newTarget();
    let ended = 0;
    const api = {
      async *numbers() {
        try {
          for (let number = 0;; number++) yield number;
        } finally {
          ended += 1;
        }
      },
    };
    await using service = serve(target, api);
    const remote = connect<typeof api>(target);
    const stream = remote.numbers();
    await stream.next();
    remote[Symbol.dispose]();
    await eventually(() => ended === 1, "the generator ends");
    await assertRejectsCode(stream.next(), "CLOSED");
    void service;
  });
}

for (const transport of transports) {
  test(`${transport.title}: a slow reader slows the writer down`, async () => {
    const target = transport.newTarget();
    let made = 0;
    const api = {
      async *numbers() {
        for (;;) yield made++;
      },
      readable: () =>
        new ReadableStream<number>({
          pull(controller) {
            controller.enqueue(made++);
          },
        }, { highWaterMark: 0 }),
    };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target);
    for (const name of ["numbers", "readable"] as const) {
      made = 0;
      const stream = remote[name]();
      for (let read = 0; read < 10; read++) {
        await stream.next();
        // As many as were asked for.
        assertEquals(made, read + 1, name);
      }
      await stream.return?.(undefined as never);
    }
    void service;
  });
}

for (const transport of transports) {
  test(`${transport.title}: streams can be inside of values and of other streams`, async () => {
    const target = transport.newTarget();
    async function* count(to: number): AsyncGenerator<number> {
      for (let number = 0; number < to; number++) yield number;
    }
    const api = {
      both: (to: number): unknown => ({ title: "numbers", low: count(to), high: [count(to * 2)] }),
      async *nested(to: number): AsyncGenerator<AsyncGenerator<number>> {
        for (let number = 1; number <= to; number++) yield count(number);
      },
      async total(parts: { readonly all: readonly AsyncIterable<number>[] }): Promise<number> {
        let total = 0;
        for (const part of parts.all) for await (const number of part) total += number;
        return total;
      },
    };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target);
    type Both = { title: string; low: AsyncGenerator<number>; high: AsyncGenerator<number>[] };
    const { title, low, high } = await remote.both(2) as Both;
    assertEquals([title, await collect(high[0]!), await collect(low)], ["numbers", [0, 1, 2, 3], [
      0,
      1,
    ]]);
    const lengths: number[] = [];
    for await (const inner of remote.nested(3)) lengths.push((await collect(inner)).length);
    assertEquals(lengths, [1, 2, 3]);
    assertEquals(await remote.total({ all: [count(3), count(4)] }), 3 + 6);
    void service;
  });
}

test("a process that has read streams leaves no files", async () => {
  const target = newTarget();
  const api = {
    numbers: async function* () {
      yield 1;
    },
    big: () => new Uint8Array(3_000_000),
  };
  const service = serve(target, api);
  const remote = connect<typeof api>(target);
  await collect(remote.numbers());
  await remote.big();
  assertEquals(privateChannelsOf(target).length, 1);
  remote[Symbol.dispose]();
  await service.close();
  assertEquals(bellsOf(target), []);
});

/** Reads lines until that one. */
async function untilLine(child: Child, wanted: string): Promise<void> {
  while (await child.line() !== wanted);
}

// Of the fixture's interface, whose type is used above.
export type { Api };
