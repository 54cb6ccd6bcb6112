/** Calls of ports with `at`, and `ready`. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { callContext, RemoteError, TandemError } from "../../mod.ts";
import type { Node, NodeRequests, Port, TraceRecord } from "../../src/node/main.ts";
import { assertRejectsCode, doomed, eventually, test } from "../support/harness.ts";
import { MemoryNetwork, sizesOf } from "../support/memory_carrier.ts";
import { endOf, level } from "../support/node_pair.ts";
import { pairTest } from "../support/node_ways.ts";

pairTest("answers and time-outs and deaths and empty answers are told apart", async (nodes) => {
  const port = nodes.a.port({
    get: () => 5,
    nothing() {},
    later: async (n: number) => (await Promise.resolve(), new Map([[n, new Uint8Array(2_000)]])),
    never: () => new Promise<void>(() => {}),
  }, { concurrency: Infinity });
  for (const node of [nodes.a, nodes.b]) {
    const remote = node.at(port.id);
    assertEquals([await remote.get(), await remote.nothing()], [5, undefined]);
    assertEquals(await remote.later(3), new Map([[3, new Uint8Array(2_000)]]));
    const error = await assertRejectsCode(
      node.at(port.id, { timeout: 20 }).never(),
      "TIMEOUT",
      "never",
    );
    assertEquals([error.target, error.method], [port.id as string, "never"]);
    const absent = await assertRejectsCode(node.at(`${nodes.a.id}#a.1`).any(), "PORT_DIED");
    assertEquals(absent.reason?.kind, "no_such_port");
    assertEquals(
      (await assertRejectsCode(node.at("nobody#a.1").any(), "PORT_DIED")).reason?.kind,
      "no_such_port",
    );
  }
  const waiting = [nodes.a, nodes.b].map((node) => doomed(node.at(port.id).never()));
  await Promise.all([nodes.a.ready(port.id), nodes.b.ready(port.id)]);
  port.kill("no more");
  for (const call of waiting) {
    const error = await assertRejectsCode(call, "PORT_DIED", "no more");
    assertEquals([error.reason?.kind, error.method], ["kill", "never"]);
  }
  await level(nodes.a, nodes.b);
});

pairTest(
  "a call leaves nothing behind: the port may die later, and nobody hears of it again",
  async (nodes) => {
    const port = nodes.a.port({ get: () => 1 });
    for (let count = 0; count < 500; count++) await nodes.b.at(port.id).get();
    assertEquals([sizesOf(nodes.a).watchers, sizesOf(nodes.a).peers, sizesOf(nodes.b).requests], [
      0,
      0,
      0,
    ]);
    port.kill("later");
    await level(nodes.a, nodes.b);
  },
);

pairTest("a handler that throws fails the call and not the port", async (nodes) => {
  using port = nodes.a.port({
    boom: () => {
      throw Object.assign(new RangeError("too wide", { cause: "a" }), { limit: 5 });
    },
    later: () => Promise.reject(new TypeError("late")),
    text: () => Promise.reject("a text"),
    unsendable: () => () => {},
    getter: () => ({
      get bad() {
        throw new RangeError("in a getter");
      },
    }),
    get: () => 1,
  });
  for (const node of [nodes.a, nodes.b]) {
    const remote = node.at(port.id as string);
    const error = await assertRejectsCode(
      remote.boom(),
      "REMOTE",
      "too wide",
      "boom",
    ) as RemoteError;
    assert(error instanceof RemoteError);
    assertEquals([error.remoteName, error.cause, error.remoteProperties], ["RangeError", "a", {
      limit: 5,
    }]);
    assert(error.remoteStack.includes("call_test"), error.remoteStack);
    await assertRejectsCode(remote.later(), "REMOTE", "late");
    assertEquals((await assertRejectsCode(remote.text(), "REMOTE")).cause, "a text");
    await assertRejectsCode(remote.unsendable(), "NOT_SERIALIZABLE");
    await assertRejectsCode(remote.getter(), "REMOTE", "in a getter");
    await assertRejectsCode(remote.missing(), "UNKNOWN_METHOD", '"get"');
    await assertRejectsCode(remote.get(() => {}), "NOT_SERIALIZABLE", "argument[0]");
    assertEquals(await remote.get(), 1);
  }
});

class NotFound extends Error {
  override name = "NotFound";
  id = 5;
}

test("errors keep the classes that both nodes give by name", async () => {
  const network = new MemoryNetwork();
  await using a = await network.start({ errors: { NotFound } });
  await using b = await network.start({ errors: { NotFound } });
  await using other = await network.start();
  using port = a.port({
    find: () => Promise.reject(new NotFound("no such thing")),
    echo: (error: unknown) => error,
    fail: () => {
      throw new TandemError("BUSY", "of the handler");
    },
  });
  for (const node of [a, b]) {
    const remote = node.at(port.id as string);
    const error = await assertRejects(() => remote.find(), NotFound, "no such thing");
    assertEquals([error.id, error.name], [5, "NotFound"]);
    assert(await remote.echo(new NotFound("as a value")) instanceof NotFound);
    await assertRejectsCode(remote.fail(), "REMOTE", "of the handler");
  }
  const error = await assertRejectsCode(other.at(port.id).find(), "REMOTE") as RemoteError;
  assertEquals([error.remoteName, error.remoteProperties], ["NotFound", { id: 5 }]);
  const end = endOf(b, port.id);
  b.send(port.id as string, "find");
  assert((await end).error instanceof RemoteError);
  await assertRejects(() => network.start({ errors: { TandemError: NotFound } }), TypeError);
});

pairTest("calls and messages of a sender arrive in one order", async (nodes) => {
  const got: unknown[] = [];
  using port = nodes.a.port({
    async put(n: number) {
      await Promise.resolve();
      got.push(n);
    },
  });
  const calls: Promise<void>[] = [];
  for (let n = 0; n < 100; n += 2) {
    nodes.b.send(port.id, "put", n);
    calls.push(nodes.b.at(port.id).put(n + 1));
  }
  await Promise.all(calls);
  assertEquals(got, Array.from({ length: 100 }, (_, n) => n));
});

pairTest(
  "a signal cancels a call, whether it waits or runs; the handler's signal aborts",
  async (nodes) => {
    const ran: string[] = [];
    using port = nodes.a.port({
      async work(name: string) {
        ran.push(name);
        const { signal } = callContext()!;
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        ran.push(`${name} ended`);
      },
    });
    for (const node of [nodes.a, nodes.b]) {
      const [first, second] = [new AbortController(), new AbortController()];
      const running = doomed(node.at(port.id, { signal: first.signal }).work("one"));
      const waiting = doomed(node.at(port.id, { signal: second.signal }).work("two"));
      await eventually(() => ran.length === 1 && port.queued === 1);
      second.abort(new Error("second"));
      assertEquals((await assertRejects(() => waiting) as Error).message, "second");
      await eventually(() => port.queued === 0);
      first.abort(new Error("first"));
      assertEquals((await assertRejects(() => running) as Error).message, "first");
      await eventually(() => ran.length === 2);
      assertEquals(ran.splice(0), ["one", "one ended"]);
      const late = node.at(port.id, { signal: first.signal }).work("three");
      assertEquals((await assertRejects(() => late) as Error).message, "first");
    }
    assertEquals([ran, sizesOf(nodes.b).requests, sizesOf(nodes.a).peers], [[], 0, 0]);
  },
);

/** Ports in a row: each calls the next, the last one calls the port that it is given. */
function caller(node: Node): Port<{ go(path: string[]): Promise<string> }> {
  const port: Port<{ go(path: string[]): Promise<string> }> = node.port({
    async go([next, ...rest]: string[]): Promise<string> {
      await Promise.resolve();
      return next === undefined ? port.id : await node.at(next, { timeout: 60_000 }).go(rest);
    },
  });
  return port;
}

