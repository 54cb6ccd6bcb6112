/** Nodes as programs start them: in shared memory, in this process and in others. */
import { assert, assertEquals } from "@std/assert";
import process from "node:process";
import { Server } from "../../mod.ts";
import { Node, type Reason, type TandemError } from "../../src/node/main.ts";
import type { Sender } from "../fixtures/node/sender.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  ownRuntime,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";
import { removeLocksOfGroup } from "../support/locks.ts";
import { blockUntilDead } from "../support/processes.ts";
import { startThread } from "../support/threads.ts";

let groups = 0;

/** Starts nodes in a group of their own, of which nothing is left at the end. */
class Group implements AsyncDisposable {
  readonly name: string = `start-${process.pid}-${groups++}`;
  readonly #nodes: Node[] = [];

  async start(name: string): Promise<Node> {
    const node = await Node.start({ name, group: this.name });
    this.#nodes.push(node);
    return node;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) await node.close();
    Server.unlink(`${this.name}.nodes`);
    removeLocksOfGroup(this.name);
  }
}

test("a node without others, and networks that cannot be used", async () => {
  await using group = new Group();
  const node = await group.start("alone");
  assertEquals(node.nodes(), []);
  using port = node.port({ get: () => 1 });
  assertEquals(await node.at(port.id).get(), 1);
  for (const network of ["127.0.0.1:4222", "nats://", "nats://127.0.0.1/name", "nats://a b"]) {
    const starting = Node.start({ group: group.name, network });
    assert(await starting.catch((error: unknown) => error) instanceof TypeError, network);
  }
  const heartbeat = { interval: 1_000, timeout: 1_999 };
  for (const options of [{ heartbeat }, { lease: 999 }]) {
    const starting = Node.start({ group: group.name, ...options });
    assert(await starting.catch((error: unknown) => error) instanceof RangeError);
  }
});

test("two nodes of one process: messages, calls, the registry, and a good-bye", async () => {
  await using group = new Group();
  const one = await group.start("one");
  const other = await group.start("other");
  assertEquals([one.nodes(), other.nodes()], [[other.id], [one.id]]);
  let total = 0;
  using port = one.port({ add: (n: number) => void (total += n), get: () => total });
  one.registry.register("counters", port);
  await eventually(async () => await other.registry.pick("counters") === port.id, "it is found");
  for (let n = 1; n <= 1_000; n++) other.send(port.id, "add", n);
  assertEquals(await other.at(port.id).get(), 500_500);

  const ends: Reason[] = [];
  other.monitor(port.id, (reason) => ends.push(reason));
  other.monitor(one.id, (reason) => ends.push(reason));
  await other.ready(port.id);
  await one.close();
  await eventually(() => ends.length === 2, "both monitors fire");
  assertEquals(ends.map(({ kind }) => kind), ["shutdown", "shutdown"]);
  assertEquals(other.nodes(), []);
  assertEquals(await other.registry.pick("counters"), null);
});

test("nothing is lost that is sent while nodes come up, in either direction", async () => {
  await using group = new Group();
  const first = await group.start("first");
  const came: [string, number][] = [];
  using host = first.port({ hello: (who: string, n: number) => void came.push([who, n]) });
  const greeted: string[] = [];
  // Each newcomer is greeted as soon as its node is seen, and says hello as soon as it has started.
  first.offer("greeter", (_, n: number) => void greeted.push(`${n}`));
  first.watchNodes(({ node, up }) => {
    if (up) first.send(node, "time", host.id, "hello", node);
  });
  first.registry.register("hosts", host);
  for (let n = 0; n < 5; n++) {
    const node = await group.start(`n${n}`);
    assertEquals(node.nodes()[0], first.id as string);
    node.send(host.id, "hello", "itself", n);
    node.spawn(first.id, "greeter", n);
  }
  await eventually(() => came.length === 10 && greeted.length === 5, "all arrives");
  const itself = came.filter(([who]) => who === "itself").map(([, n]) => n);
  assertEquals([itself.toSorted(), greeted.toSorted()], [[0, 1, 2, 3, 4], [
    "0",
    "1",
    "2",
    "3",
    "4",
  ]]);
});

test("a node has the id of one that has just died: what it registers shows when the earlier one is down", async () => {
  await using group = new Group();
  const node = await group.start("watcher");
  const { TANDEM_DIR } = process.env;
  const start = () =>
    spawn(ownRuntime[0], "node/sender.ts", [group.name, "again"], { env: { TANDEM_DIR } });
  const first = await start();
  const { id } = await first.message<{ id: string }>();
  await eventually(async () => await node.registry.pick("senders") === id, "the first is found");
  // It waits for the id.
  const second = await start();
  process.kill(first.pid, "SIGKILL");
  blockUntilDead(first.pid);
  const patience = Date.now() + 60_000;
  let found: string | null = id;
  // Without a turn of the event loop: nothing is taken from the mailbox meanwhile.
  while (found === id || found === null) {
    found = await node.registry.pick<Sender>("senders");
    assert(Date.now() < patience, "the second is found");
  }
  const ends: string[] = [];
  node.monitor(found, ({ kind }) => ends.push(kind));
  await node.ready(found);
  assertEquals(await node.at<Sender>(found).flood(found, 0), 0);
  assertEquals(ends, []);
  await first.killed();
  second.send("close");
  await eventually(() => ends.length === 1, "the monitor fires");
  assertEquals(ends, ["shutdown"]);
  await second.ended();
});

