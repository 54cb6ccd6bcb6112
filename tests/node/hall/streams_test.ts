/** Messages between nodes: order, length, bounds, and what a node does with garbage. */
import { assert, assertEquals } from "@std/assert";
import { readdirSync } from "node:fs";
import { ServerCore } from "../../../src/channel/server_core.ts";
import { connectPrivate } from "../../../src/channel/private.ts";
import type { Hall } from "../../../src/node/hall/hall.ts";
import { batchMark, Head, headBytes, headWords } from "../../../src/node/hall/batch.ts";
import { type Chosen, join, numbered, Witness, worded } from "../../support/node_hall.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  atEnd,
  eventually,
  folder,
  newTarget,
  test,
} from "../../support/harness.ts";

/** A node of this process, and what it has seen. */
class Node {
  readonly witness = new Witness();
  hall!: Hall;

  static async in(group: string, name: string, terms?: Chosen): Promise<Node> {
    const node = new Node();
    node.hall = await join(group, name, node.witness, terms);
    atEnd(() => node.hall.close());
    return node;
  }

  /** Resolves when all of these nodes are up for this one. */
  async knows(...names: string[]): Promise<void> {
    await eventually(() => names.every((name) => this.hall.isUp(name)), `${names} are up`);
  }
}

async function two(terms?: Chosen): Promise<[one: Node, other: Node]> {
  const group = newTarget();
  const one = await Node.in(group, "one", terms);
  const other = await Node.in(group, "other", terms);
  await one.knows("other");
  await other.knows("one");
  return [one, other];
}

test("hall: nodes see each other, and say who they are", async () => {
  const group = newTarget();
  const one = await Node.in(group, "one");
  assertEquals(one.hall.nodes(), []);
  const other = await Node.in(group, "other");
  // Those that were there before are known from the beginning.
  assertEquals(other.hall.nodes().map(({ id, name }) => [id, name]), [["one", "one"]]);
  await one.knows("other");
  assertEquals(one.witness.seen, [{ what: "up", node: "other" }]);
  assertEquals(one.hall.isUp("one"), false);
  assertEquals(one.hall.send("third", worded("hello")), false);
  assertEquals(await one.hall.whenRoom("third"), false);
});

test("hall: a node that has come and gone before another looks is heard", async () => {
  const group = newTarget();
  const own = await Node.in(group, "own");
  for (let round = 1; round <= 3; round++) {
    const name = `brief${round}`;
    // The microtasks of this take no turn, in which the other could look.
    const brief = await join(group, name, new Witness());
    brief.send("own", worded("done"));
    await brief.close();
    await eventually(() => own.witness.has("down", name));
    assertEquals(own.witness.of(name), [
      { what: "up", node: name },
      { what: "text", node: name, text: "done" },
      { what: "down", node: name, farewell: true },
    ]);
    assertEquals(own.hall.isUp(name), false);
  }
});

test("hall: groups do not see each other", async () => {
  const [one, other] = [await Node.in(newTarget(), "one"), await Node.in(newTarget(), "other")];
  assertEquals([one.hall.nodes(), other.hall.nodes()], [[], []]);
});

test("hall: messages come in order, to both sides, whatever their length", async () => {
  const [one, other] = await two();
  let number = 0;
  const lengths = [5, 100, 1_000, 1_025, 32_700, 32_732, 32_736, 33_000, 70_000, 300_000];
  for (let round = 0; round < 40; round++) {
    for (const length of lengths) {
      number += 1;
      one.hall.send("other", numbered(number, length));
      other.hall.send("one", numbered(number, length + 1));
    }
    assert(await one.hall.whenRoom("other"));
    assert(await other.hall.whenRoom("one"));
  }
  await eventually(() => other.witness.lastOf("one") === number);
  await eventually(() => one.witness.lastOf("other") === number);
  assertEquals(other.witness.runs("one"), [[1, number]]);
  assertEquals(one.witness.runs("other"), [[1, number]]);
  assertEquals(one.hall.queued("other"), { messages: 0, bytes: 0 });
});

test("hall: a message without bytes is a message", async () => {
  const [one, other] = await two();
  one.hall.send("other", new Uint8Array(0));
  one.hall.send("other", worded("after it"));
  await eventually(() => other.witness.of("one").length === 3);
  assertEquals(other.witness.of("one").slice(1).map((each) => "text" in each && each.text), [
    "",
    "after it",
  ]);
});

test("hall: the bytes of a message are copied when it is sent", async () => {
  const [one, other] = await two();
  const message = worded("before");
  one.hall.send("other", message);
  message.fill(0);
  await eventually(() => other.witness.has("text", "one"));
  assertEquals(other.witness.of("one").at(-1), { what: "text", node: "one", text: "before" });
});

