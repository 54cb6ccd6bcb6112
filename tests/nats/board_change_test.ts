/** What changes on the board of a node, as it travels through NATS. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { changed, changeOf } from "../../src/nats/nodes/board_change.ts";
import { decodeBoardChange, encodeBoardChange } from "../../src/nats/nodes/frames.ts";
import { FarGroup } from "../support/far_group.ts";
import { eventually, test } from "../support/harness.ts";
import { hasNats, rawConnection } from "../support/nats.ts";

const skip = hasNats ? null : "scripts/setup --tests installs a NATS server";

const identity = { id: "a", name: "a", start: "0" };
const item = fc.uint8Array({ maxLength: 3 });
const lists = fc.array(item, { maxLength: 8 });

test("NATS boards: a change leads from one list to the next, whatever they are", () => {
  fc.assert(fc.property(lists, lists, fc.boolean(), (before, other, isSimilar) => {
    const after = isSimilar ? [...before.filter((_, index) => index % 3 !== 1), ...other] : other;
    const change = changeOf({ identity, items: before }, { identity, items: after }, 7)!;
    const read = decodeBoardChange(encodeBoardChange(change))!;
    assertEquals(read.version, 7);
    assertEquals(changed(before, read), after);
  }));
});

test("NATS boards: another identity is no change", () => {
  for (const other of [{ id: "b" }, { name: "b" }, { start: "1" }]) {
    const after = { identity: { ...identity, ...other }, items: [] };
    assertEquals(changeOf({ identity, items: [] }, after, 1), null);
  }
});

test("NATS boards: a malformed change is none, and one that does not fit changes nothing", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), lists, (body, items) => {
    const change = decodeBoardChange(body);
    const next = change && changed(items, change);
    assert(next === null || next.length <= items.length + change!.added.length);
  }));
  const items = [new Uint8Array([1]), new Uint8Array([2])];
  for (const removed of [[2], [0, 0], [1, 0], [0, 1, 2]]) {
    assertEquals(changed(items, { version: 1, removed, added: [] }), null, removed.join());
  }
  for (
    const body of [[], [1, 0, 0, 0], [1, 0, 0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 255, 255, 255, 255]]
  ) {
    assertEquals(decodeBoardChange(new Uint8Array(body)), null, body.join());
  }
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