pairTest(
  "a chain of calls that comes back to a waiting port fails at once and names the cycle",
  async (nodes) => {
    using first = caller(nodes.a);
    using second = caller(nodes.b);
    using third = caller(nodes.a);
    const path = [second.id, third.id, first.id];
    const error = await assertRejectsCode(nodes.b.at(first.id).go(path), "REMOTE");
    const cycle = [first.id, second.id, third.id, first.id].join(" → ");
    assert(error.message.includes(cycle), error.message);
    const own = await assertRejectsCode(nodes.a.at(first.id).go([first.id]), "REMOTE");
    assert(own.message.includes(`${first.id} → ${first.id}`), own.message);
    // Twice through a port that does not wait any more is no cycle.
    assertEquals(await nodes.a.at(first.id).go([second.id, third.id]), third.id as string);
    // The ports go on, whatever has failed.
    assertEquals(await nodes.a.at(first.id).go([second.id]), second.id as string);
  },
);

pairTest(
  "a cycle is found behind a message, and in a plain function; room for more makes it none",
  async (nodes) => {
    for (const concurrency of [1, 2]) {
      const results: unknown[] = [];
      const echo = nodes.b.port({
        back: (id: string) => nodes.b.at(id, { timeout: 60_000 }).get(),
      });
      const port: Port = nodes.a.port({
        go: () =>
          nodes.a.at(echo.id).back(port.id).then(
            (value) => void results.push(value),
            (error) => void results.push(error.message),
          ),
        get: () => 7,
      }, { concurrency });
      for (let count = 0; count < 150; count++) nodes.a.send(port.id, "get");
      nodes.a.send(port.id, "go");
      await eventually(() => results.length === 1);
      if (concurrency === 2) assertEquals(results, [7]);
      else {assert(
          `${results[0]}`.includes(`${port.id} → ${echo.id} → ${port.id}`),
          `${results[0]}`,
        );}
      port.kill();
      echo.kill();
    }
  },
);

