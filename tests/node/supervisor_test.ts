/** Supervisors. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type ChildOptions,
  type Node,
  type Port,
  Supervisor,
  type SupervisorOptions,
  type TandemError,
} from "../../src/node/main.ts";
import { assertRejectsCode, eventually, test } from "../support/harness.ts";
import { level, nodePair } from "../support/node_pair.ts";
import { MemoryNetwork } from "../support/memory_carrier.ts";

type Strategy = NonNullable<SupervisorOptions["strategy"]>;

/** Children that are ports, and what happened to them. */
class Family {
  readonly log: string[] = [];
  readonly ports: Map<string, Port> = new Map();
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  child(name: string, restart: ChildOptions["restart"] = "permanent"): ChildOptions {
    const start = () => {
      const port = this.#node.port({});
      this.ports.set(name, port);
      this.log.push(`+${name}`);
      port.use({ [Symbol.dispose]: () => void this.log.push(`-${name}`) });
      return port;
    };
    return { name, start, restart };
  }

  /** What has happened, once so much has. */
  async take(count: number): Promise<string> {
    await eventually(() => this.log.length >= count);
    return this.log.splice(0).join(" ");
  }
}

for (
  const [strategy, after] of [
    ["one-for-one", "-b +b"],
    ["one-for-all", "-b -c -a +a +b +c"],
    ["rest-for-one", "-b -c +b +c"],
  ] as [Strategy, string][]
) {
  test(`${strategy}: who is started again, and in which order`, async () => {
    await using node = await new MemoryNetwork().start();
    const family = new Family(node);
    const children = ["a", "b", "c"].map((name) => family.child(name));
    const supervisor = new Supervisor(node, { strategy, children });
    await supervisor.ready;
    assertEquals(await family.take(3), "+a +b +c");
    family.ports.get("b")!.kill("for the test");
    assertEquals(await family.take(after.split(" ").length), after);
    const ids = ["a", "b", "c"].map((name) => family.ports.get(name)!.id);
    await eventually(() => supervisor.children().every(({ child }) => child !== undefined));
    assertEquals(supervisor.children().map(({ child }) => (child as Port).id), ids);
    await supervisor.close();
    assertEquals(await family.take(3), "-c -b -a");
    await supervisor.finished;
    await level(node);
  });
}

test("permanent, transient and temporary children", async () => {
  await using node = await new MemoryNetwork().start();
  for (
    const [restart, why, isBack] of [
      ["permanent", undefined, true],
      ["permanent", "bad", true],
      ["transient", undefined, false],
      ["transient", "bad", true],
      ["temporary", undefined, false],
      ["temporary", "bad", false],
    ] as const
  ) {
    const family = new Family(node);
    await using supervisor = new Supervisor(node, {
      children: [family.child("a", restart), family.child("z")],
    });
    await supervisor.ready;
    assertEquals(await family.take(2), "+a +z");
    family.ports.get("a")!.kill(why);
    assertEquals(await family.take(isBack ? 2 : 1), isBack ? "-a +a" : "-a");
    // The supervisor looks at one end after another.
    family.ports.get("z")!.kill("bad");
    assertEquals(await family.take(2), "-z +z");
    assertEquals(supervisor.children().map(({ restarts }) => restarts), [isBack ? 1 : 0, 1]);
    if (isBack) continue;
    supervisor.restart("a");
    assertEquals(await family.take(1), "+a");
  }
});

test("too many restarts: the supervisor stops all and gives up; a start that throws counts, too", async () => {
  await using node = await new MemoryNetwork().start();
  const family = new Family(node);
  let starts = 0;
  const failing: ChildOptions = {
    name: "failing",
    start() {
      starts += 1;
      throw new Error("a start that throws, as the test wants it");
    },
  };
  const supervisor = new Supervisor(node, {
    children: [family.child("a"), failing],
    intensity: { restarts: 4, within: 1_000_000 },
    backoff: { min: 1, max: 2 },
  });
  const error = await assertRejectsCode(supervisor.finished, "PORT_DIED", "failing", "4 times");
  assert(error.message.includes("as the test wants it"), error.message);
  await assertRejectsCode(supervisor.ready, "PORT_DIED");
  assertEquals([starts, await family.take(2)], [5, "+a -a"]);
  await supervisor.close();
  await level(node);
});

