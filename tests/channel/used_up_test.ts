/** Handles, calls, requests and drafts that are closed or used up. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Client, type Draft, IntClient, IntServer, Server, type ServerRequest } from "../../mod.ts";
import { assertRefused, assertRefusedLater } from "../support/bad_input_assert.ts";
import { doomed, present, test, text } from "../support/harness.ts";
import { openAnonymousPair, openPair } from "../support/open_pair.ts";

test("a closed handle: it throws CLOSED, and so do its calls, requests and drafts", async () => {
  using pair = openAnonymousPair({ slots: 4 });
  const { server, client } = pair;
  const call = client.sendSync("taken");
  const request = present(server.tryReceive());
  const draft = client.allocate(3);
  const open = Client.fromFd(server.fd);
  client.close();
  server.close();
  open.close();

  const closedClient = ["client", "closed"];
  for (
    const use of [
      () => client.requestSync("x"),
      () => client.sendSync("x"),
      () => client.trySend("x"),
      () => client.post("x"),
      () => client.allocate(1),
      () => client.cancel(call.id),
      () => client.pending,
      () => client.servers,
      () => client.stats(),
      () => client.fd,
      () => client.notifyFd,
      () => client.notify(),
    ]
  ) assertRefused(use, "CLOSED", ...closedClient);
  for (const use of [client.request("x"), client.send("x")]) {
    await assertRefusedLater(use, "CLOSED", ...closedClient);
  }

  const closedServer = ["server", "closed"];
  for (
    const use of [
      () => server.tryReceive(),
      () => server.receiveSync(),
      () => server.tryReceiveMany(),
      () => server.receiveManySync(2),
      () => server.serveSync(() => ""),
      () => server.reply(request.id),
      () => server.fail(request.id, "x"),
      () => server.clear(),
      () => server.stats(),
      () => server.fd,
      () => server.drainNotify(),
    ]
  ) assertRefused(use, "CLOSED", ...closedServer);
  for (const use of [server.receive(), server.receiveMany(2), server.serve(() => "")]) {
    await assertRefusedLater(use, "CLOSED", ...closedServer);
  }
  assertEquals(await Array.fromAsync(server), []);

  for (
    const use of [
      () => request.bytes,
      () => request.text(),
      () => request.json(),
      () => request.reply("x"),
      () => request.fail("x"),
      () => request.allocate(1),
    ]
  ) assertRefused(use, "CLOSED", "request", "closed");
  for (
    const use of [
      () => call.tryGet(),
      () => call.getSync(),
      () => call.readySync(),
      () => call.view(),
      () => call.cancel(),
    ]
  ) assertRefused(use, "CLOSED", "call", "closed");
  for (const use of [call.get(), call.ready()]) {
    await assertRefusedLater(use, "CLOSED", "call", "closed");
  }
  for (const use of [() => draft.send(), () => draft.post(), () => draft.requestSync()]) {
    assertRefused(use, "CLOSED", "draft", "closed");
  }
  await assertRefusedLater(draft.request(), "CLOSED", "draft", "closed");

  // Calls that free things always work, and so do properties that need no channel.
  for (const used of [client, server, open, call, draft]) used[Symbol.dispose]();
  call.release();
  draft.discard();
  assertEquals([draft.bytes.byteLength, request.id, request.deliveries], [0, call.id, 1]);
});

test("a closed integer handle: it throws CLOSED, and so do its calls and requests", async () => {
  const server = IntServer.anonymous({ slots: 4 });
  const client = IntClient.fromFd(server.fd);
  const call = client.sendSync(1);
  const request = present(server.tryReceive());
  client.close();
  server.close();
  assertRefused(() => client.requestSync(1), "CLOSED", "client", "closed");
  await assertRefusedLater(client.request(1), "CLOSED", "client", "closed");
  assertRefused(() => server.tryReceive(), "CLOSED", "server", "closed");
  await assertRefusedLater(server.receive(), "CLOSED", "server", "closed");
  assertRefused(() => request.reply(1), "CLOSED", "request", "closed");
  assertRefused(() => call.getSync(), "CLOSED", "call", "closed");
  await assertRefusedLater(call.get(), "CLOSED", "call", "closed");
  assertEquals(request.value, 1n);
});

test("close: pending promises reject with CLOSED", async () => {
  using pair = openAnonymousPair({ slots: 4 });
  const { server, client } = pair;
  const receiving = doomed(server.receive());
  const serving = server.serve(() => "");
  const asking = doomed(client.request("x"));
  const waiting = doomed(present(client.trySend("x")).get());
  client.close();
  server.close();
  await assertRefusedLater(receiving, "CLOSED", "server");
  await assertRefusedLater(asking, "CLOSED");
  await assertRefusedLater(waiting, "CLOSED");
  await serving;
});

test("an answered request: further answers are false, also for the slot's next call", () => {
  using pair = openAnonymousPair({ slots: 4 });
  const { server, client } = pair;
  const uses: ((request: ServerRequest) => boolean)[] = [
    (request) => request.reply("first"),
    (request) => request.fail("first"),
    (request) => server.reply(request.id, "first"),
    (request) => server.fail(request.id, "first"),
  ];
  for (const use of uses) {
    using call = client.sendSync("x");
    const request = present(server.tryReceive());
    assertEquals(use(request), true);
    for (const again of uses) assertEquals(again(request), false);
    assertRefused(() => request.allocate(1), "CLOSED", "answered already", ";");
    assert(!request.cancelled);
    // It does not belong to the next call.
    call.release();
    using next = client.sendSync("y");
    for (const again of uses) assertEquals(again(request), false);
    assertEquals(next.tryGet(), null);
  }
});

test("a call that has ended: every way to its answer is CANCELLED", async () => {
  using pair = openAnonymousPair({ slots: 4 });
  const { server, client } = pair;
  const taken = client.sendSync("x");
  server.tryReceive()?.reply("y");
  assertEquals(text(taken.getSync()), "y");
  const cancelled = client.sendSync("x");
  assertEquals(cancelled.cancel(), true);
  const released = client.sendSync("x");
  released.release();
  for (const call of [taken, cancelled, released]) {
    for (
      const use of [
        () => call.tryGet(),
        () => call.getSync(),
        () => call.readySync(),
        () => call.view(),
      ]
    ) assertRefused(use, "CANCELLED", "cancelled or cleared", "taken already");
    for (const use of [call.get(), call.ready()]) {
      await assertRefusedLater(use, "CANCELLED", "taken already");
    }
    assertEquals(call.cancel(), false);
    call.release();
  }
  assertEquals(server.stats().inFlight, 0);
});

test("a draft that was sent or discarded: every further use is CLOSED", async () => {
  using pair = openAnonymousPair({ slots: 4 });
  const { server, client } = pair;
  const uses: ((draft: Draft) => void)[] = [
    (draft) => draft.send().release(),
    (draft) => draft.post(),
    (draft) => draft.discard(),
    (draft) => void doomed(draft.request({ timeout: 1 })),
  ];
  for (const use of uses) {
    const draft = client.allocate(3);
    use(draft);
    const { requests } = server.stats();
    assertRefused(() => draft.send(), "CLOSED", "sent or discarded", "another");
    assertRefused(() => draft.post(), "CLOSED", "sent or discarded", "another");
    assertRefused(() => draft.requestSync(), "CLOSED", "sent or discarded", "another");
    await assertRefusedLater(draft.request(), "CLOSED", "sent or discarded", "another");
    draft.discard();
    assertEquals(server.stats().requests, requests, "nothing more was sent");
  }
});

test("a draft: a send with wrong options leaves it open", async () => {
  using pair = openAnonymousPair({ slots: 1 });
  const { server, client } = pair;
  using draft = client.allocate(3);
  const into = "abc" as unknown as Uint8Array<ArrayBuffer>;
  assertRefused(() => draft.send({ timeout: -1 }), RangeError, "timeout");
  assertRefused(() => draft.send({ maxDeliveries: 2 }), RangeError, "maxDeliveries");
  assertRefused(() => draft.requestSync({ timeout: NaN }), RangeError, "timeout");
  assertRefused(() => draft.requestSync({ into }), TypeError, "into", "Uint8Array");
  await assertRefusedLater(draft.request({ timeout: -1 }), RangeError, "timeout");
  await assertRefusedLater(draft.request({ into }), TypeError, "into", "Uint8Array");
  const reason = new Error("changed my mind");
  const aborted = draft.request({ signal: AbortSignal.abort(reason) });
  assertEquals(await assertRejects(() => aborted), reason);
  assertEquals(server.stats().requests, 0);
  using call = draft.send();
  assertEquals(server.tryReceive()?.reply("x"), true);
  assertEquals(text(call.getSync()), "x");
});

test("an unlinked channel: a call in flight is CANCELLED, new ones are NOT_FOUND", async () => {
  using pair = openPair();
  const { server, client } = pair;
  using call = client.sendSync("x");
  assertEquals(server.unlink(), true);
  assertRefused(() => call.getSync(), "CANCELLED", "cancelled or cleared");
  for (const use of [() => client.requestSync("x"), () => client.trySend("x")]) {
    assertRefused(use, "NOT_FOUND", "unlinked", "open it again");
  }
  await assertRefusedLater(client.request("x"), "NOT_FOUND", "unlinked", "open it again");
  using anonymous = Server.anonymous();
  assertRefused(() => anonymous.unlink(), "NOT_FOUND", "anonymous", "last handle");
});
