/**
 * Wake-ups that are lost, stolen or late. A process is stopped or killed at the exact step in question:
 * fixtures/stopping.ts runs a library that stops there.
 *
 * Elsewhere: waiters that are killed asleep (death: "… killed asleep, waiting for a slot", "… killed
 * idle: others are not disturbed"; predecessor: P13b), sleepers that are stopped (stop: "requests go
 * round a stopped server …"), waiters whose call is over (predecessor: "a waiter with an old call …",
 * "several waits for a call whose slot is used again …"), late answers (predecessor: P32).
 */
import { assert, assertEquals } from "@std/assert";
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { Client, Server } from "../../mod.ts";
import {
  type Child,
  eventually,
  longEnough,
  newTarget,
  pairs,
  present,
  processState,
  type Runtime,
  runtimes,
  settled,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";
import { size } from "./size.ts";
import { does, standsStill, startStopping, stopsAt } from "./test_library.ts";

/** Waiting in a promise, with a doorbell, and blocking, with slices of time. */
const bothForms = ["serve", "sync"] as const;
type Form = typeof bothForms[number];
type Receive = "receive" | "receiveSync";

/** The forms to try in a pair of runtimes: each form in each runtime, or all of them in all. */
function formsOf(server: Runtime, client: Runtime): readonly Form[] {
  return size(0, 1) ? bothForms : [server === client ? "serve" : "sync"];
}

function receivesOf(server: Runtime, client: Runtime): readonly Receive[] {
  return formsOf(server, client).map((form) => form === "serve" ? "receive" : "receiveSync");
}

/** A server that is stopped after it took a request that is still in the ring, and another server. */
async function stopWithRequest(
  stopped: Runtime,
  other: Runtime,
  receive: Receive,
  text: string,
): Promise<Disposable & { own: Client; taker: Child; first: Promise<Uint8Array> }> {
  const target = newTarget();
  const own = Client.open(target, { create: { maxDeliveries: 2 } });
  const taker = await startStopping(stopped, target, "server");
  await stopsAt(taker, "taken", receive);
  const first = own.request(text);
  await standsStill(taker);
  await startServer(other, target, "serve");
  return { own, taker, first, [Symbol.dispose]: () => own.close() };
}

/** An idle server, asleep. */
async function startSleeper(runtime: Runtime, target: string, form: Form): Promise<Child> {
  const server = await startServer(runtime, target, form);
  await settled(server);
  return server;
}

/**
 * Lets a client ring the server with its request `first`, and stop after that. Returns what waits for its answer.
 * A blocked server looks by itself now and then, and may take the request unrung: then the client tries again.
 */
async function ringsAndStops(own: Client, ringer: Child): Promise<() => Promise<string>> {
  for (let replies = 1;; replies++) {
    await stopsAt(ringer, "rung", "request first");
    await eventually(() => own.stats().replies === replies, "the server takes it");
    let isAnswered = false;
    const answer = ringer.line().finally(() => isAnswered = true);
    await eventually(
      () => isAnswered || processState(ringer.pid).state === "T",
      "the client stops or goes on",
    );
    if (!isAnswered) return () => answer;
    assertEquals(await answer, "first");
  }
}

for (const { server, client, title } of pairs) {
  const forms = formsOf(server, client);
  const receives = receivesOf(server, client);

  test(`${title}: a client is stopped between publishing and ringing`, async () => {
    for (const form of forms) {
      const target = newTarget();
      using own = Client.open(target, { create: {} });
      const ringer = await startStopping(client, target, "client");
      await startSleeper(server, target, form);
      const { wakeups } = own.stats();
      await stopsAt(ringer, "published", "request first");
      await standsStill(ringer);
      assertEquals(own.stats().wakeups, wakeups, "no bell rang");
      // The next client rings, and the server takes both requests. A blocked server looks by itself.
      if (form === "serve") assertEquals(text(await own.request("second")), "second");
      await eventually(() => own.stats().replies === (form === "serve" ? 2 : 1), "it is taken");
      ringer.kill("SIGCONT");
      await ringer.expect("first");
    }
  });

  for (const command of ["post", "request"]) {
    test(`${title}: a client is killed between publishing a ${command} and ringing`, async () => {
      for (const form of forms) {
        const target = newTarget();
        using own = Client.open(target, { create: {} });
        const ringer = await startStopping(client, target, "client");
        await startSleeper(server, target, form);
        await stopsAt(ringer, "published", `${command} x`);
        await standsStill(ringer);
        await ringer.killed();
        // Only the death can wake the server. A posted request outlives its sender.
        if (command === "post") await eventually(() => own.stats().replies === 1, "it is served");
        await eventually(() => own.stats().clientDeaths === 1, "the death is noticed");
        // The request of a dead client is dropped, but a blocked server may have taken it before.
        await eventually(() => own.stats().inFlight === 0);
        if (command === "request" && form === "serve") assertEquals(own.stats().replies, 0);
        assertEquals(text(await own.request("y")), "y");
      }
    });
  }

  test(`${title}: a client is stopped between ringing and marking`, async () => {
    for (const form of forms) {
      const target = newTarget();
      using own = Client.open(target, { create: {} });
      const ringer = await startStopping(client, target, "client");
      const serving = await startSleeper(server, target, form);
      const answer = await ringsAndStops(own, ringer);
      // It sleeps again, and the late mark of its last sleep must not hide this one.
      await settled(serving);
      ringer.kill("SIGCONT");
      assertEquals(await answer(), "first");
      if (form === "serve") assertEquals(own.stats().waitingServers, 1);
      const { wakeups } = own.stats();
      assertEquals(text(await own.request("second")), "second");
      if (form === "serve") assert(own.stats().wakeups > wakeups, "it was rung");
    }
  });

  for (const dying of ["the one that was rung", "the one that rang"]) {
    test(`${title}: a wake-up is stolen by a stopped server, and ${dying} dies`, async () => {
      for (const form of forms) {
        const target = newTarget();
        using own = Client.open(target, { create: {} });
        const ringer = await startStopping(client, target, "client");
        // The first in the table is the one that is rung.
        const first = await startSleeper(server, target, form);
        await startSleeper(client, target, form);
        await first.stopped();
        // The ringing client would soon look for another server, if it could.
        await stopsAt(ringer, "rung", "post x");
        await standsStill(ringer);
        if (form === "serve") assertEquals(own.stats().replies, 0);
        await (dying === "the one that rang" ? ringer : first).killed();
        await eventually(() => own.stats().replies === 1, `${form}: the other one serves it`);
      }
    });
  }

  test(`${title}: a wake-up is stolen by a stopped server, and the one that rang leaves`, async () => {
    for (const form of forms) {
      const target = newTarget();
      using own = Client.open(target, { create: {} });
      const ringer = await startStopping(client, target, "client");
      const first = await startSleeper(server, target, form);
      await startSleeper(client, target, form);
      await first.stopped();
      // In one turn of its event loop, before it can look again.
      ringer.send("post x\nleave");
      await ringer.expect("posted");
      await ringer.expect("left");
      await eventually(() => own.stats().replies === 1, `${form}: the other one serves it`);
    }
  });

  test(`${title}: a server is stopped between announcing its sleep and looking`, async () => {
    for (const receive of receives) {
      const target = newTarget();
      using own = Client.open(target, { create: {} });
      const sleeper = await startStopping(client, target, "server");
      await stopsAt(sleeper, "announced", receive);
      await standsStill(sleeper);
      const other = await startServer(server, target, "serve");
      for (let round = 0; round < 3; round++) {
        await settled(other);
        // The stopped one is rung first.
        assertEquals(text(await own.request("x")), "x");
      }
      await other.killed();
      const answer = own.request("y");
      sleeper.kill("SIGCONT");
      assertEquals(text(await answer), "y 1");
      await sleeper.expect("y 1");
    }
  });

  test(`${title}: a server is stopped while the request that it took is still in the ring`, async () => {
    for (const receive of receives) {
      using scene = await stopWithRequest(server, client, receive, "first");
      const { own, taker, first } = scene;
      // It blocks no other server, and keeps its request.
      for (let round = 0; round < 5; round++) assertEquals(text(await own.request("x")), "x");
      assertEquals(text(own.requestSync("x")), "x");
      assertEquals(own.stats().serverDeaths, 0);
      taker.kill("SIGCONT");
      assertEquals(text(await first), "first 1");
      await taker.expect("first 1");
    }
  });

  test(`${title}: a server is killed while the request that it took is still in the ring`, async () => {
    for (const receive of receives) {
      using scene = await stopWithRequest(server, client, receive, "hold-once");
      const { own, taker, first } = scene;
      await taker.killed();
      assertEquals(text(await first), "delivery 2");
      // The channel counts an answer a moment after the client sees it.
      await eventually(() => own.stats().replies > 0);
      const { serverDeaths, redelivered, replies, inFlight } = own.stats();
      assertEquals({ serverDeaths, redelivered, replies, inFlight }, {
        serverDeaths: 1,
        redelivered: 1,
        replies: 1,
        inFlight: 0,
      });
    }
  });

  for (const command of ["request", "requestSync"]) {
    test(`${title}: a ${command} that was rung for a free slot is stopped`, async () => {
      using pair = openPair({ slots: 1 });
      const { server: own, client: filling, target } = pair;
      const names = ["first", "second", "third"];
      const waiting: Child[] = [];
      for (const name of names) {
        // The first in the table is the one that is rung first.
        const child = await startStopping(name === "second" ? server : client, target, "client");
        waiting.push(child);
      }
      filling.post("x");
      const held = present(own.tryReceive());
      for (const [index, child] of waiting.entries()) {
        child.send(`${command} ${names[index]}`);
        await settled(child);
      }
      const [first, second, third] = waiting as [Child, Child, Child];
      await first.stopped();
      await second.stopped();
      held.reply();
      const request = present(await own.receive());
      assertEquals(request.text(), "third");
      request.reply("y");
      await third.expect("y");
      for (const child of [first, second]) child.kill("SIGCONT");
      for (let left = 2; left > 0; left--) present(await own.receive()).reply("z");
      for (const child of [first, second]) await child.expect("z");
    });
  }

  test(`${title}: a server is stopped between answering and ringing`, async () => {
    const target = newTarget();
    using _maker = Client.open(target, { create: {} });
    const responder = await startStopping(server, target, "server");
    const caller = await startStopping(client, target, "client");
    // A blocked server looks by itself.
    await stopsAt(responder, "answered", "receive");
    await does(caller, "requestSync x", "x 1");
    await standsStill(responder);
    responder.kill("SIGCONT");
    await responder.expect("x 1");

    // A promise waits for that server, as if it had been stopped a step earlier.
    caller.send("request y");
    await settled(caller);
    await stopsAt(responder, "answered", "receive");
    await standsStill(responder);
    responder.kill("SIGCONT");
    await caller.expect("y 1");
    await responder.expect("y 1");

    // If it dies there, it has still answered.
    caller.send("request z");
    await settled(caller);
    await stopsAt(responder, "answered", "receive");
    await standsStill(responder);
    await responder.killed();
    await caller.expect("z 1");
  });
}

/** Scribbles: the first entry of the ring is in all of its cells. */
function fillRing(path: string): void {
  const [tailOffset, ringOffset, cells] = [256, 4096 + 1024 * 256, 4096];
  const file = openSync(path, "r+");
  try {
    const entry = new BigUint64Array(1);
    readSync(file, new Uint8Array(entry.buffer), 0, 8, ringOffset);
    assert(entry[0] !== 0n, "there is an entry");
    const ring = new BigUint64Array(cells).fill(entry[0]!);
    writeSync(file, new Uint8Array(ring.buffer), 0, ring.byteLength, ringOffset);
    writeSync(file, new Uint8Array(BigUint64Array.of(BigInt(cells)).buffer), 0, 8, tailOffset);
  } finally {
    closeSync(file);
  }
}

test("a promise that waits beside a free slot for room in the ring is woken, though no bell rings for it", async () => {
  using pair = openPair({ slots: 2 });
  const { server, client, target } = pair;
  const first = client.request("first");
  fillRing(target);
  const second = client.request("second");
  await eventually(() => server.stats().waitingClients === 1, "it sleeps");
  const held = present(server.tryReceive());
  assertEquals(held.text(), "first");
  const request = present(await server.receive());
  assertEquals(request.text(), "second");
  request.reply("2");
  held.reply("1");
  assertEquals(await Promise.all([first, second].map(async (answer) => text(await answer))), [
    "1",
    "2",
  ]);
});

for (const name of runtimes) {
  test(`${name}: a server is stopped before it rings: the deadline finds the answer`, async () => {
    const target = newTarget();
    using own = Client.open(target, { create: {} });
    await longEnough(500, async (timeout) => {
      const { timeouts } = own.stats();
      const responder = await startStopping(name, target, "server");
      await does(responder, "arm answered", "armed");
      let isLate = false;
      const answer = own.request("x", { timeout }).then(text, () => isLate = true);
      responder.send("receive");
      await eventually(
        () => isLate || processState(responder.pid).state === "T",
        "the server stops, or the request came too late",
      );
      const found = await answer;
      await responder.killed();
      if (isLate) return false;
      assertEquals(found, "x 1");
      assertEquals(own.stats().timeouts, timeouts);
      return true;
    });
  });

  test(`${name}: a channel is unlinked while a client is stopped with a draft`, async () => {
    for (const command of ["request", "requestSync", "post"]) {
      const target = newTarget();
      using server = Server.create(target, { slots: 1 });
      const client = await startStopping(name, target, "client");
      await stopsAt(client, "drafted", `${command} x`);
      await standsStill(client);
      server.unlink();
      client.kill("SIGCONT");
      // The calls of that moment were ended; no participant will end this one.
      await client.expect("NOT_FOUND");
      assertEquals(server.stats().inFlight, 0);
      assertEquals(server.tryReceive(), null);
    }
  });

  test(`${name}: a newcomer is stopped, then killed, before it has announced itself`, async () => {
    const target = newTarget();
    using own = Client.open(target, { create: {} });
    const serving = await startSleeper(name, target, "serve");
    const newcomer = await startStopping(name, target);
    await stopsAt(newcomer, "joined", "open server");
    await standsStill(newcomer);
    assertEquals(own.servers, 2);
    for (let round = 0; round < 3; round++) {
      await settled(serving);
      assertEquals(text(await own.request("x")), "x");
    }
    await newcomer.killed();
    await eventually(() => own.servers === 1);
    assertEquals(text(await own.request("x")), "x");
  });

  test(`${name}: a killed sleeper's place is taken by one that does not sleep`, async () => {
    const target = newTarget();
    using own = Client.open(target, { create: {} });
    const dead = await startSleeper(name, target, "serve");
    const other = await startSleeper(name, target, "serve");
    await dead.killed();
    await eventually(() => own.stats().serverDeaths === 1);
    // At the index of the dead one, whose bit still says that a server sleeps there.
    using successor = Server.open(target);
    for (let round = 0; round < 5; round++) {
      await settled(other);
      const { waitingServers, wakeups } = own.stats();
      assertEquals(waitingServers, 1);
      assertEquals(text(await own.request("x")), "x");
      assert(own.stats().wakeups > wakeups, "the sleeper was rung");
    }
    assertEquals(successor.tryReceive(), null);
  });
}
