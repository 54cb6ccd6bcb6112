/** Quiet handles, which only post: one descriptor, and nobody watches them. */
import { assert, assertEquals } from "@std/assert";
import { readdirSync } from "node:fs";
import { ClientCore } from "../../src/channel/client_core.ts";
import { connectPrivateQuietly, servePrivate } from "../../src/channel/private.ts";
import { ServerCore } from "../../src/channel/server_core.ts";
import { eventually, newTarget, test } from "../support/harness.ts";

const descriptors = () => readdirSync("/proc/self/fd").length;

test("a quiet handle has one descriptor, and its posts wake a server that sleeps", async () => {
  const target = newTarget();
  const host = ServerCore.create(target, { slots: 1 });
  const main = ClientCore.open(target);
  const mailbox = servePrivate(host, { slots: 16 });
  const got: number[] = [];
  void mailbox.server.consume({
    hasRoom: true,
    take: (request) => {
      got.push(request.bytes[0]!);
      request.reply("");
    },
  });
  await eventually(() => mailbox.server.stats().waitingServers === 1, "the server sleeps");
  const joins = mailbox.server.joins;
  const before = descriptors();
  const quiet = Array.from({ length: 40 }, () => connectPrivateQuietly(main, mailbox.name));
  assertEquals(descriptors() - before, 40);
  // Nobody was woken to watch them.
  assertEquals(mailbox.server.joins, joins);
  assertEquals(mailbox.server.stats().clients, 40);
  for (const [index, client] of quiet.entries()) {
    await eventually(() => mailbox.server.stats().waitingServers === 1, "the server sleeps");
    assert(client.post(new Uint8Array([index])));
    await eventually(() => got.length === index + 1, `post ${index} is taken`);
  }
  // The bell that they all ring is kept once.
  assert(descriptors() - before <= 41);
  assertEquals(mailbox.server.stats().unreachable, 0);
  for (const client of quiet) client.close();
  assertEquals(descriptors(), before);
  mailbox.remove();
  main.close();
  host.close();
});

test("a quiet handle outlives the one through which it rings, and gets answers", async () => {
  const target = newTarget();
  const host = ServerCore.create(target, { slots: 1 });
  const main = ClientCore.open(target);
  const mailbox = servePrivate(host, { slots: 4 });
  const quiet = connectPrivateQuietly(main, mailbox.name);
  main.close();
  void mailbox.server.consume({ hasRoom: true, take: (request) => request.reply("yes") });
  await eventually(() => mailbox.server.stats().waitingServers === 1, "the server sleeps");
  const answer = await quiet.request("?", quiet.settings(undefined));
  assertEquals(new TextDecoder().decode(answer), "yes");
  quiet.close();
  mailbox.remove();
  host.close();
});

test("a quiet handle on a channel with a name", async () => {
  const target = newTarget();
  const server = ServerCore.create(target, { slots: 4 });
  const quiet = ClientCore.openQuietly(target);
  const got: string[] = [];
  void server.consume({
    hasRoom: true,
    take: (request) => {
      got.push(new TextDecoder().decode(request.bytes));
      request.reply("");
    },
  });
  await eventually(() => server.stats().waitingServers === 1, "the server sleeps");
  assert(quiet.post("hello"));
  await eventually(() => got[0] === "hello", "it is taken");
  quiet.close();
  server.close();
});
