/** Tests of the predecessor that no other test covers; the table is in README.md. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { closeSync, openSync, readSync, writeFileSync, writeSync } from "node:fs";
import { Client, Server } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  doomed,
  eventually,
  newTarget,
  pattern,
  present,
  runtime,
  runtimes,
  settled,
  startClient,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { openAnonymousPair, openPair } from "../support/open_pair.ts";

test("four calls in flight are answered in any order (t/01_basic)", () => {
  using pair = openAnonymousPair({ slots: 4 });
  const { server, client } = pair;
  const calls = ["a", "b", "c", "d"].map((payload) => present(client.trySend(payload)));
  const requests = server.tryReceiveMany();
  assertEquals(requests.map(({ id }) => id), calls.map(({ id }) => id));
  for (const request of requests.toReversed()) request.reply(request.text().toUpperCase());
  assertEquals(calls.map((call) => text(call.getSync())), ["A", "B", "C", "D"]);
});

test("100 calls of four clients each, every answer matches (t/02_fork, xt/lifecycle)", async () => {
  const target = newTarget();
  await startServer("bun", target, "serve", { slots: 8 });
  const clients = await Promise.all(
    (["promise", "sync", "try", "promise"] as const).map((form, index) =>
      startClient(runtimes[index % 2]!, target, form)
    ),
  );
  const answers = clients.map((client) => client.ask({ op: "burst", count: 100 }));
  assertEquals(await Promise.all(answers), clients.map(() => ({ count: 100 })));
});

test("several waits for a call whose slot is used again: each ends at once (P3b, P14)", async () => {
  using pair = openAnonymousPair({ slots: 1 });
  const { server, client } = pair;
  const stale = client.sendSync("first");
  present(server.tryReceive()).reply("1");
  stale.getSync();
  // A wait would last for ever.
  assertThrowsCode(() => stale.getSync(), "CANCELLED");
  assertThrowsCode(() => stale.readySync(), "CANCELLED");
  const answer = client.request("second");
  await assertRejectsCode(stale.get(), "CANCELLED");
  await assertRejectsCode(stale.ready(), "CANCELLED");
  assertEquals(stale.cancel(), false);
  stale.release();
  present(server.tryReceive()).reply("2");
  assertEquals(text(await answer), "2");
});

test("a waiter with an old call takes no wake-up from the slot's next one (P14)", async () => {
  using pair = openPair({ slots: 1 });
  const { server, client, target } = pair;
  for (const form of ["sync", "promise"] as const) {
    const [old, next] = [
      await startClient(runtime, target, form),
      await startClient(runtime, target, form),
    ];
    old.send({ op: "request", payload: "old" });
    const first = present(await server.receive());
    await settled(old);
    assertEquals(client.cancel(first.id), true);
    first.reply("too late");
    next.send({ op: "request", payload: "next" });
    const second = present(await server.receive());
    await settled(next);
    second.reply("its own");
    assertEquals(await next.message(), { text: "its own" });
    assertEquals((await old.message<{ code: string }>()).code, "CANCELLED");
  }
});

test("late answers never get in the way of the slot's next call (P32, xt/concurrent_cancel)", () => {
  using first = Server.anonymous({ slots: 1 });
  using second = Server.fromFd(first.fd);
  using client = Client.fromFd(first.fd);
  const ids = new Set<bigint>();
  for (let round = 0; round < 2000; round++) {
    const late = present(client.trySend("late"));
    const stale = present(first.tryReceive());
    assertEquals(late.cancel(), true);
    assertEquals(stale.reply("late"), false);
    const call = present(client.trySend("x"));
    const request = present(second.tryReceive());
    for (const attempt of [() => stale.reply("wrong"), () => first.reply(stale.id, "wrong")]) {
      assertEquals(attempt(), false);
    }
    // Neither a server that does not hold it nor a reply with an old id.
    assertEquals([first.reply(request.id, "wrong"), second.reply(stale.id, "wrong")], [
      false,
      false,
    ]);
    if (round % 3 === 0) {
      assertEquals([call.cancel(), request.reply("late")], [true, false]);
    } else {
      assertEquals(request.reply(`${round}`), true);
      assertEquals(text(call.getSync()), `${round}`);
    }
    ids.add(late.id).add(call.id);
  }
  assertEquals(ids.size, 4000);
});

test("cancelled requests take no place in the queue and are never handed out (P44)", () => {
  using pair = openAnonymousPair({ slots: 2 });
  const { server, client } = pair;
  for (const call of ["a", "b"].map((payload) => present(client.trySend(payload)))) call.cancel();
  const calls = ["c", "d"].map((payload) => present(client.trySend(payload)));
  assertEquals(server.tryReceiveMany().map((request) => request.text()), ["c", "d"]);
  for (const call of calls) call.release();
});

test("any number of requests can be cancelled behind one that waits (P44)", () => {
  using pair = openAnonymousPair({ slots: 3 });
  const { server, client } = pair;
  const first = present(client.trySend("first"));
  for (let count = 0; count < 10_000; count++) present(client.trySend("x")).cancel();
  const second = present(client.trySend("second"));
  for (let count = 0; count < 10_000; count++) present(client.trySend("x")).cancel();
  const third = present(client.trySend("third"));
  assertEquals(server.tryReceiveMany().map((request) => request.text()), [
    "first",
    "second",
    "third",
  ]);
  for (const call of [first, second, third]) call.release();
});

test("a handle that is closed gives its slots back (P45)", () => {
  using server = Server.anonymous({ slots: 1 });
  for (let round = 0; round < 3; round++) {
    const client = Client.fromFd(server.fd);
    present(client.trySend("x"));
    client.close();
  }
  using client = Client.fromFd(server.fd);
  using _call = present(client.trySend("y"));
  assertEquals(present(server.tryReceive()).text(), "y");
});

test("a batch of nothing is refused, and one of everything is everything (P46, P47)", async () => {
  using pair = openAnonymousPair({ slots: 8 });
  const { server, client } = pair;
  for (let count = 0; count < 5; count++) client.post(`${count}`);
  assertThrows(() => server.tryReceiveMany(0), RangeError);
  assertThrows(() => server.receiveManySync(0), RangeError);
  await server.receiveMany(0).then(
    () => assert(false),
    (error) => assert(error instanceof RangeError),
  );
  assertEquals(server.stats().queued, 5);
  assertEquals(server.tryReceiveMany(2 ** 32).length, 5);
});

test("liveness does not depend on process ids (P5)", async () => {
  const target = newTarget();
  using client = Client.open(target, { create: { slots: 2, maxDeliveries: 2 } });
  const fills = await startClient(runtime, target, "promise");
  assertEquals(await fills.ask({ op: "fill", payload: "hold" }), { count: 2 });
  const holds = await startServer(runtime, target, "promise");
  await holds.expect("holding 1");
  await holds.expect("holding 1");

  // As if the id belonged to no process, or to another namespace: the server is still alive.
  replaceProcessIds(target, holds.pid, 0x3fffffff);
  using other = Server.open(target);
  assertEquals(await other.receive({ timeout: 200 }), null);
  // As if the id belonged to a process that lives for ever: the server is still dead.
  replaceProcessIds(target, 0x3fffffff, 1);
  await holds.killed();
  const requests = [present(await other.receive()), present(await other.receive())];
  assertEquals(requests.map(({ deliveries }) => deliveries), [2, 2]);
  for (const request of requests) request.reply();
  replaceProcessIds(target, fills.pid, 1);
  await fills.killed();
  await eventually(() => client.trySend("x"));
});

/** In the participants' entries, which keep them for display. */
function replaceProcessIds(path: string, from: number, to: number): void {
  const [tableOffset, entryBytes, idOffset, entries] = [4096, 256, 16, 16];
  const file = openSync(path, "r+");
  let replaced = 0;
  for (let index = 0; index < entries; index++) {
    const id = new Uint32Array(1);
    const offset = tableOffset + index * entryBytes + idOffset;
    readSync(file, new Uint8Array(id.buffer), 0, 4, offset);
    if (id[0] !== from) continue;
    id[0] = to;
    writeSync(file, new Uint8Array(id.buffer), 0, 4, offset);
    replaced += 1;
  }
  closeSync(file);
  assert(replaced > 0, `no entry has the id ${from}`);
}