test("hall: the longest message comes whole, and a longer one is refused", async () => {
  const [one, other] = await two();
  const longest = 2 ** 24;
  one.hall.send("other", numbered(1, longest));
  await eventually(() => other.witness.lastOf("one") === 1);
  assertThrowsCode(() => one.hall.send("other", new Uint8Array(longest + 1)), "TOO_LARGE");
  one.hall.send("other", numbered(2));
  await eventually(() => other.witness.lastOf("one") === 2);
  assertEquals(other.witness.runs("one"), [[1, 2]]);
});

test("hall: a message that is longer than its receiver takes cuts the stream, which goes on after it", async () => {
  const group = newTarget();
  const one = await Node.in(group, "one");
  const other = await Node.in(group, "other", { maxMessageBytes: 1000 });
  await one.knows("other");
  one.hall.send("other", numbered(1));
  one.hall.send("other", numbered(2, 1001));
  await eventually(() => one.witness.has("lost", "other"));
  one.hall.send("other", numbered(4));
  await eventually(() => other.witness.lastOf("one") === 4);
  assertEquals(other.witness.of("one").slice(1), [
    { what: "messages", node: "one", from: 1, to: 1 },
    { what: "lost", node: "one", kind: "transport_error" },
    { what: "messages", node: "one", from: 4, to: 4 },
  ]);
  assertEquals(one.witness.of("other").slice(1), [
    { what: "lost", node: "other", kind: "transport_error" },
  ]);
});

test("hall: more than the bound cuts the stream of the flooder, and of no other", async () => {
  const group = newTarget();
  const flooder = await Node.in(group, "flooder", { maxQueue: 100 });
  const quiet = await Node.in(group, "quiet", { maxQueue: 100 });
  const victim = await Node.in(group, "victim");
  await flooder.knows("victim", "quiet");
  await quiet.knows("victim");
  quiet.hall.send("victim", numbered(1));
  // All in one turn, in which the victim takes nothing.
  let number = 0;
  while (!flooder.witness.has("lost", "victim") && number < 100_000) {
    flooder.hall.send("victim", numbered(number += 1, 1000));
    if (number % 1000 === 0) await Promise.resolve();
  }
  assert(flooder.hall.queued("victim").messages <= 100);
  quiet.hall.send("victim", numbered(2));
  assert(await flooder.hall.whenRoom("victim"));
  const after = number + 1;
  flooder.hall.send("victim", numbered(after));
  flooder.hall.send("quiet", numbered(1));
  await eventually(() => victim.witness.lastOf("flooder") === after);
  await eventually(() => victim.witness.lastOf("quiet") === 2);
  await eventually(() => quiet.witness.lastOf("flooder") === 1);
  assertEquals(victim.witness.runs("quiet"), [[1, 2]]);
  assert(!victim.witness.has("lost", "quiet"));
  assertEquals(
    victim.witness.of("flooder").filter(({ what }) => what === "lost")[0],
    { what: "lost", node: "flooder", kind: "overflow" },
  );
  // What came before the first cut has no hole.
  assertEquals(victim.witness.runs("flooder")[0]![0], 1);
});

test("hall: whenRoom waits while half of the bound waits, and its signal ends the wait", async () => {
  const [one, other] = await two({ maxQueue: 1_000 });
  for (let number = 1; number <= 900; number++) one.hall.send("other", numbered(number, 1000));
  assert(one.hall.queued("other").messages > 500);
  const controller = new AbortController();
  const aborted = one.hall.whenRoom("other", controller.signal);
  const reason = new Error("enough");
  controller.abort(reason);
  assertEquals(await aborted.catch((error) => error), reason);
  assertEquals(await one.hall.whenRoom("other"), true);
  assert(one.hall.queued("other").messages < 500);
  await eventually(() => other.witness.lastOf("one") === 900);
  const later = one.hall.whenRoom("other");
  await other.hall.close();
  assertEquals(await later, true);
  await eventually(() => !one.hall.isUp("other"));
  assertEquals(await one.hall.whenRoom("other"), false);
});

test("hall: a close says farewell after all messages, and nothing comes afterwards", async () => {
  const [one, other] = await two();
  for (let number = 1; number <= 2_000; number++) one.hall.send("other", numbered(number));
  await one.hall.close();
  await one.hall.close();
  await eventually(() => other.witness.has("down", "one"));
  assertEquals(other.witness.of("one"), [
    { what: "up", node: "one" },
    { what: "messages", node: "one", from: 1, to: 2_000 },
    { what: "down", node: "one", farewell: true },
  ]);
  assertEquals(other.hall.send("one", worded("too late")), false);
  assertEquals(one.hall.send("other", worded("too late")), false);
  assertEquals([one.hall.nodes(), other.hall.nodes()], [[], []]);
});

