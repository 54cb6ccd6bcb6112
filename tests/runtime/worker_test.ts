/** Workers: threads of one process, each with handles of its own, that end while the process lives. */
import { assertEquals } from "@std/assert";
import { Client, Server } from "../../mod.ts";
import {
  assertRejectsCode,
  type Child,
  type ClientForm,
  doomed,
  eventually,
  newTarget,
  ownRuntime,
  present,
  type Runtime,
  spawn,
  startClient,
  test,
  text,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";
import { startThread } from "../support/threads.ts";

/** Starts a process whose main thread has no handle, and a Worker in it. */
async function startHost(runtime: Runtime, target: string, role: string): Promise<Child> {
  const host = await spawn(runtime, "worker_host.ts", [target, role], {
    // To load the Worker's module.
    denoPermissions: ["--allow-ffi", "--allow-read"],
  });
  await host.expect("ready");
  return host;
}

/** The process still has to be alive and healthy. */
async function assertAlive(host: Child): Promise<void> {
  host.send("ping");
  await host.expect("pong");
}

/** Whether the Worker of a host with the role `block-…` sleeps in native code. */
function isBlocked(watcher: Client, what: string): boolean {
  const { waitingServers, waitingClients, inFlight } = watcher.stats();
  if (what === "receive") return waitingServers === 1;
  return waitingClients === 1 && inFlight === (what === "request" ? 1 : 3);
}

const clientForms: readonly ClientForm[] = ["promise", "sync"];

for (const name of ownRuntime) {
  test(`${name}: a Worker serves from a thread of its own`, async () => {
    for (const role of ["serve", "serve-sync"]) {
      const target = newTarget();
      await startHost(name, target, role);
      using client = Client.open(target);
      for (let round = 0; round < 20; round++) {
        assertEquals(text(await client.request(`${round}`)), `${round}`);
      }
    }
  });

  test(`${name}: several Workers of one process serve and call each other`, async () => {
    const target = newTarget();
    const host = await startHost(name, target, "serve");
    host.send("start serve-sync");
    await host.expect("ready");
    host.send("start call");
    await host.expect("ready");
    await host.expect("called 50");
    using client = Client.open(target);
    assertEquals(client.servers, 2);
    // The clients' Worker has closed its handle and still runs.
    assertEquals(client.stats().clients, 1);
  });

  // Deno does not always end the thread of a Worker that is blocked when it is terminated, and while
  // the thread lives its handles do.
  const roles = name === "deno" ? ["hold", "hold-idle"] : ["hold", "hold-sync", "hold-idle"];
  for (const role of roles) {
    for (const form of clientForms) {
      test(`${name}: a Worker is terminated with a request in hand (${role}, ${form} client)`, async () => {
        const target = newTarget();
        const host = await startHost(name, target, role);
        const client = await startClient(name, target, form);
        client.send({ op: "request", payload: "x" });
        await host.expect("holding 1");
        host.send("terminate");
        const { code } = await client.message<{ code: string }>();
        assertEquals(code, "SERVER_DIED");
        await assertAlive(host);
        using watcher = Client.open(target);
        await eventually(() => watcher.servers === 0);
        assertEquals(watcher.stats().inFlight, 0);
      });
    }
  }

  for (const what of ["receive", "request", "send"]) {
    for (const end of ["exit", "throw"]) {
      test(`${name}: a process ends although its Worker blocks (${what}, ${end})`, async () => {
        const target = newTarget();
        using watcher = Client.open(target, { create: { slots: 3 } });
        const host = await startHost(name, target, `block-${what}`);
        await eventually(() => isBlocked(watcher, what));
        host.send(end);
        const { code, signal } = await host.exited;
        assertEquals([code, signal], [end === "exit" ? 7 : 1, null]);
      });
    }

    // The others leave the thread of a Worker to itself that is blocked when it is terminated.
    if (name !== "node") continue;
    test(`${name}: a Worker is terminated while it blocks (${what})`, async () => {
      const target = newTarget();
      using watcher = Client.open(target, { create: { slots: 3 } });
      const host = await startHost(name, target, `block-${what}`);
      await eventually(() => isBlocked(watcher, what));
      host.send("terminate");
      await eventually(() => watcher.stats().clients === 1 && watcher.servers === 0);
      assertEquals(watcher.stats().inFlight, 0);
      await assertAlive(host);
    });
  }

  test(`${name}: the request of a terminated Worker goes to another server`, async () => {
    using pair = openPair({ maxDeliveries: 2 });
    const { server, client, target } = pair;
    const host = await startHost(name, target, "hold");
    const answer = client.request("x");
    await host.expect("holding 1");
    const receiving = server.receive();
    host.send("terminate");
    const request = present(await receiving);
    assertEquals([request.text(), request.deliveries], ["x", 2]);
    request.reply("y");
    assertEquals(text(await answer), "y");
    await assertAlive(host);
  });

  for (const end of ["close", "throw"]) {
    test(`${name}: a Worker ends by itself with a request in hand (${end})`, async () => {
      const target = newTarget();
      const host = await startHost(name, target, `hold-${end}`);
      using client = Client.open(target);
      const answer = doomed(client.request("x"));
      await host.expect("holding 1");
      await assertRejectsCode(answer, "SERVER_DIED");
      await assertAlive(host);
      await eventually(() => client.servers === 0);
    });
  }

  test(`${name}: a Worker with calls in flight is terminated, and the slots come back`, async () => {
    const target = newTarget();
    using client = Client.open(target, { create: { slots: 3 } });
    const host = await startHost(name, target, "fill");
    await host.expect("filled 3");
    assertEquals(client.trySend("x"), null);
    const waiting = client.send("mine");
    host.send("terminate");
    const call = await waiting;
    // It frees slot by slot, and its entry in the participant table at the end.
    await eventually(() => client.stats().clients === 1);
    using server = Server.open(target);
    const request = present(server.tryReceive());
    assertEquals(request.text(), "mine");
    assertEquals(server.tryReceive(), null, "what the Worker had queued is gone");
    request.reply("y");
    assertEquals(text(await call.get()), "y");
    await assertAlive(host);
  });

  test(`${name}: Workers come and go, and nothing is left of them`, async () => {
    const target = newTarget();
    using client = Client.open(target, { create: {} });
    const host = await startHost(name, target, "hold");
    for (let round = 0; round < 5; round++) {
      const answer = doomed(client.request("x"));
      await host.expect("holding 1");
      host.send("terminate");
      await assertRejectsCode(answer, "SERVER_DIED");
      host.send("start hold");
      await host.expect("ready");
    }
    await eventually(() => client.servers === 1);
    assertEquals([client.stats().inFlight, client.stats().clients], [0, 1]);
  });

  test(`${name}: the process ends when its Worker has nothing to wait for`, async () => {
    const target = newTarget();
    const host = await startHost(name, target, "open");
    host.send("leave");
    await host.ended();
    using client = Client.open(target);
    assertEquals(client.servers, 0);
  });
}

test("a Worker of the test itself answers its main thread", async () => {
  const target = newTarget();
  using client = Client.open(target, { create: {} });
  const messages: string[] = [];
  const worker = startThread(new URL("../fixtures/worker.ts", import.meta.url), {
    onMessage: (message) => messages.push(String(message)),
    onError: (message) => messages.push(message),
  });
  worker.post({ target, role: "serve" });
  await eventually(() => messages.includes("ready"));
  assertEquals(text(await client.request("x")), "x");
  assertEquals(text(client.requestSync("y")), "y");
  worker.terminate();
  await eventually(() => client.servers === 0);
});
