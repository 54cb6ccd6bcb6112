/** Servers and clients that are killed, as real processes, in every ordered pair of runtimes. */
import { assert, assertEquals } from "@std/assert";
import { readdirSync } from "node:fs";
import { type ChannelOptions, Client, Server, type ServerRequest } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  type Child,
  type ClientForm,
  doomed,
  eventually,
  folder,
  newTarget,
  pairs,
  present,
  type Runtime,
  runtime,
  runtimes,
  type ServerForm,
  settled,
  startClient,
  startServer,
  test,
  text,
} from "../support/harness.ts";

const clientForms: readonly ClientForm[] = ["promise", "sync"];
const serverForms: readonly ServerForm[] = ["serve", "sync", "promise"];

interface Told {
  readonly text?: string;
  readonly code?: string;
  readonly count?: number;
  readonly errors?: Readonly<Record<string, number>>;
}

function only<T extends Told>({ code, text }: T): Told {
  return { ...(code === undefined ? {} : { code }), ...(text === undefined ? {} : { text }) };
}

/** A server that holds the request of `client`. */
async function holder(
  client: Child,
  runtime: Runtime,
  target: string,
  form: ServerForm,
  options: ChannelOptions = {},
): Promise<Child> {
  const server = await startServer(runtime, target, form, options);
  client.send({ op: "request", payload: "hold" });
  await server.expect("holding 1");
  return server;
}

for (const { server, client, title } of pairs) {
  for (const clientForm of clientForms) {
    test(`${title}, ${clientForm} client: its server is killed, SERVER_DIED`, async () => {
      const target = newTarget();
      using watcher = Client.open(target, { create: {} });
      const calling = await startClient(client, target, clientForm);
      for (const serverForm of serverForms) {
        const serving = await holder(calling, server, target, serverForm);
        // Asleep: only the death can wake it.
        await settled(calling);
        await serving.killed();
        assertEquals(only(await calling.message<Told>()), { code: "SERVER_DIED" }, serverForm);
      }
      const { serverDeaths, inFlight, servers, failures } = watcher.stats();
      assertEquals(
        { serverDeaths, inFlight, servers, failures },
        { serverDeaths: 3, inFlight: 0, servers: 0, failures: 3 },
      );
      // The channel is as when it was new.
      await startServer(server, target, "serve");
      assertEquals(await calling.ask({ op: "request", payload: "x" }), { text: "x" });
    });

    test(`${title}, ${clientForm} client: redelivery to a server that waits`, async () => {
      for (const serverForm of serverForms) {
        const target = newTarget();
        const first = await startServer(server, target, "serve", { maxDeliveries: 2 });
        const calling = await startClient(client, target, clientForm);
        calling.send({ op: "request", payload: "hold-once" });
        await first.expect("holding 1");
        // The other runtime takes over, because the slot holds the request's bytes.
        const second = await startServer(client, target, serverForm);
        await settled(second);
        await first.killed();
        assertEquals(await calling.message(), { text: "delivery 2" }, serverForm);
      }
    });

    test(`${title}, ${clientForm} client: redelivery to a server that comes later`, async () => {
      const target = newTarget();
      const first = await startServer(server, target, "sync", { maxDeliveries: 2 });
      const calling = await startClient(client, target, clientForm);
      calling.send({ op: "request", payload: "hold-once" });
      await first.expect("holding 1");
      await first.killed();
      await startServer(server, target, "serve");
      assertEquals(await calling.message(), { text: "delivery 2" });
    });

    test(`${title}, ${clientForm} client: no more than maxDeliveries`, async () => {
      const target = newTarget();
      const calling = await (async () => {
        using _maker = Client.open(target, { create: { maxDeliveries: 3 } });
        return await startClient(client, target, clientForm);
      })();
      calling.send({ op: "request", payload: "hold" });
      let holding = await startServer(server, target, "serve");
      await holding.expect("holding 1");
      for (const delivery of [2, 3]) {
        const next = await startServer(delivery === 2 ? client : server, target, "sync");
        await holding.killed();
        await next.expect(`holding ${delivery}`);
        holding = next;
      }
      await holding.killed();
      assertEquals(only(await calling.message<Told>()), { code: "SERVER_DIED" });
      // A call may allow fewer than its channel.
      const last = await startServer(server, target, "serve");
      calling.send({ op: "request", payload: "hold", options: { maxDeliveries: 1 } });
      await last.expect("holding 1");
      await last.killed();
      assertEquals(only(await calling.message<Told>()), { code: "SERVER_DIED" });
    });
  }

  test(`${title}: servers are killed under load, every call ends, and once`, async () => {
    for (const clientForm of clientForms) {
      const target = newTarget();
      using watcher = Client.open(target, { create: { slots: 64 } });
      const calling = await startClient(client, target, clientForm);
      let serving = await startServer(server, target, "serve");
      const count = 60;
      const rounds = 6;
      let errors = 0;
      for (let round = 0; round < rounds; round++) {
        calling.send({ op: "flood", payload: "x".repeat(3000), count });
        const next = await startServer(server, target, round % 2 ? "serve" : "sync");
        await serving.killed();
        serving = next;
        const told = await calling.message<Told>();
        const died = told.errors?.["SERVER_DIED"] ?? 0;
        assertEquals(told, { count: count - died, errors: died ? { SERVER_DIED: died } : {} });
        errors += died;
      }
      const { requests, replies, inFlight, failures } = watcher.stats();
      assertEquals({ requests, inFlight }, { requests: count * rounds, inFlight: 0 });
      // A request whose server died either failed or was answered before, perhaps a moment before it was counted.
      assert(failures <= errors && replies + failures >= count * rounds - rounds, `${replies}`);
      serving.kill("SIGKILL");
    }
  });

  test(`${title}: a client is killed, and a client asleep gets its slots`, async () => {
    for (const clientForm of clientForms) {
      const target = newTarget();
      using watcher = Client.open(target, { create: { slots: 4 } });
      const victim = await startClient(client, target, clientForm);
      const sleeper = await startClient(client, target, clientForm);
      assertEquals(await victim.ask({ op: "fill", payload: "of the dead" }), { count: 4 });
      sleeper.send({ op: "request", payload: "of the living" });
      await settled(sleeper);
      await victim.killed();
      await eventually(() => watcher.stats().queued === 1, "one request of the living");
      await startServer(server, target, "serve");
      assertEquals(await sleeper.message(), { text: "of the living" });
      // The channel counts an answer a moment after the client sees it.
      await eventually(() => watcher.stats().replies > 0);
      const { inFlight, clientDeaths, clients, replies } = watcher.stats();
      assertEquals(
        { inFlight, clientDeaths, clients, replies },
        { inFlight: 0, clientDeaths: 1, clients: 2, replies: 1 },
        "its queued requests are dropped unseen",
      );
    }
  });
}

