/** Clients of ZeroMQ that we did not write call a channel. */
import { assert, assertEquals } from "@std/assert";
import { type Peer, serve } from "../../mod.ts";
import { eventually, newTarget, pattern, present, spawn, test } from "../support/harness.ts";
import {
  counted,
  noPyzmq,
  openDoor,
  openDoorTo,
  openServed,
  PythonClients,
  seen,
  shout,
} from "../support/zmq.ts";

const skip = noPyzmq;

test("REQ: payloads and answers of any bytes", async () => {
  const { door } = await openServed((request) => request.bytes);
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", door.endpoint);
  assertEquals(await clients.tell("echoes", { on: "a", count: 600 }), 600);
  await counted(door, { requests: 600, answers: 600, errors: 0, joined: 0, inFlight: 0 });
  assertEquals([door.stats().accepted, door.stats().connections], [1, 1]);
  await clients.close("a");
  await counted(door, { connections: 0, cut: 0, handshakeFailures: 0 });
}, { skip });

test(
  "REQ with CORRELATE and RELAXED: the number in front comes back, and a new request may replace one",
  async () => {
    const { door, server } = await openDoor();
    const clients = await PythonClients.start();
    const options = { REQ_CORRELATE: 1, REQ_RELAXED: 1 };
    await clients.open("a", "REQ", door.endpoint, { options });
    await clients.send("a", "first");
    const first = present(await server.receive());
    await clients.send("a", "second");
    const second = present(await server.receive());
    first.reply("answer to the first");
    await counted(door, { answers: 1 });
    second.reply("answer to the second");
    assertEquals(await clients.receive("a"), ["answer to the second"]);
  },
  { skip },
);

test("DEALER: many requests before the first answer, each with its number", async () => {
  const { door } = await openServed(shout, { slots: 1_000 });
  const clients = await PythonClients.start();
  await clients.open("a", "DEALER", door.endpoint);
  assertEquals(await clients.tell("many", { on: "a", count: 800 }), 800);
  await counted(door, { requests: 800, answers: 800, busy: 0, inFlight: 0 });
}, { skip });

test("DEALER: equal requests over one connection are calls of their own", async () => {
  const { door, server } = await openDoor();
  const clients = await PythonClients.start();
  await clients.open("a", "DEALER", door.endpoint);
  for (let round = 0; round < 3; round++) await clients.send("a", "", "same");
  for (const answer of ["1", "2", "3"]) present(await server.receive()).reply(answer);
  const answers = [];
  for (let round = 0; round < 3; round++) answers.push(await clients.receive("a"));
  // Answers that are there at once may come in any order.
  assertEquals(answers.sort(), [["", "1"], ["", "2"], ["", "3"]]);
  assertEquals(door.stats().joined, 0);
}, { skip });

test("an empty payload, and one of the longest, arrive as they are", async () => {
  const longest = 2 ** 20;
  const { door } = await openServed((request) => {
    const { byteLength } = request.bytes;
    return byteLength === 0 ? "" : request.bytes;
  }, { maxRequestBytes: longest + 2_000 });
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", door.endpoint);
  assertEquals(await clients.request("a", ""), [""]);
  const payload = { fill: "z", size: longest };
  assertEquals(await clients.request("a", payload), [seen("z", longest)]);
}, { skip });

test(
  "a payload of 1 MiB goes through a channel with the defaults; one byte more: TOO_LARGE",
  async () => {
    const { door } = await openServed((request) => String(request.bytes.byteLength));
    const clients = await PythonClients.start();
    await clients.open("a", "REQ", door.endpoint);
    const size = 2 ** 20;
    assertEquals(await clients.request("a", { fill: "z", size }), [String(size)]);
    const answer = present(await clients.request("a", { fill: "z", size: size + 1 }));
    assertEquals(answer.slice(0, 2), ["TANDEM-ERROR", "TOO_LARGE"]);
  },
  { skip },
);

