/**
 * Nodes that meet through NATS. Most of them are in this process, each with a memory of its own, as on a machine of its
 * own.
 */
import { assert, assertEquals } from "@std/assert";
import { Server } from "../../mod.ts";
import { decodeFrame, decodeMachine, headBytes, Kind } from "../../src/nats/nodes/frames.ts";
import { headBytes as batchHeadBytes } from "../../src/node/hall/batch.ts";
import type { Node, Reason } from "../../src/node/main.ts";
import type { Sender } from "../fixtures/node/sender.ts";
import { FarGroup, newServer } from "../support/far_group.ts";
import {
  afterEnd,
  assertRejectsCode,
  eventually,
  folder,
  ownRuntime,
  spawn,
  test,
} from "../support/harness.ts";
import { hasNats, natsAddress, rawConnection } from "../support/nats.ts";
import { NatsProxy } from "../support/nats_proxy.ts";
import { withJetStream } from "../support/nats_server.ts";
import { allSaid } from "../support/nats_limit.ts";
import { newCluster } from "../support/nats_cluster.ts";

const skip = hasNats ? null : "scripts/setup --tests installs a NATS server";

/** What a node was told of others, in order. */
function watched(node: Node): string[] {
  const seen: string[] = [];
  node.watchNodes(({ node, up, reason }) => {
    seen.push(`${node} ${up ? "up" : reason!.kind}`);
  });
  return seen;
}

async function entriesOf(node: Node): Promise<string> {
  return (await node.registry.keys("things")).toSorted().join();
}

test(
  "NATS nodes: the memory of one machine is removed: its nodes meet there again, and the others notice nothing",
  async () => {
    await using group = new FarGroup();
    const [a, near] = [await group.start("a"), await group.start("a")];
    const far = await group.start("b");
    const all = [a, near, far];
    for (const node of all) node.registry.set("things", `of ${node.id}`, 1);
    const things = all.map(({ id }) => `of ${id}`).toSorted().join();
    const agree = () =>
      eventually(async () => {
        for (const node of all) {
          if (node.nodes().length !== 2 || await entriesOf(node) !== things) return false;
        }
        return true;
      }, "all see each other");
    await agree();
    const news = { a: watched(a), far: watched(far) };
    await eventually(() => news.a.length === 2 && news.far.length === 2);
    const raw = await rawConnection();
    const batches: string[] = [];
    raw.subscribe(`tandem.nodes.${group.name}.>`, (subject, data) => {
      if (data[2] === Kind.batch) batches.push(subject);
    });
    await raw.flush();
    Server.unlink(`${group.name}.a.nodes`);
    await eventually(() => news.a.length === 4, "they meet again");
    assertEquals(news.a.slice(2), [`${near.id} transport_error`, `${near.id} up`]);
    await agree();
    const port = near.port({ get: () => 1 });
    assertEquals(await a.at<{ get(): number }>(port.id).get(), 1);
    await raw.flush();
    await raw.close();
    assertEquals([news.far.length, batches], [2, []]);
  },
  { skip },
);