for (const name of runtimes) {
  test(`a client of ${name} is killed: every form of send finds a slot`, async () => {
    const target = newTarget();
    using client = Client.open(target, { create: { slots: 2 } });
    using server = Server.open(target);
    const needs: (() => unknown)[] = [
      () => client.sendSync("x"),
      () => client.send("x"),
      () => assertRejectsCode(client.request("x", { timeout: 60_000 }), "CANCELLED"),
    ];
    for (const need of needs) {
      const victim = await startClient(name, target, "promise");
      assertEquals(await victim.ask({ op: "fill" }), { count: 2 });
      await victim.killed();
      const isThere = eventually(() => client.stats().inFlight === 1)
        .then(() => assertEquals(server.clear(), 1));
      await Promise.all([need(), isThere]);
    }
    assertEquals(client.stats().clientDeaths, needs.length);
  });

  test(`a client of ${name} is killed: the try forms find its slots, too`, async () => {
    const target = newTarget();
    using client = Client.open(target, { create: { slots: 2 } });
    const victim = await startClient(name, target, "promise");
    assertEquals(await victim.ask({ op: "fill" }), { count: 2 });
    await victim.killed();
    await eventually(() => client.trySend("x"), "trySend finds a slot");
  });

  test(`a server of ${name} is killed while its client never waits: tryGet throws SERVER_DIED`, async () => {
    const target = newTarget();
    using client = Client.open(target, { create: { maxDeliveries: 2 } });
    const call = present(client.trySend("hold", { maxDeliveries: 1 }));
    const first = await startServer(name, target, "sync");
    await first.expect("holding 1");
    await first.killed();
    let error: unknown;
    await eventually(() => {
      try {
        assertEquals(call.tryGet(), null);
      } catch (caught) {
        error = caught;
      }
      return error;
    }, "tryGet tells of the death");
    assertThrowsCode(() => {
      throw error;
    }, "SERVER_DIED");
  });

  test(`a server of ${name} is killed: tryReceive of another finds its request`, async () => {
    const target = newTarget();
    using client = Client.open(target, { create: { maxDeliveries: 2 } });
    using server = Server.open(target);
    const call = present(client.trySend("hold"));
    const first = await startServer(name, target, "sync");
    await first.expect("holding 1");
    await first.killed();
    let request: ServerRequest | null = null;
    await eventually(() => request = server.tryReceive(), "tryReceive finds the request");
    const { deliveries } = present<ServerRequest>(request);
    assertEquals(deliveries, 2);
    present<ServerRequest>(request).reply("x");
    assertEquals(text(present(call.tryGet())), "x");
  });

  test(`a client of ${name} is killed: its server learns of it and loses nothing`, async () => {
    for (const clientForm of clientForms) {
      const target = newTarget();
      using server = Server.create(target, { slots: 1 });
      const victim = await startClient(name, target, clientForm);
      const payload = "x".repeat(10_000);
      victim.send({ op: "request", payload });
      const request = present(await server.receive());
      const { signal } = request;
      await victim.killed();
      await eventually(() => signal.aborted);
      assertEquals(request.cancelled, true);
      // Its server keeps the slot until it replies.
      assertEquals(request.text(), payload);
      assertEquals(server.stats().inFlight, 1);
      assertEquals(request.reply("x"), false);
      assertEquals(server.stats().inFlight, 0);
    }
  });

  test(`a client of ${name} is killed asleep, waiting for a slot`, async () => {
    const target = newTarget();
    using client = Client.open(target, { create: { slots: 1 } });
    using server = Server.open(target);
    const first = present(client.trySend("first"));
    for (const clientForm of clientForms) {
      const victim = await startClient(name, target, clientForm);
      victim.send({ op: "request", payload: "of the dead" });
      await settled(victim);
      await victim.killed();
    }
    // Its entry in the queue of waiters must not swallow the wake-up that the next one needs.
    const waiting = client.request("of the living");
    first.release();
    const request = present(await server.receive());
    assertEquals(request.text(), "of the living");
    request.reply("y");
    assertEquals(text(await waiting), "y");
  });

  test(`a server of ${name} is killed idle: others are not disturbed`, async () => {
    for (const serverForm of serverForms) {
      const target = newTarget();
      using client = Client.open(target, { create: {} });
      const [idle, working] = [
        await startServer(name, target, serverForm),
        await startServer(name, target, "serve"),
      ];
      await Promise.all([settled(idle), settled(working)]);
      await idle.killed();
      // The dead one may still be in the queue of servers that wait for a request.
      for (let round = 0; round < 20; round++) {
        assertEquals(text(await client.request("pid")), String(working.pid));
      }
      await eventually(() => client.servers === 1);
      assertEquals(client.stats().inFlight, 0);
    }
  });
}

