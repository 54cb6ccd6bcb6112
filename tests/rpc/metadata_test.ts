/** Metadata: values that travel with a call beside its arguments. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { callContext, connect, type Metadata, serve, withOptions } from "../../mod.ts";
import { Encoder } from "../../src/codec/encoder.ts";
import { ErrorClasses } from "../../src/codec/error_classes.ts";
import { hasMetadata, headerBytes, Kind, sealMessage } from "../../src/rpc/message.ts";
import { Client } from "../../mod.ts";
import { assertRejectsCode, doomed, newTarget, runtimes, test } from "../support/harness.ts";
import { rejection, startService, typedAt } from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";
import type { Api } from "../fixtures/typed.ts";

const values: Metadata = {
  tenant: "ä",
  number: 1.5,
  big: 2n ** 70n,
  nothing: null,
  bytes: new Uint8Array(2_000).fill(7),
  nested: { list: [1, { deep: new Date(7) }], map: new Map([[1, new Set(["x"])]]) },
  "": "empty key",
  0: "a number as a key",
};

for (const site of sites) {
  test(`${site.title}: metadata arrives, with all kinds of values`, async () => {
    using there = await typedAt(site, {}, { metadata: { request: "r1" } });
    const { remote } = there;
    assertEquals(await remote.metadata(), { request: "r1" });
    assertEquals(await withOptions(remote, { metadata: values }).metadata(), {
      request: "r1",
      ...values,
    });
    // Options leave the remote itself as it was.
    assertEquals(await remote.metadata(), { request: "r1" });
  });

  test(`${site.title}: metadata may contain Blobs, which are read first`, async () => {
    using there = await typedAt(site);
    const blob = new Blob(["hello"], { type: "image/png" });
    const found = await withOptions(there.remote, { metadata: { blob } }).metadata();
    const received = found.blob as Blob;
    assertEquals([await received.text(), received.type], ["hello", "image/png"]);
  });

  test(`${site.title}: metadata are there in the body of a generator, in each step`, async () => {
    using there = await typedAt(site);
    const streams = ["a", "b"].map((tenant) =>
      withOptions(there.remote, { metadata: { tenant } }).metadataSteps()
    );
    for (let round = 0; round < 3; round++) {
      for (const [index, stream] of streams.entries()) {
        const { value } = await stream.next();
        assertEquals(value, { tenant: "ab"[index] });
      }
    }
    for (const stream of streams) await stream.return(undefined);
  });

  test(`${site.title}: metadata travel with a long message, an early call and a retried one`, async () => {
    const target = site.newTarget();
    using remote = connect<Api>(target, { timeout: 30_000, metadata: { tenant: "early" } });
    const early = remote.metadata();
    void await site.start("typed.ts", target, { maxRequestBytes: 4_096 });
    assertEquals(await early, { tenant: "early" });
    const bytes = new Uint8Array(100_000).fill(3);
    for (const idempotent of [false, true]) {
      const long = withOptions(remote, { metadata: { bytes }, idempotent });
      assertEquals(await long.metadata(), { tenant: "early", bytes });
    }
  });
}

for (const runtime of runtimes) {
  test(`${runtime} serves: metadata reach the service that gets a call after a death`, async () => {
    const target = newTarget();
    const options = { maxDeliveries: 2, idempotent: true };
    const first = await startService(runtime, target, options);
    using remote = connect<Api>(target, { timeout: 30_000, metadata: { tenant: "a" } });
    const call = doomed(remote.metadataOfTheSecond());
    await first.expect("holding 1");
    void await startService(runtime, target, options);
    await first.killed();
    assertEquals(await call, { tenant: "a" });
  });
}

for (const transport of transports) {
  const title = transport.title;

  const serveSeen = (target: string) => {
    const seen: Metadata[] = [];
    const service = serve(target, { look: () => void seen.push(callContext()!.metadata) });
    return { seen, service };
  };

  test(`${title}: metadata merge key by key, and undefined removes a key`, async () => {
    const target = transport.newTarget();
    const { seen, service } = serveSeen(target);
    await using closed = service;
    using remote = connect<{ look(): void }>(target, { metadata: { a: 1, b: 1 }, timeout: 30_000 });
    const both = withOptions(remote, { metadata: { b: 2, c: 2 } });
    const less = withOptions(both, { metadata: { a: undefined }, timeout: 20_000 });
    const kept = withOptions(less, { timeout: 10_000 });
    const none = withOptions(remote, { metadata: { a: undefined, b: undefined } });
    for (const each of [remote, both, less, kept, none]) await each.look();
    assertEquals(seen.map((metadata) => ({ ...metadata })), [
      { a: 1, b: 1 },
      { a: 1, b: 2, c: 2 },
      { b: 2, c: 2 },
      { b: 2, c: 2 },
      {},
    ]);
    void closed;
  });

  test(`${title}: a method finds frozen metadata with nothing but what was sent`, async () => {
    const target = transport.newTarget();
    const { seen, service } = serveSeen(target);
    await using closed = service;
    using remote = connect<{ look(): void }>(target, { timeout: 30_000 });
    await remote.look();
    const hostile = JSON.parse('{"__proto__": {"admin": true}, "constructor": "x"}');
    await withOptions(remote, { metadata: hostile }).look();
    for (const metadata of seen) {
      assert(Object.isFrozen(metadata));
      assertEquals([metadata.toString, metadata.admin], [undefined, undefined]);
    }
    assertEquals(Object.keys(seen[0]!), []);
    assertEquals(Object.keys(seen[1]!), ["__proto__", "constructor"]);
    assertEquals(seen[1]!["__proto__"], { admin: true });
    assertEquals(({} as Metadata).admin, undefined);
    void closed;
  });

  test(`${title}: metadata are read when they are given`, async () => {
    const target = transport.newTarget();
    const { seen, service } = serveSeen(target);
    await using closed = service;
    const metadata: Record<string, unknown> = { tenant: "a" };
    let reads = 0;
    Object.defineProperty(metadata, "counted", { enumerable: true, get: () => ++reads });
    using remote = connect<{ look(): void }>(target, { metadata, timeout: 30_000 });
    metadata.tenant = "b";
    await remote.look();
    await withOptions(remote, { timeout: 20_000 }).look();
    assertEquals(seen.map((sent) => ({ ...sent })), [{ tenant: "a", counted: 1 }, {
      tenant: "a",
      counted: 1,
    }]);
    void closed;
  });

  test(`${title}: metadata that cannot be sent reject with the key`, async () => {
    const target = transport.newTarget();
    const { service } = serveSeen(target);
    await using closed = service;
    using remote = connect<{ look(): void }>(target, { timeout: 30_000 });
    async function* stream() {
      yield await Promise.resolve(1);
    }
    const wrong: [Metadata, string][] = [
      [{ done: () => {} }, "metadata.done: it is a function"],
      [{ user: { name: Symbol("s") } }, "metadata.user.name: it is a symbol"],
      [{ lines: stream() }, "metadata.lines: it is a stream"],
      [{ lines: new ReadableStream() }, "metadata.lines: it is a stream"],
      [{ stop: new AbortController().signal }, "metadata.stop: it is an AbortSignal"],
    ];
    for (const [metadata, message] of wrong) {
      for (const idempotent of [false, true]) {
        const call = withOptions(remote, { metadata, idempotent }).look();
        await assertRejectsCode(call, "NOT_SERIALIZABLE", message);
      }
    }
    const thrown = new RangeError("mine");
    const metadata = {
      inner: {
        get trouble() {
          throw thrown;
        },
      },
    };
    assertEquals(await rejection(withOptions(remote, { metadata }).look()), thrown);
    await remote.look();
    void closed;
  });
}

test("metadata that are no object with keys are a TypeError", () => {
  const wrong = ["text", 1, null, [], new Map(), new Headers(), () => {}, new Date()];
  using remote = connect<{ look(): void }>("memory:nothing");
  for (const value of wrong) {
    const metadata = value as unknown as Metadata;
    assertThrows(() => connect("memory:nothing", { metadata }), TypeError, "as metadata");
    assertThrows(() => withOptions(remote, { metadata }), TypeError, "as metadata");
  }
});

test("metadata of a hostile peer that are no object are refused, and end nothing", async () => {
  const target = newTarget();
  await using service = serve(target, { look: () => ({ ...callContext()!.metadata }) });
  using client = Client.open(target);
  const hooks = { errorClasses: new ErrorClasses(undefined), maxTreeBytes: 2 ** 20 };
  const wrong = [1, "text", null, undefined, [1], new Map(), new Date(), new Error("x"), /x/];
  for (const value of wrong) {
    const encoder = new Encoder();
    encoder.begin(hooks, headerBytes);
    encoder.value(value);
    encoder.text("look");
    encoder.list("arguments", []);
    sealMessage(encoder, Kind.call, hasMetadata);
    const answer = await client.request(encoder.written.slice(), { timeout: 30_000 });
    const text = new TextDecoder().decode(answer);
    assert(answer[1] === Kind.refused && text.includes("CORRUPT"), `${String(value)}: ${text}`);
  }
  using remote = connect<{ look(): Metadata }>(target, { metadata: { a: 1 }, timeout: 30_000 });
  assertEquals(await remote.look(), { a: 1 });
  void service;
});
