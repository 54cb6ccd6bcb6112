/** Requests and answers in the try, blocking and promise forms. */
import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { type Call, Client, type Payload, Server, type ServerRequest } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  bytes,
  doomed,
  eventually,
  newTarget,
  pattern,
  present,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

/** Sends without waiting, and has to succeed. */
function send(client: Client, payload: Payload): Call {
  return present(client.trySend(payload));
}

/** Takes a request, which has to be queued. */
function take(server: Server): ServerRequest {
  return present(server.tryReceive());
}

test("the try forms never wait", () => {
  using pair = openPair();
  const { server, client } = pair;
  assertEquals(server.tryReceive(), null);
  const call = send(client, "ping");
  assertEquals(call.tryGet(), null);
  assertEquals(client.pending, 1);
  const request = take(server);
  assertEquals(request.id, call.id);
  assertEquals(request.text(), "ping");
  assertEquals(server.tryReceive(), null, "a request goes to one receiver");
  assertEquals(call.tryGet(), null);
  assertEquals(request.reply("pong"), true);
  assertEquals(text(present(call.tryGet())), "pong");
  assertEquals(client.pending, 0);
});

test("the blocking forms: a server in another process answers each", async () => {
  const target = newTarget();
  await startServer("deno", target, "serve");
  using client = Client.open(target);
  assertEquals(text(client.requestSync("one")), "one");
  const calls = ["two", "three"].map((payload) => client.sendSync(payload));
  // In the other order.
  assertEquals(calls.reverse().map((call) => text(call.getSync())), ["three", "two"]);
  const call = client.sendSync("four");
  call.readySync();
  assertEquals(text(present(call.tryGet())), "four");
});

test("the blocking forms find at once what is there already", () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = client.sendSync("ping");
  const request = present(server.receiveSync());
  request.reply(request.bytes);
  call.readySync();
  assertEquals(text(call.getSync()), "ping");
});

test("the promise forms: request and answer arrive, and `pending` counts the call", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const receiving = server.receive();
  const answer = client.request("ping");
  const request = present(await receiving);
  assertEquals(request.text(), "ping");
  assertEquals(client.pending, 1);
  request.reply("pong");
  assertEquals(text(await answer), "pong");
  assertEquals(client.pending, 0);

  const call = await client.send("again");
  const waiting = call.ready();
  take(server).reply("and again");
  await waiting;
  assertEquals(text(await call.get()), "and again");
});

test("the event loop goes on while promises wait", async () => {
  using pair = openPair();
  const { server, client } = pair;
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const answer = client.request("when five milliseconds have passed");
  await eventually(() => ticks >= 5);
  take(server).reply();
  await answer;
  clearInterval(timer);
});

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

test("requests are taken in the order in which they were queued, by every form", async () => {
  using pair = openPair({ slots: 64 });
  const { server, client } = pair;
  for (let round = 0; round < 3; round++) {
    const sent = Array.from({ length: 60 }, (_, index) => send(client, `${index}`));
    const order: string[] = [];
    while (order.length < 60) {
      const request = [server.tryReceive(), server.receiveSync(), await server.receive()];
      for (const one of request) order.push(present(one).text());
    }
    assertEquals(order, sent.map((_, index) => `${index}`));
    for (const call of sent) call.release();
    // The server holds them: the slots come back with its answers, although no call takes these.
    assertEquals(server.stats().inFlight, 60);
    server.clear();
    break;
  }
});

test("pending receives get requests in the order of the calls", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const receiving = [0, 1, 2, 3].map(() => server.receive());
  const sent = ["a", "b", "c", "d"].map((payload) => send(client, payload));
  const texts = (await Promise.all(receiving)).map((request) => present(request).text());
  assertEquals(texts, ["a", "b", "c", "d"]);
  for (const call of sent) call.cancel();
});

test("nothing is taken ahead of need", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const receiving = server.receive();
  const calls = ["a", "b", "c"].map((payload) => send(client, payload));
  present(await receiving).reply();
  assertEquals(server.stats().queued, 2);
  using other = Server.open(present(server.path));
  assertEquals(take(other).text(), "b");
  for (const call of calls) call.release();
});