test(
  "NATS nodes: messages, calls, monitors, the registry and a good-bye, in both directions",
  async () => {
    await using group = new FarGroup();
    const a = await group.start("a");
    const near = await group.start("a");
    a.registry.set("things", "of a", 1);
    // Nodes that share a memory do not burden the server.
    const raw = await rawConnection();
    const kinds: number[] = [];
    raw.subscribe(`tandem.nodes.${group.name}.>`, (_, data) => kinds.push(data[2]!));
    await raw.flush();
    const nearPort = near.port({ get: () => 1 });
    assertEquals(await a.at(nearPort.id).get(), 1);
    await raw.flush();
    assert(!kinds.includes(Kind.batch));
    const b = await group.start("b");
    // Who comes knows at once who is there.
    assertEquals(b.nodes().toSorted(), [a.id, near.id].toSorted());
    assertEquals(await entriesOf(b), "of a");
    await eventually(() => a.nodes().length === 2 && near.nodes().length === 2);
    assertEquals(a.nodes(), [near.id, b.id]);

    for (const [one, other] of [[a, b], [b, a], [near, b]] as const) {
      const came: number[] = [];
      let length = 0;
      const port = one.port({
        number: (n: number) => void came.push(n),
        long: (bytes: Uint8Array) => void (length += bytes.byteLength),
        last: () => came.at(-1),
      });
      one.registry.register("ports", port);
      await eventually(async () => (await other.registry.keys("ports")).includes(port.id));
      const ends: Reason[] = [];
      other.monitor(port.id, (reason) => ends.push(reason));
      for (let n = 0; n < 5_000; n++) {
        other.send(port.id, "number", n);
        if (n % 1_000 === 0) other.send(port.id, "long", new Uint8Array(300_000));
        if (n % 2_500 === 0) await other.ready(port.id);
      }
      assertEquals(await other.at(port.id).last(), 4_999);
      assertEquals(came, Array.from({ length: 5_000 }, (_, n) => n));
      assertEquals(length, 1_500_000);
      port.kill("enough");
      await eventually(() => ends.length === 1);
      assertEquals([ends[0]!.kind, ends[0]!.message], ["kill", "enough"]);
      await eventually(async () => !(await other.registry.keys("ports")).includes(port.id));
    }

    // A board of several messages.
    const long = "x".repeat(1_200_000);
    b.registry.set("things", "of b", long);
    for (const node of [a, near]) {
      await eventually(async () => (await node.registry.get("things")).get("of b")?.value === long);
    }

    const seen = watched(a);
    const ends: string[] = [];
    a.monitor(b.id, ({ kind }) => ends.push(kind));
    await b.close();
    await eventually(() => ends.length === 1 && seen.length === 3);
    assertEquals([ends, seen.at(-1)], [["shutdown"], `${b.id} shutdown`]);
    assertEquals([a.nodes(), await entriesOf(a)], [[near.id], "of a"]);
  },
  { skip },
);

test("NATS nodes: an id that is in use, and what a server refuses", async () => {
  const server = await newServer(`
    authorization {
      users = [
        { user: "me", password: "secret" }
        { user: "deaf", password: "d", permissions: { publish: ">", subscribe: "_INBOX.>" } }
        { user: "mute", password: "m", permissions: { publish: "other", subscribe: ">" } }
      ]
    }`);
  await using group = new FarGroup(`me:secret@${server.address}`);
  const node = await group.start("a", { id: "one" });
  await assertRejectsCode(group.start("b", { id: "one" }), "EXISTS", "another machine");
  await assertRejectsCode(
    group.start("b", { network: `nats://${server.address}` }),
    "PERMISSION",
    "login",
  );
  for (const login of ["deaf:d", "mute:m"]) {
    const network = `nats://${login}@${server.address}`;
    await assertRejectsCode(group.start("b", { network }), "PERMISSION", "tandem.nodes.");
  }
  assertEquals(node.nodes(), []);
  await node.close();
  const again = await group.start("b", { id: "one" });
  assertEquals(again.id, "one");
  const claim = again.registry.claim("roles", "leader", null);
  await assertRejectsCode(claim, "UNSUPPORTED", "JetStream");
}, { skip });

test(
  "NATS nodes: an id is refused on another machine: its nodes find the owner again",
  async () => {
    const server = await newServer();
    await using group = new FarGroup(server.address);
    const heartbeat = { interval: 50, timeout: 1_000 };
    const near = await group.start("a", { heartbeat });
    const owner = await group.start("b", { id: "one", heartbeat });
    using port = owner.port({ get: () => "here" });
    await eventually(() => near.isUp("one") && owner.isUp(near.id));
    // In the memory of its machine, it is there for a moment.
    await assertRejectsCode(group.start("a", { id: "one", heartbeat }), "EXISTS");
    await eventually(() => near.isUp("one") && owner.isUp(near.id));
    const remote = () => near.at<{ get(): string }>(port.id, { timeout: 60_000 }).get();
    await eventually(async () => await remote().catch(() => "") === "here");
    // In the other direction, too.
    using other = near.port({ get: () => "there" });
    const back = () => owner.at<{ get(): string }>(other.id, { timeout: 1_000 }).get();
    await eventually(async () => await back().catch(() => "") === "there");
  },
  { skip },
);

