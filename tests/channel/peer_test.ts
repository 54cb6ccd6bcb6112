/** What a raw request tells of its sender. */
import { assertEquals } from "@std/assert";
import process from "node:process";
import { Client, IntClient, IntServer, type Peer, Server } from "../../mod.ts";
import { runtime, test } from "../support/harness.ts";

const ownPeer: Peer = { pid: process.pid, uid: process.geteuid!(), runtime };
const unknown: Peer = { pid: 0, uid: -1, runtime: "unknown" };

test("a request knows its sender until it is answered, and afterwards if it was asked before", () => {
  using server = Server.anonymous();
  using client = Client.fromFd(server.fd);
  client.trySend("asked");
  client.trySend("never asked");
  const asked = server.tryReceive()!;
  const never = server.tryReceive()!;
  assertEquals(asked.peer, ownPeer);
  asked.reply();
  never.reply();
  assertEquals([asked.peer, never.peer], [ownPeer, unknown]);
});

test("integer requests know their senders", () => {
  using server = IntServer.anonymous();
  using client = IntClient.fromFd(server.fd);
  client.trySend(1);
  assertEquals(server.tryReceive()!.peer, ownPeer);
});

test("a posted request knows its sender until another handle takes that one's place", () => {
  using server = Server.anonymous();
  {
    using client = Client.fromFd(server.fd);
    client.post("one");
    client.post("two");
  }
  assertEquals(server.tryReceive()!.peer, ownPeer);
  const second = server.tryReceive()!;
  using _successor = Client.fromFd(server.fd);
  assertEquals(second.peer, unknown);
});