test("answers given out of order reach the calls that asked", async () => {
  using pair = openPair({ slots: 100 });
  const { server, client } = pair;
  const answers = Array.from({ length: 100 }, (_, index) => client.request(`${index}`));
  const requests: ServerRequest[] = [];
  while (requests.length < 100) requests.push(present(await server.receive()));
  requests.sort((a, b) => a.text() < b.text() ? 1 : -1);
  for (const request of requests) request.reply(`answer to ${request.text()}`);
  const texts = (await Promise.all(answers)).map(text);
  assertEquals(texts, Array.from({ length: 100 }, (_, index) => `answer to ${index}`));
});

test("several servers on one channel: each request goes to exactly one", async () => {
  using pair = openPair();
  const { server, client } = pair;
  using other = Server.open(present(server.path));
  const seen: bigint[] = [];
  const work = async (server: Server) => {
    for await (const request of server) {
      seen.push(request.id);
      request.reply(request.bytes);
    }
  };
  const working = [work(server), work(other)];
  const answers = Array.from({ length: 200 }, (_, index) => client.request(`${index}`));
  assertEquals((await Promise.all(answers)).map(text), answers.map((_, index) => `${index}`));
  assertEquals(new Set(seen).size, 200);
  assertEquals(seen.length, 200);
  server.close();
  other.close();
  await Promise.all(working);
});

test("several clients: each gets its own answers", async () => {
  using pair = openPair();
  const { server } = pair;
  const serving = server.serve((request) => `for ${request.text()}`);
  const clients = Array.from({ length: 10 }, () => Client.open(present(server.path)));
  await Promise.all(clients.map(async (client, index) => {
    for (let round = 0; round < 20; round++) {
      assertEquals(text(await client.request(`${index}/${round}`)), `for ${index}/${round}`);
    }
  }));
  for (const client of clients) client.close();
  server.close();
  await serving;
});

test("ids never come back, not even in one slot", () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  const ids = new Set<bigint>();
  for (let round = 0; round < 500; round++) {
    const call = send(client, "x");
    const request = take(server);
    assertEquals(request.id, call.id);
    ids.add(call.id);
    request.reply();
    call.getSync();
    // The stale id changes nothing.
    assertEquals(request.reply("late"), false);
    assertEquals(client.cancel(call.id), false);
  }
  assertEquals(ids.size, 500);
});

test("a stale request cannot answer the next call in its slot", () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  const first = send(client, "first");
  const stale = take(server);
  stale.reply("one");
  first.getSync();
  const second = send(client, "second");
  const fresh = take(server);
  assertEquals(stale.reply("wrong"), false);
  assertEquals(stale.fail(new Error("wrong")), false);
  assertEquals(server.reply(stale.id, "wrong"), false);
  assertEquals(fresh.reply("two"), true);
  assertEquals(text(second.getSync()), "two");
});

test("a request is answered once", () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = send(client, "x");
  const request = take(server);
  assertEquals(request.reply("first"), true);
  assertEquals(request.reply("second"), false);
  assertEquals(request.fail(new Error("third")), false);
  assertEquals(text(call.getSync()), "first");
});

test("an answer is taken once", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = send(client, "x");
  take(server).reply("y");
  assertEquals(text(await call.get()), "y");
  assertThrowsCode(() => call.tryGet(), "CANCELLED");
  assertThrowsCode(() => call.getSync(), "CANCELLED");
  assertThrowsCode(() => call.readySync(), "CANCELLED");
  assertThrowsCode(() => call.view(), "CANCELLED");
  await assertRejectsCode(call.get(), "CANCELLED");
  await assertRejectsCode(call.ready(), "CANCELLED");
  assertEquals(call.cancel(), false);
  call.release();
});

test("reply and fail by id: settle the call that has the id, once", () => {
  using pair = openPair();
  const { server, client } = pair;
  const [first, second] = [send(client, "1"), send(client, "2")];
  const ids = [take(server).id, take(server).id] as const;
  assertEquals(server.reply(ids[0], "by id"), true);
  assertEquals(server.fail(ids[1], new RangeError("by id")), true);
  assertEquals(text(first.getSync()), "by id");
  assertThrowsCode(() => second.getSync(), "REMOTE", "by id");
  assertEquals(server.reply(ids[0], "again"), false);
  assertEquals(server.reply(12345678901234567890n), false);
  assertEquals(server.reply(-1n), false);
  assertThrows(() => server.reply(5 as unknown as bigint), TypeError);
});

