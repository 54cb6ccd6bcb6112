/** What arrives from other nodes, which may be anything; and messages as text. */
import { assert, assertEquals } from "@std/assert";
import { FrameDecoder, FrameEncoder, FrameLimits, Kind } from "../../src/node/frames.ts";
import { coreOf } from "../../src/node/node.ts";
import { coreOf as portCoreOf } from "../../src/node/ports/port.ts";
import type { TraceRecord } from "../../src/node/main.ts";
import { assertRejectsCode, eventually, test } from "../support/harness.ts";
import { MemoryNetwork } from "../support/memory_carrier.ts";
import { endOf, level, nodePair } from "../support/node_pair.ts";

/** CBOR of an array of small numbers and texts. */
function cbor(...items: (number | string | null | unknown[])[]): Uint8Array {
  const bytes = [0x80 | items.length];
  for (const item of items) {
    if (item === null) bytes.push(0xf6);
    else if (typeof item === "number") bytes.push(item);
    else if (Array.isArray(item)) bytes.push(...cbor(...item as number[]));
    else bytes.push(0x60 | item.length, ...new TextEncoder().encode(item));
  }
  return new Uint8Array(bytes);
}

test("monitors that have one number leave nothing behind when their node goes", async () => {
  await using nodes = await nodePair();
  const hostile = await nodes.network.start();
  using one = nodes.a.port();
  using other = nodes.a.port();
  const local = (id: string) => id.slice(id.indexOf("#") + 1);
  for (const port of [one, other, one, other]) {
    nodes.network.inject(hostile.id, nodes.a, cbor(Kind.monitor, 1, local(port.id)));
  }
  const watchers = () => [one, other].map((port) => portCoreOf(port)!.watchers.size);
  assertEquals(watchers(), [0, 1]);
  await hostile.close();
  await eventually(() => !nodes.a.isUp(hostile.id), "it is gone");
  assertEquals(watchers(), [0, 0]);
});

test("a probe is remembered by its texts, so long ones are none", async () => {
  await using nodes = await nodePair();
  const { base } = coreOf(nodes.a);
  const before = base.malformed;
  const encoder = new FrameEncoder();
  for (const [node, key] of [["n", "k".repeat(100_000)], ["n".repeat(129), "k"], ["n", "k"]]) {
    encoder.open(new FrameLimits(2 ** 20), Kind.probe, 7);
    encoder.unsigned(1);
    encoder.text(node!);
    encoder.unsigned(1);
    encoder.text(key!);
    encoder.value(0);
    encoder.list("path", []);
    nodes.network.inject(nodes.b.id, nodes.a, encoder.bytesOf().slice());
    encoder.end();
  }
  assertEquals(base.malformed, before + 2);
});

test("malformed messages are counted and dropped; the node and its ports go on", async () => {
  await using nodes = await nodePair();
  await using hostile = await nodes.network.start();
  using port = nodes.a.port({ get: () => 1 });
  const frames = [
    new Uint8Array(0),
    new Uint8Array([0xff]),
    new Uint8Array([0x1a, 0, 0]),
    new Uint8Array([0x1a, 0xff, 0xff, 0xff, 0xff, 0x80]),
    new TextEncoder().encode("hello"),
    cbor(),
    cbor(1),
    cbor(1, 5, []),
    cbor(0, 1),
    cbor(20, 1),
    cbor("send", "a", []),
    cbor(2, 1, "a"),
    cbor(6, "a"),
    cbor(7, 1),
    cbor(9, 1, null),
    cbor(10, "a", []),
    cbor(10, "", null),
    cbor(11, "a.1", "x", []),
    cbor(12, "a"),
  ];
  for (const frame of frames) nodes.network.inject(hostile.id, nodes.a, frame);
  for (let seed = 1; seed <= 2_000; seed++) {
    // Random bytes behind each kind.
    let state = seed;
    const bytes = Uint8Array.from({ length: 1 + seed % 40 }, () => {
      state = Math.imul(state, 1103515245) + 12345 | 0;
      return state >>> 16;
    });
    bytes[0] = 0x80 | (2 + seed % 6);
    if (bytes.length > 1) bytes[1] = seed % 14;
    nodes.network.inject(hostile.id, nodes.a, bytes);
  }
  assert(coreOf(nodes.a).base.malformed >= frames.length);
  assertEquals(await nodes.b.at(port.id).get(), 1);
});

test("answers, ends and cancels that nobody has asked for change nothing", async () => {
  await using nodes = await nodePair();
  using port = nodes.b.port({ wait: () => new Promise<number>((resolve) => release = resolve) });
  let release: (value: number) => void = () => {};
  const network = nodes.network;
  await using c = await network.start({ name: "c" });
  const call = nodes.a.at(port.id).wait();
  await nodes.a.ready(port.id);
  // Another node answers in place of the one that was called, for every number.
  for (let id = 0; id < 24; id++) {
    network.inject(c.id, nodes.a, cbor(3, id, 7));
    network.inject(c.id, nodes.a, cbor(6, id));
    network.inject(c.id, nodes.a, cbor(8, id));
  }
  await eventually(() => (release(5), true));
  assertEquals(await call, 5);
});

