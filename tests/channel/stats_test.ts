/** The numbers of a channel. */
import { assert, assertEquals } from "@std/assert";
import process from "node:process";
import { Client, Server, type Stats } from "../../mod.ts";
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
  startClient,
  startServer,
  test,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

/** Every number, in the contract's order. */
const names: readonly (keyof Stats)[] = [
  "slots",
  "inFlight",
  "queued",
  "clients",
  "servers",
  "requests",
  "replies",
  "failures",
  "cancelled",
  "timeouts",
  "redelivered",
  "serverDeaths",
  "clientDeaths",
  "reclaimed",
  "busy",
  "wakeups",
  "waitingServers",
  "waitingClients",
  "committedBytes",
  "mappedBytes",
  "unreachable",
];

/** Some of the numbers. */
function pick(handle: Server | Client, ...picked: (keyof Stats)[]): number[] {
  const stats = handle.stats();
  return picked.map((name) => stats[name]);
}

test("a new channel: its sizes, one server, and zeros", () => {
  const target = newTarget();
  using server = Server.create(target, { slots: 8, maxRequestBytes: 1000, maxResponseBytes: 1000 });
  const stats = server.stats();
  for (const name of names) {
    assert(Number.isSafeInteger(stats[name]) && stats[name] >= 0, `${name}: ${stats[name]}`);
  }
  const { committedBytes, mappedBytes, ...rest } = stats;
  assertEquals([rest.slots, rest.servers], [8, 1]);
  for (const name of names) {
    if (name in rest && name !== "slots" && name !== "servers") assertEquals(stats[name], 0, name);
  }
  assert(mappedBytes >= 8 * 2000, `${mappedBytes}`);
  assert(committedBytes > 0 && committedBytes <= mappedBytes, `${committedBytes}`);
});

test("server and client see the same numbers", () => {
  using pair = openPair();
  const { server, client } = pair;
  assertEquals(server.stats(), client.stats());
});

test("inFlight, queued and pending: follow each call", () => {
  using pair = openPair({ slots: 3 });
  const { server, client } = pair;
  const state = () => [...pick(client, "inFlight", "queued"), client.pending];
  const calls = ["a", "b", "c"].map((payload) => present(client.trySend(payload)));
  assertEquals(state(), [3, 3, 3]);
  const request = present(server.tryReceive());
  assertEquals(state(), [3, 2, 3]);
  request.reply();
  assertEquals(state(), [3, 2, 3]);
  calls[0]!.getSync();
  assertEquals(state(), [2, 2, 2]);
  calls[1]!.cancel();
  assertEquals(state(), [1, 1, 1]);
  const last = present(server.tryReceive());
  calls[2]!.cancel();
  // Its server still holds it.
  assertEquals(state(), [1, 0, 0]);
  last.reply();
  assertEquals(state(), [0, 0, 0]);
});

test("the counters: replies, failures, cancellations, time-outs and refusals", async () => {
  using pair = openPair({ slots: 2 });
  const { server, client } = pair;
  for (let round = 0; round < 3; round++) {
    const call = present(client.trySend("x"));
    present(server.tryReceive()).reply();
    call.getSync();
  }
  assertEquals(pick(client, "requests", "replies", "failures"), [3, 3, 0]);

  const failing = present(client.trySend("x"));
  present(server.tryReceive()).fail(new Error("no"));
  await assertRejectsCode(failing.get(), "REMOTE");
  assertEquals(pick(client, "requests", "replies", "failures"), [4, 3, 1]);

  present(client.trySend("x")).cancel();
  const held = present(client.trySend("x"));
  const request = present(server.tryReceive());
  held.cancel();
  request.reply();
  assertEquals(pick(client, "cancelled", "timeouts", "replies"), [2, 0, 3]);

  await assertRejectsCode(client.request("x", { timeout: 1 }), "TIMEOUT");
  assertEquals(pick(client, "cancelled", "timeouts", "busy"), [2, 1, 0]);

  const calls = [present(client.trySend("x")), present(client.trySend("x"))];
  assertEquals(client.trySend("x"), null);
  assertEquals(pick(client, "busy"), [1]);
  for (const call of calls) call.release();
  assertEquals(pick(client, "inFlight", "requests"), [0, 9]);
});