test("only the server that holds a request may answer it", () => {
  using pair = openPair();
  const { server, client } = pair;
  using other = Server.open(present(server.path));
  const call = send(client, "x");
  const request = take(server);
  assertEquals(other.reply(request.id, "not mine"), false);
  assertEquals(other.fail(request.id, new Error("not mine")), false);
  assertEquals(request.reply("mine"), true);
  assertEquals(text(call.getSync()), "mine");
});

test("an answer without a payload: arrives as no bytes", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = send(client, "x");
  take(server).reply();
  assertEquals(await call.get(), new Uint8Array(0));
});

test("an answer is a copy of its own", async () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  const answers: Uint8Array[] = [];
  for (const length of [10, 5000]) {
    for (const seed of [1, 2]) {
      const answer = client.request("x");
      present(await server.receive()).reply(pattern(length, seed));
      answers.push(await answer);
    }
  }
  assertEquals(answers, [pattern(10, 1), pattern(10, 2), pattern(5000, 1), pattern(5000, 2)]);
  for (const answer of answers) answer.fill(0);
});

test("answers of one length after another, and of others between: each has its own buffer", async () => {
  const target = newTarget();
  await startServer("bun", target, "sync");
  using client = Client.open(target);
  const forms = [
    (payload: Payload) => client.requestSync(payload),
    (payload: Payload) => client.request(payload),
  ];
  const lengths = [7, 7, 7, 7, 3, 3, 3, 9, 0, 0, 0, 5000, 5000, 5000, 4096, 4096, 4096, 4097, 6, 6];
  for (const request of forms) {
    const answers: Uint8Array[] = [];
    for (const length of lengths) answers.push(await request(pattern(length, answers.length)));
    answers.forEach((answer, index) => {
      assertEquals(answer, pattern(lengths[index]!, index));
      assertEquals([answer.byteOffset, answer.buffer.byteLength], [0, answer.byteLength]);
    });
    assertEquals(new Set(answers.map(({ buffer }) => buffer)).size, answers.length);
  }
});

test("after answers of one length: a call that fails does so as it would have at first", async () => {
  const target = newTarget();
  const server = await startServer("bun", target, "sync");
  using client = Client.open(target);
  const usual = (): void => {
    for (let turn = 0; turn < 3; turn++) assertEquals(client.requestSync("hello").byteLength, 5);
  };
  usual();
  assertThrowsCode(() => client.requestSync("fail"), "REMOTE");
  usual();
  assertThrowsCode(() => client.requestSync(new Uint8Array(2 << 20)), "TOO_LARGE");
  usual();
  assertThrowsCode(() => client.requestSync("hold", { timeout: 50 }), "TIMEOUT");
  assertEquals(client.pending, 0);
  server.kill("SIGKILL");
  await startServer("bun", target, "sync");
  usual();
  const promised = client.request("hello");
  usual();
  assertEquals(text(await promised), "hello", "what a promise waits for is not mixed up with it");
});

test("view() shows the answer in place until release()", () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  for (const length of [0, 20, 5000]) {
    const call = send(client, "x");
    assertEquals(call.view(), null);
    take(server).reply(pattern(length, 8));
    assertEquals(call.view(), pattern(length, 8));
    assertEquals(call.view(), pattern(length, 8));
    assertEquals(client.trySend("the slot is taken"), null);
    call.release();
    assertThrowsCode(() => call.view(), "CANCELLED");
  }
});

test("release of an open call cancels it; using does it too", () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  send(client, "unseen").release();
  {
    using _call = send(client, "unseen, too");
  }
  assertEquals(server.tryReceive(), null);
  const call = send(client, "seen");
  const request = take(server);
  call.release();
  call.release();
  assertEquals(request.cancelled, true);
  assertEquals(request.reply("too late"), false);
  assertEquals(client.pending, 0);
});

