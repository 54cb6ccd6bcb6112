/** Boards in shared memory, as registries use them. */
import { assertEquals } from "@std/assert";
import { ServerCore } from "../../../src/channel/server_core.ts";
import { type Presence, SharedBoards } from "../../../src/node/registry/shared_boards.ts";
import {
  atEnd,
  bytes,
  eventually,
  newTarget,
  ownRuntime,
  present,
  spawn,
  test,
  text,
} from "../../support/harness.ts";

const small = { slots: 1, maxRequestBytes: 0, maxResponseBytes: 0 };

/** The boards of a participant of this process. */
function join(target: string): { boards: SharedBoards; handle: ServerCore } {
  const handle = ServerCore.open(target, small);
  const before = places.get(target) ?? new Set();
  places.set(target, before);
  const own = present(handle.members().find(({ place }) => !before.has(place.position)));
  before.add(own.place.position);
  const boards = new SharedBoards(handle, own.place.position, everybody);
  handle.watchMembers(() => boards.ring());
  atEnd(() => Promise.resolve(handle.close()));
  return { boards, handle };
}

/** All members are nodes that are up. */
const everybody: Presence = { count: () => 0, isUpAt: () => true };

const places = new Map<string, Set<number>>();

/** What has changed, as texts. */
function changesOf(boards: SharedBoards): (string | null)[] {
  return Array.from(boards.changes(), ({ bytes }) => bytes && text(bytes));
}

test("each board is seen once in each version, the own one never", async () => {
  const target = newTarget();
  const [a, b] = [join(target), join(target)];
  assertEquals([changesOf(a.boards), changesOf(b.boards)], [[], []]);
  a.boards.publish(bytes("one"));
  assertEquals([changesOf(a.boards), changesOf(b.boards)], [[], ["one"]]);
  a.boards.publish(bytes("two"));
  a.boards.publish(bytes("three"));
  b.boards.publish(bytes("b"));
  assertEquals([changesOf(a.boards), changesOf(b.boards)], [["b"], ["three"]]);
  assertEquals([changesOf(a.boards), changesOf(b.boards)], [[], []]);
  const c = join(target);
  assertEquals(changesOf(c.boards).sort(), ["b", "three"]);
  a.handle.close();
  await eventually(() => c.handle.members().length === 2);
  assertEquals([changesOf(b.boards), changesOf(c.boards)], [[null], [null]]);
});

test("a listener is told of boards, until it is disposed", async () => {
  const target = newTarget();
  const [a, b] = [join(target), join(target)];
  let told: (string | null)[] = [];
  const listening = b.boards.onChange(() => told.push(...changesOf(b.boards)));
  for (let number = 0; number < 10; number++) {
    a.boards.publish(bytes(`${number}`));
    await eventually(() => told.length > 0);
    assertEquals(told, [`${number}`]);
    told = [];
  }
  listening[Symbol.dispose]();
  a.boards.publish(bytes("later"));
  b.boards.ring();
  assertEquals(told, []);
  assertEquals(changesOf(b.boards), ["later"]);
});

for (const name of ownRuntime) {
  test(`${name}: the board of a process that is killed is gone`, async () => {
    const target = newTarget();
    const { boards } = join(target);
    const told: (string | null)[] = [];
    using _ = boards.onChange(() => told.push(...changesOf(boards)));
    const child = await spawn(name, "sentinels.ts", [target, "1", "board"]);
    await child.expect("watching");
    await eventually(() => told.length > 0, "its board is seen");
    await child.killed();
    await eventually(() => told.at(-1) === null, "its board is gone");
    assertEquals(told, ["0", null]);
  });
}
