/** Clients that come back over a new connection at the moment when their answer is sent. */
import { assertEquals, assertStrictEquals } from "@std/assert";
import { Connection } from "../../src/zmq/connections.ts";
import { Desk, type OpenCall } from "../../src/zmq/desk.ts";
import { test } from "../support/harness.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const envelope = [bytes("")];
const question = bytes("question");
const answer = [bytes("answer")];

function connect(order: number, isClosed = false): Connection {
  const origin = { address: "127.0.0.1", key: undefined, method: undefined };
  return new Connection(bytes("pirate"), origin, 10 + order, isClosed, order);
}

/** A call over a first connection, whose answer was sent when connections up to `doubt` were open and not heard. */
function answerInDoubt(desk: Desk, id: Uint8Array | null, doubt: number): Connection {
  const first = connect(1);
  desk.heard(first);
  const call = desk.open(first, envelope, id, question);
  desk.answered(call, answer, true, true, 0, doubt);
  return first;
}

test("a door's client: an answer that may have gone to its next connection is not sent there again", () => {
  for (const id of [null, bytes("1")]) {
    const desk = new Desk({ idFrame: id !== null, remember: 1_000 });
    answerInDoubt(desk, id, 2);
    const second = connect(2);
    desk.heard(second);
    assertEquals(desk.join(second, envelope, id, question), "answered");
    // It asks again, so it has not got it.
    const third = connect(3);
    desk.heard(third);
    const found = desk.join(third, envelope, id, question);
    if (id) assertEquals((found as OpenCall).answer, answer);
    else assertStrictEquals(found, null);
  }
});

test("a door's client: a connection that came after the answer has not got it", () => {
  for (const id of [null, bytes("1")]) {
    const desk = new Desk({ idFrame: id !== null, remember: 1_000 });
    answerInDoubt(desk, id, 2);
    const third = connect(3);
    desk.heard(third);
    const found = desk.join(third, envelope, id, question);
    if (id) assertEquals((found as OpenCall).answer, answer);
    else assertStrictEquals(found, null);
    assertEquals(desk.remembered, id ? 1 : 0);
  }
});

test("a door's client: doubts end with the next request over the same connection, and not with another's", () => {
  const desk = new Desk({ idFrame: false, remember: 1_000 });
  const first = answerInDoubt(desk, null, 2);
  const second = connect(2);
  desk.endDoubts(second);
  assertEquals([desk.hasDoubts(first), desk.remembered], [true, 1]);
  desk.endDoubts(first);
  assertEquals([desk.hasDoubts(first), desk.remembered], [false, 0]);
  assertStrictEquals(desk.join(second, envelope, null, question), null);
});

test("a door's client: the connection before is overtaken, and one that has ended takes no place", () => {
  const desk = new Desk({ idFrame: false, remember: 1_000 });
  const [first, ended, second] = [connect(1), connect(2, true), connect(3)];
  desk.heard(first);
  desk.heard(ended);
  assertEquals([first.isOvertaken, desk.reaches(first), desk.reaches(ended)], [false, true, false]);
  desk.heard(second);
  assertEquals([first.isOvertaken, desk.reaches(first), desk.reaches(second)], [true, false, true]);
});
