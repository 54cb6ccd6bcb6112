/** Objects that the program has forgotten: what they held comes back, unless a promise waits for it. */
import { assertEquals } from "@std/assert";
import { Client, Server } from "../../mod.ts";
import {
  type Child,
  eventually,
  newTarget,
  present,
  type Runtime,
  runtimes,
  spawn,
  test,
  text,
} from "../support/harness.ts";

/** Starts a process that collects garbage all the time. */
async function start(runtime: Runtime, target: string, what: string): Promise<Child> {
  const child = await spawn(runtime, "garbage.ts", [target, what], {
    denoPermissions: ["--allow-ffi", "--v8-flags=--expose-gc"],
  });
  await child.expect(what);
  return child;
}

for (const name of runtimes) {
  test(`${name}: a forgotten call is cancelled and gives its slot back`, async () => {
    const target = newTarget();
    using server = Server.create(target, { slots: 3 });
    await start(name, target, "forget");
    await eventually(() => server.stats().inFlight === 0);
    assertEquals(server.stats().requests, 3);
    assertEquals(server.tryReceive(), null);
  });

  test(`${name}: a forgotten answer gives its slot back`, async () => {
    const target = newTarget();
    using server = Server.create(target, { slots: 3 });
    const child = await start(name, target, "forget-answers");
    for (let count = 0; count < 3; count++) present(await server.receive()).reply("x");
    child.send("forget");
    await eventually(() => server.stats().inFlight === 0);
  });

  for (const what of ["get", "ready", "request", "connect"]) {
    test(`${name}: a promise keeps the object that it waits for (${what})`, async () => {
      const target = newTarget();
      using server = Server.create(target);
      const child = await start(name, target, what);
      // Often enough to collect all garbage.
      for (let count = 0; count < 10; count++) await child.expect("collected");
      const request = present(await server.receive());
      assertEquals([request.cancelled, request.reply("x")], [false, true]);
      for (let line = await child.line(); line !== "answered"; line = await child.line()) {
        assertEquals(line, "collected");
      }
    });
  }

  test(`${name}: a server that is waited on is kept`, async () => {
    const target = newTarget();
    using client = Client.open(target, { create: {} });
    for (const what of ["receive", "serve", "iterate"]) {
      const child = await start(name, target, what);
      for (let count = 0; count < 10; count++) await child.expect("collected");
      assertEquals(text(await client.request("x")), what);
      await child.killed();
    }
  });

  test(`${name}: a request keeps its server, which the program has forgotten`, async () => {
    const target = newTarget();
    using client = Client.open(target, { create: {} });
    const answer = client.request("x".repeat(5000));
    const child = await start(name, target, "hold");
    for (let count = 0; count < 10; count++) await child.expect("collected");
    child.send("answer");
    assertEquals(text(await answer), "x".repeat(5000));
  });
}
