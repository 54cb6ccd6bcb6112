/** The files in which the nodes of a group meet are removed: they go to the next place, and meet there. */
import { assert, assertEquals } from "@std/assert";
import { rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Server } from "../../mod.ts";
import { Node, type NodeOptions } from "../../src/node/main.ts";
import {
  assertRejectsCode,
  type Child,
  eventually,
  ownRuntime,
  present,
  spawn,
  test,
} from "../support/harness.ts";
import { limitFolder, removeLocksOfGroup } from "../support/locks.ts";

let groups = 0;

/** Nodes of a group of their own, of which nothing is left at the end. */
class Group implements AsyncDisposable {
  readonly name: string = `removal-${process.pid}-${groups++}`;
  readonly #nodes: Node[] = [];

  async start(name: string, options: NodeOptions = {}): Promise<Node> {
    const node = await Node.start({ name, group: this.name, ...options });
    this.#nodes.push(node);
    return node;
  }

  /** A process with a node that has one port, which ends by the message `end`, and the process with it. */
  async spawn(): Promise<Child> {
    const child = await spawn(ownRuntime[0], "node/idle.ts", [this.name], {
      env: { TANDEM_DIR: process.env.TANDEM_DIR },
    });
    await child.expect("ready");
    return child;
  }

  /** The file of the hall. */
  get path(): string {
    return join(limitFolder(), `${this.name}.nodes.tandem`);
  }

  unlink(): boolean {
    return Server.unlink(`${this.name}.nodes`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) await node.close();
    this.unlink();
    rmSync(`${this.path}.bells`, { recursive: true, force: true });
    removeLocksOfGroup(this.name);
  }
}

/** All of them see each other, and the same in the registry. */
async function meet(nodes: readonly Node[], others: number = 0): Promise<void> {
  await eventually(
    () => nodes.every((node) => node.nodes().length === nodes.length - 1 + others),
    "all see each other",
  );
}

async function keys(node: Node, family: string): Promise<string> {
  return (await node.registry.keys(family)).toSorted().join();
}

test("the hall is unlinked: its nodes meet again, with their ids, ports, entries and claims", async () => {
  await using group = new Group();
  const nodes: Node[] = [];
  for (const name of ["a", "b", "c", "d"]) {
    const node = await group.start(name, { id: `${name}-${process.pid}` });
    node.registry.set("things", name, name);
    nodes.push(node);
  }
  const [a, b] = nodes as [Node, Node];
  using port = b.port({ get: () => "b" });
  const claim = present(await b.registry.claim("claims", "one", 1));
  const { token } = claim;
  const seen: string[] = [];
  a.registry.watch("things", ({ entries }) => seen.push([...entries.keys()].toSorted().join()));
  await eventually(() => seen.at(-1) === "a,b,c,d");
  const news: string[] = [];
  a.watchNodes(({ node, up, reason }) => {
    if (node === b.id) news.push(up ? "up" : reason!.kind);
  });
  const ends: string[] = [];
  a.monitor(port.id, ({ kind }) => ends.push(`a ${kind}`));
  b.monitor(a.id, ({ kind }) => ends.push(`b ${kind}`));
  await a.at(port.id).get();

  assert(group.unlink());
  await eventually(() => ends.length === 2, "the monitors fire");
  await meet(nodes);
  assertEquals(ends.toSorted(), ["a transport_error", "b transport_error"]);
  await eventually(() => news.length === 3, "it is up again");
  assertEquals(news, ["up", "transport_error", "up"]);
  for (const node of nodes) assertEquals(await keys(node, "things"), "a,b,c,d");
  await eventually(() => seen.at(-1) === "a,b,c,d", "the watch tells the same as before");

  // The port has its id still, and its end is noticed.
  assertEquals(await a.at(port.id).get(), "b");
  a.monitor(port.id, ({ kind }) => ends.push(`later ${kind}`));
  await a.at(port.id).get();
  port.kill();
  await eventually(() => ends.length === 3, "the monitor fires");
  assertEquals(ends.at(-1), "later normal");

  // Nobody else has the claim or an id.
  assert(claim.isHeld);
  assertEquals(await a.registry.claim("claims", "one", 2), null);
  assertEquals(await a.registry.values("claims"), [1]);
  claim.release();
  assert(present(await a.registry.claim("claims", "one", 2)).token > token);
  await assertRejectsCode(group.start("e", { id: a.id }), "EXISTS");

  // What is registered now reaches all, and so does an end.
  b.registry.set("things", "later", 1);
  await eventually(() => seen.at(-1) === "a,b,c,d,later", "the entry is told");
  await b.close();
  await eventually(() => seen.at(-1) === "a,c,d", "its entries are gone");
  assertEquals(news.slice(3), ["shutdown"]);
});

