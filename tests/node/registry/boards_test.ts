/** What other nodes may have on their boards: anything. */
import { assert, assertEquals } from "@std/assert";
import type { Node } from "../../../src/node/main.ts";
import { encodeBoard, readBoard } from "../../../src/node/registry/board.ts";
import { boardBytesMax } from "../../../src/node/registry/bounds.ts";
import { encodeValue, type Entry, makeEntry } from "../../../src/node/registry/entry.ts";
import { FrameLimits, giveEncoder, takeEncoder } from "../../../src/node/frames.ts";
import { eventually, test } from "../../support/harness.ts";
import { registryOf, startNodes, turn, valuesOf, Watched } from "../../support/registries.ts";

const identity = { id: "x@1", name: "x", start: "abc" };

function entryOf(
  key: string,
  value: unknown,
  terms: Partial<{ family: string; node: string; port: string; since: number; token: bigint }> = {},
): Entry {
  const { family = "f", node = identity.id, port = null, since = 1, token = null } = terms;
  return makeEntry(node, { family, key, port, since, token, value: encodeValue(value) });
}

/** A board of any parts. */
function frameOf(...parts: unknown[]): Uint8Array {
  const encoder = takeEncoder();
  encoder.open(new FrameLimits(2 ** 24), parts[0] as number, parts.length);
  for (const part of parts.slice(1)) encoder.value(part);
  const bytes = encoder.bytesOf().slice();
  giveEncoder(encoder);
  return bytes;
}

async function quietly(body: () => Promise<void>): Promise<string[]> {
  const { warn } = console;
  const remarks: string[] = [];
  console.warn = (text: string) => void remarks.push(text);
  try {
    await body();
  } finally {
    console.warn = warn;
  }
  return remarks;
}

test("entries of a board that stay are not read again", () => {
  const entries = Array.from({ length: 100 }, (_, n) => entryOf(`k${n}`, n));
  const first = readBoard(encodeBoard(identity, entries), null);
  const later = [
    ...entries.slice(40, 50),
    entryOf("new", 1),
    ...entries.slice(0, 30),
    ...entries.slice(50),
  ];
  const second = readBoard(encodeBoard(identity, later), first);
  assertEquals(second.entries.size, 91);
  for (const [place, entry] of second.entries) {
    assertEquals(first.entries.get(place) === entry, entry.key !== "new");
  }
  const other = readBoard(encodeBoard({ ...identity, id: "y@1" }, entries), first);
  for (const entry of other.entries.values()) assertEquals(entry.node, "y@1");
});

test("a board that is none is counted, and nothing on it shows", async () => {
  const { network, nodes: [a, b] } = await startNodes(2);
  const hall = network.boards(a).hall;
  const hostile = hall.join();
  a.registry.set("f", "good", 1);
  const watched = new Watched(b, "f");
  await watched.expect({ values: { good: 1 }, added: ["good"] });
  const good = entryOf("k", 1);
  const whole = encodeBoard(identity, [good]);
  const head = ["x@1", "x", "abc"] as const;
  const wrong: Uint8Array[] = [
    new Uint8Array(0),
    new Uint8Array([0xff]),
    new Uint8Array(boardBytesMax + 1),
    whole.subarray(0, whole.length - 1),
    new Uint8Array([...whole, 0]),
    frameOf(2, ...head, []),
    frameOf(1, ...head),
    frameOf(1, "x#1", "x", "abc", []),
    frameOf(1, "x@1", "x y", "abc", []),
    frameOf(1, "x@1", "x", "A", []),
    frameOf(1, ...head, [5]),
    frameOf(1, ...head, [new Uint8Array([1, 2])]),
    frameOf(1, ...head, Array(2 ** 16 + 1).fill(0)),
    frameOf(1, ...head, [good.bytes, good.bytes.slice()]),
    // Of this node.
    encodeBoard({ ...identity, id: b.id }, []),
    ...[
      frameOf(2, "f", "k", null, 1, null, good.value),
      frameOf(1, "9", "k", null, 1, null, good.value),
      frameOf(1, "f", "", null, 1, null, good.value),
      frameOf(1, "f", "k", "y@1#1.1", 1, null, good.value),
      frameOf(1, "f", "k", "x@1", 1, null, good.value),
      frameOf(1, "f", "k", 5, 1, null, good.value),
      frameOf(1, "f", "k", null, -1, null, good.value),
      frameOf(1, "f", "k", null, 1.5, null, good.value),
      frameOf(1, "f", "k", null, 1, 5, good.value),
      frameOf(1, "f", "k", null, 1, -5n, good.value),
      frameOf(1, "f", "k", null, 1, 2n ** 64n, good.value),
      frameOf(1, "f", "k", null, 1, null, 5),
      frameOf(1, "f", "k", null, 1, null, new Uint8Array([0x83])),
      frameOf(1, "f", "k", null, 1, null, frameOf(2, 1)),
    ].map((entry) => frameOf(1, ...head, [entry])),
  ];
  const remarks = await quietly(async () => {
    for (const [index, bytes] of wrong.entries()) {
      hostile.write(whole);
      assertEquals(await valuesOf(b, "f"), { good: 1, k: 1 });
      hostile.write(bytes);
      assertEquals(await valuesOf(b, "f"), { good: 1 }, `${index}`);
      assertEquals(registryOf(b).malformed, index + 1);
    }
  });
  assertEquals(remarks.length, 10, "the first ones are reported");
  assertEquals(registryOf(a).malformed <= wrong.length, true);
  hall.leave(hostile);
  assertEquals(await valuesOf(b, "f"), { good: 1 });
});