test("the dead leave no files: bells go with them", async () => {
  const target = newTarget();
  const name = target.slice(folder().length + 1);
  {
    using client = Client.open(target, { create: {} });
    for (const each of runtimes) {
      const server = await startServer(each, target, "serve");
      const answer = doomed(client.request("hold"));
      await server.expect("holding 1");
      await server.killed();
      await assertRejectsCode(answer, "SERVER_DIED");
    }
    await eventually(() => client.stats().serverDeaths === runtimes.length);
  }
  assertEquals(readdirSync(folder()), [name]);
});

test("many clients are killed at once, and all slots come back", async () => {
  const target = newTarget();
  using client = Client.open(target, { create: { slots: 60 } });
  using server = Server.open(target);
  const serving = server.serve((request) => request.bytes, { concurrency: 4 });
  const victims = await Promise.all(
    Array.from(
      { length: 6 },
      (_, index) => startClient(runtimes[index % runtimes.length]!, target, "promise"),
    ),
  );
  for (const victim of victims) victim.send({ op: "flood", payload: "x", count: 10_000 });
  await eventually(() => client.stats().replies > 100);
  await Promise.all(victims.map((victim) => victim.killed()));
  for (let round = 0; round < 100; round++) assertEquals(text(await client.request("y")), "y");
  await eventually(() => client.stats().clientDeaths === 6);
  await eventually(() => client.stats().inFlight === 0);
  // Every single slot can be had.
  server.close();
  await serving;
  const calls = Array.from({ length: 60 }, () => present(client.trySend("z")));
  for (const call of calls) call.release();
});

test("a process with many handles is killed: each of them counts as dead", async () => {
  const target = newTarget();
  using watcher = Client.open(target, { create: {} });
  const child = await startServer(runtime, target, "serve");
  const other = await startClient(runtime, target, "promise");
  const answers = [doomed(watcher.request("hold")), doomed(watcher.request("hold"))];
  await child.expect("holding 1");
  await child.expect("holding 1");
  other.send({ op: "request", payload: "hold" });
  await child.expect("holding 1");
  await Promise.all([child.killed(), other.killed()]);
  for (const answer of answers) await assertRejectsCode(answer, "SERVER_DIED");
  await eventually(() => {
    const { serverDeaths, clientDeaths, inFlight } = watcher.stats();
    return serverDeaths === 1 && clientDeaths === 1 && inFlight === 0;
  });
});
