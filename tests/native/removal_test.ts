/**
 * A channel that was unlinked, and one whose file another program has removed, as a cleaner of
 * temporary files or a logout does: all its clients and servers learn of it, asleep or not.
 */
import { assert, assertEquals } from "@std/assert";
import { existsSync, linkSync, renameSync, rmSync, unlinkSync } from "node:fs";
import { Client, connect, IntServer, serve, Server } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  doomed,
  eventually,
  newTarget,
  present,
  runtimes,
  type ServerForm,
  startClient,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { openAnonymousPair, openPair } from "../support/open_pair.ts";

/** How the channel is removed. */
const ends: Readonly<Record<string, (target: string) => void>> = {
  "is unlinked": (target) => assert(Server.unlink(target)),
  "loses its file": (target) => unlinkSync(target),
  "loses all its files": (target) => {
    unlinkSync(target);
    rmSync(`${target}.bells`, { recursive: true });
  },
};

/** The next participant to sleep, to fail to ring or to ask for numbers notices that a file is gone. */
function stir(handle: Client | Server): void {
  handle.stats();
}

for (const [end, remove] of Object.entries(ends)) {
  test(`a channel ${end}: pending and later receives end with NOT_FOUND`, async () => {
    using pair = openPair();
    const { server, client, target } = pair;
    const one = doomed(server.receive());
    const many = doomed(server.receiveMany(4));
    await eventually(() => client.stats().waitingServers === 1, "it sleeps");
    remove(target);
    stir(client);
    await assertRejectsCode(one, "NOT_FOUND", "unlinked", "open it again");
    await assertRejectsCode(many, "NOT_FOUND");
    await assertRejectsCode(server.receive(), "NOT_FOUND");
    await assertRejectsCode(server.receive({ timeout: 10 }), "NOT_FOUND");
    assertThrowsCode(() => server.receiveSync(), "NOT_FOUND");
    assertThrowsCode(() => server.tryReceive(), "NOT_FOUND");
    assertThrowsCode(() => server.tryReceiveMany(), "NOT_FOUND");
    assertThrowsCode(() => server.receiveManySync(2), "NOT_FOUND");
    await assertRejectsCode(server.receiveMany(2), "NOT_FOUND");
    await assertRejectsCode(server.serve(() => ""), "NOT_FOUND");
    assertThrowsCode(() => server.serveSync(() => ""), "NOT_FOUND");
    assertThrowsCode(() => client.trySend("x"), "NOT_FOUND");
  });

  test(`a channel ${end}: iterating and serving end with NOT_FOUND`, async () => {
    const target = newTarget();
    using iterated = Server.create(target);
    using served = Server.open(target);
    using client = Client.open(target);
    const iterating = doomed((async () => {
      for await (const request of iterated) request.reply();
    })());
    const serving = doomed(served.serve((request) => request.bytes));
    assertEquals(text(await client.request("")), "");
    await eventually(() => client.stats().waitingServers === 2, "both sleep");
    remove(target);
    stir(client);
    await assertRejectsCode(iterating, "NOT_FOUND");
    await assertRejectsCode(serving, "NOT_FOUND");
  });

  test(`a channel ${end}: calls in flight end CANCELLED, later ones NOT_FOUND`, async () => {
    using pair = openPair({ slots: 2 });
    const { server, client, target } = pair;
    const held = doomed(client.request("held"));
    const request = present(await server.receive());
    const queued = doomed(client.request("queued"));
    const waiting = doomed(client.request("waits for a slot"));
    remove(target);
    stir(client);
    await assertRejectsCode(held, "CANCELLED");
    await assertRejectsCode(queued, "CANCELLED");
    await assertRejectsCode(waiting, "NOT_FOUND");
    assertEquals([request.cancelled, request.reply("x")], [true, false]);
    await assertRejectsCode(client.request("x"), "NOT_FOUND");
  });

  test(`a channel ${end}: its services end, and can be made anew`, async () => {
    const target = newTarget();
    const service = serve(target, { echo: (value: string) => value });
    using remote = connect<{ echo(value: string): string }>(target, { timeout: 20_000 });
    assertEquals(await remote.echo("a"), "a");
    using own = Client.open(target);
    await eventually(() => own.stats().waitingServers === 1, "it sleeps");
    remove(target);
    stir(own);
    await assertRejectsCode(service.finished, "NOT_FOUND");
    await service.close();
    await using next = serve(target, { echo: (value: string) => `${value}, again` });
    assertEquals(await remote.echo("b"), "b, again");
    next.unlink();
  });

  for (const runtime of runtimes) {
    for (
      const form of ["try", "sync", "promise", "iterate", "serve", "serveSync"] as ServerForm[]
    ) {
      test(`a channel ${end}: a ${runtime} server learns of it in ${form}`, async () => {
        const target = newTarget();
        const server = await startServer(runtime, target, form);
        using client = Client.open(target);
        if (form !== "try") {
          await eventually(() => client.stats().waitingServers === 1, "it sleeps");
        }
        remove(target);
        stir(client);
        await server.expect("unlinked");
        assertEquals(await server.line(), "served 0");
        await server.ended();
      });
    }

    for (const form of ["sync", "promise", "try"] as const) {
      test(`a channel ${end}: a ${runtime} client learns of it in ${form}`, async () => {
        const target = newTarget();
        using server = Server.create(target);
        const client = await startClient(runtime, target, form);
        client.send({ op: "request", payload: "x" });
        const request = present(await server.receive());
        if (form !== "try") {
          await eventually(() => server.stats().waitingClients === 1, "it sleeps");
        }
        remove(target);
        // Asleep in a promise, it learns of it from the first that notices.
        const receiving = doomed(server.receive());
        assertEquals((await client.message<{ code: string }>()).code, "CANCELLED");
        await assertRejectsCode(receiving, "NOT_FOUND");
        assertEquals(request.reply("y"), false);
      });
    }
  }
}

