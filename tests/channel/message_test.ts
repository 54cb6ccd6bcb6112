/** Payloads in both directions: kinds, lengths and limits. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Payload } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  bytes,
  pattern,
  present,
  test,
  text,
} from "../support/harness.ts";
import { send, take } from "../support/calls.ts";
import { openPair } from "../support/open_pair.ts";

test("every kind of payload arrives as its bytes, both ways", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const words = new Uint16Array([1, 2, 3, 4]).subarray(1, 3);
  const shared = new SharedArrayBuffer(3);
  new Uint8Array(shared).set([7, 8, 9]);
  const payloads: [string, Payload, Uint8Array][] = [
    ["empty bytes", new Uint8Array(0), bytes("")],
    ["bytes", pattern(500, 1), pattern(500, 1)],
    ["a part of an array", pattern(100, 2).subarray(10, 30), pattern(100, 2).slice(10, 30)],
    ["ArrayBuffer", pattern(300, 3).buffer, pattern(300, 3)],
    ["SharedArrayBuffer", shared, new Uint8Array([7, 8, 9])],
    ["Uint16Array", words, new Uint8Array([2, 0, 3, 0])],
    ["DataView", new DataView(pattern(40, 4).buffer, 4, 8), pattern(40, 4).slice(4, 12)],
    ["Float64Array", new Float64Array([1]), new Uint8Array([0, 0, 0, 0, 0, 0, 0xf0, 0x3f])],
  ];
  for (const [name, payload, wanted] of payloads) {
    const answer = client.request(payload);
    const request = present(await server.receive());
    assertEquals(request.bytes, wanted, name);
    assertEquals(request.isText, false, name);
    request.reply(payload);
    assertEquals(await answer, wanted, name);
  }
});

test("strings are sent as UTF-8 and marked as text", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const strings = ["", "plain", "Grüße 👋🏽 \u0000 ende", "é".repeat(40_000), "\uFEFFwith a mark"];
  for (const string of strings) {
    const answer = client.request(string);
    const request = present(await server.receive());
    assertEquals(request.isText, true);
    assertEquals(request.bytes, bytes(string));
    assertEquals(request.text(), string.replace(/^\uFEFF/, ""));
    request.reply(string);
    assertEquals(await answer, bytes(string));
  }
});

test("json() reads the request as JSON", () => {
  using pair = openPair();
  const { server, client } = pair;
  const value = { a: [1, "zwei", null], b: { c: true } };
  using _a = send(client, JSON.stringify(value));
  assertEquals(take(server).json(), value);
  using _b = send(client, "{broken");
  assertThrows(() => take(server).json(), SyntaxError);
});

test("a lone surrogate becomes a replacement character", () => {
  using pair = openPair();
  const { server, client } = pair;
  using _call = send(client, "a\uD800b");
  assertEquals(take(server).text(), "a\uFFFDb");
});

test("a payload of another type is a TypeError and sends nothing", async () => {
  using pair = openPair();
  const { server, client } = pair;
  for (const value of [undefined, null, 5, 5n, true, {}, [1, 2], new Date()]) {
    const payload = value as unknown as Payload;
    assertThrows(() => client.trySend(payload), TypeError);
    assertThrows(() => client.sendSync(payload), TypeError);
    assertThrows(() => client.requestSync(payload), TypeError);
    await assertRejects(() => client.send(payload), TypeError);
    await assertRejects(() => client.request(payload), TypeError);
  }
  assertEquals(server.tryReceive(), null);
  assertEquals(server.stats().inFlight, 0);
});

test("a payload is taken as it is at the moment of the call", async () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  const payload = bytes("before");
  const first = send(client, payload);
  // This call has to wait for the slot.
  const second = client.send(payload);
  payload.fill(0);
  for (const call of [Promise.resolve(first), second]) {
    const request = present(await server.receive());
    assertEquals(request.text(), "before");
    request.reply();
    await (await call).get();
  }
});

test("payloads with lengths around every border of the memory layout arrive as sent", async () => {
  using pair = openPair({ maxRequestBytes: 70_000, maxResponseBytes: 70_000 });
  const { server, client } = pair;
  const borders = [95, 96, 97, 119, 120, 121, 4095, 4096, 4097, 65_535, 65_536, 65_537, 70_000];
  for (const length of borders) {
    const call = send(client, pattern(length, 5));
    const request = take(server);
    assertEquals(request.bytes, pattern(length, 5));
    request.reply(pattern(70_000 - length, 6));
    assertEquals(await call.get(), pattern(70_000 - length, 6));
  }
});

test("a megabyte there and back, in every slot", async () => {
  using pair = openPair({ slots: 4 });
  const { server, client } = pair;
  const size = 1 << 20;
  for (let round = 0; round < 2; round++) {
    const answers = [0, 1, 2, 3].map((seed) => client.request(pattern(size, seed)));
    for (let seed = 0; seed < 4; seed++) {
      const request = present(await server.receive());
      assertEquals(request.bytes, pattern(size, seed));
      request.reply(request.bytes.map((byte) => byte ^ 0xff));
    }
    for (const [seed, answer] of (await Promise.all(answers)).entries()) {
      assertEquals(answer, pattern(size, seed).map((byte) => byte ^ 0xff));
    }
  }
});

test("payloads over the channel's limits are TOO_LARGE, and nothing is sent", async () => {
  using pair = openPair({ maxRequestBytes: 100, maxResponseBytes: 50 });
  const { server, client } = pair;
  const tooLong = "x".repeat(101);
  assertThrowsCode(() => client.trySend(tooLong), "TOO_LARGE", "101", "100");
  assertThrowsCode(() => client.sendSync(tooLong), "TOO_LARGE");
  assertThrowsCode(() => client.requestSync(tooLong), "TOO_LARGE");
  await assertRejectsCode(client.send(tooLong), "TOO_LARGE");
  await assertRejectsCode(client.request(tooLong), "TOO_LARGE");
  assertEquals(server.tryReceive(), null);
  assertEquals(server.stats().inFlight, 0);

  const call = send(client, "x".repeat(100));
  const request = take(server);
  assertThrowsCode(() => request.reply("y".repeat(51)), "TOO_LARGE", "51", "50");
  assertThrowsCode(() => server.reply(request.id, new Uint8Array(1000)), "TOO_LARGE");
  assertEquals(request.cancelled, false, "it stays open for a shorter one");
  assertEquals(request.reply("y".repeat(50)), true);
  assertEquals(text(call.getSync()), "y".repeat(50));
});

test("a channel without room for payloads: empty messages and errors still go", async () => {
  using pair = openPair({ maxRequestBytes: 0, maxResponseBytes: 0 });
  const { server, client } = pair;
  assertThrowsCode(() => client.trySend("x"), "TOO_LARGE");
  const answer = client.request("");
  const request = present(await server.receive());
  assertThrowsCode(() => request.reply("x"), "TOO_LARGE");
  assertEquals(request.reply(), true);
  assertEquals(await answer, new Uint8Array(0));
  const failing = client.request("");
  present(await server.receive()).fail(new Error("there is room for errors"));
  await assertRejectsCode(failing, "REMOTE", "there is room for errors");
});
