/** Closing handles: pending work ends with them, and later use does not crash. */
import { assertEquals } from "@std/assert";
import { type Call, Client, Server, type ServerRequest } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  doomed,
  eventually,
  newTarget,
  pattern,
  present,
  runtimes,
  startClient,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

test("close of a client just when a waiting request gets its slot: the request rejects with CLOSED", async () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  const first = client.request("first");
  const second = doomed(client.request("second"));
  // One look of the event loop finds the answer, and gives its slot to the second call.
  const closing = first.then(() => client.close());
  present(server.tryReceive()).reply();
  await closing;
  await assertRejectsCode(second, "CLOSED");
});

test("close twice is fine, in every way of closing", async () => {
  const target = newTarget();
  const server = Server.create(target);
  const client = Client.open(target);
  client.close();
  client.close();
  client[Symbol.dispose]();
  server.close();
  server.close();
  server[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

test("`using` closes servers and clients", async () => {
  const target = newTarget();
  using watcher = Client.open(target, { create: {} });
  {
    using _server = Server.open(target);
    using _client = Client.open(target);
    assertEquals([watcher.stats().servers, watcher.stats().clients], [1, 2]);
  }
  {
    await using _server = Server.open(target);
    assertEquals(watcher.servers, 1);
  }
  assertEquals([watcher.stats().servers, watcher.stats().clients], [0, 1]);
});

test("a closed server throws CLOSED", async () => {
  using pair = openPair();
  const { server, client } = pair;
  using _call = present(client.trySend("x"));
  const { id } = present(server.tryReceive());
  server.close();
  const uses: (() => unknown)[] = [
    () => server.tryReceive(),
    () => server.receiveSync(),
    () => server.serveSync(() => {}),
    () => server.reply(id, "x"),
    () => server.fail(id, new Error()),
    () => server.stats(),
    () => server.clear(),
    () => server.fd,
  ];
  for (const use of uses) assertThrowsCode(use, "CLOSED");
  await assertRejectsCode(server.receive(), "CLOSED");
  await assertRejectsCode(server.serve(() => {}), "CLOSED");
  for await (const _ of server) throw new Error("a closed server has no requests");
});

test("a closed client throws CLOSED", async () => {
  using pair = openPair();
  const { client } = pair;
  const call = present(client.trySend("x"));
  client.close();
  const uses: (() => unknown)[] = [
    () => client.trySend("x"),
    () => client.sendSync("x"),
    () => client.requestSync("x"),
    () => client.cancel(1n),
    () => client.stats(),
    () => client.pending,
    () => client.servers,
    () => client.fd,
    () => call.tryGet(),
    () => call.getSync(),
    () => call.readySync(),
    () => call.view(),
    () => call.cancel(),
  ];
  for (const use of uses) assertThrowsCode(use, "CLOSED");
  await assertRejectsCode(client.send("x"), "CLOSED");
  await assertRejectsCode(client.request("x"), "CLOSED");
  await assertRejectsCode(call.get(), "CLOSED");
  await assertRejectsCode(call.ready(), "CLOSED");
  call.release();
  call[Symbol.dispose]();
});

test("requests of a closed server throw CLOSED or are empty", () => {
  using pair = openPair();
  const { server, client } = pair;
  const requests: ServerRequest[] = [];
  for (const length of [10, 50_000]) {
    present(client.trySend(pattern(length, 1)));
    requests.push(present(server.tryReceive()));
  }
  const views = requests.map((request) => request.bytes);
  const ids = requests.map((request) => request.id);
  server.close();
  for (const [index, request] of requests.entries()) {
    assertEquals(views[index]!.length, 0, "close() detaches views");
    assertEquals(request.bytes.length, 0);
    assertEquals(request.id, ids[index]);
    assertThrowsCode(() => request.reply("x"), "CLOSED");
    assertThrowsCode(() => request.fail(new Error()), "CLOSED");
    assertThrowsCode(() => request.allocate(5), "CLOSED");
    // These must neither throw nor crash.
    void [request.deliveries, request.cancelled, request.oneWay, request.timeRemaining];
  }
});

test("closing a client detaches the views of its answers", () => {
  using pair = openPair();
  const { server, client } = pair;
  const views: Uint8Array[] = [];
  for (const length of [10, 50_000]) {
    const call = present(client.trySend("x"));
    present(server.tryReceive()).reply(pattern(length, 1));
    views.push(present(call.view()));
  }
  assertEquals(views.map((view) => view.length), [10, 50_000]);
  client.close();
  assertEquals(views.map((view) => view.length), [0, 0]);
});

test("close rejects the pending promises of a server", async () => {
  using pair = openPair();
  const { server } = pair;
  const receiving = [server.receive(), server.receive({ timeout: 3_600_000 })];
  const controller = new AbortController();
  receiving.push(server.receive({ signal: controller.signal }));
  server.close();
  await Promise.all(receiving.map((promise) => assertRejectsCode(promise, "CLOSED")));
  controller.abort();
});

test("close rejects the pending promises of a client and cancels its calls", async () => {
  using pair = openPair({ slots: 4 });
  const { server, client } = pair;
  const [queued, held] = [client.request("queued"), client.request("held")];
  const call = await client.send("sent");
  const waits = [call.get(), call.ready(), queued, held];
  // In the order of the queue: the second request stays there.
  const first = present(server.tryReceive());
  assertEquals(first.text(), "queued");
  const last = present(client.trySend("last"));
  waits.push(last.get());
  // No slot is left for these.
  waits.push(client.request("waits for a slot"), client.send("waits, too") as Promise<never>);
  client.close();
  await Promise.all(waits.map((promise) => assertRejectsCode(promise, "CLOSED")));
  assertEquals(server.tryReceive(), null, "what was queued has left the queue");
  assertEquals(first.cancelled, true);
  assertEquals(first.reply("x"), false);
  assertEquals(server.stats().inFlight, 0);
});

test("closing inside a promise's callback and inside an abort is fine", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const closed = server.receive().then(() => server.close());
  const answer = doomed(client.request("x"));
  await closed;
  await assertRejectsCode(answer, "SERVER_DIED");
  const controller = new AbortController();
  const other = client.request("y", { signal: controller.signal });
  controller.signal.addEventListener("abort", () => client.close());
  controller.abort("stop");
  // Either may have come first.
  await other.then(() => {
    throw new Error("there was no request to answer");
  }, () => {});
});

test("a server that closes while it holds a request: SERVER_DIED", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const answer = client.request("x");
  const call = present(client.trySend("y"));
  present(server.tryReceive());
  present(server.tryReceive());
  server.close();
  await assertRejectsCode(answer, "SERVER_DIED");
  assertThrowsCode(() => call.getSync(), "SERVER_DIED");
  assertEquals(client.pending, 0);
});

test("a server that closes hands its requests to another", async () => {
  using pair = openPair({ maxDeliveries: 3 });
  const { server, client, target } = pair;
  const answer = client.request("x");
  assertEquals(present(await server.receive()).deliveries, 1);
  using second = Server.open(target);
  const receiving = second.receive();
  server.close();
  assertEquals(present(await receiving).deliveries, 2);
  using third = Server.open(target);
  // No server is there at the moment when it is handed on.
  second.close();
  const request = present(third.tryReceive());
  assertEquals([request.deliveries, request.text()], [3, "x"]);
  assertEquals(request.reply("y"), true);
  assertEquals(text(await answer), "y");
  assertEquals(client.stats().redelivered, 2);
});

test("a queued request waits for the next server", async () => {
  using pair = openPair();
  const { server, client, target } = pair;
  const answer = client.request("x");
  server.close();
  using other = Server.open(target);
  const request = present(await other.receive());
  assertEquals(request.deliveries, 1);
  request.reply("y");
  assertEquals(text(await answer), "y");
});

test("an answer that was given outlives its server", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = present(client.trySend("x"));
  present(server.tryReceive()).reply(pattern(5000, 1));
  server.close();
  assertEquals(await call.get(), pattern(5000, 1));
});