test(
  "too long a payload: TOO_LARGE; of more than twice the limit, the connection is cut; others are served",
  async () => {
    const { door } = await openServed(shout, { maxMessageBytes: 1_000 });
    const clients = await PythonClients.start();
    await clients.open("a", "REQ", door.endpoint);
    for (const size of [1_001, 2_000]) {
      const answer = present(await clients.request("a", { fill: "z", size }));
      assertEquals(answer.slice(0, 2), ["TANDEM-ERROR", "TOO_LARGE"]);
    }
    assertEquals(await clients.request("a", { fill: "z", size: 1_000 }), ["Z".repeat(1_000)]);
    await clients.open("b", "DEALER", door.endpoint);
    await clients.send("b", "", { fill: "z", size: 2_001 });
    await eventually(() => door.stats().cut > 0, "the connection is cut");
    await clients.close("b");
    assertEquals(await clients.request("a", "still here"), ["STILL HERE"]);
    assertEquals([door.stats().refused, door.stats().requests], [2, 2]);
  },
  { skip },
);

test("a payload that is too long for the channel: TOO_LARGE", async () => {
  const { door } = await openServed(shout, { maxRequestBytes: 1_000 });
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", door.endpoint);
  const answer = present(await clients.request("a", { fill: "z", size: 1_001 }));
  assertEquals(answer.slice(0, 2), ["TANDEM-ERROR", "TOO_LARGE"]);
  assertEquals(await clients.request("a", "short"), ["SHORT"]);
}, { skip });

test("several payload frames: UNSUPPORTED, and the next request is served", async () => {
  const { door } = await openServed(shout);
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", door.endpoint);
  const answer = present(await clients.request("a", "one", "two"));
  assertEquals(answer.slice(0, 2), ["TANDEM-ERROR", "UNSUPPORTED"]);
  assertEquals(await clients.request("a", "one"), ["ONE"]);
  await counted(door, { refused: 1, errors: 1, requests: 1 });
}, { skip });

test(
  "messages that are no requests are counted and dropped; the same client and others are served",
  async () => {
    const { door } = await openServed(shout);
    const clients = await PythonClients.start();
    await clients.open("a", "DEALER", door.endpoint);
    const malformed = [
      { frames: ["no empty frame"] },
      { frames: [""] },
      { frames: ["x"], times: 1_000 },
      { frames: ["x", "y"] },
      { frames: [{ fill: "x", size: 300 }, "", "work"] },
    ];
    for (const message of malformed) await clients.tell("send", { on: "a", ...message });
    await counted(door, { malformed: malformed.length });
    // Behind an empty frame they are a request of several frames.
    await clients.tell("send", { on: "a", frames: [""], times: 1_000 });
    const answer = present(await clients.receive("a"));
    assertEquals(answer.slice(0, 3), ["", "TANDEM-ERROR", "UNSUPPORTED"]);
    await clients.open("b", "REQ", door.endpoint);
    assertEquals(await clients.request("a", "", "a"), ["", "A"]);
    assertEquals(await clients.request("b", "b"), ["B"]);
    await counted(door, { malformed: 5, refused: 1, requests: 2, errors: 1 });
  },
  { skip },
);

test(
  "what a handler throws: REMOTE and its message; errors of a service keep their codes",
  async () => {
    const { door } = await openServed(() => {
      throw new RangeError("not today");
    });
    const clients = await PythonClients.start();
    await clients.open("a", "REQ", door.endpoint);
    const [mark, code, message] = present(await clients.request("a", "x")) as string[];
    assertEquals([mark, code], ["TANDEM-ERROR", "REMOTE"]);
    assert(message!.includes("not today"), message);
    const target = newTarget();
    await using _service = serve(target, {
      one: () => "1",
      two: () => ({ a: 2 }) as unknown as string,
    });
    const codes: unknown[] = [];
    for (const method of [undefined, "three", "two"]) {
      const other = await openDoorTo(target, method === undefined ? {} : { method });
      await clients.open("b", "REQ", other.endpoint);
      codes.push(present(await clients.request("b", "x"))[1]);
    }
    assertEquals(codes, ["UNKNOWN_METHOD", "UNKNOWN_METHOD", "NOT_SERIALIZABLE"]);
  },
  { skip },
);

