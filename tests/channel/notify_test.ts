import { assert, assertEquals } from "@std/assert";
import { rmSync } from "node:fs";
import { Client, Server } from "../../mod.ts";
import { backend } from "../../src/runtime/current.ts";
import { newTarget, runtimes, spawn, test } from "../support/harness.ts";
import { openAnonymousPair } from "../support/open_pair.ts";

interface CLibrary {
  poll(descriptors: Int32Array, count: bigint, timeout: number): number;
  eventfd(count: number, flags: number): number;
  close(fd: number): number;
}

const c = backend().bind<CLibrary>("libc.so.6", {
  poll: { parameters: ["buffer", "size", "i32"], result: "i32", cold: true },
  eventfd: { parameters: ["u32", "i32"], result: "i32", cold: true },
  close: { parameters: ["i32"], result: "i32", cold: true },
});

/** Blocks the thread until `fd` is readable; false: it was not within that time. */
function poll(fd: number, timeout: number): boolean {
  const pollIn = 1;
  return c.poll(new Int32Array([fd, pollIn]), 1n, timeout) === 1;
}

const long = 30_000;

for (const runtime of runtimes) {
  test(`a request from ${runtime} makes notifyFd readable while this thread is blocked`, async () => {
    const target = newTarget();
    using server = Server.create(target);
    const client = await spawn(runtime, "notify.ts", ["client", target]);
    await client.expect("ready");
    assertEquals(poll(server.notifyFd, 0), false, "nothing has come yet");
    client.send("go");
    await client.expect("going");
    assertEquals(poll(server.notifyFd, long), true);
    server.drainNotify();
    assertEquals(poll(server.notifyFd, 0), true, "not taken yet");
    server.tryReceive()!.reply("pong");
    server.drainNotify();
    assertEquals(poll(server.notifyFd, 0), false, "taken");
    await client.expect("pong");
  });

  test(`an answer from ${runtime} makes notifyFd readable while this thread is blocked`, async () => {
    const target = newTarget();
    const server = await spawn(runtime, "notify.ts", ["server", target]);
    await server.expect("ready");
    using client = Client.open(target);
    using call = client.sendSync("ping");
    assertEquals(poll(client.notifyFd, 0), false);
    server.send("take it");
    await server.expect("taken");
    assertEquals(poll(client.notifyFd, 0), false, "taken, and not answered yet");
    server.send("reply");
    await server.expect("going");
    assertEquals(poll(client.notifyFd, long), true);
    assertEquals(new TextDecoder().decode(call.tryGet()!), "pong");
    client.drainNotify();
    assertEquals(poll(client.notifyFd, 0), false);
  });
}

test("notifyFd is readable at once when there is something already", () => {
  using pair = openAnonymousPair();
  const { server, client } = pair;
  using _call = client.sendSync("x");
  assertEquals(poll(server.notifyFd, 0), true);
  assertEquals(server.notifyFd, server.notifyFd, "always the same one");
});

test("notifyFd becomes readable for every server that asked for it", () => {
  using first = Server.anonymous();
  using second = Server.fromFd(first.fd);
  using client = Client.fromFd(first.fd);
  const descriptors = [first.notifyFd, second.notifyFd];
  assertEquals(descriptors.map((fd) => poll(fd, 0)), [false, false]);
  assert(client.post("x"));
  assertEquals(descriptors.map((fd) => poll(fd, 0)), [true, true]);
  first.tryReceive()!.reply();
  for (const server of [first, second]) server.drainNotify();
  assertEquals(descriptors.map((fd) => poll(fd, 0)), [false, false]);
});

test("promises go on beside a notify descriptor", async () => {
  using pair = openAnonymousPair();
  const { server, client } = pair;
  assertEquals([poll(server.notifyFd, 0), poll(client.notifyFd, 0)], [false, false]);
  const serving = server.serve((request) => request.text().toUpperCase());
  for (const word of ["a", "b", "c"]) {
    assertEquals(new TextDecoder().decode(await client.request(word)), word.toUpperCase());
  }
  server.close();
  await serving;
});

test("an adopted eventfd: each side rings the other's, and drains its own", () => {
  const nonblocking = 0o4000;
  const requests = c.eventfd(0, nonblocking);
  // Without the flag: draining must not block.
  const answers = c.eventfd(0, 0);
  try {
    using pair = openAnonymousPair();
    const { server, client } = pair;
    server.adoptNotifyFd(requests);
    client.adoptPeerNotifyFd(requests);
    client.adoptNotifyFd(answers);
    server.adoptPeerNotifyFd(answers);
    assertEquals([poll(requests, 0), poll(answers, 0)], [false, false]);

    using call = client.sendSync("x");
    assertEquals([poll(requests, 0), poll(answers, 0)], [true, false]);
    const request = server.tryReceive()!;
    server.drainNotify();
    assertEquals(poll(requests, 0), false);
    request.reply("y");
    assertEquals(poll(answers, 0), true);
    call.getSync();
    client.drainNotify();
    assertEquals([poll(requests, 0), poll(answers, 0)], [false, false]);

    client.notify();
    assertEquals([poll(requests, 0), poll(answers, 0)], [true, false]);
    server.drainNotify();
    server.notify();
    assertEquals([poll(requests, 0), poll(answers, 0)], [false, true]);
  } finally {
    // The handles had their own copies.
    assertEquals([c.close(requests), c.close(answers)], [0, 0]);
  }
});

for (const runtime of runtimes) {
  test(`the bells are removed: a request from ${runtime} still makes notifyFd readable`, async () => {
    const target = newTarget();
    using server = Server.create(target);
    const client = await spawn(runtime, "notify.ts", ["client", target]);
    await client.expect("ready");
    assertEquals(poll(server.notifyFd, 0), false);
    rmSync(`${target}.bells`, { recursive: true });
    client.send("go");
    await client.expect("going");
    assertEquals(poll(server.notifyFd, long), true);
    server.tryReceive()!.reply("pong");
    server.drainNotify();
    assertEquals(poll(server.notifyFd, 0), false, "rung once for each time that it is drained");
    await client.expect("pong");
  });
}

test("an eventfd that the other side has not adopted is rung all the same", () => {
  using pair = openAnonymousPair();
  const { server, client } = pair;
  const fd = c.eventfd(0, 0);
  server.adoptNotifyFd(fd);
  for (let round = 0; round < 3; round++) {
    assertEquals(poll(fd, 0), false);
    assert(client.post("x"));
    assertEquals(poll(fd, long), true);
    server.tryReceive()!.reply();
    server.drainNotify();
  }
  c.close(fd);
});