test(
  "NATS nodes: users that may subscribe to their own inbox only meet, call and claim",
  async () => {
    const stream = "KV_tandem_-limits";
    const userOf = (user: string) => ({
      user,
      password: "secret",
      permissions: {
        subscribe: ["tandem.nodes.>", `_INBOX_${user}.>`],
        publish: [
          "tandem.nodes.>",
          "$KV.tandem_-limits.>",
          ...["INFO", "CREATE", "MSG.GET"].map((ask) => `$JS.API.STREAM.${ask}.${stream}`),
          `$JS.API.CONSUMER.CREATE.${stream}`,
        ],
      },
    });
    const users = JSON.stringify(["one", "two"].map(userOf));
    // Before the server goes.
    afterEnd(allSaid);
    const { address } = await newServer(`${withJetStream}\nauthorization { users: ${users} }`);
    await using group = new FarGroup(address);
    const start = (user: string, inbox = user) =>
      group.start(user, { nats: { user, pass: "secret", inboxPrefix: `_INBOX_${inbox}` } });
    const [first, second] = await Promise.all([start("one"), start("two")]);
    await eventually(() => first.nodes().length === 1 && second.nodes().length === 1);
    using port = first.port<{ add(one: number, other: number): number }>({
      add: (one, other) => one + other,
    });
    assertEquals(await second.at(port.id, { timeout: 60_000 }).add(1, 2), 3);
    using claim = await second.registry.claim("roles", "leader", null);
    assertEquals(claim?.signal.aborted, false);
    assertEquals(await first.registry.claim("roles", "leader", null), null);
    await assertRejectsCode(start("one", "two"), "PERMISSION", "_INBOX_two");
  },
  { skip },
);

test(
  "NATS nodes: a server that comes later, a prefix, and a connection of the program",
  async () => {
    const first = await newServer();
    const { address, port } = first;
    await first.kill();
    await using group = new FarGroup(address);
    // It waits for the server, as long as ten seconds.
    const starting = group.start("a");
    let hasStarted = false;
    void starting.then(() => hasStarted = true, () => {});
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert(!hasStarted);
    await newServer("", port);
    const a = await starting;
    const stranger = await group.start("b", { nats: { prefix: "other.place" } });
    const { connection } = await rawConnection(address);
    const c = await group.start("c", { nats: { connection } });
    await eventually(() => a.nodes().length === 1);
    assertEquals([a.nodes(), c.nodes(), stranger.nodes()], [[c.id], [a.id], []]);
    assert(await answers(a, c) && await answers(c, a));
    await c.close();
    await eventually(() => a.nodes().length === 0);
    assertEquals(connection.isClosed(), false);
    await connection.flush();
  },
  { skip },
);

for (const runtime of ownRuntime) {
  test(`${runtime}: a node on another machine is killed: monitors fire`, async () => {
    await using group = new FarGroup();
    const node = await group.start("a", { heartbeat: { interval: 200, timeout: 4_000 } });
    const child = await spawn(
      runtime,
      "node/sender.ts",
      [group.name, "", `nats://${natsAddress()}`],
      { env: { TANDEM_DIR: folder() }, denoPermissions: ["-A"] },
    );
    const { id } = await child.message<{ id: string }>();
    await eventually(async () => await node.registry.pick("senders") === id, "it is found");
    const ends: string[] = [];
    node.monitor(id, ({ kind }) => ends.push(kind));
    const came: number[] = [];
    const port = node.port({ number: (n: number) => void came.push(n) });
    assertEquals(await node.at<Sender>(id).flood(port.id, 2_000), 2_000);
    await eventually(() => came.length === 2_000);
    child.kill("SIGKILL");
    await child.exited;
    await eventually(() => ends.length === 1, "the monitor fires");
    assertEquals([ends, node.nodes()], [["transport_error"], []]);
    assertEquals(await node.registry.keys("senders"), []);
  }, { skip });
}

/** A message that can be lost, by its kind and its number among those of this kind and sender. */
interface Loss {
  readonly kind: keyof typeof Kind;
  readonly number: number;
  /** Only batches with messages count. */
  readonly isFull?: true;
}

/** So many of a kind are lost, each in a run of its own. */
const numbers: Readonly<Record<keyof typeof Kind, number>> = {
  alive: 2,
  ask: 2,
  here: 2,
  taken: 2,
  pair: 2,
  batch: 8,
  board: 2,
  change: 2,
  bye: 1,
  machine: 2,
  // It follows a loss only.
  broken: 0,
};