test("silent errors: the client hears nothing, and the next request is served", async () => {
  const { door } = await openServed((request) => {
    if (request.text() === "fail") throw new Error("not today");
    return shout(request);
  }, { errors: "silent", maxMessageBytes: 100 });
  const clients = await PythonClients.start();
  await clients.open("a", "DEALER", door.endpoint);
  await clients.send("a", "", "fail");
  await clients.send("a", "", "one", "two");
  await clients.send("a", "", { fill: "x", size: 101 });
  assertEquals(await clients.request("a", "", "work"), ["", "WORK"]);
  await counted(door, { errors: 3, refused: 2, answers: 1 });
}, { skip });

test("a timeout of the door: TIMEOUT, and the handler is told", async () => {
  const { door, server } = await openDoor({ timeout: 50 });
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", door.endpoint);
  await clients.send("a", "x");
  const request = present(await server.receive());
  assertEquals(present(await clients.receive("a")).slice(0, 2), ["TANDEM-ERROR", "TIMEOUT"]);
  assert(request.cancelled);
}, { skip });

test("a channel full of calls: BUSY at once, and room again after an answer", async () => {
  const { door, server } = await openDoor({ slots: 2 });
  const clients = await PythonClients.start();
  await clients.open("a", "DEALER", door.endpoint);
  for (const payload of ["1", "2", "3"]) await clients.send("a", payload, "", payload);
  const busy = present(await clients.receive("a"));
  assertEquals(busy.slice(0, 4), ["3", "", "TANDEM-ERROR", "BUSY"]);
  present(await server.receive()).reply("one");
  assertEquals(await clients.receive("a"), ["1", "", "one"]);
  await clients.send("a", "4", "", "4");
  present(await server.receive()).reply("two");
  present(await server.receive()).reply("four");
  assertEquals(await clients.receive("a"), ["2", "", "two"]);
  assertEquals(await clients.receive("a"), ["4", "", "four"]);
  await counted(door, { busy: 1, errors: 1, requests: 4, answers: 4 });
}, { skip });

test("a killed server: SERVER_DIED", async () => {
  const target = newTarget();
  const server = await spawn("node", "zmq/server.ts", [target]);
  await server.expect("ready");
  const door = await openDoorTo(target);
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", door.endpoint);
  await clients.send("a", "hold");
  await server.expect("holding");
  await server.killed();
  assertEquals(present(await clients.receive("a")).slice(0, 2), ["TANDEM-ERROR", "SERVER_DIED"]);
}, { skip });

test("a handler sees the client's address", async () => {
  const peers: Peer[] = [];
  const { door } = await openServed(({ peer }) => {
    peers.push(peer);
    return "";
  });
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", door.endpoint);
  await clients.request("a", "x");
  assertEquals(peers.map(({ address, key }) => [address, key]), [["127.0.0.1", undefined]]);
}, { skip });

test(
  "a client that never reads: its answers are dropped and counted, others are served",
  async () => {
    // With room for all of its requests: the answer BUSY is short.
    const options = { slots: 1_024, highWaterMark: 10 };
    const { door } = await openServed(() => pattern(60_000, 1), options);
    const clients = await PythonClients.start();
    const deaf = { RCVHWM: 1, SNDHWM: 100_000, RCVBUF: 10_000 };
    await clients.open("silent", "DEALER", door.endpoint, { options: deaf });
    await clients.tell("send", { on: "silent", frames: ["", "x"], count: 1_000 });
    await clients.open("b", "REQ", door.endpoint);
    await eventually(() => door.stats().overflowed > 0, "answers are dropped");
    // Its requests fill the channel, too, as long as there are any.
    await eventually(() => door.stats().inFlight === 0, "its requests are through");
    for (let round = 0; round < 10; round++) {
      const [answer] = present(await clients.request("b", "x"));
      assertEquals((answer as { size: number }).size, 60_000);
    }
    const { overflowed, answers } = door.stats();
    assert(overflowed > 500, `${overflowed} were dropped, ${answers} sent`);
  },
  { skip },
);

test("many clients at once", async () => {
  const { door } = await openServed(shout);
  const clients = await PythonClients.start();
  const names = Array.from({ length: 100 }, (_, index) => `client ${index}`);
  for (const name of names) await clients.open(name, "REQ", door.endpoint, { identity: "" });
  for (const name of names) await clients.send(name, name);
  for (const name of names) assertEquals(await clients.receive(name), [name.toUpperCase()]);
  await counted(door, { connections: 100, accepted: 100, requests: 100 });
}, { skip });
