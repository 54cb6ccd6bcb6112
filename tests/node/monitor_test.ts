/** Monitors, links, kills, spawns, timers and nodes that go. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Node, NodeEvent, Port, Reason, TandemError } from "../../src/node/main.ts";
import { assertThrowsCode, eventually, test } from "../support/harness.ts";
import { MemoryNetwork, sizesOf } from "../support/memory_carrier.ts";
import { endOf, level, nodePair } from "../support/node_pair.ts";
import { pairTest } from "../support/node_ways.ts";

function collector(node: Node): { port: Port; got: unknown[][] } {
  const got: unknown[][] = [];
  const port = node.port({});
  port.onMessage((...message) => void got.push(message));
  return { port, got };
}

pairTest(
  "a monitor fires once, on this node and on others, also at a normal end",
  async (nodes) => {
    const ends: [(port: Port) => void, string][] = [
      [(port) => port.kill(), "normal"],
      [(port) => port[Symbol.dispose](), "normal"],
      [(port) => port.kill("why"), "kill"],
      [(port) => nodes.a.kill(port.id), "normal"],
      [(port) => nodes.b.kill(port.id, { message: "far", details: [1, { a: 2 }] }), "kill"],
    ];
    for (const [end, kind] of ends) {
      const port = nodes.a.port();
      const reasons: Reason[] = [];
      nodes.a.monitor(port.id, (reason) => reasons.push(reason));
      nodes.b.monitor(port.id, (reason) => reasons.push(reason));
      await nodes.b.ready(port.id);
      end(port);
      end(port);
      await eventually(() => reasons.length === 2);
      for (const reason of reasons) assertEquals([reason.kind, reason.node], [kind, nodes.a.id]);
      if (reasons[0]!.message === "far") assertEquals(reasons[1]!.details, [1, { a: 2 }]);
      await level(nodes.a, nodes.b);
      assertEquals(reasons.length, 2);
    }
  },
);

pairTest(
  "a monitor of a port that does not exist fires at once, but not before monitor returns",
  async (nodes) => {
    const gone = nodes.a.port();
    gone.kill("before");
    for (const node of [nodes.a, nodes.b]) {
      for (const id of [gone.id, `${nodes.a.id}#nothing.1`, "nobody@home#a.1", "nobody@home"]) {
        let reason: Reason | undefined;
        node.monitor(id, (found) => void (reason = found));
        assertEquals(reason, undefined);
        await eventually(() => reason !== undefined);
        assertEquals([reason!.kind, reason!.node], ["no_such_port", id.split("#")[0]]);
      }
    }
    await level(nodes.a, nodes.b);
  },
);

pairTest("a monitor fires after the last message that was delivered", async (nodes) => {
  for (const [from, to] of [[nodes.a, nodes.b], [nodes.a, nodes.a]] as const) {
    const got: unknown[] = [];
    using sink = to.port({ put: (n: number) => void got.push(n) });
    const source: Port = from.port({
      go() {
        for (let n = 0; n < 1_000; n++) from.send(sink.id, "put", n);
        throw new Error("the end, as the test wants it");
      },
    });
    to.monitor(source.id, (reason) => got.push(reason.kind));
    await to.ready(source.id);
    to.send(source.id, "go");
    await eventually(() => got.includes("die"));
    assertEquals(got, [...Array.from({ length: 1_000 }, (_, n) => n), "die"]);
  }
});

pairTest(
  "a monitor that sends keeps its place in a busy port; a callback does not wait for the port",
  async (nodes) => {
    for (const from of [nodes.a, nodes.b]) {
      const got: unknown[] = [];
      const fired = Promise.withResolvers<void>();
      using sink: Port = nodes.a.port({
        async put(n: number) {
          got.push(n);
          // The handler itself waits for the end: a callback that waited for the handler would never come.
          await fired.promise;
        },
        ended: (name: string, { kind }: Reason) => void got.push(name, kind),
      });
      const source: Port = from.port({
        go() {
          for (let n = 0; n < 3; n++) from.send(sink.id, "put", n);
          source.kill("done");
        },
      });
      nodes.a.monitor(source.id, { send: [sink.id, "ended", "source"] });
      sink.run(() => nodes.a.monitor(source.id, () => fired.resolve()));
      await nodes.a.ready(source.id);
      nodes.a.send(source.id, "go");
      await eventually(() => got.length === 5);
      assertEquals(got, [0, 1, 2, "source", "kill"]);
    }
  },
);

pairTest(
  "a disposed monitor never fires, and leaves nothing behind on the other node",
  async (nodes) => {
    using port = nodes.a.port();
    const fired: unknown[] = [];
    for (const node of [nodes.a, nodes.b]) {
      for (let count = 0; count < 1_000; count++) {
        const watch = node.monitor(port.id, (reason) => fired.push(reason));
        watch[Symbol.dispose]();
        watch[Symbol.dispose]();
      }
      // Also while the port that it would say has ended is on its way.
      using _gone = node.monitor("nobody#a.1", (reason) => fired.push(reason));
    }
    await nodes.b.ready(port.id);
    assertEquals([sizesOf(nodes.a).watchers, sizesOf(nodes.a).peers], [0, 0]);
    port.kill();
    await level(nodes.a, nodes.b);
    assertEquals(fired, []);
  },
);

pairTest("monitors that send, and that kill: only an abnormal end kills", async (nodes) => {
  const { port: listener, got } = collector(nodes.b);
  for (const [why, kind] of [[undefined, "normal"], ["bad", "kill"]] as const) {
    const watched = nodes.a.port();
    const victim = nodes.b.port();
    nodes.b.monitor(watched.id, { kill: victim.id });
    nodes.b.monitor(watched.id, { send: [listener.id, "down", why ?? "none"] });
    await nodes.b.ready(watched.id);
    watched.kill(why);
    await eventually(() => got.length === 1);
    const [tag, said, reason] = got.pop()! as [string, string, Reason];
    assertEquals([tag, said, reason.kind], ["down", why ?? "none", kind]);
    await nodes.b.ready(listener.id);
    if (why === undefined) assertEquals(victim.signal.aborted, false);
    else assertEquals((victim.signal.reason as TandemError).reason?.message, "bad");
    victim.kill();
  }
  assertThrows(() => nodes.a.monitor(listener.id, { kill: nodes.b.id }), TypeError, "it is a node");
});

pairTest(
  "linked ports end together, with the same reason, unless the end is normal",
  async (nodes) => {
    const pairs = [[nodes.a, nodes.a], [nodes.a, nodes.b], [nodes.b, nodes.a]] as const;
    for (const [first, second] of pairs) {
      for (const isNormal of [true, false]) {
        const [one, two] = [first.port(), second.port()];
        nodes.a.link(one.id, two.id);
        await nodes.a.ready(one.id);
        await nodes.a.ready(two.id);
        const end = endOf(nodes.a, two.id);
        if (isNormal) one.kill();
        else {one.run(() => {
            throw new RangeError("linked");
          });}
        await level(...(isNormal ? [] : [nodes.a, nodes.b]));
        if (!isNormal) {
          const { kind, error, node } = await end;
          assertEquals([kind, error?.remoteName, node], ["die", "RangeError", second.id]);
        } else {
          await nodes.a.ready(two.id);
          two.kill();
        }
        await level(nodes.a, nodes.b);
      }
    }
    const [one, two] = [nodes.a.port(), nodes.b.port()];
    nodes.a.link(one.id, two.id)[Symbol.dispose]();
    one.kill("alone");
    await nodes.a.ready(two.id);
    two.kill();
    await level(nodes.a, nodes.b);
  },
);

pairTest("an exception in a callback ends nothing but the callback", async (nodes) => {
  const throwing = () => {
    throw new Error("a callback that throws, as the test wants it");
  };
  const rejecting = () =>
    Promise.reject(new Error("a callback that rejects, as the test wants it"));
  const port = nodes.a.port();
  nodes.a.monitor(port.id, throwing);
  nodes.a.monitor(port.id, rejecting as () => void);
  const end = endOf(nodes.a, port.id);
  nodes.a.after(0, throwing);
  nodes.a.after(0, rejecting as () => void);
  nodes.a.watchNodes(throwing);
  port.signal.onabort = () => {};
  port.kill();
  assertEquals((await end).kind, "normal");
  using alive = nodes.a.port({ get: () => 1 });
  assertEquals(await nodes.b.at(alive.id).get(), 1);
});

pairTest(
  "kill: after the messages before it, nothing for a dead port, a TypeError for a node",
  async (nodes) => {
    const { port, got } = collector(nodes.a);
    const end = endOf(nodes.b, port.id);
    nodes.b.send(port.id, 1);
    nodes.b.kill(port.id, "enough");
    nodes.b.send(port.id, 2);
    assertEquals((await end).message, "enough");
    assertEquals(got, [[1]]);
    nodes.b.kill(port.id, "again");
    nodes.b.kill("nobody#a.1");
    assertThrows(() => nodes.a.kill(nodes.b.id), TypeError, "it is a node");
  },
);

pairTest(
  "spawn: an id at once, no effect before it returns, messages and calls at once",
  async (nodes) => {
    const rooms: string[] = [];
    using _offer = nodes.a.offer(
      "room",
      async (port: Port<{ say(text: string): string }>, name: string) => {
        await Promise.resolve();
        rooms.push(name);
        port.on("say", (text) => `${name}: ${text}`);
      },
    );
    assertThrows(() => nodes.a.offer("room", () => {}), TypeError, "offers that already");
    for (const node of [nodes.a, nodes.b]) {
      const id = node.spawn<{ say(text: string): string }>(nodes.a.id, "room", "lobby");
      assertEquals([node.nodeOf(id), rooms], [nodes.a.id, []]);
      assertEquals(await node.at(id).say("hello"), "lobby: hello");
      assertEquals(rooms.splice(0), ["lobby"]);
      const end = endOf(node, id);
      node.kill(id);
      assertEquals((await end).kind, "normal");
    }
  },
);

pairTest("failures of spawn reach monitors, also those that are set later", async (nodes) => {
  using _offer = nodes.a.offer("bad", () => {
    throw new RangeError("a spawn that throws, as the test wants it");
  });
  for (const node of [nodes.a, nodes.b]) {
    for (const [name, kind] of [["bad", "die"], ["nothing", "not_offered"]] as const) {
      const id = node.spawn(nodes.a.id, name);
      const reasons = [endOf(node, id)];
      await Promise.all(reasons);
      reasons.push(endOf(node, id), endOf(nodes.b, id));
      for (const reason of await Promise.all(reasons)) assertEquals(reason.kind, kind);
      const error = await node.at(id).any().catch((error: unknown) => error);
      assertEquals([error.code, error.reason.kind], ["PORT_DIED", kind]);
    }
  }
  assertEquals((await endOf(nodes.b, nodes.b.spawn("nobody", "a"))).kind, "no_such_port");
});

pairTest("timers call, and send the message as it was; disposing cancels", async (nodes) => {
  const { port, got } = collector(nodes.b);
  const list = [1];
  nodes.a.after(1, port.id, "tick", list);
  list.push(2);
  nodes.a.after(1, port.id, "never")[Symbol.dispose]();
  let called = 0;
  nodes.a.after(0, () => called += 1);
  await eventually(() => got.length === 1 && called === 1);
  assertEquals(got, [["tick", [1]]]);
  assertThrowsCode(() => nodes.a.after(1, port.id, () => {}), "NOT_SERIALIZABLE");
});

test("nodes, isUp and watchNodes: first those that are up, then each change with its reason", async () => {
  const network = new MemoryNetwork();
  await using a = await network.start({ name: "a" });
  const b = await network.start({ name: "b" });
  await network.quiet();
  const events: NodeEvent[] = [];
  using _watch = a.watchNodes((event) => events.push(event));
  assertEquals(events, []);
  const c = await network.start({ name: "c" });
  await eventually(() => events.length === 2);
  assertEquals([a.nodes(), a.isUp(a.id), a.isUp(b.id), a.isUp("x")], [
    [b.id, c.id],
    true,
    true,
    false,
  ]);
  await b.close();
  network.kill(c);
  await eventually(() => events.length === 4);
  await c.close();
  assertEquals(
    events.map(({ node, up, reason }) => [node, up, reason?.kind]),
    [[b.id, true, undefined], [c.id, true, undefined], [b.id, false, "shutdown"], [
      c.id,
      false,
      "transport_error",
    ]],
  );
  assertEquals(a.nodes(), []);
});

test("when a node goes, monitors of its ports and of it fire, calls fail, and nothing is left", async () => {
  for (const isKilled of [true, false]) {
    const nodes = await nodePair();
    const port = nodes.b.port({ wait: () => new Promise(() => {}) });
    const mine = nodes.a.port({ wait: () => new Promise(() => {}) });
    const { port: sink, got } = collector(nodes.a);
    const fired: string[] = [];
    nodes.a.monitor(port.id, ({ kind }) => fired.push(`port ${kind}`));
    nodes.a.monitor(nodes.b.id, ({ kind }) => fired.push(`node ${kind}`));
    nodes.b.monitor(mine.id, () => {});
    const call = nodes.a.at(port.id).wait().catch((error) => error);
    nodes.b.at(mine.id).wait().catch(() => {});
    await nodes.a.ready(port.id);
    await nodes.b.ready(mine.id);
    nodes.b.send(sink.id, "last words");
    if (isKilled) nodes.network.kill(nodes.b);
    await nodes.b.close();
    const kind = isKilled ? "transport_error" : "shutdown";
    const error = await call as TandemError;
    assertEquals([error.code, error.reason?.kind], ["PORT_DIED", kind]);
    await eventually(() => fired.length === 2);
    assertEquals(fired, [`port ${kind}`, `node ${kind}`]);
    assertEquals(got, [["last words"]]);
    for (const one of [mine, sink]) one.kill();
    await level(nodes.a);
    await nodes[Symbol.asyncDispose]();
  }
});

test("a cut link fires the monitors behind it and fails its calls; a new link works", async () => {
  await using nodes = await nodePair();
  using port = nodes.b.port({ wait: () => new Promise(() => {}), get: () => 1 }, {
    concurrency: 2,
  });
  const end = endOf(nodes.a, port.id);
  const call = nodes.a.at(port.id).wait().catch((error: unknown) => error);
  await nodes.a.ready(port.id);
  nodes.network.cut(nodes.a.id, nodes.b.id, "transport_error");
  assertEquals((await end).kind, "transport_error");
  assertEquals((await call as TandemError).reason?.kind, "transport_error");
  assertEquals(port.signal.aborted, false);
  assertEquals(await nodes.a.at(port.id).get(), 1);
  assertEquals(sizesOf(nodes.a).monitors, 0);
});

test("after a message was lost, nothing comes until the monitors have fired", async () => {
  await using nodes = await nodePair();
  const { a, b, network } = nodes;
  const got: unknown[] = [];
  using sink = b.port({ put: (n: number) => void got.push(n) });
  using source = a.port();
  b.monitor(source.id, ({ kind }) => got.push(kind));
  b.monitor(a.id, () => got.push("the node is up"));
  await b.ready(source.id);
  for (let n = 0; n < 3; n++) a.send(sink.id, "put", n);
  await eventually(() => got.length === 3);
  const way = network.hold(a, b);
  for (let n = 3; n < 6; n++) a.send(sink.id, "put", n);
  network.cut(a.id, b.id, "transport_error");
  for (let n = 6; n < 9; n++) a.send(sink.id, "put", n);
  way.release();
  await eventually(() => got.length === 7);
  assertEquals(got, [0, 1, 2, "transport_error", 6, 7, 8]);
});

test("only the flooder loses: a link over its bound is cut, others go on", async () => {
  const network = new MemoryNetwork();
  await using slow = await network.start({ name: "slow" });
  await using flooder = await network.start({ name: "flooder", maxQueueBytes: 10_000 });
  await using other = await network.start({ name: "other" });
  using port = slow.port({ put(_: string) {}, get: () => 1 });
  const [lost, kept] = [endOf(flooder, port.id), endOf(other, port.id)];
  await Promise.all([flooder.ready(port.id), other.ready(port.id)]);
  const way = network.hold(flooder, slow);
  for (let n = 0; n < 1_000; n++) flooder.send(port.id, "put", "0123456789");
  assertEquals((await lost).kind, "overflow");
  way.release();
  assertEquals(await other.at(port.id).get(), 1);
  port.kill("at last");
  assertEquals((await kept).kind, "kill");
});

test("a node that closes: its registry first, then its ports, then nothing works any more", async () => {
  const network = new MemoryNetwork();
  const order: string[] = [];
  network.makeRegistry = (seam) => {
    const [mine, other] = [seam.identity.id, "x#a.1"];
    assertEquals(seam.onPortEnd(other, () => {}), null);
    return { close: () => void order.push(`registry of ${mine === seam.identity.id}`) };
  };
  const node = await network.start();
  const port = node.port({ wait: () => new Promise(() => {}) });
  port.signal.addEventListener(
    "abort",
    () => order.push((port.signal.reason as TandemError).reason!.kind),
  );
  node.monitor(port.id, ({ kind }) => order.push(`monitor ${kind}`));
  node.monitor(node.id, ({ kind }) => order.push(`node ${kind}`));
  const call = node.at(port.id).wait().catch((error: unknown) => error);
  await node.ready(port.id).catch(() => {});
  await Promise.all([node.close(), node.close()]);
  assertEquals(order, ["registry of true", "shutdown", "monitor shutdown", "node shutdown"]);
  assertEquals((await call as TandemError).code, "PORT_DIED");
  for (
    const use of [
      () => node.send(port.id, "wait"),
      () => node.port(),
      () => node.monitor(port.id, () => {}),
      () => node.kill(port.id),
      () => node.spawn(node.id, "a"),
      () => node.nodes(),
      () => node.after(1, () => {}),
    ]
  ) assertThrowsCode(use, "CLOSED");
  assertEquals(
    (await node.at(port.id as string).any().catch((error: unknown) => error)).code,
    "CLOSED",
  );
});

test("a registry hears of the end of a port before its signal does", async () => {
  const network = new MemoryNetwork();
  const order: string[] = [];
  let onPortEnd: (id: string) => void = () => {};
  network.makeRegistry = (seam) => {
    onPortEnd = (id) => void seam.onPortEnd(id, () => order.push("registry"));
    return { close() {} };
  };
  await using node = await network.start();
  const port = node.port();
  port.signal.addEventListener("abort", () => order.push("signal"));
  onPortEnd(port.id);
  port.kill();
  assertEquals(order, ["registry", "signal"]);
  await level(node);
});

pairTest("ten thousand ports, monitors and timers leave nothing behind", async (nodes) => {
  let fired = 0;
  const ports: Port[] = [];
  for (let count = 0; count < 10_000; count++) {
    const port = nodes.a.port({});
    nodes.b.monitor(port.id, () => fired += 1);
    nodes.a.after(100_000, () => {})[Symbol.dispose]();
    ports.push(port);
  }
  await nodes.b.ready(ports.at(-1)!.id);
  assertEquals(sizesOf(nodes.a).watchers, 10_000);
  for (const port of ports) port.kill();
  await eventually(() => fired === 10_000);
  await level(nodes.a, nodes.b);
  assert(fired === 10_000);
});