/** What is lost in one run. */
const losses: readonly (readonly Loss[])[] = [
  ...(Object.keys(numbers) as (keyof typeof Kind)[]).flatMap((kind) =>
    Array.from({ length: numbers[kind] }, (_, number): Loss[] => [{ kind, number }])
  ),
  // And what tells of it.
  ...Array.from({ length: 3 }, (_, number): Loss[] => [
    { kind: "batch", number, isFull: true },
    { kind: "broken", number: 0 },
  ]),
  [{ kind: "batch", number: 1, isFull: true }, { kind: "batch", number: 2, isFull: true }],
];

const words = ["one", "two", "three"];

/** Whether a batch is more than a head, which tells what was taken, or how far the stream has come. */
function hasMessages(payload: Uint8Array): boolean {
  return payload.byteLength > headBytes + batchHeadBytes;
}

/** Lets two nodes meet and talk while messages are lost. Returns whether a hole was noticed. */
async function talk(proxy: NatsProxy, run: readonly Loss[]): Promise<boolean> {
  const title = JSON.stringify(run);
  await using group = new FarGroup(proxy.address);
  const counts = run.map(() => 0);
  proxy.losses.add((subject, payload) =>
    subject.startsWith(`tandem.nodes.${group.name}.`) &&
    run.some(({ kind, number, isFull = false }, index) =>
      payload[2] === Kind[kind] && (!isFull || hasMessages(payload)) && counts[index]!++ === number
    )
  );
  // Who is silent is not missed, but where nobody says good-bye.
  const isBye = run.some(({ kind }) => kind === "bye");
  const heartbeat = { interval: 50, timeout: isBye ? 4_000 : 30_000 };
  const id = `${group.name}-a`;
  const a = await group.start("a", { id, heartbeat });
  const b = await group.start("b");
  // One of two speaks for both.
  if (run.some(({ kind }) => kind === "machine")) await group.start("a");
  await eventually(() => a.isUp(b.id) && b.isUp(id), title);
  if (run.some(({ kind }) => kind === "ask" || kind === "taken")) {
    await assertRejectsCode(group.start("c", { id }), "EXISTS", "another machine");
  }
  const came: string[] = [];
  const port = b.port({ word: (word: string) => void came.push(word) });
  a.monitor(port.id, ({ kind }) => came.push(kind));
  for (const word of words) {
    a.send(port.id, "word", word);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  // The last batch is the tail. Nothing follows.
  const isTold = () =>
    came.includes("transport_error") || words.every((word) => came.includes(word));
  await eventually(isTold, title);
  const hole = came.indexOf("transport_error");
  const before = hole < 0 ? came : came.slice(0, hole);
  assertEquals(before, words.slice(0, before.length), title);
  // Both ways work again, and the registries become equal.
  await eventually(() => answers(a, b), `${title}: calls`);
  await eventually(() => answers(b, a), `${title}: calls`);
  a.registry.set("things", "of a", 1);
  b.registry.set("things", "of b", 2);
  await eventually(
    async () => await entriesOf(a) === "of a,of b" && await entriesOf(b) === "of a,of b",
    `${title}: registries`,
  );
  // Each was lost, not only could be.
  const isLost = () => run.every(({ number }, index) => counts[index]! > number);
  if (!isBye) await eventually(isLost, `${title} are sent`);
  await b.close();
  await eventually(isLost, `${title} are sent`);
  const isDown = () => came.some((kind) => kind === "shutdown" || kind === "transport_error");
  await eventually(() => !a.isUp(b.id) && isDown(), `${title}: the end`);
  return hole >= 0;
}

/** Whether a node answers another one. */
async function answers(node: Node, other: Node): Promise<boolean> {
  using port = other.port({ get: () => 1 });
  try {
    return await node.at(port.id, { timeout: 2_000 }).get() === 1;
  } catch {
    return false;
  }
}

test("NATS nodes: any single message is lost: monitors fire, or nothing is missing", async () => {
  await using proxy = await NatsProxy.start(Number(natsAddress().split(":")[1]));
  const noticed = await Promise.all(losses.map((run) => talk(proxy, run)));
  assert(noticed.some((isNoticed) => isNoticed), "a loss was noticed");
}, { skip });

test(
  "NATS nodes: a node that sends more than waits is cut off alone, and garbage hurts nobody",
  async () => {
    await using group = new FarGroup();
    const a = await group.start("a", { maxQueueBytes: 100_000 });
    const [b, c] = [await group.start("b"), await group.start("c")];
    await eventually(() => a.nodes().length === 2 && b.nodes().length === 2);
    const came: number[] = [];
    const port = b.port({ number: (n: number, _?: Uint8Array) => void came.push(n) });
    const other = b.port({ get: () => 1 });
    const ends: Reason[] = [];
    a.monitor(port.id, (reason) => ends.push(reason));
    const fill = new Uint8Array(1_000);
    // Within one turn nothing is taken.
    for (let n = 1; n <= 3_000; n++) a.send(port.id, "number", n, fill);
    await eventually(() => ends.length > 0);
    assertEquals(ends[0]!.kind, "overflow");
    await eventually(() => a.queued(port.id).messages === 0);
    a.send(port.id, "number", 9_999);
    await eventually(() => came.includes(9_999));
    assertEquals(await c.at(other.id).get(), 1);

    const raw = await rawConnection();
    const caught: [string, Uint8Array][] = [];
    raw.subscribe(`tandem.nodes.${group.name}.>`, (subject, data) => caught.push([subject, data]));
    await raw.flush();
    a.send(port.id, "number", 0);
    b.registry.set("things", "of b", 1);
    await eventually(() => caught.length > 20);
    for (const [subject, data] of caught.splice(0)) {
      for (let at = 0; at < Math.min(data.byteLength, 80); at++) {
        const wrong = data.slice();
        wrong[at]! ^= 1 << (at % 8);
        // To say good-bye in another's name is not garbage, but a lie. So are lives and streams that have not been.
        const isLie = wrong[2] === Kind.bye || (at >= 20 && at < 28) || (at >= 44 && at < 48);
        if (!isLie) raw.publish(subject, wrong);
        raw.publish(subject, data.subarray(0, at));
      }
    }
    await raw.flush();
    await eventually(async () => await entriesOf(a) === "of b" && await entriesOf(c) === "of b");
    await eventually(() => answers(a, b));
  },
  { skip },
);

test(
  "NATS nodes: a server goes and comes back: nodes go down once, come up again, and agree",
  async () => {
    const server = await newServer();
    await using group = new FarGroup(server.address);
    const heartbeat = { interval: 100, timeout: 4_000 };
    const a = await group.start("a", { heartbeat });
    const b = await group.start("b", { heartbeat });
    await eventually(() => a.nodes().length === 1);
    const [seenByA, seenByB] = [watched(a), watched(b)];
    const ends: string[] = [];
    a.monitor(b.id, ({ kind }) => ends.push(`a ${kind}`));
    b.monitor(a.id, ({ kind }) => ends.push(`b ${kind}`));
    a.registry.set("things", "of a", 1);
    await server.kill();
    await eventually(() => ends.length === 2, "both monitors fire");
    assertEquals(ends.toSorted(), ["a transport_error", "b transport_error"]);
    assertEquals([await entriesOf(a), await entriesOf(b)], ["of a", ""]);
    b.registry.set("things", "of b", 2);
    await newServer("", server.port);
    await eventually(
      async () => await entriesOf(a) === "of a,of b" && await entriesOf(b) === "of a,of b",
      "they agree",
    );
    const port = b.port({ get: () => 7 });
    assertEquals(await a.at(port.id).get(), 7);
    assertEquals(seenByA, [`${b.id} up`, `${b.id} transport_error`, `${b.id} up`]);
    assertEquals(seenByB, [`${a.id} up`, `${a.id} transport_error`, `${a.id} up`]);
    assertEquals(ends.length, 2);
  },
  { skip },
);

test("NATS nodes: links that are lost and come back in time take no node down", async () => {
  await using proxy = await NatsProxy.start(Number(natsAddress().split(":")[1]));
  await using group = new FarGroup(proxy.address);
  const [a, b] = [await group.start("a"), await group.start("b")];
  await eventually(() => a.nodes().length === 1);
  const [seenByA, seenByB] = [watched(a), watched(b)];
  const came: number[] = [];
  const port = b.port({ number: (n: number) => void came.push(n) });
  let holes = 0;
  const watch = () =>
    a.monitor(port.id, ({ kind }) => {
      assertEquals(kind, "transport_error");
      holes += 1;
      watch();
    });
  watch();
  a.send(port.id, "number", 0);
  await eventually(() => came.length === 1);
  for (let n = 1; n <= 300; n++) {
    if (n % 100 === 50) proxy.cut();
    a.send(port.id, "number", n);
    a.registry.set("things", `${n % 10}`, n);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  a.send(port.id, "number", 301);
  await eventually(() => came.includes(301) || holes > 0);
  a.registry.set("things", "last", 1);
  await eventually(async () => await entriesOf(b) === await entriesOf(a));
  assertEquals(came, came.toSorted((one, other) => one - other));
  assert(came.length === 302 || holes > 0, `${came.length} messages came, ${holes} holes`);
  assertEquals([seenByA, seenByB], [[`${b.id} up`], [`${a.id} up`]]);
}, { skip });

test(
  "NATS nodes: a node that stood still is dead for the others: both hear of it once",
  async () => {
    await using proxy = await NatsProxy.start(Number(natsAddress().split(":")[1]));
    await using group = new FarGroup();
    const a = await group.start("a", { network: `nats://${proxy.address}` });
    const b = await group.start("b", { heartbeat: { interval: 100, timeout: 4_000 } });
    await eventually(() => a.nodes().length === 1);
    const [seenByA, seenByB] = [watched(a), watched(b)];
    const came: number[] = [];
    const port = b.port({ number: (n: number) => void came.push(n) });
    a.send(port.id, "number", 1);
    await eventually(() => came.length === 1);
    // What `a` sends is late; it hears all that others send.
    proxy.hold();
    a.send(port.id, "number", 2);
    await eventually(() => seenByB.at(-1) !== `${a.id} up`, "the other takes it for dead");
    proxy.release();
    await eventually(() => seenByA.length === 3 && seenByB.length === 3, "they meet again");
    assertEquals(seenByA, [`${b.id} up`, `${b.id} transport_error`, `${b.id} up`]);
    assertEquals(seenByB, [`${a.id} up`, `${a.id} transport_error`, `${a.id} up`]);
    a.send(port.id, "number", 3);
    await eventually(() => came.includes(3));
    // The stream that was cut has not come.
    assertEquals(came, [1, 3]);
  },
  { skip },
);

test(
  "NATS nodes: one node speaks for those of its machine; if it is silent, another one does",
  async () => {
    await using proxies = new AsyncDisposableStack();
    await using group = new FarGroup();
    const raw = await rawConnection();
    /** Who has told that it lives, or that several do, since the last one was silent. */
    const told: string[] = [];
    /** Ids by sessions. */
    const ids = new Map<string, string>();
    raw.subscribe(`tandem.nodes.${group.name}.all`, (_, data) => {
      const { kind, from, body } = decodeFrame(data)!;
      if (kind === Kind.alive) told.push(from);
      if (kind !== Kind.machine) return;
      const alive = decodeMachine(body)!;
      for (const { session, id } of alive) ids.set(session, id);
      told.push(alive.map(({ session }) => session).join());
    });
    await raw.flush();
    const start = async () => {
      const proxy = proxies.use(await NatsProxy.start(Number(natsAddress().split(":")[1])));
      const heartbeat = { interval: 50, timeout: 30_000 };
      return {
        proxy,
        node: await group.start("a", { network: `nats://${proxy.address}`, heartbeat }),
      };
    };
    const near = [await start(), await start(), await start()];
    const far = await group.start("b", { heartbeat: { interval: 100, timeout: 4_000 } });
    const seen = watched(far);
    /** Whether the last of them have all been one that told of so many. */
    const isOneFor = (count: number) => {
      // Those of the node on the other machine do not count.
      const last = told.filter((sessions) => sessions.split(",").some((one) => ids.has(one)))
        .slice(-5);
      return last.length === 5 &&
        last.every((one) => one === last[0] && one.split(",").length === count);
    };
    await eventually(() => isOneFor(3), "one tells of three");
    const speaker = ids.get(told.findLast((sessions) => sessions.includes(","))!.split(",")[0]!)!;
    const { proxy, node } = near.find(({ node }) => node.id === speaker)!;
    proxy.hold();
    await eventually(() => isOneFor(2), "another one tells of two");
    await eventually(() => seen.includes(`${speaker} transport_error`), "the silent one is down");
    assertEquals(far.nodes().length, 2);
    proxy.release();
    await eventually(() => isOneFor(3), "the first one tells of three");
    await eventually(() => far.nodes().length === 3, "it is up again");
    await node.close();
    await eventually(() => isOneFor(2), "another one tells of two again");
    const others = near.map(({ node: { id } }) => id).filter((id) => id !== speaker);
    assertEquals(
      seen.filter((event) => others.some((id) => event === `${id} transport_error`)),
      [],
    );
    assertEquals(far.nodes().toSorted(), others.toSorted());
  },
  { skip },
);

test(
  "NATS nodes: each server of a cluster is killed under load: nodes stay up, or go down once on each side",
  async () => {
    const cluster = await newCluster();
    await using group = new FarGroup(cluster.addresses);
    // Each has another server.
    const nodes = await Promise.all(cluster.members.map(({ address }, index) => {
      const others = cluster.members.map((member) => member.address).filter((one) =>
        one !== address
      );
      const network = `nats://${[address, ...others].join(",")}`;
      const heartbeat = { interval: 200, timeout: 4_000 };
      return group.start(`machine-${index}`, { network, heartbeat, nats: { noRandomize: true } });
    }));
    await eventually(() => nodes.every((node) => node.nodes().length === 2), "they meet");
    const came = nodes.map(() => new Map<string, number>());
    const seen = nodes.map((node) => watched(node));
    /** Ends of ports that were noticed, and holes in what came. */
    const ends: string[] = [];
    const ports = nodes.map((node, index) =>
      node.port({
        number: (from: string, n: number) => {
          const last = came[index]!.get(from) ?? 0;
          if (n !== last + 1) ends.push(`hole ${from}`);
          came[index]!.set(from, n);
        },
        get: () => 1,
      })
    );
    for (const [index, node] of nodes.entries()) {
      for (const port of ports) {
        if (node.isLocal(port.id)) continue;
        const watch = () =>
          void node.monitor(port.id, ({ kind }) => {
            ends.push(`${index} ${kind}`);
            if (kind === "transport_error") watch();
          });
        watch();
      }
    }
    let count = 0;
    const load = setInterval(() => {
      count += 1;
      for (const node of nodes) {
        for (const port of ports) {
          if (!node.isLocal(port.id)) node.send(port.id, "number", node.id, count);
        }
      }
    }, 5);
    try {
      for (const member of cluster.members) {
        await eventually(() => came.every(({ size }) => size === 2), "messages come");
        await member.kill();
        for (const [index, node] of nodes.entries()) {
          node.registry.set("things", `${member.name} ${index}`, 1);
        }
        const before = came.map((numbers) => new Map(numbers));
        await eventually(
          () =>
            came.every((numbers, index) =>
              [...numbers].every(([from, n]) => n > (before[index]!.get(from) ?? 0))
            ),
          `all messages flow again without ${member.name}`,
        );
        member.restart();
        await cluster.formed();
      }
    } finally {
      clearInterval(load);
    }
    for (const one of nodes) {
      for (const port of ports) {
        await eventually(async () => one.isLocal(port.id) || await answersAt(one, port.id));
      }
    }
    const all = await entriesOf(nodes[0]!);
    assertEquals(all.split(",").length, 9);
    for (const node of nodes) {
      await eventually(async () => await entriesOf(node) === all, "they agree");
    }
    // A hole is told; who went down came up again, once for each time.
    const holes = ends.filter((end) => end.startsWith("hole")).length;
    assert(holes === 0 || ends.some((end) => end.endsWith("transport_error")), ends.join());
    for (const [index, events] of seen.entries()) {
      for (const [place, { id }] of nodes.entries()) {
        const own = events.filter((event) => event.startsWith(`${id} `));
        const expected = own.map((_, turn) => `${id} ${turn % 2 === 0 ? "up" : "transport_error"}`);
        assertEquals([own, own.length % 2], [expected, index === place ? 0 : 1]);
      }
    }
  },
  { skip },
);

/** Whether a port answers a node. */
async function answersAt(node: Node, port: string): Promise<boolean> {
  try {
    return await node.at(port, { timeout: 2_000 }).get() === 1;
  } catch {
    return false;
  }
}