test("get writes the answer into an array that is given", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const into = new Uint8Array(10);
  for (
    const get of [
      (call: Call) => call.tryGet({ into }),
      (call: Call) => call.getSync({ into }),
      (call: Call) => call.get({ into }),
    ]
  ) {
    into.fill(0xee);
    const call = send(client, "x");
    take(server).reply(new Uint8Array([1, 2, 3]));
    const answer = present(await get(call));
    assertEquals([...answer], [1, 2, 3]);
    assertEquals(answer.buffer, into.buffer);
    assertEquals([...into.subarray(0, 4)], [1, 2, 3, 0xee]);
  }
});

test("an answer that does not fit is TOO_LARGE, and the call stays open", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = send(client, "x");
  take(server).reply("eleven bytes".slice(0, 11));
  const into = new Uint8Array(10);
  assertThrowsCode(() => call.tryGet({ into }), "TOO_LARGE", "11", "10");
  assertThrowsCode(() => call.getSync({ into }), "TOO_LARGE");
  await assertRejectsCode(call.get({ into }), "TOO_LARGE");
  assertEquals(text(await call.get({ into: new Uint8Array(11) })), "eleven byte");
});

test("request and requestSync write into an array, too", async () => {
  const target = newTarget();
  await startServer("bun", target, "serve");
  using client = Client.open(target);
  const into = new Uint8Array(6);
  assertEquals(text(client.requestSync("sync", { into })), "sync");
  assertEquals(text(await client.request("async", { into })), "async");
  assertEquals(text(into), "async\0");
  const shared: Uint8Array = new Uint8Array(new SharedArrayBuffer(6));
  assertEquals([...client.requestSync("sh", { into: shared })], [0x73, 0x68]);
  assertEquals((await client.request("a", { into: shared })).buffer === shared.buffer, true);
  assertEquals([...shared], [0x61, 0x68, 0, 0, 0, 0]);
  assertThrowsCode(() => client.requestSync("too long", { into }), "TOO_LARGE");
  await assertRejectsCode(client.request("too long", { into }), "TOO_LARGE");
  // However these two ended, they hold no slot.
  await eventually(() => client.stats().inFlight === 0);
});

test("cancel before a server takes the request: it is never handed out", () => {
  using pair = openPair();
  const { server, client } = pair;
  const [first, second, third] = [send(client, "1"), send(client, "2"), send(client, "3")];
  assertEquals(second.cancel(), true);
  assertEquals(second.cancel(), false);
  assertEquals(take(server).text(), "1");
  assertEquals(take(server).text(), "3");
  assertEquals(server.tryReceive(), null);
  assertThrowsCode(() => second.tryGet(), "CANCELLED");
  assertEquals(client.pending, 2);
  for (const call of [first, third]) call.release();
});

test("cancel while a server holds the request: the slot stays the server's until it replies", async () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  const call = send(client, "x".repeat(5000));
  const answer = call.get();
  const request = take(server);
  assertEquals(request.cancelled, false);
  assertEquals(call.cancel(), true);
  await assertRejectsCode(answer, "CANCELLED");
  assertEquals(request.cancelled, true);
  // The server keeps the slot until it replies, so the bytes stay as they are.
  assertEquals(client.trySend("y".repeat(5000)), null);
  assertEquals(request.text(), "x".repeat(5000));
  assertEquals(request.reply("too late"), false);
  using next = send(client, "z");
  assertNotEquals(next.id, call.id);
});

test("cancel after the answer: too late, and the answer can be had", () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = send(client, "x");
  take(server).reply("y");
  assertEquals(call.cancel(), false);
  assertEquals(text(call.getSync()), "y");
});

test("any process may cancel a call by its id", async () => {
  using pair = openPair();
  const { server, client } = pair;
  using stranger = Client.open(present(server.path));
  const answer = client.request("x");
  const request = present(await server.receive());
  assertEquals(stranger.cancel(request.id), true);
  assertEquals(stranger.cancel(request.id), false);
  await assertRejectsCode(answer, "CANCELLED");
  assertEquals(request.reply(), false);
  for (const id of [0n, -1n, 1n << 61n, 1n << 70n]) assertEquals(stranger.cancel(id), false);
});