test("counts outlive the handles that made them", () => {
  const target = newTarget();
  using watcher = Client.open(target, { create: {} });
  for (let round = 0; round < 5; round++) {
    using server = Server.open(target);
    using client = Client.open(target);
    const call = present(client.trySend("x"));
    present(server.tryReceive()).reply();
    call.getSync();
  }
  assertEquals(pick(watcher, "requests", "replies", "servers", "clients"), [5, 5, 0, 1]);
});

test("waitingServers and waitingClients: count the handles that sleep", async () => {
  using pair = openPair();
  const { server, client, target } = pair;
  assertEquals(pick(client, "waitingServers", "waitingClients"), [0, 0]);
  const receiving = server.receive();
  await eventually(() => client.stats().waitingServers === 1);
  const other = await startClient(runtime, target, "sync");
  other.send({ op: "request", payload: "x" });
  const request = present(await receiving);
  await eventually(() => client.stats().waitingClients === 1);
  const { wakeups } = client.stats();
  assert(wakeups >= 1, `${wakeups}`);
  request.reply("y");
  assertEquals(await other.message(), { text: "y" });
  await eventually(() => client.stats().waitingClients === 0);
});

test("deaths are counted once, and so are the fates of their requests", async () => {
  const target = newTarget();
  using client = Client.open(target, { create: { maxDeliveries: 2 } });
  const server = await startServer(runtime, target, "sync");
  const first = doomed(client.request("hold"));
  const second = doomed(client.request("hold", { maxDeliveries: 1 }));
  await server.expect("holding 1");
  await server.killed();
  await eventually(() => client.stats().serverDeaths === 1);
  const next = await startServer(runtime, target, "serve");
  await next.expect("holding 1");
  await next.expect("holding 2");
  await next.killed();
  await assertRejectsCode(first, "SERVER_DIED");
  await assertRejectsCode(second, "SERVER_DIED");
  assertEquals(pick(client, "serverDeaths", "redelivered", "failures"), [2, 1, 2]);
  assertEquals(pick(client, "servers", "inFlight", "clientDeaths"), [0, 0, 0]);

  const victim = await startClient(runtime, target, "promise");
  assertEquals(await victim.ask({ op: "fill" }), { count: client.slots });
  const waiting = client.send("waits for a slot");
  await victim.killed();
  (await waiting).release();
  const [clientDeaths, reclaimed, clients] = pick(client, "clientDeaths", "reclaimed", "clients");
  assertEquals([clientDeaths, reclaimed, clients], [1, client.slots, 1]);
});

test("memory is committed as messages need it, and mapped for the worst case", () => {
  using pair = openPair({ slots: 16 });
  const { server, client } = pair;
  const { mappedBytes, committedBytes } = client.stats();
  assert(mappedBytes >= 16 * 2 * 1024 * 1024, `${mappedBytes}`);
  assert(committedBytes < 1024 * 1024, `${committedBytes}`);
  const call = present(client.trySend(pattern(500_000, 1)));
  const used = client.stats().committedBytes;
  assert(used >= committedBytes + 500_000, `${used}`);
  assert(used < committedBytes + 600_000, `${used}`);
  present(server.tryReceive()).reply();
  call.getSync();
  assertEquals(client.stats().mappedBytes, mappedBytes);
});

for (const runtime of runtimes) {
  test(`participants: a client in ${runtime} with its call, until it is killed`, async () => {
    const target = newTarget();
    using server = Server.create(target);
    const client = await startClient(runtime, target, "promise");
    client.send({ op: "request", payload: "hold" });
    const others = () => server.participants().filter(({ pid }) => pid !== process.pid);
    await eventually(() => server.stats().queued === 1, "its request has come");
    const [found, ...more] = others();
    assertEquals(more, []);
    assertEquals(
      { ...found },
      { role: "client", pid: client.pid, uid: process.geteuid!(), runtime, calls: 0 },
    );
    // It is counted a moment before it can be taken.
    let request: ReturnType<typeof server.tryReceive> = null;
    await eventually(() => (request = server.tryReceive()) !== null, "it can be taken");
    assertEquals(request!.text(), "hold");
    const own = server.participants().find(({ pid }) => pid === process.pid);
    assertEquals(own?.calls, 1);
    await client.killed();
    assertEquals(others(), []);
    server.close();
    assertThrowsCode(() => server.participants(), "CLOSED");
  });
}