test("messages of changing sizes take no more memory than the longest need (xt/arena_fragmentation)", () => {
  using pair = openAnonymousPair({ slots: 5 });
  const { server, client } = pair;
  const round = (lengths: number[]) => {
    const calls = lengths.map((length) => present(client.trySend(pattern(length, length))));
    for (const request of server.tryReceiveMany()) request.reply(request.bytes);
    calls.forEach((call, index) =>
      assertEquals(call.getSync(), pattern(lengths[index]!, lengths[index]!))
    );
  };
  round([5000, 5000, 5000, 5000, 5000]);
  const { committedBytes } = client.stats();
  for (let count = 0; count < 1000; count++) {
    round([1, 2, 3, 4, 5].map((place) => 1 + Math.imul(count * 5 + place, 0x9e3779b1) >>> 20));
  }
  assertEquals(client.stats().committedBytes, committedBytes);
});

test("a restarted server gets the queued requests, and none that it answered (t/07_recover)", async () => {
  const target = newTarget();
  using client = Client.open(target, { create: {} });
  for (const name of runtimes) {
    const server = await startServer(name, target, "serve");
    assertEquals(text(await client.request("answered")), "answered");
    await server.killed();
    const waiting = client.request("pid");
    const { inFlight, queued } = client.stats();
    assertEquals([inFlight, queued], [1, 1]);
    const next = await startServer(name, target, "sync");
    assertEquals(text(await waiting), `${next.pid}`);
    await next.killed();
  }
});

test("a descriptor that is no channel is refused (xt/fd_validation)", () => {
  const path = newTarget();
  writeFileSync(path, new Uint8Array(100_000).fill(1));
  for (const name of ["/dev/null", path]) {
    const fd = openSync(name, "r+");
    assertThrowsCode(() => Server.fromFd(fd), "CORRUPT");
    assertThrowsCode(() => Client.fromFd(fd), "CORRUPT");
    closeSync(fd);
  }
  assertThrows(() => Client.fromFd(-1), RangeError);
});

test("30 requests of three clients, three servers, and nothing is left (xt/graceful_shutdown)", async () => {
  const target = newTarget();
  const servers = await Promise.all(
    (["serve", "sync", "promise"] as const).map((form, index) =>
      startServer(runtimes[index % 2]!, target, form)
    ),
  );
  using client = Client.open(target);
  const answers = Array.from({ length: 30 }, (_, index) => client.request(`${index}`));
  assertEquals((await Promise.all(answers)).map(text), answers.map((_, index) => `${index}`));
  for (const _ of servers) {
    // Registered before: the process may end before this one sees its answer.
    const running = servers.filter(({ isRunning }) => isRunning);
    assertEquals(text(await client.request("stop")), "stopping");
    await Promise.any(running.map((server) => server.ended()));
  }
  const { inFlight, queued, waitingServers } = client.stats();
  assertEquals([inFlight, queued, waitingServers, client.servers], [0, 0, 0, 0]);
  const late = doomed(client.request("no server is there", { timeout: 50 }));
  await assertRejectsCode(late, "TIMEOUT");
});