interface Meeting {
  /** Waits until all have begun, and then for another port. */
  meet(other: string): Promise<unknown>;
  get(): number;
}

/** Ports whose handlers begin together, and then call each other. */
function meeting(nodes: readonly Node[], concurrency = 1): Port<Meeting>[] {
  const all = Promise.withResolvers<void>();
  let begun = 0;
  return nodes.map((node) =>
    node.port<Meeting>({
      async meet(other) {
        if (++begun === nodes.length) all.resolve();
        await all.promise;
        try {
          return await node.at<Meeting>(other, { timeout: 60_000 }).get();
        } catch (error) {
          return error;
        }
      },
      get: () => 7,
    }, { concurrency })
  );
}

pairTest(
  "of calls of several chains that wait for each other one fails, and names the cycle",
  async (nodes) => {
    const { a, b } = nodes;
    for (const places of [[a, b], [a, a], [a, b, b, a]]) {
      const ports = meeting(places);
      const next = (index: number) => ports[(index + 1) % ports.length]!.id;
      const results = await Promise.all(
        ports.map(({ id }, index) => b.at<Meeting>(id, { timeout: 60_000 }).meet(next(index))),
      );
      const errors = results.filter((result) => result !== 7) as TandemError[];
      assertEquals(errors.map(({ code }) => code), ["BUSY"], `${errors}`);
      const loser = results.indexOf(errors[0]);
      const cycle = ports.map((_, index) => ports[(loser + index) % ports.length]!.id);
      const text = [...cycle, ports[loser]!.id].join(" → ");
      assert(errors[0]!.message.includes(text), errors[0]!.message);
      assertEquals([errors[0]!.target, errors[0]!.method], [next(loser) as string, "get"]);
      for (const port of ports) port.kill();
    }
    await level(a, b);
  },
);

pairTest(
  "of ports that wait for room in each other one fails, and the other goes on",
  async (nodes) => {
    const { a, b } = nodes;
    const all = Promise.withResolvers<void>();
    const results: unknown[] = [];
    let begun = 0;
    const start = (node: Node) =>
      node.port({
        async pour(other: string) {
          if (++begun === 2) all.resolve();
          await all.promise;
          results.push(await node.ready(other).catch((error) => error.message));
        },
        drop() {},
      }, { maxQueue: 4 });
    const [one, other] = [start(a), start(b)];
    for (const [port, next] of [[one, other], [other, one]] as const) {
      a.send(port.id, "pour", next.id);
      for (let n = 0; n < 2; n++) a.send(port.id, "drop");
    }
    await eventually(() => results.length === 2);
    const [error] = results.filter((result) => result !== undefined);
    assert(`${error}`.startsWith("Cannot wait for room in"), `${results}`);
    assert([one, other].every(({ id }) => `${error}`.includes(`${id} → `)), `${error}`);
    assertEquals(results.filter((result) => result === undefined).length, 1);
  },
);

test("a call that waits for long, but not for itself, goes on", async () => {
  const network = new MemoryNetwork();
  let probes = 0;
  const trace = ({ direction, text }: TraceRecord) => {
    if (direction === "sent" && text.startsWith('["probe"')) probes += 1;
  };
  await using a = await network.start({ trace });
  await using b = await network.start({ trace });
  const release = Promise.withResolvers<number>();
  using slow = a.port({ wait: () => release.promise });
  using first: Port = b.port({ go: (id: string) => b.at(id).wait() });
  using second: Port = a.port({ go: (id: string) => a.at(id).go(slow.id) });
  // Two handlers wait in a row for a third, and a call waits behind each.
  const calls = [first, second, first, second].map((port) =>
    b.at(port.id).go(port === first ? slow.id : first.id)
  );
  const [one, two] = meeting([a, b], 2);
  const both = [a.at(one!.id).meet(two!.id), b.at(two!.id).meet(one!.id)];
  assertEquals(await Promise.all(both), [7, 7]);
  // Each of the two that wait in a handler has looked for a cycle, and again.
  await eventually(() => probes >= 4);
  release.resolve(5);
  assertEquals(await Promise.all(calls), [5, 5, 5, 5]);
  for (const port of [one!, two!]) port.kill();
});

