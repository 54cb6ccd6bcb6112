/** What changes on the board of a node, as it travels through NATS. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { decodeBoardChange, encodeBoardChange } from "../../src/nats/nodes/frames.ts";
import { KnownBoard } from "../../src/nats/nodes/known_board.ts";
import { encodeBoard, placeOf } from "../../src/node/registry/board.ts";
import { encodeValue, type Entry, makeEntry } from "../../src/node/registry/entry.ts";
import { FarGroup } from "../support/far_group.ts";
import { eventually, test } from "../support/harness.ts";
import { hasNats, rawConnection } from "../support/nats.ts";

const skip = hasNats ? null : "scripts/setup --tests installs a NATS server";

const identity = { id: "a", name: "a", start: "0" };
/** Values by keys. */
type Content = Readonly<Record<string, number>>;

function entryOf(key: string, value: number, node = "a"): Entry {
  const encoded = encodeValue(value);
  return makeEntry(node, {
    family: "f",
    key,
    port: null,
    since: 0,
    token: null,
    value: encoded,
  });
}

/** An entry with a regular expression of a later runtime. */
function unreadable(key: string): Uint8Array {
  const { bytes } = makeEntry("a", {
    family: "f",
    key,
    port: null,
    since: 0,
    token: null,
    value: encodeValue(/zzz/g),
  });
  const text = new TextDecoder("latin1").decode(bytes);
  const at = text.indexOf("g", text.indexOf("zzz"));
  assert(at > 0);
  return bytes.with(at, "q".charCodeAt(0));
}

function boardOf(content: Content): Uint8Array {
  return encodeBoard(identity, Object.entries(content).map(([key, value]) => entryOf(key, value)));
}

/** What a registry knows that reads each change. */
class Reader {
  readonly #entries: Map<string, Entry> = new Map();

