/** Removing a channel. */
import { assertEquals } from "@std/assert";
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, Server } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  doomed,
  folder,
  newTarget,
  ownRuntime,
  present,
  runtimes,
  startClient,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";
import { does, standsStill, startStopping, stopsAt } from "../faults/test_library.ts";

test("unlink removes the file and says whether there was one", () => {
  const target = newTarget();
  const server = Server.create(target);
  assertEquals(Server.unlink(target), true);
  assertEquals(existsSync(target), false);
  assertEquals(Server.unlink(target), false);
  server.close();
  assertEquals(readdirSync(folder()), []);
  assertEquals(Server.unlink(join(folder(), "no", "folder.tandem")), false);
});

test("unlink of the handle's own channel: removes the file, and is false the second time", () => {
  const target = newTarget();
  using server = Server.create(target);
  assertEquals(server.unlink(), true);
  assertEquals(existsSync(target), false);
  assertEquals(server.unlink(), false);
});

test("a draft of a channel that is unlinked cannot be sent", async () => {
  using pair = openPair({ slots: 4 });
  const { server, client } = pair;
  const drafts = Array.from({ length: 4 }, () => client.allocate(5));
  server.unlink();
  const [request, requestSync, send, post] = drafts.map(present);
  await assertRejectsCode(request!.request(), "NOT_FOUND");
  assertThrowsCode(() => requestSync!.requestSync(), "NOT_FOUND");
  assertThrowsCode(() => send!.send(), "NOT_FOUND");
  assertThrowsCode(() => post!.post(), "NOT_FOUND");
  assertEquals([server.stats().inFlight, server.tryReceive()], [0, null]);
});

test("unlink refuses a file that is no channel, and leaves it", () => {
  const target = newTarget();
  writeFileSync(target, "a user's notes");
  assertThrowsCode(() => Server.unlink(target), "CORRUPT", target);
  assertEquals(readFileSync(target, "utf8"), "a user's notes");
  assertThrowsCode(() => Server.unlink(folder()), "CORRUPT");
  assertThrowsCode(() => Server.unlink("/dev/null"), "CORRUPT");

  const channel = newTarget();
  using _server = Server.create(channel);
  const link = newTarget();
  symlinkSync(channel, link);
  assertThrowsCode(() => Server.unlink(link), "CORRUPT");
  assertEquals(existsSync(channel), true);
});

test("unlink removes the leftovers of an interrupted create", () => {
  const target = newTarget();
  writeFileSync(target, new Uint8Array(8192));
  assertEquals(Server.unlink(target), true);
  assertEquals(existsSync(target), false);
});

test("calls in flight end CANCELLED, further ones NOT_FOUND", async () => {
  using pair = openPair({ slots: 4 });
  const { server, client, target } = pair;
  const [held, queued] = [doomed(client.request("held")), doomed(client.request("queued"))];
  const sent = present(client.trySend("sent"));
  const request = present(await server.receive());
  present(client.trySend("fills the last slot"));
  const waiting = doomed(client.request("waits for a slot"));
  assertEquals(Server.unlink(target), true);

  await assertRejectsCode(held, "CANCELLED");
  await assertRejectsCode(queued, "CANCELLED");
  assertThrowsCode(() => sent.getSync(), "CANCELLED");
  await assertRejectsCode(waiting, "NOT_FOUND");
  assertEquals([request.cancelled, request.reply("x")], [true, false]);

  assertThrowsCode(() => client.trySend("x"), "NOT_FOUND");
  assertThrowsCode(() => client.sendSync("x"), "NOT_FOUND");
  assertThrowsCode(() => client.requestSync("x"), "NOT_FOUND");
  await assertRejectsCode(client.send("x"), "NOT_FOUND");
  await assertRejectsCode(client.request("x"), "NOT_FOUND");
});

test("a channel that is made anew is another one", async () => {
  using pair = openPair({ slots: 3 });
  const { server: old, client: stale, target } = pair;
  Server.unlink(target);
  using server = Server.create(target, { slots: 7 });
  using client = Client.open(target);
  assertEquals([old.slots, stale.slots, server.slots, client.slots], [3, 3, 7, 7]);
  assertThrowsCode(() => stale.trySend("x"), "NOT_FOUND");
  const answer = client.request("x");
  assertThrowsCode(() => old.tryReceive(), "NOT_FOUND");
  present(await server.receive()).reply("from the new one");
  assertEquals(text(await answer), "from the new one");
});

for (const name of runtimes) {
  test(`sleeping clients in other processes of ${name} learn of it`, async () => {
    const target = newTarget();
    const server = await startServer(name, target, "serve");
    const clients = [];
    for (const form of ["promise", "sync", "try"] as const) {
      const client = await startClient(name, target, form);
      client.send({ op: "request", payload: "hold" });
      await server.expect("holding 1");
      clients.push(client);
    }
    assertEquals(Server.unlink(target), true);
    for (const client of clients) {
      assertEquals((await client.message<{ code: string }>()).code, "CANCELLED");
      const { code } = await client.ask<{ code: string }>({ op: "request", payload: "x" });
      assertEquals(code, "NOT_FOUND");
    }
    await server.expect("unlinked");
    const next = await startServer(name, target, "sync");
    using client = await Client.connect(target);
    assertEquals(text(await client.request("pid")), String(next.pid));
  });
}

// The native side waits two seconds each time, and is the same for all runtimes.
for (const name of ownRuntime) {
  test(`${name}: an unlink that stands still at its last step does not remove a successor`, async () => {
    const target = newTarget();
    Server.create(target).close();
    const remover = await startStopping(name, target);
    await stopsAt(remover, "unlinking", "unlink");
    await standsStill(remover);
    assertThrowsCode(() => Server.open(target), "BUSY");
    remover.kill("SIGCONT");
    await remover.expect("unlinked");
    using server = Server.open(target);
    assertEquals([existsSync(target), server.unlink()], [true, true]);
  });

  test(`${name}: two that find a channel half removed make one successor`, async () => {
    const target = newTarget();
    Server.create(target).close();
    const remover = await startStopping(name, target);
    await stopsAt(remover, "unlinking", "unlink");
    await standsStill(remover);
    await remover.killed();
    const opener = await startStopping(name, target);
    await stopsAt(opener, "unlinking", "open server");
    await standsStill(opener);
    assertThrowsCode(() => Server.open(target), "BUSY");
    opener.kill("SIGCONT");
    await opener.expect("open");
    using client = Client.open(target);
    assertEquals(client.servers, 1);
    await does(opener, "leave", "left");
  });
}