pairTest(
  "a cycle is found in a handler that awaits for the first time after many plain runs",
  async (nodes) => {
    const { a, b } = nodes;
    const results: unknown[] = [];
    using back = b.port({ back: (id: string) => b.at(id, { timeout: 60_000 }).get() });
    const ask = async (id: string) => {
      await Promise.resolve();
      results.push(
        await a.at(back.id, { timeout: 60_000 }).back(id).catch((error) => error.message),
      );
    };
    using port: Port = a.port({ go: (isLast: boolean) => isLast ? ask(port.id) : 1, get: () => 7 });
    for (let count = 0; count < 150; count++) a.send(port.id, "go", false);
    a.send(port.id, "go", true);
    await eventually(() => results.length === 1);
    const ids = [port.id, back.id];
    assert(ids.every((id) => `${results[0]}`.includes(id)), `${results[0]}`);
  },
);

pairTest(
  "ready waits for room in the port and on the way, and ends with the port, in time or by signal",
  async (nodes) => {
    for (const node of [nodes.a, nodes.b]) {
      const port = nodes.a.port(undefined, { maxQueue: 4 });
      await node.ready(port.id);
      for (let n = 0; n < 3; n++) node.send(port.id, n);
      await assertRejectsCode(node.ready(port.id, { timeout: 20 }), "TIMEOUT");
      const controller = new AbortController();
      const aborted = doomed(node.ready(port.id, { signal: controller.signal }));
      controller.abort(new Error("no more"));
      assertEquals((await assertRejects(() => aborted) as Error).message, "no more");
      let isReady = false;
      const ready = node.ready(port.id).then(() => isReady = true);
      await eventually(() => sizesOf(nodes.a).waits === 1);
      assertEquals(isReady, false);
      for (let n = 0; n < 2; n++) await port.receive();
      await ready;
      for (let n = 0; n < 2; n++) node.send(port.id, n);
      const dying = doomed(node.ready(port.id));
      await eventually(() => sizesOf(nodes.a).waits === 1);
      port.kill("gone");
      assertEquals((await assertRejectsCode(dying, "PORT_DIED")).reason?.message, "gone");
      await assertRejectsCode(node.ready(port.id), "PORT_DIED");
      await assertRejectsCode(node.ready("nobody#a.1"), "PORT_DIED");
      await level(nodes.a, nodes.b);
    }
  },
);

test("queued counts what waits for a node, and ready waits for the way", async () => {
  const network = new MemoryNetwork();
  await using a = await network.start({ maxQueueBytes: 1_000 });
  await using b = await network.start();
  const got: unknown[] = [];
  using port = b.port({ put: (text: string) => void got.push(text) });
  const way = network.hold(a, b);
  a.send(port.id, "put", "0".repeat(600));
  assertEquals(a.queued(port.id).messages, 1);
  assert(a.queued(b.id).bytes > 600);
  await assertRejectsCode(a.ready(port.id, { timeout: 20 }), "TIMEOUT");
  const ready = a.ready(port.id);
  way.release();
  await ready;
  assertEquals([a.queued(port.id), got.length], [{ messages: 0, bytes: 0 }, 1]);
  a.send(a.port().id, "own");
  assertEquals(a.queued(a.id).messages, 1);
});

test("what at returns can be printed, awaited and passed around without a call", async () => {
  await using node = await new MemoryNetwork().start();
  using port = node.port({});
  const remote = node.at(port.id as string);
  assertEquals(`${remote}`, `[Port ${port.id}]`);
  assertEquals(await Promise.resolve(remote), remote);
  assertEquals(JSON.stringify({ remote }), '{"remote":{}}');
  assert(!("then" in remote) && "go" in remote);
});

pairTest(
  "a node is a port: info, time, nodes, devnull, as calls and as messages",
  async (nodes) => {
    using port = nodes.b.port();
    for (const node of [nodes.a, nodes.b]) {
      const remote = node.at<NodeRequests>(nodes.a.id);
      const { id, name, ports } = await remote.info();
      assertEquals([id, name, ports], [nodes.a.id, "a", 0]);
      assert(await remote.time() > 1_600_000_000_000);
      assertEquals(await remote.nodes(), [nodes.b.id]);
      assertEquals(await remote.devnull(1), undefined);
      // There is no remote code, and a wrong name is no success.
      await assertRejectsCode(node.at(nodes.a.id as string).eval("1"), "UNKNOWN_METHOD", '"info"');
      node.send(nodes.a.id, "nodes", port.id, "are", 1);
      assertEquals(await port.receive(), ["are", 1, [nodes.b.id]]);
      for (const message of [["nothing"], [], [5], ["info", 5], ["info", ""]]) {
        node.send(nodes.a.id, ...message);
      }
      assertEquals((await remote.info()).ports, 0);
    }
  },
);
