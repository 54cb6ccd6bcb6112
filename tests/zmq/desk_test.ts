/** The calls of a door's clients: which requests ask for the same call, and which answers are kept for whom. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { Connection } from "../../src/zmq/connections.ts";
import { Desk, type Envelope, type OpenCall } from "../../src/zmq/desk.ts";
import { bytes, present, test } from "../support/harness.ts";

const plain: Envelope = [bytes("")];
const answer = [bytes("answer")];

let fds = 0;

/** A connection of a client with that identity. */
function connect(identity = "pirate", key?: string): Connection {
  return new Connection(
    bytes(identity),
    { address: "127.0.0.1", key, method: undefined },
    fds += 1,
    false,
  );
}

/** A desk, and its functions with less to write. */
function openDesk({ idFrame = false, remember = 1_000 } = {}) {
  const desk = new Desk({ idFrame, remember });
  const idOf = (id: string | null) => id === null ? null : bytes(id);
  return {
    desk,
    open(connection: Connection, payload: string, id: string | null = null): OpenCall {
      desk.heard(connection);
      return desk.open(connection, plain, idOf(id), bytes(payload));
    },
    join(connection: Connection, payload: string, id: string | null = null): OpenCall | null {
      desk.heard(connection);
      const found = desk.join(connection, plain, idOf(id), bytes(payload));
      assert(found !== "answered", "nothing is in doubt");
      return found;
    },
  };
}

test("a request joins a call of the same identity and payload over another connection", () => {
  const { open, join } = openDesk();
  const call = open(connect(), "work");
  const again = connect();
  assertStrictEquals(join(again, "work"), call);
  assertStrictEquals(call.connection, again);
});

test("a request joins no call over the same connection", () => {
  const { open, join } = openDesk();
  const connection = connect();
  open(connection, "work");
  assertEquals(join(connection, "work"), null);
});

test("a request joins no call of another payload, identity or key", () => {
  const { open, join } = openDesk();
  open(connect("a", "key 1"), "work");
  for (const payload of ["", "wor", "works", "Work"]) {
    assertEquals(join(connect("a", "key 1"), payload), null);
  }
  assertEquals(join(connect("b", "key 1"), "work"), null);
  assertEquals(join(connect("a", "key 2"), "work"), null);
  assertEquals(join(connect("a"), "work"), null);
  assert(join(connect("a", "key 1"), "work"));
});

test("an identity and a key, or an identity and an id, cannot be taken for others", () => {
  const { open, join } = openDesk();
  open(connect("a", "bc"), "work");
  assertEquals(join(connect("ab", "c"), "work"), null);
  const withIds = openDesk({ idFrame: true });
  withIds.open(connect("a"), "work", "b");
  for (const [identity, id] of [["a\nb", ""], ["", "a\nb"], ["ab", ""]] as const) {
    assertEquals(withIds.join(connect(identity), "work", id), null, `${identity} ${id}`);
  }
});

test("without an identity of its own, a client's request joins no call", () => {
  const { open, join } = openDesk();
  const call = open(connect("\0made by libzmq"), "work");
  assertEquals(join(connect("\0made by libzmq"), "work"), null);
  assertEquals(call.payload, null, "nobody will compare it");
});

test("several equal calls: each one is joined once", () => {
  const { open, join } = openDesk();
  const first = connect();
  const calls = [open(first, "work"), open(first, "work"), open(first, "work")];
  const again = connect();
  assertEquals(calls.map(() => join(again, "work")), calls);
  assertEquals(join(again, "work"), null, "a fourth one is new");
  // And once more over the next connection.
  const later = connect();
  assertEquals(calls.map(() => join(later, "work")), calls);
});

test("the payload of a call is its own: the buffer of requests may change", () => {
  const { desk, join } = openDesk();
  const buffer = bytes("work");
  const connection = connect();
  desk.open(connection, plain, null, buffer);
  buffer.fill(0);
  assert(join(connect(), "work"));
});

test("the last connection that asks gets the answer, in its own envelope", () => {
  const { desk, open } = openDesk();
  const first = connect();
  const call = open(first, "work");
  const last = connect();
  const envelope = [bytes("number 2"), bytes("")];
  desk.heard(last);
  desk.join(last, envelope, null, bytes("work"));
  assertStrictEquals(call.connection, last);
  assertStrictEquals(call.envelope, envelope);
  assert(desk.reaches(last));
  assert(!desk.reaches(first), "another connection has followed");
});

test("a connection reaches its client until it ends, or another one of its identity is heard", () => {
  const { desk } = openDesk();
  const [first, second, other] = [connect(), connect(), connect("other")];
  desk.heard(first);
  desk.heard(other);
  assert(desk.reaches(first));
  desk.heard(second);
  assert(!desk.reaches(first));
  // The news of the old one's end may come late.
  first.isClosed = true;
  desk.gone(first);
  assert(desk.reaches(second));
  second.isClosed = true;
  assert(!desk.reaches(second), "even before the desk is told");
  desk.gone(second);
  assert(!desk.reaches(second));
  assert(desk.reaches(other));
});

