/** Invalid arguments, payloads that are too large, and too many handles. */
import { assertEquals } from "@std/assert";
import { readdirSync } from "node:fs";
import {
  type ChannelOptions,
  Client,
  IntClient,
  IntServer,
  type Payload,
  Server,
} from "../../mod.ts";
import { assertRefused, assertRefusedLater } from "../support/bad_input_assert.ts";
import { folder, newTarget, present, test, text } from "../support/harness.ts";
import { openAnonymousPair } from "../support/open_pair.ts";

/** Values that are no whole number from 1 up, for any upper limit. */
const notWhole = [0, -1, 1.5, 2 ** 53, NaN, Infinity, -Infinity];

const notNumbers = ["8", 8n, null, {}, [8], true, Symbol("8")] as unknown as number[];

test("channel options: sizes and slot counts out of range are refused", () => {
  const target = newTarget();
  const limits: Record<string, [min: number, max: number]> = {
    slots: [1, 65_536],
    maxRequestBytes: [0, 2 ** 30],
    maxResponseBytes: [0, 2 ** 30],
    maxDeliveries: [1, 31],
    mode: [0, 0o777],
  };
  for (const [name, [min, max]] of Object.entries(limits)) {
    const wrong = notWhole.filter((value) => value !== min);
    for (const value of [...wrong, min - 1, max + 1]) {
      const options = { [name]: value };
      const parts = [`${value}`, name, `${min} to ${max}`];
      assertRefused(() => Server.open(target, options), RangeError, ...parts);
      assertRefused(() => Server.create(target, options), RangeError, ...parts);
      assertRefused(() => Server.anonymous(options), RangeError, ...parts);
      assertRefused(() => Client.open(target, { create: options }), RangeError, ...parts);
    }
    for (const value of notNumbers) {
      assertRefused(() => Server.open(target, { [name]: value }), TypeError, name, "give a number");
    }
  }
  assertRefused(() => IntServer.open(target, { slots: 0 }), RangeError, "slots", "1 to 65536");
  assertRefused(() => IntServer.open(target, { slots: 65_537 }), RangeError, "65537", "slots");
  assertEquals(readdirSync(folder()), [], "nothing was made");
});

test("slots: the fewest and the most work", async () => {
  for (const slots of [1, 65_536]) {
    using pair = openAnonymousPair({ slots, maxRequestBytes: 200, maxResponseBytes: 200 });
    const { server, client } = pair;
    const answer = client.request("x".repeat(200));
    const request = present(await server.receive());
    request.reply(request.bytes);
    assertEquals((await answer).byteLength, 200);
  }
});

test("channel options: sizes that are too large together are TOO_LARGE", () => {
  const target = newTarget();
  const options = { slots: 65_536, maxRequestBytes: 2 ** 30, maxResponseBytes: 2 ** 30 };
  assertRefused(() => Server.open(target, options), "TOO_LARGE", target, "together", "fewer slots");
  assertRefused(() => Server.anonymous(options), "TOO_LARGE", "together", "fewer slots");
  assertEquals(readdirSync(folder()), [], "nothing was made");
});

test("a request over maxRequestBytes: TOO_LARGE, and nothing is sent", async () => {
  using pair = openAnonymousPair({ slots: 4, maxRequestBytes: 100 });
  const { server, client } = pair;
  const parts = ["101 bytes", "takes 100", "maxRequestBytes"];
  for (const payload of ["x".repeat(101), new Uint8Array(101), new ArrayBuffer(101)]) {
    assertRefused(() => client.requestSync(payload), "TOO_LARGE", ...parts);
    await assertRefusedLater(client.request(payload), "TOO_LARGE", ...parts);
    await assertRefusedLater(client.send(payload), "TOO_LARGE", ...parts);
    assertRefused(() => client.sendSync(payload), "TOO_LARGE", ...parts);
    assertRefused(() => client.trySend(payload), "TOO_LARGE", ...parts);
    assertRefused(() => client.post(payload), "TOO_LARGE", ...parts);
  }
  assertRefused(() => client.allocate(101), "TOO_LARGE", ...parts);
  assertRefused(() => client.allocate(2 ** 40), "TOO_LARGE", `${2 ** 40} bytes`);
  // The limit counts bytes, not characters.
  assertRefused(() => client.trySend("ä".repeat(51)), "TOO_LARGE", "102 bytes");
  assertEquals([server.stats().requests, client.pending], [0, 0]);
  using call = client.sendSync("x".repeat(100));
  assertEquals(server.tryReceive()?.bytes.byteLength, 100);
  call.release();
});