test("the file of an idle hall is removed: a node that starts later meets all", async () => {
  await using group = new Group();
  const child = await group.spawn();
  const [one, other] = [await group.start("one"), await group.start("other")];
  one.registry.set("things", "one", 1);
  await meet([one, other], 1);
  rmSync(group.path);
  const later = await group.start("later");
  await meet([one, other, later], 1);
  for (const node of [one, other, later]) assertEquals(await keys(node, "things"), "one");

  // The process has nothing to do with it: it ends as it would have otherwise.
  const port = present(await later.registry.pick<{ end(): void }>("ports"));
  later.send(port, "end");
  assertEquals(await child.exited, { code: 0, signal: null });
  await meet([one, other, later]);
});

test("all files of a hall are removed: whoever has a message for another notices", async () => {
  await using group = new Group();
  const [one, other] = [await group.start("one"), await group.start("other")];
  let total = 0;
  using port = other.port({ add: (n: number) => void (total += n) });
  await meet([one, other]);
  one.send(port.id, "add", 1);
  await eventually(() => total === 1);
  rmSync(group.path);
  rmSync(`${group.path}.bells`, { recursive: true });
  const later = await group.start("later");
  await eventually(() => {
    one.send(port.id, "add", 1);
    return later.nodes().length === 2;
  }, "they notice");
  await meet([one, other, later]);
  const before = total;
  later.send(port.id, "add", 1_000);
  await eventually(() => total >= before + 1_000, "messages come again");
});

test("a hall is removed while messages are under way: each sender's come in order, or their loss is told", async () => {
  await using group = new Group();
  const nodes = [await group.start("a"), await group.start("b"), await group.start("c")];
  const holes: string[] = [];
  const ends = new Map<string, number>();
  const ports = nodes.map((node) => {
    /** What came last of each other node, and the others whose next message may be any later one. */
    const last = new Map<string, number>();
    const isCut = new Set<string>();
    node.watchNodes((change) => {
      if (!change.up) isCut.add(change.node);
    });
    return node.port({
      take(from: string, n: number) {
        const before = last.get(from) ?? 0;
        if (n <= before || (n !== before + 1 && !isCut.has(from))) {
          holes.push(`${n} after ${before}`);
        }
        isCut.delete(from);
        last.set(from, n);
      },
      last: (from: string) => last.get(from) ?? 0,
    });
  });
  await meet(nodes);
  const count = 2_000;
  let sent = 0;
  const send = async (middle: () => void) => {
    for (let n = 1; n <= count; n++) {
      if (n === count / 2) middle();
      sent += 1;
      for (const [at, node] of nodes.entries()) {
        for (const [to, port] of ports.entries()) {
          if (to !== at) node.send(port.id, "take", node.id, sent);
        }
      }
      if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  for (let round = 1; round <= 3; round++) {
    ends.clear();
    for (const node of nodes) {
      for (const [to, port] of ports.entries()) {
        if (nodes[to] === node) continue;
        const key = `${node.id} ${to}`;
        node.monitor(port.id, () => ends.set(key, (ends.get(key) ?? 0) + 1));
      }
    }
    await send(() => assert(group.unlink()));
    await eventually(() => ends.size === 6, "each learns of each other's loss");
    await meet(nodes);
  }
  // Nothing is stuck.
  await send(() => {});
  for (const node of nodes) {
    for (const [to, port] of ports.entries()) {
      if (nodes[to] !== node) assertEquals(await node.at(port.id).last(node.id), sent);
    }
  }
  assertEquals(holes, []);
  assertEquals([...ends.values()], [1, 1, 1, 1, 1, 1]);
});
