/** ReadableStreams as results: awaited, and straight from the call. */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { connect, RemoteError, serve } from "../../mod.ts";
import { assertRejectsCode, eventually, newTarget, test } from "../support/harness.ts";
import { collect, rejection, typedAt } from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";

for (const site of sites) {
  test(`${site.title}: a ReadableStream arrives as one, awaited or not`, async () => {
    using there = await typedAt(site);
    const { remote } = there;
    const awaited = await remote.readable(5);
    assert(awaited instanceof ReadableStream);
    assertEquals(await collect(awaited), [0, 1, 2, 3, 4]);
    assertEquals(await collect(remote.readable(3)), [0, 1, 2]);
    const reader = remote.readable(2).getReader();
    assertEquals(await reader.read(), { done: false, value: 0 });
    assertEquals(await reader.read(), { done: false, value: 1 });
    assertEquals((await reader.read()).done, true);
    await reader.closed;
    const double = () =>
      new TransformStream<number, number>({
        transform: (number, controller) => controller.enqueue(number * 2),
      });
    assertEquals(await collect(remote.readable(3).pipeThrough(double())), [0, 2, 4]);
    assertEquals(await collect((await remote.readable(3)).pipeThrough(double())), [0, 2, 4]);
    const written: number[] = [];
    const sink = new WritableStream<number>({ write: (number) => void written.push(number) });
    await remote.readable(3).pipeTo(sink);
    assertEquals(written, [0, 1, 2]);
    const [left, right] = remote.readable(3).tee();
    assertEquals(await Promise.all([collect(left), collect(right)]), [[0, 1, 2], [0, 1, 2]]);
    // It is sent on like any other stream.
    assertEquals(await remote.sum(await remote.readable(4)), 6);
    assertEquals(await remote.sum(remote.naturals()).catch(() => "a promise"), "a promise");
  });

  test(`${site.title}: to cancel a ReadableStream ends its source`, async () => {
    using there = await typedAt(site);
    const { remote, service } = there;
    await (await remote.readable(1_000)).cancel();
    await service.expect("readable cancelled");
    await remote.readable(1_000).cancel("enough");
    await service.expect("readable cancelled");
    const call = remote.readable(1_000);
    assertEquals(call.locked, false);
    const reader = call.getReader();
    assertEquals(call.locked, true);
    await reader.read();
    // It cannot be sent, and ends the stream all the same.
    await reader.cancel(() => {});
    await service.expect("readable cancelled");
    for await (const number of await remote.readable(1_000)) if (number === 3) break;
    await service.expect("readable cancelled");
  });

  test(`${site.title}: a call that returns no ReadableStream says so to its reader`, async () => {
    using there = await typedAt(site);
    const { remote } = there;
    const wrong = remote.add(1, 2) as unknown as ReadableStream<number>;
    await assertRejects(() => wrong.getReader().read(), TypeError, "no stream");
    await assertRejects(
      () => (remote.add(1, 2) as unknown as ReadableStream<number>).cancel(),
      TypeError,
      "no stream",
    );
    const failing = remote.fail("range") as unknown as ReadableStream<number>;
    const error = await rejection(failing.getReader().read());
    assertInstanceOf(error, RemoteError);
    // Never read: its error is no unhandled rejection.
    (remote.fail("range") as unknown as ReadableStream<number>).getReader();
    assertEquals(await remote.add(1, 2), 3);
  });
}