test("any change of a byte of a board is an entry, or counted, and never thrown", async () => {
  const { network, nodes: [a] } = await startNodes(2);
  const hostile = network.boards(a).hall.join();
  const entries = [
    entryOf("k", { list: [1, "x", new Date(1)] }),
    entryOf("l", 1, { port: "x@1#abc.1", token: 5n }),
  ];
  const whole = encodeBoard(identity, entries);
  await quietly(async () => {
    for (let at = 0; at < whole.length; at++) {
      for (const flip of [1, 0x80, 0x20, 0xff]) {
        const bytes = whole.slice();
        bytes[at]! ^= flip;
        hostile.write(bytes);
        await a.registry.get("f");
      }
      hostile.write(whole.subarray(0, at));
      await a.registry.get("f");
    }
  });
  hostile.write(whole);
  assertEquals((await a.registry.keys("f")).sort(), ["k", "l"]);
  assert(registryOf(a).malformed >= whole.length);
});

test("whoever comes later is later, also where another clock is ahead", async () => {
  const { network, nodes: [a, b] } = await startNodes(2);
  const ahead = network.boards(a).hall.join();
  const values = (node: Node) => valuesOf(node, "f");
  for (const since of [Date.now() + 1e9, Number.MAX_SAFE_INTEGER - 1]) {
    ahead.write(encodeBoard(identity, [entryOf("k", "ahead", { since })]));
    using _ = a.registry.set("f", "k", "a");
    await turn();
    assertEquals([await values(a), await values(b)], [{ k: "ahead" }, { k: "ahead" }]);
    ahead.write(encodeBoard(identity, []));
    assertEquals([await values(a), await values(b)], [{ k: "a" }, { k: "a" }]);
    await turn();
  }
});

test("a claim shows before other entries, and of two the later one", async () => {
  const { nodes: [a], network } = await startNodes(1);
  const others = [network.boards(a).hall.join(), network.boards(a).hall.join()];
  a.registry.set("f", "k", "early");
  const write = (index: number, token: bigint | undefined) => {
    const id = `x@${index}`;
    const terms = { node: id, since: 2 ** 50, ...(token === undefined ? {} : { token }) };
    others[index]!.write(encodeBoard({ ...identity, id }, [entryOf("k", `${index}`, terms)]));
  };
  write(0, undefined);
  assertEquals(await valuesOf(a, "f"), { k: "early" });
  write(0, 5n);
  assertEquals(await valuesOf(a, "f"), { k: "0" });
  write(1, 7n);
  assertEquals(await valuesOf(a, "f"), { k: "1" });
  write(1, 4n);
  assertEquals(await valuesOf(a, "f"), { k: "0" });
  for (const boards of others) network.boards(a).hall.leave(boards);
  assertEquals(await valuesOf(a, "f"), { k: "early" });
});

test("a board for which there is no memory is published when there is", async () => {
  const { network, nodes: [a, b] } = await startNodes(2);
  const { error } = console;
  const told: unknown[] = [];
  console.error = (...what: unknown[]) => void told.push(what);
  try {
    network.boards(a).refusals = 3;
    a.registry.set("f", "key", 1);
    await eventually(async () => (await b.registry.keys("f")).length === 1);
  } finally {
    console.error = error;
  }
  assertEquals(told.length, 1);
  assertEquals(network.boards(a).refusals, 0);
});