test("a delivered answer is forgotten", () => {
  const { desk, open, join } = openDesk();
  const call = open(connect(), "work");
  desk.answered(call, answer, true, true, 0);
  assertEquals(desk.remembered, 0);
  assertEquals(join(connect(), "work"), null);
});

test("an answer that was not delivered is kept for the client that asks again", () => {
  const { desk, open, join } = openDesk();
  const call = open(connect(), "work");
  desk.answered(call, answer, false, true, 0);
  assertEquals(desk.remembered, 1);
  assertEquals(present(join(connect(), "work")).answer, answer);
  desk.forget(call);
  assertEquals(desk.remembered, 0);
  assertEquals(join(connect(), "work"), null);
});

test("an answer that asking again would change is never kept", () => {
  for (const idFrame of [false, true]) {
    const { desk, open, join } = openDesk({ idFrame });
    const id = idFrame ? "7" : null;
    desk.answered(open(connect(), "work", id), answer, false, false, 0);
    assertEquals(desk.remembered, 0);
    assertEquals(join(connect(), "work", id), null);
  }
});

test("an answer for a client without an identity of its own is not kept", () => {
  const { desk, open } = openDesk();
  desk.answered(open(connect("\0x"), "work"), answer, false, true, 0);
  assertEquals(desk.remembered, 0);
});

test("ids: a request with the id of a call joins it, over the same connection as well", () => {
  const { open, join } = openDesk({ idFrame: true });
  const connection = connect();
  const call = open(connection, "work", "7");
  assertStrictEquals(join(connection, "work", "7"), call);
  assertStrictEquals(join(connect(), "other payload", "7"), call);
  assertEquals(join(connect(), "work", "8"), null);
  assertEquals(join(connect("other"), "work", "7"), null);
});

test("ids: answers are remembered, delivered or not", () => {
  const { desk, open, join } = openDesk({ idFrame: true });
  const connection = connect();
  for (const wasDelivered of [true, false]) {
    const call = open(connection, "work", String(wasDelivered));
    desk.answered(call, answer, wasDelivered, true, 0);
    assertEquals(present(join(connection, "", String(wasDelivered))).answer, answer);
  }
  assertEquals(desk.remembered, 2);
});

test("ids: a client without an identity of its own has them for its connection", () => {
  const { desk, open, join } = openDesk({ idFrame: true });
  const connection = connect("\0x");
  desk.answered(open(connection, "work", "7"), answer, true, true, 0);
  assert(join(connection, "work", "7"));
  assertEquals(join(connect("\0y"), "work", "7"), null);
});

test("kept answers expire, the oldest first; expire says when the next one is due", () => {
  const { desk, open, join } = openDesk({ remember: 100 });
  assertEquals(desk.expire(0), Infinity);
  for (const time of [0, 10, 20]) {
    desk.answered(open(connect(), `from ${time}`), answer, false, true, time);
  }
  assertEquals(desk.expire(99), 100);
  assertEquals(desk.remembered, 3);
  assertEquals(desk.expire(110), 120);
  assertEquals(desk.remembered, 1);
  assertEquals(join(connect(), "from 10"), null);
  assert(join(connect(), "from 20"));
  assertEquals(desk.expire(1_000), Infinity);
  assertEquals(desk.remembered, 0);
});

test("remember Infinity: nothing expires", () => {
  const { desk, open } = openDesk({ remember: Infinity });
  desk.answered(open(connect(), "work"), answer, false, true, 0);
  assertEquals(desk.expire(Number.MAX_VALUE), Infinity);
  assertEquals(desk.remembered, 1);
});

test("kept answers are bounded: 64 MiB, then the oldest go", () => {
  const { desk, open, join } = openDesk({ idFrame: true });
  const long = [new Uint8Array(16 * 2 ** 20)];
  const connection = connect();
  for (let number = 0; number < 6; number++) {
    desk.answered(open(connection, "", String(number)), long, true, true, number);
  }
  assertEquals(desk.remembered, 3);
  assertEquals([0, 1, 2].map((id) => join(connection, "", String(id))), [null, null, null]);
  for (const id of [3, 4, 5]) assert(join(connection, "", String(id)), `${id} is kept`);
  // Forgotten ones make room.
  desk.expire(Infinity);
  for (let number = 6; number < 9; number++) {
    desk.answered(open(connection, "", String(number)), long, true, true, number);
  }
  assertEquals(desk.remembered, 3);
});

test("many empty answers are bounded as well: each counts for more than its bytes", () => {
  const { desk, open } = openDesk({ idFrame: true });
  const connection = connect();
  const count = 2 ** 18 + 100;
  for (let number = 0; number < count; number++) {
    desk.answered(open(connection, "", String(number)), [], true, true, number);
  }
  assertEquals(desk.remembered, 2 ** 18);
});

test("a call that is forgotten leaves its equals", () => {
  const { desk, open, join } = openDesk();
  const first = connect();
  const [one, two, three] = [open(first, "a"), open(first, "b"), open(first, "a")] as const;
  desk.forget(one);
  desk.forget(one);
  assertStrictEquals(join(connect(), "b"), two);
  assertStrictEquals(join(connect(), "a"), three);
});
