/** Requests and answers in the try, blocking and promise forms. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Client, Server, type ServerRequest } from "../../mod.ts";
import {
  assertThrowsCode,
  eventually,
  newTarget,
  present,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { send, take } from "../support/calls.ts";
import { openPair } from "../support/open_pair.ts";

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