test("a handle that unlinks its channel itself goes on until it is closed", async () => {
  const target = newTarget();
  await using server = Server.create(target);
  using other = Server.open(target);
  using client = Client.open(target);
  let isOver = false;
  const serving = server.serve((request) => request.bytes).then(() => isOver = true);
  const receiving = doomed(other.receive());
  await eventually(() => client.stats().waitingServers === 2, "both sleep");
  assertEquals(server.unlink(), true);
  await assertRejectsCode(receiving, "NOT_FOUND");
  await assertRejectsCode(client.request("x"), "NOT_FOUND");
  assertEquals(server.tryReceive(), null);
  await eventually(() => client.stats().waitingServers === 1, "it sleeps on");
  assertEquals(isOver, false);
  server.close();
  await serving;
});

test("a service that unlinks its channel itself finishes when it is closed", async () => {
  const target = newTarget();
  const service = serve(target, { echo: (value: string) => value });
  const other = serve(target, { echo: (value: string) => value });
  assertEquals(service.unlink(), true);
  await assertRejectsCode(other.finished, "NOT_FOUND");
  await service.close();
  await service.finished;
  await other.close();
});

test("unlink after another process has done so: false, and the handle goes on", async () => {
  const target = newTarget();
  using server = Server.create(target);
  Server.unlink(target);
  assertEquals(server.unlink(), false);
  assertEquals(server.tryReceive(), null);
  assertEquals(await server.receive({ timeout: 1 }), null);
});

test("an integer server learns of its channel's removal", async () => {
  const target = newTarget();
  using server = IntServer.create(target);
  const receiving = doomed(server.receive());
  IntServer.unlink(target);
  await assertRejectsCode(receiving, "NOT_FOUND");
  assertThrowsCode(() => server.tryReceive(), "NOT_FOUND");
});

test("a channel with a new name, another name or no name goes on", async () => {
  using pair = openPair();
  const { server, client, target } = pair;
  const moved = `${target}.moved`;
  renameSync(target, moved);
  linkSync(moved, `${target}.second`);
  unlinkSync(moved);
  const answer = client.request("x");
  present(await server.receive()).reply("y");
  assertEquals(text(await answer), "y");
  assertEquals(existsSync(target), false);

  using anonymous = openAnonymousPair();
  const { server: nameless, client: asking } = anonymous;
  const second = asking.request("x");
  present(await nameless.receive()).reply("y");
  assertEquals(text(await second), "y");
  assertEquals(nameless.receiveSync({ timeout: 20 }), null);

  // A channel that had lost its name before it was opened.
  unlinkSync(`${target}.second`);
  using late = Server.fromFd(server.fd);
  assertEquals(late.receiveSync({ timeout: 20 }), null);
});