test("a node in a Worker that ends: its monitors fire once, and its entries, claims and id go", async () => {
  await using group = new Group();
  const node = await group.start("watcher");
  const id = "worker:1";
  for (const end of ["terminate", "close"]) {
    const messages: unknown[] = [];
    const thread = startThread(new URL("../fixtures/node/thread.ts", import.meta.url), {
      onMessage: (message) => messages.push(message),
      onError: (message) => messages.push(message),
    });
    thread.post({ group: group.name, id });
    await eventually(() => messages.length === 1, "it has started");
    const { port, hasClaim, ...rest } = messages[0] as { port: string; hasClaim: boolean };
    assertEquals([hasClaim, rest], [true, {}]);
    assertEquals(await node.at(port).get(), 1);
    await eventually(async () => await node.registry.pick("threads") === port, "it is found");
    const ends: string[] = [];
    node.monitor(port, ({ kind }) => ends.push(`port: ${kind}`));
    node.monitor(id, ({ kind }) => ends.push(`node: ${kind}`));
    const call = doomed(node.at(port).never());
    await node.ready(port);
    if (end === "terminate") thread.terminate();
    else thread.post(end);
    assertEquals((await assertRejectsCode(call, "PORT_DIED")).reason?.kind, "transport_error");
    await eventually(() => ends.length === 2, "its monitors fire");
    assertEquals([node.nodes(), await node.registry.pick("threads")], [[], null]);
    let again: Node | null = null;
    const startAgain = async () => {
      again = await Node.start({ group: group.name, id }).catch(() => null);
      return again !== null;
    };
    await eventually(startAgain, "its id is free");
    await using next = again!;
    await eventually(async () => {
      using claim = await next.registry.claim("roles", "thread", null);
      return claim !== null;
    }, "its claim is free");
    assertEquals(ends, ["port: transport_error", "node: transport_error"]);
  }
});

for (const runtime of runtimes) {
  test(`${runtime} is killed: what it has sent comes first, then its monitors fire, once`, async () => {
    await using group = new Group();
    const node = await group.start("watcher");
    const { TANDEM_DIR } = process.env;
    const child = await spawn(runtime, "node/sender.ts", [group.name], { env: { TANDEM_DIR } });
    const { id } = await child.message<{ id: string }>();
    await eventually(async () => await node.registry.pick("senders") === id, "it is found");
    const seen: (number | string)[] = [];
    using port = node.port({ number: (n: number) => void seen.push(n) });
    node.monitor(id, ({ kind }) => seen.push(kind));
    assertEquals(await node.at<Sender>(id).flood(port.id, 10_000), 10_000);
    const pending = node.at<Sender>(id).flood(port.id, 0)
      .then(() => null, (error: unknown) => error as TandemError);
    await child.stopped();
    assert(node.isUp(node.nodeOf(id)), "a node that is stopped is up");
    await child.killed();
    const error = await pending;
    await eventually(() => typeof seen.at(-1) === "string", "the monitor fires");
    const numbers = Array.from({ length: 10_000 }, (_, index) => index + 1);
    assertEquals(seen, [...numbers, "transport_error"]);
    if (error !== null) {
      assertEquals([error.code, error.reason?.kind], ["PORT_DIED", "transport_error"]);
    }
    assertEquals([node.nodes(), await node.registry.pick("senders")], [[], null]);
    const late: string[] = [];
    node.monitor(id, ({ kind }) => late.push(kind));
    await eventually(() => late.length === 1, "a later monitor fires, too");
  });

  test(`${runtime} dies while this process is busy: all that it has sent still comes first`, async () => {
    await using group = new Group();
    const node = await group.start("watcher");
    const { TANDEM_DIR } = process.env;
    const child = await spawn(runtime, "node/sender.ts", [group.name], { env: { TANDEM_DIR } });
    const { id } = await child.message<{ id: string }>();
    const seen: (number | string)[] = [];
    using port = node.port({ number: (n: number) => void seen.push(n) });
    node.monitor(id, ({ kind }) => seen.push(kind));
    await node.at<Sender>(id).flood(port.id, 0);
    node.send<Sender>(id, "floodAndDie", port.id, 500);
    // The message goes out; then this process takes nothing until the other is dead.
    await new Promise((resolve) => setImmediate(resolve));
    blockUntilDead(child.pid);
    await eventually(() => typeof seen.at(-1) === "string", "the monitor fires");
    const numbers = Array.from({ length: 500 }, (_, index) => index + 1);
    assertEquals(seen, [...numbers, "transport_error"]);
  });

  test(`${runtime} fails in a message, and then closes its node`, async () => {
    await using group = new Group();
    const node = await group.start("watcher");
    const { TANDEM_DIR } = process.env;
    const child = await spawn(runtime, "node/sender.ts", [group.name], { env: { TANDEM_DIR } });
    const { id } = await child.message<{ id: string }>();
    const ends: Reason[] = [];
    node.monitor(id, (reason) => ends.push(reason));
    node.monitor(node.nodeOf(id), (reason) => ends.push(reason));
    await assertRejectsCode(node.at<Sender>(id).fail(), "REMOTE");
    node.send<Sender>(id, "fail");
    await eventually(() => ends.length === 1, "the port ends");
    assertEquals(ends[0]!.kind, "die");
    assert(ends[0]!.message.includes("as it was told to"), ends[0]!.message);
    child.send("close");
    await child.expect("closed");
    await eventually(() => ends.length === 2, "the node goes");
    assertEquals(ends[1]!.kind, "shutdown");
    await child.ended();
  });
}