test("children on other nodes, by id; handles; supervisors of supervisors", async () => {
  await using nodes = await nodePair();
  using _offer = nodes.b.offer("worker", (port: Port) => {
    port.on("fail", () => {
      throw new Error("a worker that fails, as the test wants it");
    });
    port.on("get", () => 1);
  });
  const ids: string[] = [];
  const events: string[] = [];
  const inner = () => {
    events.push("inner");
    return new Supervisor(nodes.a, {
      children: [{
        name: "remote",
        start() {
          ids.push(nodes.a.spawn(nodes.b.id, "worker"));
          return ids.at(-1)!;
        },
      }],
      intensity: { restarts: 1, within: 1_000_000 },
    });
  };
  const ends = Promise.withResolvers<void>();
  const handle = () => {
    events.push("handle");
    return Promise.resolve({
      finished: ends.promise,
      close: () => (events.push("closed"), ends.resolve()),
    });
  };
  const outer = new Supervisor(nodes.a, {
    children: [{ name: "inner", start: inner }, { name: "handle", start: handle }],
  });
  await outer.ready;
  for (const count of [1, 2]) {
    await eventually(() => ids.length === count);
    assertEquals(await nodes.a.at(ids.at(-1)!).get(), 1);
    nodes.a.send(ids.at(-1)!, "fail");
  }
  // The inner one gives up at the second failure, and the outer one starts it again.
  await eventually(() => ids.length === 3);
  assertEquals(events, ["inner", "handle", "inner"]);
  await outer.close();
  assertEquals(events.at(-1), "closed");
  await level(nodes.a, nodes.b);
});

test("a node that closes stops its supervisor, and nothing is started again", async () => {
  const node = await new MemoryNetwork().start();
  const family = new Family(node);
  const supervisor = new Supervisor(node, { children: [family.child("a")] });
  await supervisor.ready;
  await node.close();
  await supervisor.finished;
  assertEquals(await family.take(2), "+a -a");
});

test("closing does not wait for a pause between restarts, nor for ever for a child", async () => {
  await using node = await new MemoryNetwork().start();
  const family = new Family(node);
  const deaf: ChildOptions = {
    name: "deaf",
    start: () => ({ finished: new Promise(() => {}), close: () => new Promise(() => {}) }),
  };
  const supervisor = new Supervisor(node, {
    children: [family.child("a"), deaf],
    backoff: { min: 10_000_000, max: 10_000_000 },
    stopTimeout: 5,
  });
  await supervisor.ready;
  family.ports.get("a")!.kill("bad");
  assertEquals(await family.take(2), "+a -a");
  await supervisor.close();
  await level(node);
});

test("bad options of a supervisor are refused", async () => {
  await using node = await new MemoryNetwork().start();
  const start = () => node.port();
  for (
    const options of [
      {},
      { children: [{ start }] },
      { children: [{ name: "a", start }, { name: "a", start }] },
      { children: [{ name: "a" }] },
      { children: [{ name: "a", start, restart: "sometimes" }] },
      { children: [], strategy: "none" },
    ]
  ) {
    assertThrows(
      () => new Supervisor(node, options as unknown as SupervisorOptions),
      TypeError,
      "give",
    );
  }
  assertThrows(
    () => new Supervisor(node, { children: [], intensity: { restarts: -1 } }),
    RangeError,
  );
  await using supervisor = new Supervisor(node, {
    children: [{ name: "a", start: () => 5 as never }],
    intensity: { restarts: 0 },
  });
  const error = await supervisor.finished.catch((error: unknown) => error) as TandemError;
  assert(error.message.includes("let start() return a port"), error.message);
  assertThrows(() => supervisor.restart("b"), TypeError, '"a"');
});
