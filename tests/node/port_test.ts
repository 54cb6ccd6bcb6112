/** Ports: messages, handlers, receive, ends. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { callContext, proxy, type TandemError } from "../../mod.ts";
import type { Port } from "../../src/node/main.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  doomed,
  eventually,
  test,
} from "../support/harness.ts";
import { MemoryNetwork } from "../support/memory_carrier.ts";
import { endOf, level, nodePair } from "../support/node_pair.ts";

test("messages arrive in order, later than they are sent, as copies", async () => {
  await using nodes = await nodePair();
  for (const sender of [nodes.a, nodes.b]) {
    const got: unknown[] = [];
    using port = nodes.a.port({ put: (value: unknown) => void got.push(value) });
    const list = [1, 2];
    sender.send(port.id, "put", list);
    list.push(3);
    for (let number = 0; number < 5_000; number++) sender.send(port.id, "put", number);
    const long = new Uint8Array(5_000).fill(7);
    sender.send(port.id, "put", long);
    long.fill(8);
    assertEquals(got, []);
    await eventually(() => got.length === 5_002);
    assertEquals(got, [
      [1, 2],
      ...Array.from({ length: 5_000 }, (_, n) => n),
      new Uint8Array(5_000).fill(7),
    ]);
  }
});

test("a message is never delivered while it is sent, however deep ports send to themselves", async () => {
  await using nodes = await nodePair();
  let depth = 0;
  let turns = 0;
  let isInside = false;
  const done = Promise.withResolvers<void>();
  using port = nodes.a.port({
    again(left: number) {
      assert(!isInside, "delivery inside of a handler");
      isInside = true;
      depth += 1;
      if (left > 0) nodes.a.send(port.id, "again", left - 1);
      else done.resolve();
      isInside = false;
    },
  });
  const timer = setInterval(() => turns += 1, 0);
  nodes.a.send(port.id, "again", 30_000);
  await done.promise;
  clearInterval(timer);
  assertEquals(depth, 30_001);
  assert(turns > 0, "a port that sends to itself lets others have their turn");
});

test("messages of a port run one at a time, unless it says otherwise", async () => {
  await using nodes = await nodePair();
  for (const [concurrency, most] of [[1, 1], [3, 3], [Infinity, 6]] as const) {
    let [running, seen] = [0, 0];
    const gates: (() => void)[] = [];
    using port = nodes.a.port({
      async work() {
        seen = Math.max(seen, ++running);
        await new Promise<void>((resolve) => gates.push(resolve));
        running -= 1;
      },
    }, { concurrency });
    for (let count = 0; count < 6; count++) nodes.b.send(port.id, "work");
    for (let count = 0; count < 6; count++) {
      await eventually(() => gates.length > 0);
      await eventually(() => port.queued + gates.length + count === 6 || concurrency === 1);
      gates.shift()!();
    }
    await eventually(() => running === 0);
    assertEquals(seen, most);
  }
});

test("a message without a handler ends the port, and says which handlers there are", async () => {
  await using nodes = await nodePair();
  using port = nodes.a.port({ known() {} });
  const reason = endOf(nodes.b, port.id);
  await nodes.b.ready(port.id);
  nodes.b.send(port.id as string, "unknown", 1);
  const { kind, message, node } = await reason;
  assertEquals([kind, node], ["unhandled_message", nodes.a.id]);
  assert(message.includes('"unknown"') && message.includes('"known"'), message);
  assert(port.signal.aborted);
});

test("handlers: one for each tag, removed when disposed; onMessage has the others", async () => {
  await using nodes = await nodePair();
  const got: unknown[] = [];
  using port = nodes.a.port();
  const first = port.on("a", (...args) => got.push(["first", ...args]));
  assertThrows(() => port.on("a", () => {}), TypeError, "has a handler already");
  using _other = port.onMessage((...message) => void got.push(["other", ...message]));
  assertThrows(() => port.onMessage(() => {}), TypeError, "onMessage has a handler already");
  nodes.b.send(port.id, "a", 1, 2);
  nodes.b.send(port.id, 5, "a");
  await eventually(() => got.length === 2);
  first[Symbol.dispose]();
  using _second = port.on("a", () => void got.push("second"));
  first[Symbol.dispose]();
  nodes.b.send(port.id, "a");
  await eventually(() => got.length === 3);
  assertEquals(got, [["first", 1, 2], ["other", 5, "a"], "second"]);
});

test("the methods of classes are handlers, those of Object.prototype are none", async () => {
  await using nodes = await nodePair();
  class Base {
    total = 0;
    add(n: number): number {
      return this.total += n;
    }
  }
  class Derived extends Base {
    get(): number {
      return this.total;
    }
  }
  using port = nodes.a.port(new Derived());
  nodes.b.send(port.id, "add", 3);
  assertEquals(await nodes.b.at(port.id).get(), 3);
  await assertRejectsCode(
    nodes.a.at(nodes.a.port({}).id as string).any(),
    "UNKNOWN_METHOD",
    "no handlers",
  );
});

test("receive takes what it wants, in order, also before handlers, and null at its time-out", async () => {
  await using nodes = await nodePair();
  using port = nodes.a.port();
  for (const message of [["a", 1], ["b", 2], ["a", 3], ["c", 4]]) nodes.b.send(port.id, ...message);
  await eventually(() => port.queued === 4);
  assertEquals(await port.receive({ match: ([tag]) => tag === "c" }), ["c", 4]);
  assertEquals(await port.receive({ match: ([tag]) => tag === "a" }), ["a", 1]);
  assertEquals(await port.receive(), ["b", 2]);
  assertEquals(await port.receive({ match: ([tag]) => tag === "b", timeout: 5 }), null);
  assertEquals(await port.receive({ timeout: 0 }), ["a", 3]);
  assertEquals(await port.receive({ timeout: 0 }), null);
  const waiting = [port.receive(), port.receive({ match: ([tag]) => tag === "y" }), port.receive()];
  for (const tag of ["x", "y", "z"]) nodes.b.send(port.id, tag);
  assertEquals(await Promise.all(waiting), [["x"], ["y"], ["z"]]);
});

test("receive: signals, errors of match, bad options, and the port's end", async () => {
  await using nodes = await nodePair();
  const port = nodes.a.port();
  const reason = new Error("enough");
  const controller = new AbortController();
  const aborted = doomed(port.receive({ signal: controller.signal }));
  controller.abort(reason);
  assertEquals(await assertRejects(() => aborted), reason);
  assertEquals(await assertRejects(() => port.receive({ signal: controller.signal })), reason);
  const failing = doomed(port.receive({
    match: () => {
      throw reason;
    },
  }));
  nodes.b.send(port.id, "kept");
  assertEquals(await assertRejects(() => failing), reason);
  assertEquals(await port.receive(), ["kept"]);
  await assertRejects(() => port.receive({ timeout: -1 }), RangeError);
  await assertRejects(() => port.receive({ match: 1 as unknown as () => boolean }), TypeError);
  const waiting = doomed(port.receive());
  port.kill("for a reason");
  const error = await assertRejectsCode(waiting, "PORT_DIED", "for a reason");
  assertEquals(error.reason?.kind, "kill");
  await assertRejectsCode(port.receive(), "PORT_DIED");
  const disposed = nodes.a.port();
  const other = doomed(disposed.receive());
  disposed[Symbol.dispose]();
  await assertRejectsCode(other, "CLOSED");
  assertThrowsCode(() => disposed.on("a", () => {}), "CLOSED");
});

test("a handler can wait for the answer to a message that it has sent", async () => {
  await using nodes = await nodePair();
  using server = nodes.b.port({
    ask: (replyTo: string, n: number) => nodes.b.send(replyTo, "answer", 2 * n),
  });
  const got: unknown[] = [];
  using client: Port = nodes.a.port({
    async start(n: number) {
      nodes.a.send(server.id, "ask", client.id, n);
      got.push(await client.receive({ match: ([tag]) => tag === "answer" }));
    },
    other: () => void got.push("other"),
  });
  nodes.b.send(client.id, "start", 1);
  nodes.b.send(client.id, "other");
  nodes.b.send(client.id, "start", 2);
  await eventually(() => got.length === 3);
  assertEquals(got, [["answer", 2], "other", ["answer", 4]]);
});

test("for await sees all messages until the port ends; an abnormal end is an error", async () => {
  await using nodes = await nodePair();
  for (const [why, code] of [[undefined, undefined], ["bad", "PORT_DIED"]] as const) {
    const port = nodes.a.port<{ put(n: number): void; end(): void }>();
    nodes.b.send(port.id, "put", 1);
    nodes.b.send(port.id, "put", 2);
    nodes.b.send(port.id, "end");
    const seen: unknown[] = [];
    let found: string | undefined;
    try {
      for await (const [tag, ...args] of port) {
        if (tag === "end") nodes.a.kill(port.id, why);
        else seen.push(args);
      }
    } catch (error) {
      found = (error as TandemError).code;
    }
    assertEquals([seen, found], [[[1], [2]], code]);
  }
});

test("an exception ends the port, in a message, in run and in bind; others see its error", async () => {
  await using nodes = await nodePair();
  const boom = (text: string) => {
    throw Object.assign(new RangeError(text), { extra: 1 });
  };
  const late = async (text: string) => {
    await Promise.resolve();
    boom(text);
  };
  const ways: Record<string, (port: Port) => void> = {
    handler: (port) => (port.on("go", boom), nodes.b.send(port.id, "go", "handler")),
    later: (port) => (port.on("go", late), nodes.b.send(port.id, "go", "later")),
    run: (port) => assertEquals(port.run(boom, "run"), undefined),
    bind: (port) => void setTimeout(port.bind(() => late("bind")), 0),
  };
  for (const [name, way] of Object.entries(ways)) {
    using port = nodes.a.port();
    const reason = endOf(nodes.b, port.id);
    // Until the monitor is there.
    await nodes.b.ready(port.id);
    way(port);
    const { kind, error, message } = await reason;
    assertEquals([kind, error?.remoteName, error?.remoteMessage], ["die", "RangeError", name]);
    assertEquals(error?.remoteProperties, { extra: 1 });
    assert(message.includes(name) && error!.remoteStack.includes("port_test"));
  }
});

test("run and bind return results, and do nothing after the end", async () => {
  await using nodes = await nodePair();
  const port = nodes.a.port();
  assertEquals(port.run((a: number, b: number) => a + b, 1, 2), 3);
  assertEquals(await port.run((n: number) => Promise.resolve(n), 4), 4);
  const counted = port.bind((n: number) => n + 1);
  assertEquals(counted(1), 2);
  port.kill();
  assertEquals([counted(1), port.run(() => 5)], [undefined, undefined]);
});

test("use disposes in reverse, guards each, and at once when the port has ended", async () => {
  await using nodes = await nodePair();
  const port = nodes.a.port();
  const order: unknown[] = [];
  const resource = (name: string) => ({ [Symbol.dispose]: () => void order.push(name) });
  port.use(resource("first"));
  port.use({
    [Symbol.dispose]() {
      throw new Error("a disposable that throws, as the test wants it");
    },
  });
  port.use({
    [Symbol.asyncDispose]() {
      order.push("async");
      return Promise.reject(new Error("an async disposable that throws, as the test wants it"));
    },
  });
  port.signal.addEventListener(
    "abort",
    () => order.push((port.signal.reason as TandemError).reason?.kind),
  );
  assertThrows(() => port.use({} as Disposable), TypeError, "give something");
  port.kill("now");
  port.kill("twice");
  assertEquals(order, ["kill", "async", "first"]);
  port.use(resource("late"));
  assertEquals(order.at(-1), "late");
});

test("a port whose queue exceeds maxQueue ends with overflow; others go on", async () => {
  await using nodes = await nodePair();
  using small = nodes.a.port(undefined, { maxQueue: 10 });
  const got: number[] = [];
  using other = nodes.a.port({ put: (n: number) => void got.push(n) });
  const reason = endOf(nodes.b, small.id);
  for (let n = 0; n < 11; n++) {
    nodes.b.send(small.id, "put", n);
    nodes.b.send(other.id, "put", n);
  }
  const { kind, message } = await reason;
  assertEquals(kind, "overflow");
  assert(message.includes("10"), message);
  await eventually(() => got.length === 11);
});

test("what a node sends to itself without a pause is bounded, too: only that port ends", async () => {
  const network = new MemoryNetwork();
  await using node = await network.start({ maxQueueBytes: 10_000 });
  using flooded = node.port({ put(_: string) {} });
  using other = node.port({ get: () => 1 });
  const reason = endOf(node, flooded.id);
  for (let n = 0; n < 2_000; n++) node.send(flooded.id, "put", "0123456789");
  assertEquals((await reason).kind, "overflow");
  assertEquals(await node.at(other.id).get(), 1);
});

test("ids are never the same, also with the same node id; nodeOf and isLocal", async () => {
  const network = new MemoryNetwork();
  const seen = new Set<string>();
  for (let round = 0; round < 3; round++) {
    await using node = await network.start({ id: "fixed:1" });
    for (let count = 0; count < 10; count++) {
      using port = node.port();
      seen.add(port.id);
      assert(/^fixed:1#[a-z0-9]{8}\.\d+$/.test(port.id), port.id);
      assertEquals([node.nodeOf(port.id), node.isLocal(port.id)], ["fixed:1", true]);
    }
    assertEquals(node.isLocal("other#a.1"), false);
    await assertRejectsCode(network.start({ id: "fixed:1" }), "EXISTS");
  }
  assertEquals(seen.size, 30);
  await using named = await network.start({ name: "images" });
  assert(/^images@[a-z0-9]{12}$/.test(named.id), named.id);
});

test("bad input is refused, and says what to give", async () => {
  const network = new MemoryNetwork();
  for (
    const options of [{ name: "a b" }, { id: "a#b" }, { id: "" }, { group: "/" }, { network: 1 }]
  ) {
    await assertRejects(() => network.start(options as object), TypeError, "give");
  }
  for (const options of [{ maxQueue: 0 }, { maxMessageBytes: 1.5 }, { mode: 0o1000 }]) {
    await assertRejects(() => network.start(options), RangeError, "give");
  }
  await using node = await network.start();
  using port = node.port();
  const any = (value: unknown) => value as string;
  for (const id of [undefined, 5, "", "#a", {}]) {
    assertThrows(() => node.send(any(id), "a"), TypeError, "give the id");
    assertThrows(() => node.monitor(any(id), () => {}), TypeError, "give the id");
    assertThrows(() => node.at(any(id)), TypeError, "give the id");
    assertThrows(() => node.kill(any(id)), TypeError, "give the id");
    await assertRejects(() => node.ready(any(id)), TypeError, "give the id");
  }
  assertThrows(() => node.port(5 as unknown as object), TypeError, "give an object");
  assertThrows(() => node.port({}, { concurrency: 0 }), RangeError);
  assertThrows(() => node.monitor(port.id, 5 as never), TypeError, "give a function");
  assertThrows(() => node.kill(port.id, 5 as never), TypeError, "give a text");
  assertThrows(() => node.kill(node.id), TypeError, "it is a node");
  assertThrows(() => node.after(-1, () => {}), RangeError);
  assertThrows(() => node.after(Infinity, () => {}), RangeError);
  assertThrows(() => node.at(port.id, { timeout: -1 }), RangeError);
  assertThrowsCode(() => node.send(port.id, "f", () => {}), "NOT_SERIALIZABLE", "message[1]");
  assertThrowsCode(() => node.monitor(port.id, { send: [port.id, () => {}] }), "NOT_SERIALIZABLE");
  assertThrowsCode(() => port.kill({ message: "a", details: [() => {}] }), "NOT_SERIALIZABLE");
  await using small = await network.start({ maxMessageBytes: 1_000 });
  assertThrowsCode(
    () => small.send(port.id, new Uint8Array(2_000)),
    "TOO_LARGE",
    "maxMessageBytes",
  );
  await level(small);
});

test("callContext tells a handler of its call, and nothing of a message", async () => {
  await using nodes = await nodePair();
  const seen: unknown[] = [];
  using port = nodes.a.port({
    async look() {
      await Promise.resolve();
      const call = callContext();
      seen.push(call?.method, call?.signal.aborted, (call?.timeRemaining ?? 0) <= 60_000);
    },
  });
  await nodes.b.at(port.id, { timeout: 60_000 }).look();
  nodes.b.send(port.id, "look");
  await eventually(() => seen.length === 6);
  assertEquals(seen, ["look", false, true, undefined, undefined, true]);
});

test("what no message can refer to is refused with what nodes take instead, wherever it is", async () => {
  await using node = await new MemoryNetwork().start();
  using port: Port = node.port({ call: () => () => {}, lines: () => new ReadableStream() });
  const fn = () => {};
  const sending: (() => unknown)[] = [
    () => node.send(port.id, "call", fn),
    () => node.send(port.id, "call", { deep: [proxy(fn)] }),
    () => node.after(1, port.id, "call", fn),
    () => node.monitor(port.id, { send: [port.id, fn] }),
    () => node.kill(port.id, { message: "why", details: [fn] }),
    () => node.spawn(node.id, "room", fn),
    () => node.registry.set("values", "key", fn),
    () => node.registry.register("ports", port, fn),
  ];
  for (const send of sending) {
    const { message } = assertThrowsCode(send, "NOT_SERIALIZABLE", "send the id of a port");
    assert(!message.includes("proxy"), message);
  }
  const remote = node.at(port.id);
  for (const call of [() => remote.call(fn), () => remote.call()]) {
    const { message } = await assertRejectsCode(
      call(),
      "NOT_SERIALIZABLE",
      "send the id of a port",
    );
    assert(!message.includes("proxy"), message);
  }
  await assertRejectsCode(node.registry.claim("roles", "key", fn), "NOT_SERIALIZABLE", "the id of");
  const { signal } = new AbortController();
  assertThrowsCode(() => node.send(port.id, signal), "NOT_SERIALIZABLE", "when it aborts");
  assertThrowsCode(() => node.send(port.id, port), "NOT_SERIALIZABLE", "a port is sent as its id");
  await assertRejectsCode(remote.lines(), "NOT_SERIALIZABLE", "its parts as messages");
});
