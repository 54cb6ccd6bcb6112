/** Whatever arrives at the port: it is counted, takes no memory, and harms no other client. */
import { assert, assertEquals } from "@std/assert";
import { randomBytes } from "node:crypto";
import process from "node:process";
import { eventually, pattern, processState, test } from "../support/harness.ts";
import {
  BareConnection,
  counted,
  frameHead,
  handshake,
  noPyzmq,
  openServed,
  PythonClients,
  shout,
} from "../support/zmq.ts";

const skip = noPyzmq;

const greetings: Readonly<Record<string, Uint8Array>> = {
  "a thousand zeros": new Uint8Array(1_000),
  "a greeting with an unknown mechanism": handshake.with(12, 0x58),
  "a command that is no handshake": new Uint8Array([
    ...handshake.slice(0, 64),
    ...[4, 6, 5, ...new TextEncoder().encode("HELLO")],
  ]),
  "a socket that may not talk to the door": new Uint8Array([
    ...handshake.slice(0, 64),
    ...[4, 25, 5, ...new TextEncoder().encode("READY"), 11],
    ...new TextEncoder().encode("Socket-Type"),
    ...[0, 0, 0, 3, ...new TextEncoder().encode("PUB")],
  ]),
};

for (const [what, bytes] of Object.entries(greetings)) {
  test(`${what}: the connection ends and is counted, and others are served`, async () => {
    const { door } = await openServed(shout);
    const bare = new BareConnection(door.endpoint);
    bare.write(bytes);
    await bare.closed;
    await eventually(
      () => door.stats().handshakeFailures + door.stats().cut === 1,
      "it is counted",
    );
    await counted(door, { accepted: 1, connections: 0, requests: 0, malformed: 0 });
    const clients = await PythonClients.start();
    await clients.open("a", "REQ", door.endpoint);
    assertEquals(await clients.request("a", "x"), ["X"]);
    assertEquals(door.stats().connections, 1);
  }, { skip });
}

test(
  "random bytes over many connections: none of them harms a client in the middle of its calls",
  async () => {
    const { door } = await openServed(shout);
    const clients = await PythonClients.start();
    await clients.open("a", "REQ", door.endpoint);
    for (let round = 0; round < 40; round++) {
      const bare = new BareConnection(door.endpoint);
      const begin = round % 3 === 0 ? handshake : handshake.slice(0, round % 70);
      bare.write(new Uint8Array([...begin, ...randomBytes(1 + round * 7)]));
      bare.socket.end();
      assertEquals(await clients.request("a", `${round}`), [`${round}`]);
      await bare.closed;
    }
    await counted(door, { accepted: 41, connections: 1 });
    assertEquals(door.stats().requests, 40);
  },
  { skip },
);

test(
  "an announced frame of 2 GiB: the connection is cut and counted, and takes no memory",
  async () => {
    const { door } = await openServed(shout);
    const clients = await PythonClients.start();
    await clients.open("a", "REQ", door.endpoint);
    assertEquals(await clients.request("a", "x"), ["X"]);
    const before = processState(process.pid).residentBytes;
    const rounds = 20;
    for (let round = 0; round < rounds; round++) {
      const bare = new BareConnection(door.endpoint);
      bare.write(new Uint8Array([...handshake, ...frameHead(2 ** 31), ...pattern(60_000, round)]));
      await bare.closed;
      assertEquals(await clients.request("a", `${round}`), [`${round}`]);
    }
    await counted(door, { cut: rounds, connections: 1, handshakeFailures: 0 });
    const grown = processState(process.pid).residentBytes - before;
    assert(grown < 2 ** 28, `${grown} bytes more`);
  },
  { skip },
);

test("a frame of the limit that arrives in drops: nobody waits for it", async () => {
  const { door } = await openServed(shout);
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", door.endpoint);
  const bare = new BareConnection(door.endpoint);
  bare.write(new Uint8Array([...handshake, ...frameHead(2 ** 20)]));
  await eventually(() => door.stats().connections >= 1);
  for (let round = 0; round < 20; round++) {
    bare.write(pattern(10, round));
    assertEquals(await clients.request("a", `${round}`), [`${round}`]);
  }
  bare.socket.destroy();
  await counted(door, { connections: 1, cut: 1 });
}, { skip });

test(
  "connections that say nothing: others are served, and they are no failures when they end",
  async () => {
    const { door } = await openServed(shout);
    const silent = Array.from({ length: 50 }, () => new BareConnection(door.endpoint));
    await counted(door, { accepted: 50, connections: 50 });
    const clients = await PythonClients.start();
    await clients.open("a", "REQ", door.endpoint);
    assertEquals(await clients.request("a", "x"), ["X"]);
    for (const { socket } of silent) socket.destroy();
    await counted(door, { connections: 1, requests: 1 });
  },
  { skip },
);

test("thousands of malformed messages: all are counted, and calls go on meanwhile", async () => {
  const { door } = await openServed(shout);
  const [bad, good] = await Promise.all([PythonClients.start(), PythonClients.start()]);
  await bad.open("b", "DEALER", door.endpoint);
  await good.open("a", "REQ", door.endpoint);
  const count = 200;
  const flood = bad.tell("send", { on: "b", frames: ["x"], times: 1_000, count });
  for (let round = 0; round < 50; round++) {
    assertEquals(await good.request("a", `${round}`), [`${round}`]);
  }
  await flood;
  await counted(door, { malformed: count, requests: 50 });
}, { skip });

test("connections that come and go leave nothing behind", async () => {
  const { door } = await openServed(shout);
  const clients = await PythonClients.start();
  const visit = async () => {
    for (let round = 0; round < 60; round++) {
      await clients.open("a", "REQ", door.endpoint, { identity: round % 2 === 0 ? "" : "same" });
      assertEquals(await clients.request("a", "x"), ["X"]);
    }
    await clients.close("a");
    await counted(door, { connections: 0 });
  };
  await visit();
  const before = processState(process.pid);
  await visit();
  const after = processState(process.pid);
  assert(
    after.descriptors <= before.descriptors + 3,
    `${before.descriptors}, ${after.descriptors}`,
  );
  assert(after.threads <= before.threads + 3, `${before.threads}, ${after.threads}`);
  await counted(door, { cut: 0, handshakeFailures: 0, unreachable: 0 });
}, { skip });
