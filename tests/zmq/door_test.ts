/** A door in its own process: where it listens, how it closes, and what its owner sees of it. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { existsSync } from "node:fs";
import process from "node:process";
import { Server, TandemError } from "../../mod.ts";
import { ZmqDoor } from "../../src/zmq/main.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  eventually,
  folder,
  newTarget,
  ownRuntime,
  present,
  processState,
  spawn,
  test,
} from "../support/harness.ts";
import {
  anyPort,
  counted,
  noPyzmq,
  openDoor,
  openDoorTo,
  openServed,
  PythonClients,
  shout,
} from "../support/zmq.ts";

const skip = noPyzmq;

test("port 0: the door tells which one it got, once it listens", async () => {
  const door = new ZmqDoor({ target: newTarget(), frontend: anyPort });
  assertThrowsCode(() => door.endpoint, "CLOSED", "ready");
  await door.ready;
  const port = Number(/^tcp:\/\/127\.0\.0\.1:(\d+)$/.exec(door.endpoint)?.[1]);
  assert(port > 0 && port < 65_536, door.endpoint);
  await door.close();
  await door.finished;
  assertEquals(door.endpoint, `tcp://127.0.0.1:${port}`);
}, { skip });

test(
  "an address in use: `ready` and `finished` reject with EXISTS, and nothing goes on",
  async () => {
    const { door } = await openDoor();
    const second = new ZmqDoor({ target: newTarget(), frontend: door.endpoint });
    const error = await assertRejectsCode(second.ready, "EXISTS", door.endpoint, "another port");
    assertEquals(await second.finished.catch((reason) => reason), error);
    await second.close();
  },
  { skip },
);

test(
  "an address that this machine does not have, or whose folder does not exist: NOT_FOUND",
  async () => {
    const frontends = ["tcp://192.0.2.1:0", `ipc://${folder()}/nothing/door`];
    for (const frontend of frontends) {
      const door = new ZmqDoor({ target: newTarget(), frontend });
      await assertRejectsCode(door.ready, "NOT_FOUND", frontend);
    }
  },
  { skip },
);

test("a target that cannot be opened: `ready` rejects", async () => {
  const door = new ZmqDoor({ target: folder(), frontend: anyPort });
  await assertRejects(() => door.ready, TandemError);
}, { skip });

test(
  "ipc: clients of this machine connect by a path, and a handler sees what the kernel says",
  async () => {
    const frontend = `ipc://${folder()}/door`;
    const addresses: unknown[] = [];
    const { door } = await openServed((request) => {
      addresses.push(request.peer.address);
      return shout(request);
    }, { frontend });
    assertEquals(door.endpoint, frontend);
    const clients = await PythonClients.start();
    await clients.open("a", "REQ", frontend);
    assertEquals(await clients.request("a", "x"), ["X"]);
    const { pid } = clients.child;
    assertEquals(addresses, [`ipc:${process.getuid!()}:${process.getgid!()}:${pid}`]);
    await door.close();
    // libzmq leaves the file, which is in nobody's way.
    const { door: next } = await openServed(shout, { frontend });
    await clients.open("b", "REQ", next.endpoint);
    assertEquals(await clients.request("b", "y"), ["Y"]);
  },
  { skip },
);

test("IPv6", async () => {
  const { door } = await openServed(shout, { frontend: "tcp://[::1]:0" });
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", door.endpoint, { options: { IPV6: 1 } });
  assertEquals(await clients.request("a", "x"), ["X"]);
}, { skip: skip ?? (existsSync("/proc/net/if_inet6") ? null : "this machine has no IPv6") });

test(
  "close: calls in flight are answered, and further ones get CLOSED, over new connections as well",
  async () => {
    const { promise: done, resolve: finish } = Promise.withResolvers<string>();
    let isCancelled: boolean | undefined;
    const { door } = await openServed(async (request) => {
      if (request.text() !== "in flight") return "before the door knew";
      const answer = await done;
      isCancelled = request.cancelled;
      return answer;
    });
    const clients = await PythonClients.start();
    await clients.open("a", "DEALER", door.endpoint);
    await clients.send("a", "1", "", "in flight");
    await counted(door, { inFlight: 1 });
    const closing = door.close({ timeout: 60_000 });
    let hasClosed = false;
    void closing.then(() => hasClosed = true);
    // Only its answers tell since when the door knows.
    let answer: unknown[];
    do answer = present(await clients.request("a", "2", "", "late")); while (answer.length === 3);
    assertEquals(answer.slice(0, 4), ["2", "", "TANDEM-ERROR", "CLOSED"]);
    await clients.open("b", "DEALER", door.endpoint);
    answer = present(await clients.request("b", "", "x"));
    assertEquals(answer.slice(0, 3), ["", "TANDEM-ERROR", "CLOSED"]);
    assertEquals([hasClosed, door.stats().inFlight], [false, 1]);
    finish("done");
    assertEquals(await clients.receive("a"), ["1", "", "done"]);
    await closing;
    await door.finished;
    assertEquals([door.stats().inFlight, door.stats().unreachable, isCancelled], [0, 0, false]);
    await clients.open("c", "DEALER", door.endpoint);
    await clients.send("c", "", "x");
    assertEquals(await clients.receive("c", 0), null);
    assertEquals(door.stats().accepted, 2);
  },
  { skip },
);

test("close while calls wait longer than its timeout: they are given up", async () => {
  const { door, server } = await openDoor();
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", door.endpoint);
  await clients.send("a", "in flight");
  const request = present(await server.receive());
  await door.close({ timeout: 0 });
  assert(request.cancelled);
  assertEquals(request.reply("late"), false);
}, { skip });

test("close: a second one with less time shortens the first", async () => {
  const { door, server } = await openDoor();
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", door.endpoint);
  await clients.send("a", "in flight");
  present(await server.receive());
  const first = door.close({ timeout: Infinity });
  await door.close({ timeout: 0 });
  await first;
}, { skip });

test("close before it listens, twice, and without a channel", async () => {
  for (let round = 0; round < 5; round++) {
    const door = new ZmqDoor({ target: newTarget(), frontend: anyPort });
    if (round % 2 === 1) await door.ready;
    await Promise.all([door.close(), door.close()]);
    await door.finished;
    // It has either been open or not.
    await door.ready.catch((error) => assertEquals(error.code, "CLOSED"));
    await door.close();
  }
}, { skip });

test("close: a wrong timeout is a RangeError, and the door stays open", async () => {
  const { door } = await openServed(shout);
  for (const timeout of [-1, NaN]) {
    let error: unknown;
    try {
      await door.close({ timeout });
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof RangeError, String(error));
  }
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", door.endpoint);
  assertEquals(await clients.request("a", "x"), ["X"]);
}, { skip });

test("`await using` closes the door: its port is free again", async () => {
  const target = newTarget();
  let endpoint = "";
  {
    await using door = new ZmqDoor({ target, frontend: anyPort });
    await door.ready;
    endpoint = door.endpoint;
  }
  await openDoorTo(target, { frontend: endpoint });
}, { skip });

test("doors that were closed leave no threads and no descriptors", async () => {
  const target = newTarget();
  using _server = Server.create(target);
  const visit = async () => {
    for (let round = 0; round < 4; round++) {
      await using door = new ZmqDoor({ target, frontend: anyPort });
      await door.ready;
    }
  };
  await visit();
  const before = processState(process.pid);
  await visit();
  // A runtime ends threads and closes descriptors when it likes.
  await eventually(() => {
    const { threads, descriptors } = processState(process.pid);
    return threads <= before.threads && descriptors <= before.descriptors;
  }, "they are gone");
}, { skip });

test("several doors of one process, to one channel", async () => {
  const { door, target } = await openServed(shout);
  const other = await openDoorTo(target);
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", door.endpoint);
  await clients.open("b", "REQ", other.endpoint);
  assertEquals(await clients.request("a", "x"), ["X"]);
  assertEquals(await clients.request("b", "y"), ["Y"]);
  await other.close();
  assertEquals(await clients.request("a", "z"), ["Z"]);
}, { skip });

for (const name of ownRuntime) {
  test(`${name}: the door works while its owner's thread stands still`, async () => {
    const target = newTarget();
    const server = await spawn(name, "zmq/server.ts", [target]);
    await server.expect("ready");
    const door = await openDoorTo(target);
    const clients = await PythonClients.start();
    await clients.open("a", "DEALER", door.endpoint);
    await counted(door, { accepted: 1 });
    await clients.tell("send_later", { on: "a", frames: ["", "x"], count: 100 });
    const sleeper = new Int32Array(new SharedArrayBuffer(4));
    for (let round = 0; round < 6_000 && door.stats().answers < 100; round++) {
      Atomics.wait(sleeper, 0, 0, 10);
    }
    assertEquals(door.stats().answers, 100);
  }, { skip });
}