test("clear fails every call in flight with CANCELLED and says how many", async () => {
  using pair = openPair({ slots: 4 });
  const { server, client } = pair;
  const answers = ["a", "b", "c"].map((payload) => doomed(client.request(payload)));
  const held = present(await server.receive());
  assertEquals(server.clear(), 3);
  for (const answer of answers) await assertRejectsCode(answer, "CANCELLED");
  assertEquals(held.cancelled, true);
  assertEquals(held.reply("x"), false);
  assertEquals(server.tryReceive(), null);
  assertEquals(server.clear(), 0);
  const answer = client.request("after");
  present(await server.receive()).reply("works");
  assertEquals(text(await answer), "works");
});

test("all slots taken: trySend is null, and a freed slot serves the next", async () => {
  using pair = openPair({ slots: 2 });
  const { server, client } = pair;
  const [first, second] = [send(client, "1"), send(client, "2")];
  assertEquals(client.trySend("3"), null);
  const third = client.send("3");
  const fourth = client.request("4");
  assertEquals(client.pending, 2);
  take(server).reply("one");
  // The slot of an answered call is not free: it holds the answer.
  assertEquals(client.trySend("5"), null);
  assertEquals(text(first.getSync()), "one");
  // First come, first served.
  const call = await third;
  second.cancel();
  const request = present(await server.receive());
  assertEquals(request.text(), "3");
  request.reply("three");
  assertEquals(text(await call.get()), "three");
  present(await server.receive()).reply("four");
  assertEquals(text(await fourth), "four");
});

test("one slot, many promises: all are answered in turn", async () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  const serving = server.serve((request) => request.bytes);
  const answers = Array.from({ length: 100 }, (_, index) => client.request(`${index}`));
  assertEquals((await Promise.all(answers)).map(text), answers.map((_, index) => `${index}`));
  server.close();
  await serving;
});

test("several waits for one call all end", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = send(client, "x");
  const waiting = [call.ready(), call.ready()];
  take(server).reply("y");
  await Promise.all(waiting);
  assertEquals(text(present(call.view())), "y");
  call.release();
});

test("a new request: its properties describe the call", () => {
  using pair = openPair();
  const { server, client } = pair;
  using _call = send(client, "x");
  const request = take(server);
  assertEquals(request.deliveries, 1);
  assertEquals(request.cancelled, false);
  assertEquals(request.oneWay, false);
  assertEquals(request.timeRemaining, Infinity);
  assertEquals(request.signal.aborted, false);
  assert(request.bytes.buffer instanceof ArrayBuffer);
});

test("a reply may be the request's own bytes, or a part of them", () => {
  using pair = openPair();
  const { server, client } = pair;
  for (const length of [50, 5000]) {
    const [whole, part] = [send(client, pattern(length, 1)), send(client, pattern(length, 2))];
    const first = take(server);
    first.reply(first.bytes);
    const second = take(server);
    second.reply(second.bytes.subarray(10, 20));
    assertEquals(whole.getSync(), pattern(length, 1));
    assertEquals(part.getSync(), pattern(length, 2).slice(10, 20));
  }
});

test("the view of an answer: can be sent as another request", () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = send(client, "first");
  take(server).reply(pattern(6000, 3));
  const second = send(client, present(call.view()));
  assertEquals(take(server).bytes, pattern(6000, 3));
  call.release();
  second.release();
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

test("maxDeliveries of a call is at most the channel's", () => {
  using pair = openPair({ maxDeliveries: 3 });
  const { client } = pair;
  for (const maxDeliveries of [0, 4, 1.5, NaN, -1]) {
    assertThrows(() => client.trySend("x", { maxDeliveries }), RangeError);
  }
  using _call = present(client.trySend("x", { maxDeliveries: 3 }));
});

test("client.servers: the number of open servers", () => {
  using pair = openPair();
  const { server, client } = pair;
  assertEquals(client.servers, 1);
  const other = Server.open(present(server.path));
  assertEquals(client.servers, 2);
  other.close();
  server.close();
  assertEquals(client.servers, 0);
});