for (const { title, newTarget } of transports) {
  test(`${title}: ReadableStreams: bytes, errors, reasons, and nothing is fetched before it is read`, async () => {
    let made = 0;
    const reasons: unknown[] = [];
    const api = {
      bytes: () =>
        new ReadableStream<Uint8Array>({
          type: "bytes",
          pull(controller) {
            controller.enqueue(new TextEncoder().encode(`part ${made++} `));
            if (made === 3) controller.close();
          },
        }),
      // deno-lint-ignore require-await -- the promise is the point
      async later(): Promise<ReadableStream<string>> {
        return new ReadableStream({
          pull(controller) {
            if (made++ < 2) controller.enqueue(`item ${made}`);
            else controller.error(Object.assign(new RangeError("broken"), { at: made }));
          },
          cancel: (reason) => void reasons.push(reason),
        }, { highWaterMark: 0 });
      },
      nested: () => ({ body: api.bytes(), list: [api.bytes()] }),
      upper(texts: ReadableStream<string>): ReadableStream<string> {
        return texts.pipeThrough(
          new TransformStream({
            transform: (text, controller) => controller.enqueue(text.toUpperCase()),
          }),
        );
      },
    };
    const target = newTarget();
    await using _service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });

    const response = new Response(await remote.bytes());
    assertEquals(await response.text(), "part 0 part 1 part 2 ");
    made = 0;
    // Without awaiting it: every runtime takes what can be iterated.
    assertEquals(await new Response(remote.bytes()).text(), "part 0 part 1 part 2 ");
    made = 0;
    for await (const chunk of remote.bytes()) assertInstanceOf(chunk, Uint8Array);

    made = 0;
    const stream = await remote.later();
    const reader = stream.getReader();
    assertEquals(made, 0);
    assertEquals(await reader.read(), { done: false, value: "item 1" });
    assertEquals(made, 1);
    assertEquals(await reader.read(), { done: false, value: "item 2" });
    const error = await rejection<RemoteError>(reader.read());
    assertInstanceOf(error, RemoteError);
    assertEquals([error.remoteName, error.remoteMessage], ["RangeError", "broken"]);
    assertEquals(error.remoteProperties, { at: 3 });
    assertEquals(await rejection(reader.closed), error);

    await (await remote.later()).cancel({ why: "enough" });
    await remote.later().cancel("at once");
    assertEquals(reasons, [{ why: "enough" }, "at once"]);

    made = 0;
    const { body, list } = await remote.nested();
    assert(body instanceof ReadableStream);
    assert(list[0] instanceof ReadableStream);
    await Promise.all([body.cancel(), list[0].cancel()]);

    // The argument lives as long as the stream that comes of it.
    const texts = new ReadableStream<string>({
      start(controller) {
        for (const text of ["a", "b", "c"]) controller.enqueue(text);
        controller.close();
      },
    });
    assertEquals(await collect(await remote.upper(texts)), ["A", "B", "C"]);
    let isCancelled = false;
    const endless = new ReadableStream<string>({
      pull: (controller) => controller.enqueue("x"),
      cancel: () => void (isCancelled = true),
    });
    const upper = remote.upper(endless).getReader();
    assertEquals(await upper.read(), { done: false, value: "X" });
    await upper.cancel();
    await eventually(() => isCancelled);
  });

  test(`${title}: a ReadableStream ends with a code when its connection closes`, async () => {
    const target = newTarget();
    await using _service = serve(target, {
      quiet: () => new ReadableStream<number>({ pull: () => new Promise(() => {}) }),
    });
    const remote = connect<{ quiet(): ReadableStream<number> }>(target, { timeout: 30_000 });
    const reading = (await remote.quiet()).getReader().read();
    const direct = remote.quiet().getReader().read();
    remote[Symbol.dispose]();
    await assertRejectsCode(reading, "CLOSED");
    await assertRejectsCode(direct, "CLOSED");
  });
}

test("the body of a Response can be a generator of a service, whatever it is read as", async () => {
  const parts = ["part 0 ", "part 1 "].map((part) => new TextEncoder().encode(part));
  const api = {
    async *parts() {
      yield* parts;
    },
  };
  const target = newTarget();
  await using _service = serve(target, api);
  using remote = connect<typeof api>(target, { timeout: 30_000 });
  // The types of the runtimes know no iterables here.
  const response = () => new Response(remote.parts() as unknown as ReadableStream);
  assertEquals(await response().text(), "part 0 part 1 ");
  assertEquals((await response().bytes()).byteLength, 14);
  assertEquals((await response().blob()).size, 14);
  let length = 0;
  for await (const chunk of response().body!) length += chunk.byteLength;
  assertEquals(length, 14);
});

test("a value with getters that throw is no reason for next() to throw", async () => {
  const api = {
    *values(): Generator<string, void, unknown> {
      for (let got: unknown = "first";; got = yield String(got)) if (got === "end") return;
    },
  };
  const target = newTarget();
  await using _service = serve(target, api);
  using remote = connect<typeof api>(target, { timeout: 30_000 });
  const values = remote.values();
  assertEquals((await values.next()).value, "first");
  const surprising = {
    get write() {
      throw new Error("surprise");
    },
  };
  await assertRejects(() => values.next(surprising), Error, "surprise");
  await values.return();
});