test("close: other handles of the process go on", async () => {
  using pair = openPair();
  const { server, client, target } = pair;
  using other = Client.open(target);
  const serving = server.serve((request) => request.bytes);
  const answer = other.request("x");
  client.close();
  assertEquals(text(await answer), "x");
  assertEquals(text(await other.request("y")), "y");
  server.close();
  await serving;
});

for (const name of runtimes) {
  test(`a server in ${name} that closes with requests in hand: its clients elsewhere get SERVER_DIED`, async () => {
    const target = newTarget();
    const server = await startServer(name, target, "serve");
    const calling = await startClient(name, target, "sync");
    using client = Client.open(target);
    const answer = doomed(client.request("hold"));
    await server.expect("holding 1");
    calling.send({ op: "request", payload: "hold" });
    await server.expect("holding 1");
    assertEquals(text(await client.request("stop")), "stopping");
    await assertRejectsCode(answer, "SERVER_DIED");
    assertEquals((await calling.message<{ code: string }>()).code, "SERVER_DIED");
    await server.ended();
    assertEquals(client.stats().inFlight, 0);
  });

  test(`a client in ${name} that closes: its server learns of it`, async () => {
    const target = newTarget();
    using server = Server.create(target, { slots: 4 });
    const client = await startClient(name, target, "promise");
    for (const payload of ["1", "2", "3"]) client.send({ op: "request", payload });
    const request = present(await server.receive());
    await eventually(() => server.stats().queued === 2);
    client.send({ op: "close" });
    const codes: string[] = [];
    for (let count = 0; count < 4; count++) {
      codes.push((await client.message<{ code?: string }>()).code ?? "done");
    }
    assertEquals(codes.toSorted(), ["CLOSED", "CLOSED", "CLOSED", "done"]);
    assertEquals(request.cancelled, true);
    assertEquals(server.tryReceive(), null);
    assertEquals(request.reply("x"), false);
    client.end();
    await client.ended();
  });
}

test("a call that is held on to keeps nothing of a closed client", () => {
  const target = newTarget();
  using _server = Server.create(target);
  const calls: Call[] = [];
  for (let round = 0; round < 50; round++) {
    const client = Client.open(target);
    calls.push(present(client.trySend("x")));
    client.close();
  }
  for (const call of calls) call[Symbol.dispose]();
  using client = Client.open(target);
  assertEquals(client.stats().inFlight, 0);
});