test("a probe ends no call for a node that does not know its key", async () => {
  await using nodes = await nodePair();
  const { a, b, network } = nodes;
  await using c = await network.start({ name: "c" });
  const release = Promise.withResolvers<number>();
  using slow = b.port({ wait: () => release.promise });
  using port = a.port({ go: () => a.at(slow.id).wait() });
  const calls = [a.at(port.id).go(), c.at(port.id).go()];
  await eventually(() => port.queued === 1);
  // As if its own call, which waits behind the other one, was a part of a cycle.
  for (let call = 0; call < 24; call++) {
    for (let id = 0; id < 24; id++) network.inject(c.id, a, cbor(13, id, a.id, call, "", 0, []));
  }
  release.resolve(5);
  assertEquals(await Promise.all(calls), [5, 5]);
  assertEquals(coreOf(a).base.malformed, 0);
});

test("a message that cannot be read ends its port, because the next one would hide the hole", async () => {
  await using nodes = await nodePair();
  const port = nodes.a.port({ get: () => 1 });
  const local = port.id.split("#")[1]!;
  const end = endOf(nodes.b, port.id);
  await nodes.b.ready(port.id);
  nodes.network.inject(nodes.b.id, nodes.a, cbor(1, local, [0xff]));
  const { kind, message } = await end;
  assertEquals(kind, "transport_error");
  assert(message.includes("cannot be read"), message);
  await assertRejectsCode(nodes.b.at(port.id).get(), "PORT_DIED");
  await level(nodes.a, nodes.b);
});

test("a node that has made more calls than 32 bits can count goes on", () => {
  const limits = new FrameLimits(1_000);
  const encoder = new FrameEncoder();
  const decoder = new FrameDecoder();
  for (const number of [1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 1]) {
    encoder.open(limits, Kind.cancel, 2);
    encoder.unsigned(number);
    const bytes = encoder.bytesOf();
    assertEquals(decoder.open(limits, bytes, 0, bytes.byteLength), Kind.cancel);
    assertEquals(decoder.unsigned(), number);
    decoder.done(2);
    encoder.end();
  }
});

test("a trace can begin and end while the node runs, beside others", async () => {
  const network = new MemoryNetwork();
  const seen: string[] = [];
  const see = (who: string) => ({ direction, text }: TraceRecord) =>
    void seen.push(`${who} ${direction} ${JSON.parse(text)[2][1]}`);
  await using node = await network.start({ trace: see("option") });
  await using other = await network.start();
  using port = node.port({ take(_: number) {} });
  const send = async (number: number) => {
    other.send(port.id, "take", number);
    await eventually(() => seen.some((text) => text.endsWith(`${number}`)));
  };
  await send(1);
  {
    using _one = node.trace(see("one"));
    using _wrong = node.trace(() => {
      throw new RangeError("a tracer that throws is reported, and nothing else");
    });
    await send(2);
  }
  await send(3);
  assertEquals(seen, ["option got 1", "option got 2", "one got 2", "option got 3"]);
  const silent = other.trace(() => seen.push("other"));
  silent[Symbol.dispose]();
  await send(4);
  assert(!seen.includes("other"));
});

test("a trace shows each message as one line of JSON", async () => {
  const network = new MemoryNetwork();
  const records: TraceRecord[] = [];
  await using a = await network.start({ name: "a", trace: (record) => records.push(record) });
  await using b = await network.start({ name: "b" });
  using port = b.port({ put(..._: unknown[]) {}, get: () => 1 });
  const local = port.id.split("#")[1]!;
  a.send(
    port.id,
    "put",
    new Uint8Array([0, 1, 2]),
    new Map([[1n, NaN]]),
    new Set([undefined]),
    new Date(0),
    new RangeError("a"),
    { a: [null, true] },
  );
  a.send(port.id, "put", new Uint8Array(2_000));
  assertEquals(await a.at(port.id, { timeout: 60_000 }).get(), 1);
  const texts = records.map(({ direction, node, text }) => {
    assertEquals(node, b.id);
    return [direction, JSON.parse(text)];
  });
  assertEquals(texts[0], ["sent", ["send", local, [
    "put",
    { $bytes: "AAEC" },
    { $map: [[{ $bigint: "1" }, { $number: "NaN" }]] },
    { $set: [{ $undefined: true }] },
    { $date: "1970-01-01T00:00:00.000Z" },
    { $error: { name: "RangeError", message: "a" } },
    { a: [null, true] },
  ]]]);
  assertEquals(texts[1]![1][2][1].$bytes.length, 2_668);
  const [number] = texts[2]![1].slice(1);
  assertEquals(texts[2], ["sent", ["call", number, local, "get", [], [], 60_000]]);
  assertEquals(texts[3], ["got", ["answer", number, 1]]);
});