test("hall: a second living node cannot have a chosen id, and a later one can", async () => {
  const group = newTarget();
  const watcher = await Node.in(group, "watcher");
  const terms = { isChosenId: true, id: "the:one@1" };
  const first = await Node.in(group, "one", terms);
  await assertRejectsCode(Node.in(group, "one", terms), "EXISTS", "the:one@1");
  await Node.in(newTarget(), "one", terms);
  await watcher.knows("the:one@1");
  // Its place is another's before the watcher has taken what it sent.
  first.hall.send("watcher", worded("last words"));
  await first.hall.close();
  await Node.in(group, "one", terms);
  await eventually(() => watcher.witness.of("the:one@1").length === 4);
  const node = "the:one@1";
  assertEquals(watcher.witness.of(node), [
    { what: "up", node },
    { what: "text", node, text: "last words" },
    { what: "down", node, farewell: true },
    { what: "up", node },
  ]);
});

test("hall: a chosen id that was given back leaves no file", async () => {
  const group = newTarget();
  for (let round = 0; round < 3; round++) {
    const { hall } = await Node.in(group, "one", { isChosenId: true, id: `chosen ${round}` });
    await assertRejectsCode(
      Node.in(group, "two", { isChosenId: true, id: `chosen ${round}` }),
      "EXISTS",
    );
    await hall.close();
  }
  assertEquals(readdirSync(folder()).filter((name) => name.includes(".id-")), []);
});

test("hall: there is no room for more than 1,024 nodes", async () => {
  const group = newTarget();
  const node = await Node.in(group, "one");
  const others: ServerCore[] = [];
  atEnd(() => Promise.resolve(others.forEach((other) => other.close())));
  while (others.length < 1023) others.push(ServerCore.open(`${group}.nodes`));
  await assertRejectsCode(join(group, "other", new Witness()), "BUSY");
  others.pop()!.close();
  await Node.in(group, "other");
  await node.knows("other");
});

test("hall: what listeners throw ends nothing", async () => {
  const group = newTarget();
  const node = await Node.in(group, "one");
  let calls = 0;
  const fail = (): never => {
    calls += 1;
    throw new Error("on purpose");
  };
  const { error } = console;
  console.error = () => {};
  try {
    const other = await join(group, "other", { received: fail, up: fail, down: fail, lost: fail });
    await node.knows("other");
    node.hall.send("other", worded("one"));
    node.hall.send("other", worded("two"));
    await eventually(() => calls === 3);
    await other.close();
  } finally {
    console.error = error;
  }
});

test("hall: garbage in a mailbox is counted and dropped, and hurts no stream", async () => {
  const group = newTarget();
  const [one, other] = [await Node.in(group, "one"), await Node.in(group, "other")];
  await one.knows("other");
  using main = closing(ServerCore.open(`${group}.nodes`));
  const places = main.server.members().filter(({ role }) => role === "server").slice(0, 2);
  const [onesPlace, othersPlace] = places.map(({ place }) => place);
  const client = connectPrivate(main.server, places[1]!.privatePath);
  atEnd(() => Promise.resolve(client.close()));
  one.hall.send("other", numbered(1));
  await eventually(() => other.witness.lastOf("one") === 1);

  const head = (values: Partial<Record<keyof typeof Head, number>>, length = headBytes) => {
    const bytes = new Uint8Array(length);
    const words = new Uint32Array(bytes.buffer, 0, headWords);
    const known = { mark: batchMark, ...onesPlace, link: 1, sequence: 2, ...values };
    for (const [name, place] of Object.entries(Head)) {
      words[place] = (known as Record<string, number | undefined>)[name] ?? 0;
    }
    return bytes;
  };
  const garbage: Uint8Array[] = [
    new Uint8Array(0),
    new Uint8Array(headBytes - 1),
    new Uint8Array(1000).fill(0xff),
    head({ mark: 7 }),
    head({ position: 1023 }),
    head({ position: 0xffff_ffff }),
    head({ epochLow: 0xffff_ffff }),
    head({ epochHigh: 5 }),
    // A node does not write to itself.
    head({ ...othersPlace }),
    head({ link: 0 }),
  ];
  for (const each of garbage) assert(client.post(each));
  await eventually(() => other.hall.refused === garbage.length);
  one.hall.send("other", numbered(2));
  await eventually(() => other.witness.lastOf("one") === 2);
  assertEquals(other.witness.of("one").length, 2);

  // In the name of a node, which then has to begin another stream.
  client.post(head({ sequence: 77 }));
  await eventually(() => one.witness.has("lost", "other"));
  one.hall.send("other", numbered(3));
  await eventually(() => other.witness.lastOf("one") === 3);
  for (const taken of [1, 99, 0xffff_ffff]) client.post(head({ sequence: 0, taken }));
  one.hall.send("other", numbered(4));
  await eventually(() => other.witness.lastOf("one") === 4);
});

function closing(server: ServerCore): { readonly server: ServerCore } & Disposable {
  return { server, [Symbol.dispose]: () => server.close() };
}
