/**
 * The identity of participants, where process ids, descriptors and names could be mistaken for it.
 *
 * Elsewhere: process ids of other processes in the table (predecessor: "liveness does not depend
 * on process ids …"), entries of the table that are used again (native/proof/repair_test.zig: "a late
 * participant at the index of a dead one …"), children that open their own handle and end in good
 * order (inherit).
 */
import { assert, assertEquals } from "@std/assert";
import { writeFileSync } from "node:fs";
import process from "node:process";
import { Client, Server } from "../../mod.ts";
import type { Race, Raced } from "../fixtures/identity.ts";
import {
  assertRejectsCode,
  type Child,
  doomed,
  eventually,
  fixtureCommand,
  newTarget,
  pairs,
  present,
  type Runtime,
  runtimes,
  spawn,
  test,
  text,
} from "../support/harness.ts";
import { hasNamespaces, killInside, PidNamespace, programOf } from "./pid_namespace.ts";
import { size, tried } from "./size.ts";

/** An id that no process of a young namespace has. */
const somePid = 4321;

const canHaveNamespaces = hasNamespaces();

function inNamespace(name: string, body: () => Promise<void>): void {
  if (canHaveNamespaces) test(name, body);
}

async function startInside(
  inside: PidNamespace,
  runtime: Runtime,
  fixture: string,
  args: readonly string[],
): Promise<Child> {
  const child = await spawn(runtime, fixture, args, { through: inside.through(somePid) });
  assertEquals(child.ownPid, somePid, "the id that was asked for");
  await child.expect("ready");
  return child;
}

for (const { server, client, title } of pairs) {
  inNamespace(
    `${title}: a server gets the process id of one that died with a request`,
    async () => {
      const inside = await PidNamespace.open();
      const target = newTarget();
      using own = Client.open(target, { create: { maxDeliveries: 2 } });
      const victim = await startInside(inside, server, "server.ts", [target, "promise"]);
      // No participant waits, so none repairs before the new one is there.
      using call = present(own.trySend("hold-once"));
      await victim.expect("holding 1");
      await killInside(victim);

      const heir = await startInside(inside, client, "server.ts", [target, "promise"]);
      assertEquals(text(await call.get()), "delivery 2");
      const { servers, serverDeaths, redelivered } = own.stats();
      assertEquals({ servers, serverDeaths, redelivered }, {
        servers: 1,
        serverDeaths: 1,
        redelivered: 1,
      });

      // The library does not take the new one for the dead: it keeps its request.
      const held = await own.send("hold");
      await heir.expect("holding 1");
      using other = Server.open(target);
      assertEquals(await other.receive({ timeout: 200 }), null);
      assertEquals(own.stats().serverDeaths, 1);
      await killInside(heir);
      assertEquals(present(await other.receive()).deliveries, 2);
      assertEquals(held.cancel(), true);
    },
  );

  inNamespace(
    `${title}: a client gets the process id of one that died with all slots`,
    async () => {
      const inside = await PidNamespace.open();
      const target = newTarget();
      using watcher = Server.create(target, { slots: 2 });
      const victim = await startInside(inside, client, "client.ts", [target, "promise"]);
      assertEquals(await victim.ask({ op: "fill", payload: "of the dead" }), { count: 2 });
      await killInside(victim);

      const heir = await startInside(inside, server, "client.ts", [target, "promise"]);
      const answer = heir.ask({ op: "request", payload: "of the living" });
      const request = present(await watcher.receive());
      // The dead one's requests are dropped unseen, and the living one's are not.
      assertEquals(request.text(), "of the living");
      assertEquals(request.cancelled, false);
      request.reply("y");
      assertEquals(await answer, { text: "y" });
      const { clients, clientDeaths, inFlight } = watcher.stats();
      assertEquals({ clients, clientDeaths, inFlight }, {
        clients: 1,
        clientDeaths: 1,
        inFlight: 0,
      });
    },
  );

  inNamespace(`${title}, two namespaces: both have the same process id`, async () => {
    const namespaces = [await PidNamespace.open(), await PidNamespace.open()] as const;
    const target = newTarget();
    using watcher = Client.open(target, { create: { slots: 4 } });
    const serving = await startInside(namespaces[0], server, "server.ts", [target, "promise"]);
    const calling = await startInside(namespaces[1], client, "client.ts", [target, "promise"]);
    assert(programOf(serving) !== programOf(calling), "one process under two names");
    assertEquals(await calling.ask({ op: "burst", count: 50 }), { count: 50 });
    assertEquals(await calling.ask({ op: "request", payload: "pid" }), { text: `${somePid}` });

    // One dies with a request of the other in hand, and the other learns of it.
    calling.send({ op: "request", payload: "hold" });
    await serving.expect("holding 1");
    await killInside(serving);
    assertEquals((await calling.message<{ code?: string }>()).code, "SERVER_DIED");
    const { servers, serverDeaths, clients, clientDeaths } = watcher.stats();
    assertEquals({ servers, serverDeaths, clients, clientDeaths }, {
      servers: 0,
      serverDeaths: 1,
      clients: 2,
      clientDeaths: 0,
    });

    // The reverse: the caller dies, and the server goes on.
    const heir = await startInside(namespaces[0], server, "server.ts", [target, "promise"]);
    assertEquals(await calling.ask({ op: "fill", payload: "hold" }), { count: 4 });
    for (let slot = 0; slot < 4; slot++) await heir.expect("holding 1");
    await killInside(calling);
    // A client that needs a slot looks for the dead.
    const isRepaired = () => watcher.trySend("x") === null && watcher.stats().clientDeaths === 1;
    await eventually(isRepaired, "the caller is known to be dead");
    assertEquals(watcher.servers, 1, "and the server is not");
    await killInside(heir);
    await eventually(() => watcher.trySend("x"), "slots come back");
  });

  test(`${title}: a child keeps its parent's descriptors, and the parent's death is noticed`, async () => {
    const target = newTarget();
    using own = Client.open(target, { create: { slots: 4, maxDeliveries: 2 } });
    const heir = fixtureCommand(client, "identity.ts", ["heir"]);
    const parent = await spawn(server, "identity.ts", [target, "parent", JSON.stringify(heir)], {
      denoPermissions: ["--allow-all"],
    });
    await parent.expect("ready");
    // With a time-out, so that a failure leaves no process behind.
    const answer = doomed(own.request("x", { timeout: 30_000 }));
    assertEquals(await parent.ask("hold"), "holding");
    assertEquals(await parent.ask("fill"), 3);
    const heirPid = await parent.ask<number>("start");
    try {
      await parent.expect("ready");
      assertEquals(own.servers, 2);
      await parent.killed();
      // The child still has the descriptors. It gets the request, and nothing stays of the parent's
      // client either.
      assertEquals(text(await answer), `2 ${heirPid}`);
      await eventually(() => own.stats().clientDeaths === 1);
      const { servers, serverDeaths, inFlight } = own.stats();
      assertEquals({ servers, serverDeaths, inFlight }, {
        servers: 1,
        serverDeaths: 1,
        inFlight: 0,
      });
    } finally {
      process.kill(heirPid, "SIGKILL");
    }
    await eventually(() => own.servers === 0);
  });
}

