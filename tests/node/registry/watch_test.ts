/** Watches of the registry. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { RegistryChange } from "../../../src/node/main.ts";
import { eventually, test } from "../../support/harness.ts";
import { plain, startNodes, turn, Watched } from "../../support/registries.ts";

test("a watch tells of everything first, also of nothing, and then of each change", async () => {
  const { network, nodes: [a, b] } = await startNodes(2);
  const watched = [new Watched(a, "f"), new Watched(b, "f")];
  const expect = async (expected: Record<string, unknown>) => {
    for (const watch of watched) await watch.expect(expected);
  };
  await expect({});
  a.registry.set("f", "one", 1);
  a.registry.set("g", "one", 1);
  await expect({ values: { one: 1 }, added: ["one"] });
  b.registry.set("f", "two", 2);
  a.registry.set("f", "one", 11);
  for (const watch of watched) await eventually(() => watch.changes.at(-1)?.entries.size === 2);
  for (const watch of watched) {
    await eventually(() => watch.changes.at(-1)!.entries.get("one")!.value === 11);
    await turn();
    watch.changes.length = 0;
  }
  await new Watched(b, "f").expect({ values: { one: 11, two: 2 }, added: ["one", "two"] });
  a.registry.delete("f", "one");
  await expect({ values: { two: 2 }, deleted: ["one"] });
  network.kill(b);
  await watched[0]!.expect({ deleted: ["two"] });
});

test("the first call comes soon, but not within watch", async () => {
  const { nodes: [a] } = await startNodes(2);
  let calls = 0;
  const watch = a.registry.watch("f", () => {
    calls += 1;
    // It may use what watch has returned.
    watch[Symbol.dispose]();
  });
  assertEquals(calls, 0);
  await Promise.resolve();
  assertEquals(calls, 1);
  a.registry.set("f", "k", 1);
  await turn();
  assertEquals(calls, 1);
});

test("no change is told of without a change", async () => {
  const { nodes: [a, b] } = await startNodes(2);
  a.registry.set("f", "k", { x: 1 });
  const watched = [new Watched(a, "f"), new Watched(b, "f")];
  for (const watch of watched) await watch.expect({ values: { k: { x: 1 } }, added: ["k"] });
  a.registry.set("f", "k", { x: 1 });
  a.registry.set("f", "passing", 1)[Symbol.dispose]();
  a.registry.set("f", "k", { x: 2 });
  a.registry.set("f", "k", { x: 1 });
  a.registry.delete("f", "k");
  a.registry.set("f", "k", { x: 1 });
  for (const watch of watched) await watch.quiet();
  // An entry that does not show.
  b.registry.set("f", "k", "hidden");
  for (const watch of watched) await watch.quiet();
  b.registry.set("f", "k", "hidden still");
  b.registry.delete("f", "k");
  for (const watch of watched) await watch.quiet();
  // The same value, of another node.
  b.registry.set("f", "k", { x: 1 });
  await turn();
  a.registry.delete("f", "k");
  for (const watch of watched) await watch.expect({ values: { k: { x: 1 } }, changed: ["k"] });
});

test("changes belong to whoever gets them", async () => {
  const { nodes: [a, b] } = await startNodes(2);
  a.registry.set("f", "k", [1]);
  await turn();
  const [first, second] = [new Watched(b, "f"), new Watched(b, "f")];
  await eventually(() => first.changes.length === 1);
  const { entries } = first.changes.shift()!;
  entries.get("k")!.value.push(2);
  entries.clear();
  await second.expect({ values: { k: [1] }, added: ["k"] });
  a.registry.set("f", "other", 1);
  await second.expect({ values: { k: [1], other: 1 }, added: ["other"] });
  assertEquals([...first.changes[0]!.entries.keys()], ["k", "other"]);
});

test("a callback may throw, change the registry, and end watches", async () => {
  const { nodes: [a] } = await startNodes(2);
  const { error } = console;
  const reports: string[] = [];
  console.error = (text: string) => void reports.push(text);
  try {
    const told: unknown[] = [];
    const first = a.registry.watch("f", ({ entries }) => {
      if (entries.size === 0) a.registry.set("f", "k", 1);
      else second[Symbol.dispose]();
      throw new Error("on purpose");
    });
    const second = a.registry.watch("f", (change) => void told.push(plain(change)));
    const third = a.registry.watch("f", () => Promise.reject(new Error("later")));
    await eventually(() => reports.length === 2);
    await turn();
    assertEquals(told.length, 1);
    assert(reports.every((text) => text.includes("registry.watch has thrown")));
    first[Symbol.dispose]();
    third[Symbol.dispose]();
  } finally {
    console.error = error;
  }
  assertThrows(() => a.registry.watch("f", null as unknown as () => void), TypeError, "a function");
});

test("the others' boards ring only while something is watched", async () => {
  const { network, nodes: [a, b] } = await startNodes(2);
  const boards = network.boards(b);
  assertEquals(boards.listeners, 0);
  const [first, second] = [b.registry.watch("f", () => {}), b.registry.watch("g", () => {})];
  assertEquals(boards.listeners, 1);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assertEquals(boards.listeners, 1);
  second[Symbol.dispose]();
  assertEquals(boards.listeners, 0);
  await turn();
  const { looks } = boards;
  a.registry.set("f", "k", 1);
  await turn();
  assertEquals(boards.looks, looks);
  b.registry.watch("f", () => {});
  await b.close();
  assertEquals(boards.listeners, 0);
});

test("a watch can be iterated: what comes meanwhile is told as one change", async () => {
  const { nodes: [a, b] } = await startNodes(2);
  using watch = b.registry.watch<number>("f");
  a.registry.set("f", "early", 0);
  await turn();
  const next = async () => plain((await watch.next()).value as RegistryChange);
  assertEquals(await next(), { values: { early: 0 }, added: ["early"], changed: [], deleted: [] });
  const waits = [next(), next()];
  await turn();
  a.registry.set("f", "k", 1);
  assertEquals(await waits[0], {
    values: { early: 0, k: 1 },
    added: ["k"],
    changed: [],
    deleted: [],
  });
  a.registry.delete("f", "early");
  assertEquals(await waits[1], { values: { k: 1 }, added: [], changed: [], deleted: ["early"] });
  for (let number = 0; number < 5; number++) {
    a.registry.set("f", "k", number);
    a.registry.set("f", `k${number}`, number);
    await turn();
  }
  a.registry.delete("f", "k0");
  await turn();
  const values = { k: 4, k1: 1, k2: 2, k3: 3, k4: 4 };
  const added = ["k1", "k2", "k3", "k4"];
  assertEquals(await next(), { values, added, changed: ["k"], deleted: [] });
});

test("leaving the loop ends a watch, and so does the end of its node", async () => {
  const { network, nodes: [a] } = await startNodes(2);
  for await (const { entries } of a.registry.watch("f")) {
    if (entries.size === 1) break;
    a.registry.set("f", "k", 1);
  }
  assertEquals(network.boards(a).listeners, 0);
  const watch = a.registry.watch("f");
  await watch.next();
  const waits = [watch.next(), watch.next()];
  watch[Symbol.dispose]();
  for (const wait of [...waits, watch.next()]) {
    assertEquals(await wait, { done: true, value: undefined });
  }
  await using other = a.registry.watch("g");
  await other.next();
  const last = other.next();
  await a.close();
  assertEquals(await last, { done: true, value: undefined });
});