  read(board: KnownBoard): Content {
    const { entries, isWhole } = board.read("board");
    if (isWhole) this.#entries.clear();
    for (const [place, entry] of entries) {
      if (entry) this.#entries.set(place, entry);
      else this.#entries.delete(place);
    }
    return Object.fromEntries(
      Array.from(this.#entries.values(), (entry) => [entry.key, entry.read() as number]),
    );
  }
}

const contents = fc.dictionary(fc.constantFrom("k", "l", "m", "n"), fc.nat(3), {
  noNullPrototype: true,
});

test("NATS boards: changes lead from one content to the next, however seldom somebody looks", () => {
  const steps = fc.array(
    fc.record({ content: contents, looks: fc.boolean(), isWhole: fc.boolean() }),
  );
  fc.assert(fc.property(contents, steps, (first, steps) => {
    const board = new KnownBoard("a", boardOf(first), 1);
    const reader = new Reader();
    let before = first;
    for (const { content, looks, isWhole } of steps) {
      const version = board.version + 1;
      const removed = Object.keys(before).filter((key) => content[key] === undefined);
      const changed = Object.entries(content).filter(([key, value]) => before[key] !== value);
      if (isWhole) board.replace(boardOf(content), version);
      else {
        const change = {
          version,
          removed: removed.map((key) => placeOf("f", key)),
          added: changed.map(([key, value]) => entryOf(key, value).bytes),
        };
        board.change(decodeBoardChange(encodeBoardChange(change))!);
      }
      assertEquals(board.version, version);
      if (looks) assertEquals(reader.read(board), content);
      before = content;
    }
    assertEquals(reader.read(board), before);
  }));
});

test("NATS boards: keys that come and go take no memory while nobody looks", () => {
  const board = new KnownBoard("a", boardOf({ stays: 1 }), 1);
  const reader = new Reader();
  assertEquals(reader.read(board), { stays: 1 });
  let removed: string[] = [];
  for (let round = 0; round < 5_000; round++) {
    const entry = entryOf(`${round}`, round);
    board.change({ version: round + 2, removed, added: [entry.bytes] });
    removed = [placeOf("f", `${round}`)];
  }
  const { entries, isWhole } = board.read("board");
  assertEquals([isWhole, entries.size], [true, 2]);
});

test("NATS boards: names of what was never there take no memory", () => {
  const board = new KnownBoard("a", boardOf({ stays: 1 }), 1);
  const reader = new Reader();
  reader.read(board);
  const name = "x".repeat(2 ** 16);
  for (let round = 0; round < 100; round++) {
    board.change({ version: round + 2, removed: [placeOf("f", `${name}${round}`)], added: [] });
  }
  const { entries, isWhole } = board.read("board");
  assertEquals([isWhole, entries.size], [false, 0]);
});

test("NATS boards: a value that this runtime cannot have takes the place of the one before", () => {
  const board = new KnownBoard("a", boardOf({ k: 1 }), 1);
  const reader = new Reader();
  assertEquals(reader.read(board), { k: 1 });
  board.change({ version: 2, removed: [], added: [unreadable("k")] });
  assertEquals(reader.read(board), {});
});

test("NATS boards: an entry goes whose key ends in half a character", async () => {
  await using group = new FarGroup();
  const [a, b] = [await group.start("a"), await group.start("b")];
  const key = "a cut \ud83d";
  a.registry.set("f", "stays", 1);
  const entry = a.registry.set("f", key, 1);
  await eventually(async () => (await b.registry.keys("f")).includes(key));
  entry[Symbol.dispose]();
  await eventually(async () => (await b.registry.keys("f")).join() === "stays");
}, { skip });

test("NATS boards: who gets a message finds what its sender has changed before it", async () => {
  await using group = new FarGroup();
  const [a, b] = [await group.start("a"), await group.start("b")];
  const seen: Promise<string[]>[] = [];
  const port = b.port({
    look: (_: Uint8Array) => void seen.push(b.registry.keys("f")),
    rest: (_: Uint8Array) => {},
  });
  await eventually(() => a.isUp(b.id));
  const keys = ["one", "two", "three"];
  for (const key of keys) {
    a.registry.set("f", key, null);
    a.send(port.id, "look", new Uint8Array(20_000));
    // The batch of the first message is full, and goes in this turn.
    a.send(port.id, "rest", new Uint8Array(60_000));
    await eventually(() => seen.length === keys.indexOf(key) + 1);
  }
  assertEquals((await Promise.all(seen)).map((each) => each.length), [1, 2, 3]);
}, { skip });

test("NATS boards: a change that its node may not make changes nothing", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (body) => {
    const change = decodeBoardChange(body);
    assert(change === null || change.removed.length + change.added.length <= body.byteLength / 4);
  }));
  // More items than two boards have entries.
  assertEquals(decodeBoardChange(new Uint8Array(8 + 4 * (2 ** 17 + 1))), null);
  for (
    const body of [[], [1, 0, 0, 0], [1, 0, 0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0]]
  ) {
    assertEquals(decodeBoardChange(new Uint8Array(body)), null, body.join());
  }
  const board = new KnownBoard("a", boardOf({ k: 1 }), 1);
  const tooMany = Array.from({ length: 2 ** 16 + 1 }, (_, index) => entryOf(`${index}`, 0).bytes);
  const large = { ...entryOf("large", 0), family: "f", key: "large" };
  const value = encodeValue("x".repeat(2 ** 22 - 400));
  const tooLarge = makeEntry("a", { ...large, port: null, since: 0, token: null, value }).bytes;
  const port = makeEntry("b", {
    ...large,
    port: "b.1",
    since: 0,
    token: null,
    value: encodeValue(0),
  });
  for (const added of [[new Uint8Array([1, 2])], [port.bytes], tooMany, [tooLarge]]) {
    assertThrows(() => board.change({ version: 2, removed: [placeOf("f", "k")], added }));
  }
  assertEquals([board.version, new Reader().read(board)], [1, { k: 1 }]);
});

test("NATS boards: of many entries one changes, and others hear of that one", async () => {
  await using group = new FarGroup();
  const [a, b] = [await group.start("a"), await group.start("b")];
  const many = 500;
  for (let index = 0; index < many; index++) {
    a.registry.set("things", `key ${index}`, "x".repeat(100));
  }
  const known = () => b.registry.get("things");
  await eventually(async () => (await known()).size === many);
  const raw = await rawConnection();
  let bytes = 0;
  let messages = 0;
  raw.subscribe(`tandem.nodes.${group.name}.all`, (_, { byteLength }) => {
    bytes = Math.max(bytes, byteLength);
    messages += 1;
  });
  await raw.flush();
  a.registry.set("things", "key 250", "changed");
  a.registry.delete("things", "key 0", "key 499");
  await eventually(async () => (await known()).get("key 250")?.value === "changed");
  assertEquals((await known()).size, many - 2);
  assert(messages > 0 && bytes < 1_000, `${messages} messages, up to ${bytes} bytes`);
}, { skip });
