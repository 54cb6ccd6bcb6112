/** Entries of the registry: who sees them, and when they go. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { assertRejectsCode, assertThrowsCode, eventually, test } from "../../support/harness.ts";
import { registryOf, startNodes, turn, valuesOf } from "../../support/registries.ts";

test("an entry shows at once on its node, and on others at the end of the microtasks", async () => {
  const { nodes: [a, b] } = await startNodes(2);
  using _ = a.registry.set("colors", "red", { hex: "#f00" });
  assertEquals(registryOf(a).get("colors").get("red"), {
    value: { hex: "#f00" },
    node: a.id,
    port: null,
  });
  await turn();
  assertEquals(
    await b.registry.get("colors"),
    new Map([
      ["red", { value: { hex: "#f00" }, node: a.id, port: null }],
    ]),
  );
  assertEquals(await b.registry.keys("colors"), ["red"]);
  assertEquals(await b.registry.values("colors"), [{ hex: "#f00" }]);
  assertEquals(await b.registry.get("other"), new Map());
  assertEquals(await b.registry.keys("other"), []);
  assertEquals(await b.registry.values("other"), []);
});

test("many entries of one moment are published together", async () => {
  const { network, nodes: [a, b] } = await startNodes(2);
  const before = network.boards(a).published;
  for (let number = 0; number < 1_000; number++) a.registry.set("numbers", `${number}`, number);
  a.registry.delete("numbers", "0", "1", "no such key");
  await turn();
  assertEquals(network.boards(a).published, before + 1);
  assertEquals((await b.registry.keys("numbers")).length, 998);
  a.registry.set("numbers", "2", 2);
  await turn();
  assertEquals(network.boards(a).published, before + 1, "the same value again is no change");
});

test("values are copies, and of any kind that messages have", async () => {
  const { nodes: [a, b] } = await startNodes(2);
  const list: unknown[] = [1, new Map([["k", new Date(5)]]), new Uint8Array(5_000).fill(3), 7n];
  a.registry.set("values", "list", list);
  a.registry.set("values", "nothing", undefined);
  list.push("later");
  await turn();
  for (const node of [a, b]) {
    const [one, again] = [await node.registry.get("values"), await node.registry.get("values")];
    assertEquals(one.get("list")!.value, list.slice(0, 4));
    assertEquals(one.get("nothing")!.value, undefined);
    one.get("list")!.value.length = 0;
    assertEquals(again.get("list")!.value, list.slice(0, 4));
  }
  assertThrowsCode(() => a.registry.set("values", "function", () => {}), "NOT_SERIALIZABLE");
  const thrown = new Error("a getter");
  const error = assertThrows(() =>
    a.registry.set("values", "getter", {
      get value() {
        throw thrown;
      },
    })
  );
  assert(error === thrown);
});

test("disposing an entry removes it, unless it was set again", async () => {
  const { nodes: [a, b] } = await startNodes(2);
  const first = a.registry.set("f", "k", 1);
  const second = a.registry.set("f", "k", 2);
  first[Symbol.dispose]();
  await turn();
  assertEquals(await valuesOf(b, "f"), { k: 2 });
  const third = a.registry.set("f", "k", 2);
  second[Symbol.dispose]();
  assertEquals(await valuesOf(a, "f"), { k: 2 });
  third[Symbol.dispose]();
  third[Symbol.dispose]();
  assertEquals(await valuesOf(a, "f"), {});
  await turn();
  assertEquals(await valuesOf(b, "f"), {});
  a.registry.set("f", "x", 1);
  a.registry.set("f", "y", 1);
  a.registry.delete("f");
  a.registry.delete("f", "x");
  assertEquals(await valuesOf(a, "f"), { y: 1 });
});

test("of two owners the earliest living one shows", async () => {
  const { network, nodes } = await startNodes(3);
  const [a, b, c] = nodes;
  a.registry.set("f", "k", "a");
  await turn();
  b.registry.set("f", "k", "b");
  await turn();
  c!.registry.set("f", "k", "c");
  await turn();
  for (const node of nodes) assertEquals(await valuesOf(node, "f"), { k: "a" });
  // Another value keeps the place.
  a.registry.set("f", "k", "a2");
  await turn();
  for (const node of nodes) assertEquals(await valuesOf(node, "f"), { k: "a2" });
  network.kill(a);
  for (const node of [b, c!]) assertEquals(await valuesOf(node, "f"), { k: "b" });
  // Only its own.
  c!.registry.delete("f", "k");
  b.registry.delete("f", "k");
  await turn();
  assertEquals(await valuesOf(b, "f"), {});
});

test("a registered port is an entry with its id as the key, and goes when the port ends", async () => {
  const { nodes: [a, b] } = await startNodes(2);
  const port = a.port({ get: () => 1 });
  a.registry.register("ports", port, { speed: 1 });
  using other = a.port({ get: () => 2 });
  using registered = a.registry.register("ports", other.id);
  await turn();
  assertEquals(
    await b.registry.get("ports"),
    new Map<string, unknown>([
      [port.id, { value: { speed: 1 }, node: a.id, port: port.id }],
      [other.id, { value: undefined, node: a.id, port: other.id }],
    ]),
  );
  const seen: string[][] = [];
  a.monitor(port.id, () => seen.push(registryOf(a).keys("ports")));
  port.kill();
  await eventually(() => seen.length === 1);
  assertEquals(seen, [[other.id]], "before anybody hears of the end");
  await turn();
  assertEquals(await b.registry.keys("ports"), [other.id]);
  registered[Symbol.dispose]();
  // A port that has ended is registered for no time.
  a.registry.register("ports", port)[Symbol.dispose]();
  assertEquals(await a.registry.keys("ports"), []);
});

test("a port that is registered twice, or set as a value, is watched once", async () => {
  const { nodes: [a] } = await startNodes(2);
  const port = a.port({});
  const first = a.registry.register("ports", port, 1);
  const second = a.registry.register("ports", port, 2);
  a.registry.register("others", port);
  first[Symbol.dispose]();
  assertEquals(await valuesOf(a, "ports"), { [port.id]: 2 });
  a.registry.set("ports", port.id, "only a text");
  second[Symbol.dispose]();
  port.kill();
  await eventually(() => port.signal.aborted);
  assertEquals(await valuesOf(a, "ports"), { [port.id]: "only a text" });
  assertEquals(await valuesOf(a, "others"), {});
});

test("only ports of the own node can be registered", async () => {
  const { nodes: [a, b] } = await startNodes(2);
  using port = b.port({});
  for (const id of [port.id, a.id, "", "x", "#1"]) {
    assertThrows(() => a.registry.register("ports", id), TypeError, "port of this node");
  }
});

test("pick finds each of the ports, and no other entries", async () => {
  const { nodes: [a, b] } = await startNodes(2);
  assertEquals(await b.registry.pick("ports"), null);
  a.registry.set("ports", "no port", 1);
  await turn();
  assertEquals(await b.registry.pick("ports"), null);
  const ports = [a.port({}), a.port({}), b.port({})];
  for (const port of ports) {
    (port === ports[2] ? b : a).registry.register("ports", port);
  }
  await turn();
  const missing = new Set<string>(ports.map(({ id }) => id));
  while (missing.size > 0) {
    const picked = await b.registry.pick<{ go(): void }>("ports");
    assert(ports.some(({ id }) => id === picked));
    missing.delete(picked!);
  }
});

test("families and keys are checked", async () => {
  const { nodes: [a] } = await startNodes(2);
  const { registry } = a;
  registry.set("A9_:b", " any key \u0000 \ud800 ", 1);
  assertEquals(await registry.keys("A9_:b"), [" any key \u0000 \ud800 "]);
  for (const family of ["", "9a", "_a", "a b", "a-b", "ä", "a\n", null, undefined, 5]) {
    const wrong = family as string;
    assertThrows(() => registry.set(wrong, "k", 1), TypeError, "as a family of the registry");
    assertThrows(() => registry.register(wrong, a.port({})), TypeError, "as a family");
    assertThrows(() => registry.delete(wrong, "k"), TypeError, "as a family");
    assertThrows(() => registry.watch(wrong, () => {}), TypeError, "as a family");
    assertThrows(() => registry.watch(wrong), TypeError, "as a family");
    await assertRejects(() => registry.claim(wrong, "k", 1), TypeError, "as a family");
    await assertRejects(() => registry.pick(wrong), TypeError, "as a family");
    await assertRejects(() => registry.get(wrong), TypeError, "as a family");
    await assertRejects(() => registry.keys(wrong), TypeError, "as a family");
    await assertRejects(() => registry.values(wrong), TypeError, "as a family");
  }
  for (const key of ["", null, undefined, 5]) {
    const wrong = key as string;
    assertThrows(() => registry.set("f", wrong, 1), TypeError, "as a key of the registry");
    assertThrows(() => registry.delete("f", "k", wrong), TypeError, "as a key");
    await assertRejects(() => registry.claim("f", wrong, 1), TypeError, "as a key");
  }
});

test("the entries of a node have a bound, and what is refused changes nothing", async () => {
  const { network, nodes: [a, b] } = await startNodes(2);
  const { maxBytes } = network.boards(a);
  const half = new Uint8Array(maxBytes / 2);
  a.registry.set("f", "one", half);
  assertThrowsCode(() => a.registry.set("f", "two", half), "TOO_LARGE", '"two"', "family f");
  assertThrowsCode(() => a.registry.set("f", "one", new Uint8Array(maxBytes)), "TOO_LARGE");
  assertThrowsCode(() => a.registry.set("f", "one", new Uint8Array(2 ** 23)), "TOO_LARGE");
  a.registry.set("f", "one", new Uint8Array(half.length + 1));
  await turn();
  assertEquals((await b.registry.get("f")).get("one")!.value.length, half.length + 1);
  assertEquals(await b.registry.keys("f"), ["one"]);
});

test("the entries of a node that dies are gone when others hear of its death", async () => {
  const { network, nodes: [a, b] } = await startNodes(2);
  a.registry.set("f", "k", 1);
  await turn();
  assertEquals(await valuesOf(b, "f"), { k: 1 });
  const seen: unknown[] = [];
  b.monitor(a.id, () => seen.push(registryOf(b).keys("f")));
  network.kill(a);
  await eventually(() => seen.length === 1);
  assertEquals(seen, [[]]);
  assertEquals(registryOf(b).directory.size, 0);
});

test("on shutdown entries go before ports hear of it", async () => {
  const { nodes: [a, b] } = await startNodes(2);
  const port = a.port({});
  a.registry.register("ports", port);
  a.registry.set("f", "k", 1);
  const claim = await a.registry.claim("roles", "leader", 1);
  await turn();
  assertEquals((await b.registry.keys("ports")).length, 1);
  const seen: unknown[] = [];
  port.signal.addEventListener("abort", () => {
    const others = registryOf(b);
    seen.push(others.keys("ports"), others.keys("f"), others.keys("roles"), claim!.signal.aborted);
  });
  await a.close();
  assertEquals(seen, [[], [], [], true]);
  assertThrowsCode(() => a.registry.set("f", "k", 1), "CLOSED");
  assertThrowsCode(() => a.registry.delete("f", "k"), "CLOSED");
  assertThrowsCode(() => a.registry.watch("f"), "CLOSED");
  await assertRejectsCode(a.registry.get("f"), "CLOSED");
  await assertRejectsCode(a.registry.claim("f", "k", 1), "CLOSED");
});
