/** Stopped processes (SIGSTOP) are not dead, and block only the callers whose requests they hold. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Client, Server } from "../../mod.ts";
import { RequestCore } from "../../src/channel/request_core.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  type Child,
  doomed,
  eventually,
  longEnough,
  newTarget,
  present,
  processState,
  runtime,
  runtimes,
  settled,
  startClient,
  startServer,
  test,
  text,
} from "../support/harness.ts";

/** Stops a process, and waits until it is. */
async function stop(child: Child): Promise<void> {
  child.kill("SIGSTOP");
  await eventually(() => processState(child.pid).state === "T", "the process stands still");
}

for (const name of runtimes) {
  test(`${name}: a stopped server keeps the request that it holds`, async () => {
    for (const form of ["serve", "sync"] as const) {
      const target = newTarget();
      const server = await startServer(name, target, form, { maxDeliveries: 3 });
      using client = Client.open(target);
      // Another server, which must not get the request: no server has died.
      using other = Server.open(target);
      const call = await client.send("hold");
      await server.expect("holding 1");
      await stop(server);
      // Both look for the dead while they wait.
      const receiving = other.receive({ timeout: 300 });
      assertThrowsCode(() => call.getSync({ timeout: 200 }), "TIMEOUT");
      await assertRejectsCode(call.get({ timeout: 200 }), "TIMEOUT");
      assertEquals(await receiving, null);
      const { serverDeaths, servers, inFlight } = client.stats();
      assertEquals({ serverDeaths, servers, inFlight }, {
        serverDeaths: 0,
        servers: 2,
        inFlight: 1,
      });
      assertEquals(call.cancel(), true);
      server.kill("SIGCONT");
    }
  });

  test(`${name}: a server that was stopped for a while answers after all`, async () => {
    const target = newTarget();
    const server = await startServer(name, target, "serve");
    using client = Client.open(target);
    assertEquals(text(await client.request("before")), "before");
    await settled(server);
    await stop(server);
    const [late, timed] = [client.request("late"), doomed(client.request("x", { timeout: 100 }))];
    await assertRejectsCode(timed, "TIMEOUT");
    assertEquals(client.servers, 1);
    server.kill("SIGCONT");
    assertEquals(text(await late), "late");
    assertEquals(text(client.requestSync("after")), "after");
    assertEquals(client.stats().serverDeaths, 0);
    assertEquals(await client.request("stop").then(text), "stopping");
    // The request that timed out was never delivered.
    await server.expect("served 4");
  });

  test(`${name}: requests go round a stopped server to one that sleeps`, async () => {
    for (const form of ["serve", "sync"] as const) {
      const target = newTarget();
      using client = Client.open(target, { create: {} });
      const stopped = await startServer(name, target, form);
      const working = await startServer(name, target, form);
      for (const server of [stopped, working]) await settled(server);
      await stop(stopped);
      for (let round = 0; round < 5; round++) {
        // The stopped one may be rung first each time.
        assertEquals(text(await client.request("pid")), String(working.pid));
        await settled(working);
      }
      assertEquals(text(client.requestSync("pid")), String(working.pid));
      stopped.kill("SIGCONT");
      await stop(working);
      assertEquals(text(await client.request("pid")), String(stopped.pid));
      assertEquals([client.servers, client.stats().serverDeaths], [2, 0]);
    }
  });

  test(`${name}: a stopped client gets its answer when it goes on`, async () => {
    for (const form of ["promise", "sync"] as const) {
      const target = newTarget();
      using server = Server.create(target, { slots: 2 });
      const client = await startClient(name, target, form);
      client.send({ op: "request", payload: "x" });
      const request = present(await server.receive());
      await settled(client);
      await stop(client);
      assertEquals(request.reply("y"), true);
      // It holds one slot, and keeps it even if others need slots.
      using other = Client.open(target);
      using _call = present(other.trySend("in the second slot"));
      assertThrowsCode(() => other.sendSync("no slot", { timeout: 200 }), "BUSY");
      await assertRejectsCode(other.send("no slot", { timeout: 200 }), "BUSY");
      assertEquals(server.stats().clientDeaths, 0);
      client.kill("SIGCONT");
      assertEquals(await client.message(), { text: "y" });
    }
  });

  test(`${name}: a stopped server that is killed is dead`, async () => {
    const target = newTarget();
    const server = await startServer(name, target, "serve");
    using client = Client.open(target);
    const answer = doomed(client.request("hold"));
    await server.expect("holding 1");
    await stop(server);
    await server.killed();
    const error = await assertRejectsCode(answer, "SERVER_DIED");
    assertStringIncludes(error.message, "maxDeliveries");
  });

  test(`${name}: a stopped bystander holds up no repair`, async () => {
    const target = newTarget();
    using client = Client.open(target, { create: {} });
    const server = await startServer(name, target, "serve");
    const answer = doomed(client.request("hold"));
    await server.expect("holding 1");
    const bystanders = [
      await startServer(name, target, "serve"),
      await startClient(name, target, "promise"),
    ];
    for (const bystander of bystanders) {
      await settled(bystander);
      await stop(bystander);
    }
    await server.killed();
    await assertRejectsCode(answer, "SERVER_DIED");
  });
}

/** Lets the next look at the time that a request has left find half of it, as a look at an older clock does. */
function readClockTooEarly(look: () => void): void {
  const { prototype } = RequestCore;
  const real = Object.getOwnPropertyDescriptor(prototype, "timeRemaining")!;
  const get = function (this: RequestCore) {
    return real.get!.call(this) / 2;
  };
  Object.defineProperty(prototype, "timeRemaining", { ...real, get });
  try {
    look();
  } finally {
    Object.defineProperty(prototype, "timeRemaining", real);
  }
}

test("a client is stopped: the signal of its request aborts at the deadline, also after a look that came too early", async () => {
  const target = newTarget();
  using server = Server.create(target);
  const client = await startClient(runtime, target, "promise");
  await longEnough(1_000, async (timeout) => {
    client.send({ op: "request", payload: "x", options: { timeout } });
    const request = await server.receive({ timeout: 2 * timeout });
    if (!request) {
      // It was over before this process could take it.
      assertEquals((await client.message<{ code: string }>()).code, "TIMEOUT");
      return false;
    }
    await stop(client);
    readClockTooEarly(() => void request.signal);
    await eventually(() => request.signal.aborted, "the signal aborts");
    assertEquals(request.cancelled, true);
    return true;
  });
});