for (const name of runtimes) {
  test(`${name}: a foreign program holds the descriptors of a dead parent, and the death is noticed`, async () => {
    const target = newTarget();
    using own = Client.open(target, { create: {} });
    const sleep = JSON.stringify(["/bin/sleep", "300"]);
    const parent = await spawn(name, "identity.ts", [target, "parent", sleep], {
      denoPermissions: ["--allow-all"],
    });
    await parent.expect("ready");
    // With a time-out, so that a failure leaves no process behind.
    const answer = doomed(own.request("x", { timeout: 30_000 }));
    assertEquals(await parent.ask("hold"), "holding");
    const sleeperPid = await parent.ask<number>("start");
    try {
      await parent.killed();
      await assertRejectsCode(answer, "SERVER_DIED");
    } finally {
      process.kill(sleeperPid, "SIGKILL");
    }
  });
}

async function startRacers(count: number): Promise<Child[]> {
  return await Promise.all(
    Array.from(
      { length: count },
      (_, index) => spawn(runtimes[index % 2]!, "identity.ts", ["race"]),
    ),
  );
}

/** Lets all open the channel at the same moment, and returns the results. */
async function race(
  racers: readonly Child[],
  target: string,
  how: (index: number) => Race["how"],
): Promise<Raced[]> {
  const at = Date.now() + 5;
  racers.forEach((racer, index) => racer.send({ target, how: how(index), at } satisfies Race));
  return await Promise.all(racers.map((racer) => racer.message<Raced>()));
}

/** All processes are on the same channel: each request reaches another server. */
async function checkTogether(target: string, raced: readonly Raced[]): Promise<void> {
  using own = Client.open(target);
  const servers = raced.filter(({ opened }) => opened === "open" || opened === "create").length;
  const { clients, servers: found } = own.stats();
  const opened = raced.filter(({ opened }) => opened === "client").length;
  assertEquals({ servers: found, clients: clients - 1 }, { servers, clients: opened });
  const answers = await Promise.all(Array.from({ length: servers }, () => own.request("who")));
  assertEquals(new Set(answers.map(text)).size, servers, "each of them answers one");
}

async function leave(racers: readonly Child[]): Promise<void> {
  for (const racer of racers) racer.send("leave");
  for (const racer of racers) await racer.expect("left");
}

for (const { server, client, title } of pairs) {
  test(`${title.replace("serves", "and")}: two servers that start at once share one channel`, async () => {
    const racers = [
      await spawn(server, "identity.ts", ["race"]),
      await spawn(client, "identity.ts", ["race"]),
    ];
    const rounds = size(10, 100);
    for (let round = 0; round < rounds; round++) {
      const target = newTarget();
      const raced = await race(racers, target, () => "open");
      assertEquals(raced, [{ opened: "open" }, { opened: "open" }]);
      await checkTogether(target, raced);
      await leave(racers);
    }
    tried(rounds, "starts of two servers at once");
  });
}

test("8 processes race to create a channel: all that open it are on the same one", async () => {
  const racers = await startRacers(8);
  const rounds = size(10, 100);
  for (let round = 0; round < rounds; round++) {
    const target = newTarget();
    // Sometimes over the leftovers of an interrupted create.
    if (round % 3 === 2) writeFileSync(target, new Uint8Array(round % 2 * 5000));
    // All open; all create; and a mixture.
    const how = ([
      () => "open",
      () => "create",
      (index) => (["open", "create", "client", "open"] as const)[(index + round) % 4]!,
    ] satisfies ((index: number) => Race["how"])[])[Math.floor(round / 2) % 3]!;
    const raced = await race(racers, target, how);
    const created = raced.filter(({ opened }) => opened === "create").length;
    const wanted = racers.filter((_, index) => how(index) === "create").length;
    // `create` makes the channel or reports EXISTS; the other forms succeed.
    assert(created <= 1, `${created} have created it`);
    assertEquals(raced.filter(({ code }) => code === "EXISTS").length, wanted - created);
    assertEquals(raced.filter(({ opened }) => opened).length, 8 - wanted + created);
    if (wanted === 8) assertEquals(created, 1);
    await checkTogether(target, raced);
    await leave(racers);
  }
  tried(rounds, "races of 8 processes to create a channel");
});