test("an answer over maxResponseBytes: TOO_LARGE, and the request stays open for a shorter one", () => {
  using pair = openAnonymousPair({ slots: 4, maxResponseBytes: 50 });
  const { server, client } = pair;
  using call = client.sendSync("?");
  const request = present(server.tryReceive());
  const parts = ["51 bytes", "takes 50", "maxResponseBytes"];
  assertRefused(() => request.reply("x".repeat(51)), "TOO_LARGE", ...parts);
  assertRefused(() => request.allocate(51), "TOO_LARGE", ...parts);
  assertRefused(() => server.reply(request.id, "x".repeat(51)), "TOO_LARGE", ...parts);
  assertEquals(request.reply("x".repeat(50)), true);
  const into = new Uint8Array(49);
  assertRefused(() => call.getSync({ into }), "TOO_LARGE", "50 bytes", "49 bytes", "longer");
  assertRefused(() => call.tryGet({ into }), "TOO_LARGE", "50 bytes", "49 bytes");
  assertEquals(call.getSync().byteLength, 50);
});

test("allocate: refuses a length that is no whole number", () => {
  using pair = openAnonymousPair({ slots: 4 });
  const { server, client } = pair;
  using call = client.sendSync("?");
  const request = present(server.tryReceive());
  for (const length of [-1, 1.5, 2 ** 53, NaN, Infinity]) {
    const parts = [`${length}`, "byteLength", "whole number"];
    assertRefused(() => client.allocate(length), RangeError, ...parts);
    assertRefused(() => request.allocate(length), RangeError, ...parts);
  }
  for (const length of notNumbers) {
    assertRefused(() => client.allocate(length), TypeError, "byteLength", "give a number");
    assertRefused(() => request.allocate(length), TypeError, "byteLength", "give a number");
  }
  assertEquals(server.stats().inFlight, 1);
  call.release();
});

test("counts, deliveries and time-outs: refused when out of range", async () => {
  using pair = openAnonymousPair({ slots: 4, maxDeliveries: 2 });
  const { server, client } = pair;
  for (const max of notWhole) {
    const parts = [`${max}`, "whole number"];
    assertRefused(() => server.tryReceiveMany(max), RangeError, "max", ...parts);
    assertRefused(() => server.receiveManySync(max), RangeError, "max", ...parts);
    await assertRefusedLater(server.receiveMany(max), RangeError, "max", ...parts);
    const serving = server.serve(() => "", { concurrency: max });
    await assertRefusedLater(serving, RangeError, "concurrency", ...parts);
  }
  for (const maxDeliveries of [...notWhole, 3]) {
    const parts = [`${maxDeliveries}`, "maxDeliveries", "1 to 2"];
    assertRefused(() => client.trySend("", { maxDeliveries }), RangeError, ...parts);
    assertRefused(() => client.requestSync("", { maxDeliveries }), RangeError, ...parts);
    await assertRefusedLater(client.request("", { maxDeliveries }), RangeError, ...parts);
  }
  for (const timeout of [-1, -0.5, NaN, -Infinity]) {
    const parts = [`${timeout}`, "milliseconds"];
    assertRefused(() => client.requestSync("", { timeout }), RangeError, "timeout", ...parts);
    assertRefused(() => client.trySend("", { timeout }), RangeError, "timeout", ...parts);
    await assertRefusedLater(client.request("", { timeout }), RangeError, "timeout", ...parts);
    assertRefused(() => server.receiveSync({ timeout }), RangeError, "timeout", ...parts);
    await assertRefusedLater(server.receive({ timeout }), RangeError, "timeout", ...parts);
    await assertRefusedLater(Client.connect("x", { timeout }), RangeError, "timeout", ...parts);
    const idle = { idleTimeout: timeout };
    assertRefused(() => server.serveSync(() => "", idle), RangeError, "idleTimeout", ...parts);
  }
  for (const timeout of notNumbers) {
    assertRefused(() => client.requestSync("", { timeout }), TypeError, "timeout", "number");
    await assertRefusedLater(server.receive({ timeout }), TypeError, "timeout", "number");
  }
  assertEquals([server.stats().requests, client.pending], [0, 0]);
});

test("a payload of another type: a TypeError, and nothing is sent", async () => {
  using pair = openAnonymousPair({ slots: 4 });
  const { server, client } = pair;
  for (const value of [undefined, null, 5, 5n, true, {}, ["a"], new Date(), Symbol("s"), () => 1]) {
    const payload = value as unknown as Payload;
    assertRefused(() => client.requestSync(payload), TypeError, "send", "give a string");
    await assertRefusedLater(client.request(payload), TypeError, "send", "give a string");
    assertRefused(() => client.post(payload), TypeError, "send", "give a string");
  }
  assertEquals(server.stats().requests, 0);
  using call = client.sendSync("?");
  const request = present(server.tryReceive());
  assertRefused(() => request.reply(5 as unknown as Payload), TypeError, "5", "give a string");
  assertEquals(request.reply("5"), true);
  assertEquals(text(call.getSync()), "5");
});

