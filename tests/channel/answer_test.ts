/** Answers: taken once, viewed in place, or written into an array. */
import { assertEquals } from "@std/assert";
import { type Call, Client, type Payload } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  eventually,
  newTarget,
  pattern,
  present,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { send, take } from "../support/calls.ts";
import { openPair } from "../support/open_pair.ts";

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
