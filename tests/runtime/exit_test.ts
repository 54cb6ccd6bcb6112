/** Pending promises keep a process alive, and an idle process does nothing. */
import { assert, assertEquals } from "@std/assert";
import { Client, Server } from "../../mod.ts";
import {
  type Child,
  eventually,
  newTarget,
  ownRuntime,
  present,
  processState,
  type Runtime,
  settled,
  sleep,
  spawn,
  test,
  text,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

async function start(runtime: Runtime, target: string, what: string): Promise<Child> {
  const child = await spawn(runtime, "exit.ts", [target, what]);
  await child.expect(what);
  return child;
}

for (const name of ownRuntime) {
  for (const what of ["open", "used", "timed-out", "aborted", "held", "call", "closed"]) {
    test(`${name}: an open handle without a pending promise lets the process end (${what})`, async () => {
      const target = newTarget();
      using _maker = Server.create(target);
      const child = await start(name, target, what);
      await child.ended();
    });
  }

  test(`${name}: a pending receive keeps the process alive`, async () => {
    for (const what of ["receive", "iterate", "serve"]) {
      const target = newTarget();
      using client = Client.open(target, { create: {} });
      const child = await start(name, target, what);
      // Enough time to end, if it did.
      await settled(child);
      assert(child.isRunning, child.describe());
      assertEquals(text(await client.request("x")), what);
      await child.ended();
    }
  });

  test(`${name}: handlers in progress keep the process alive, for any kind of wait`, async () => {
    const target = newTarget();
    using client = Client.open(target, { create: {} });
    const child = await start(name, target, "busy");
    const call = await client.send("x");
    await eventually(() => client.stats().queued === 0);
    await settled(child);
    assert(child.isRunning, child.describe());
    call.cancel();
    await child.expect("ended");
    await child.ended();
  });

  test(`${name}: a pending answer keeps the process alive`, async () => {
    for (const what of ["request", "get", "ready"]) {
      const target = newTarget();
      using server = Server.create(target);
      const child = await start(name, target, what);
      const request = present(await server.receive());
      await settled(child);
      assert(child.isRunning, child.describe());
      request.reply("y");
      await child.expect("answered");
      await child.ended();
    }
  });

  test(`${name}: a promise for a slot keeps the process alive`, async () => {
    using pair = openPair({ slots: 1 });
    const { server, client, target } = pair;
    const call = present(client.trySend("in the way"));
    const child = await start(name, target, "request");
    await settled(child);
    assert(child.isRunning, child.describe());
    call.release();
    present(await server.receive()).reply("y");
    await child.expect("answered");
    await child.ended();
  });

  test(`${name}: a pending connect keeps the process alive`, async () => {
    const target = newTarget();
    const child = await start(name, target, "connect");
    await sleep(100);
    assert(child.isRunning, child.describe());
    using _server = Server.create(target);
    await child.expect("connected");
    await child.ended();
  });

  test(`${name}: the last promise to end lets the process end`, async () => {
    const target = newTarget();
    using server = Server.create(target);
    const child = await start(name, target, "two");
    present(await server.receive()).reply("1");
    await child.expect("first");
    await settled(child);
    assert(child.isRunning, child.describe());
    present(await server.receive()).reply("2");
    await child.expect("second");
    await child.ended();
  });

  test(`${name}: a process that waits for requests and answers does nothing meanwhile`, async () => {
    const target = newTarget();
    using server = Server.create(target, { slots: 4 });
    // The same runtime with a descriptor in its event loop and nothing of this package's.
    const plain = await spawn(name, "exit.ts", [target, "plain"], {
      denoPermissions: ["--allow-all"],
    });
    await plain.expect("plain");
    const idle = await start(name, target, "idle");
    const held = present(await server.receive());
    await Promise.all([settled(plain), settled(idle)]);
    // A hidden timer or loop would show in every window; other work of the machine,
    // and a runtime's garbage collection, only in some.
    let found = "";
    for (let window = 0; window < 10; window++) {
      const before = [processState(plain.pid), processState(idle.pid)];
      await sleep(1000);
      const after = [processState(plain.pid), processState(idle.pid)];
      const sleeps = after.map((state, index) => state.sleeps - before[index]!.sleeps);
      const cpu = after.map((state, index) =>
        state.cpuMilliseconds - before[index]!.cpuMilliseconds
      );
      // The slowest timer that could hide would be 20 sleeps, and each tick of the
      // processor's clock is 10 ms.
      if (sleeps[1]! <= sleeps[0]! + 10 && cpu[1]! <= cpu[0]! + 10) {
        found = "";
        break;
      }
      found = `${sleeps[1]} sleeps, ${sleeps[0]} without; ${cpu[1]} ms of CPU, ${cpu[0]} without`;
    }
    assertEquals(found, "");
    // It wakes at once.
    held.reply("z");
    await idle.expect("answered");
    using client = Client.open(target);
    assertEquals(text(await client.request("x")), "idle");
  });

  test(`${name}: an idle process has no threads for its handles`, async () => {
    const target = newTarget();
    using server = Server.create(target);
    const plain = await spawn(name, "exit.ts", [target, "plain"], {
      denoPermissions: ["--allow-all"],
    });
    await plain.expect("plain");
    const many = await start(name, target, "many");
    await eventually(() => server.stats().waitingServers === 20);
    await Promise.all([settled(plain), settled(many)]);
    const [without, with20] = [processState(plain.pid).threads, processState(many.pid).threads];
    // Runtimes start and end their own threads at any time.
    assert(with20 < without + 10, `${with20} threads, ${without} without`);
  });
}