test("a payload whose buffer was transferred: a TypeError, and nothing is sent", async () => {
  using pair = openAnonymousPair({ slots: 4 });
  const { server, client } = pair;
  const bytes = new Uint8Array(5);
  bytes.buffer.transfer();
  // Sent as no bytes, the payload would be lost silently.
  assertRefused(() => client.sendSync(bytes), TypeError, "detached", "Uint8Array");
  assertRefused(() => client.post(bytes), TypeError, "detached");
  await assertRefusedLater(client.request(bytes), TypeError, "detached");
  assertEquals(server.stats().requests, 0);
  using call = client.sendSync("");
  const request = server.tryReceive()!;
  assertRefused(() => request.reply(bytes), TypeError, "detached");
  assertEquals(request.reply("y"), true);
  assertEquals(call.getSync().byteLength, 1);
});

test("the option into: a TypeError unless it takes bytes, and the call stays open", async () => {
  using pair = openAnonymousPair({ slots: 4 });
  const { server, client } = pair;
  const wrong = ["abc", 5, null, {}, [], new ArrayBuffer(9), new DataView(new ArrayBuffer(9))];
  for (const value of wrong) {
    const options = { into: value as unknown as Uint8Array<ArrayBuffer>, timeout: 1000 };
    assertRefused(() => client.requestSync("", options), TypeError, "into", "Uint8Array");
    await assertRefusedLater(client.request("", options), TypeError, "into", "Uint8Array");
  }
  assertEquals(server.stats().requests, 0);
  using call = client.sendSync("?");
  server.tryReceive()?.reply("!");
  for (const value of wrong) {
    const into = value as unknown as Uint8Array<ArrayBuffer>;
    assertRefused(() => call.tryGet({ into }), TypeError, "into", "Uint8Array");
    assertRefused(() => call.getSync({ into }), TypeError, "into", "Uint8Array");
    await assertRefusedLater(call.get({ into }), TypeError, "into", "Uint8Array");
  }
  assertEquals(text(call.getSync()), "!");
});

test("channel options: a TypeError unless they are an object", () => {
  const target = newTarget();
  for (const value of [null, 5, "slots"]) {
    const options = value as unknown as ChannelOptions;
    assertRefused(() => Server.open(target, options), TypeError, "options", "give an object");
  }
  assertEquals(readdirSync(folder()), [], "nothing was made");
});

test("an integer request: refused unless it is a 64-bit integer", async () => {
  using server = IntServer.anonymous({ slots: 4 });
  using client = IntClient.fromFd(server.fd);
  for (const value of [2n ** 63n, -(2n ** 63n) - 1n]) {
    assertRefused(() => client.requestSync(value), RangeError, `${value}`, "64 bits");
    await assertRefusedLater(client.request(value), RangeError, `${value}`, "64 bits");
  }
  for (const value of [1.5, NaN, 2 ** 53, Infinity, "5", null, undefined, {}]) {
    const wrong = value as unknown as number;
    assertRefused(() => client.trySend(wrong), TypeError, "bigint", "safe integer");
  }
  assertEquals(server.stats().requests, 0);
});

test("an id: a TypeError unless it is a bigint, and false when no call has it", () => {
  using pair = openAnonymousPair({ slots: 4 });
  const { server, client } = pair;
  for (const value of [5, "5", null, undefined]) {
    const id = value as unknown as bigint;
    assertRefused(() => client.cancel(id), TypeError, "id", "bigint");
    assertRefused(() => server.reply(id), TypeError, "id", "bigint");
    assertRefused(() => server.fail(id, "x"), TypeError, "id", "bigint");
  }
  for (const id of [-1n, 0n, 1n << 62n, 1n << 200n, 0xffffn]) {
    assertEquals([client.cancel(id), server.reply(id), server.fail(id, "x")], [
      false,
      false,
      false,
    ]);
  }
});

test("the 1,025th handle on a channel: BUSY, and the others go on", () => {
  const target = newTarget();
  using server = Server.create(target);
  const clients: Client[] = [];
  try {
    for (let count = 1; count < 1024; count++) clients.push(Client.open(target));
    for (const open of [Client.open, Server.open]) {
      assertRefused(() => open(target), "BUSY", target, "1024 handles", "close one");
    }
    assertRefused(() => Client.fromFd(server.fd), "BUSY", "1024 handles", "close one");
    // The other handles go on.
    using call = clients[500]!.sendSync("x");
    assertEquals(server.tryReceive()?.reply("y"), true);
    assertEquals(text(call.getSync()), "y");
    clients.pop()!.close();
    Client.open(target).close();
  } finally {
    for (const client of clients) client.close();
  }
});
