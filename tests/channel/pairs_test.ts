/** Every ordered pair of runtimes, as two real processes, in every form. */
import { assertEquals } from "@std/assert";
import { Server } from "../../mod.ts";
import {
  type ClientForm,
  eventually,
  newTarget,
  pairs,
  runtimes,
  type ServerForm,
  startClient,
  startServer,
  test,
} from "../support/harness.ts";

const serverForms: readonly ServerForm[] = ["try", "sync", "promise", "iterate", "serve"];
const clientForms: readonly ClientForm[] = ["try", "sync", "promise"];

for (const { server, client, title } of pairs) {
  for (const serverForm of serverForms) {
    test(`${title}: a ${serverForm} server answers clients of all forms`, async () => {
      const target = newTarget();
      const serving = await startServer(server, target, serverForm, { slots: 16 });
      const clients = await Promise.all(
        clientForms.map((form) => startClient(client, target, form)),
      );
      // All at once: each answer has to reach its own caller.
      const answers = clients.map((child) => child.ask({ op: "burst", count: 200 }));
      assertEquals(await Promise.all(answers), clientForms.map(() => ({ count: 200 })));
      const [last] = clients;
      assertEquals(await last?.ask({ op: "request", payload: "stop" }), { text: "stopping" });
      for (const child of clients) child.end();
      // Nothing keeps any of them alive.
      await Promise.all([serving, ...clients].map((child) => child.ended()));
      await serving.expect(`served ${200 * clients.length + 1}`);
    });
  }

  for (const count of [1, 4, 64]) {
    test(`${title}: timers have their turn while ${count} calls follow one another`, async () => {
      const target = newTarget();
      const serving = await startServer(server, target, "serve");
      const calling = await startClient(client, target, "promise");
      assertEquals(await calling.ask({ op: "ticks", count }), { count });
      assertEquals(await calling.ask({ op: "request", payload: "stop" }), { text: "stopping" });
      calling.end();
      await Promise.all([serving.ended(), calling.ended()]);
    });
  }

  test(`${title}: serveSync ends after its idle time-out`, async () => {
    const target = newTarget();
    using _maker = Server.create(target);
    const calling = await startClient(client, target, "sync");
    calling.send({ op: "burst", count: 50 });
    const serving = await startServer(server, target, "serveSync");
    assertEquals(await calling.message(), { count: 50 });
    assertEquals(await calling.ask({ op: "request", payload: "stop" }), { text: "stopping" });
    await serving.expect("served 51");
    await serving.ended();
  });

  test(`${title}: a request waits until its server comes, and survives its server's restart`, async () => {
    const target = newTarget();
    const first = await startServer(server, target, "serve");
    const calling = await startClient(client, target, "promise");
    assertEquals(await calling.ask({ op: "request", payload: "stop" }), { text: "stopping" });
    await first.ended();
    calling.send({ op: "request", payload: "ping" });
    // Its answer shows that the previous request was sent.
    calling.send({ op: "stats" });
    const { queued, servers } = await calling.message<{ queued: number; servers: number }>();
    assertEquals({ queued, servers }, { queued: 1, servers: 0 });
    const second = await startServer(server, target, "sync");
    assertEquals(await calling.message(), { text: "ping" });
    assertEquals(await calling.ask({ op: "request", payload: "pid" }), { text: `${second.pid}` });
  });
}

test("several servers of all runtimes share the requests of several clients", async () => {
  const target = newTarget();
  const servers = await Promise.all(
    runtimes.flatMap((runtime) => [
      startServer(runtime, target, "serve"),
      startServer(runtime, target, "sync"),
    ]),
  );
  const clients = await Promise.all([
    startClient("deno", target, "promise"),
    startClient("bun", target, "sync"),
    startClient("node", target, "promise"),
  ]);
  const answers = await Promise.all(clients.map((child) => child.ask({ op: "burst", count: 500 })));
  assertEquals(answers, clients.map(() => ({ count: 500 })));
  // In sequence, because the server that stops answers first and then closes.
  for (let left = servers.length - 1; left >= 0; left--) {
    assertEquals(await clients[0]?.ask({ op: "request", payload: "stop" }), { text: "stopping" });
    await eventually(() => servers.filter((child) => child.isRunning).length === left);
  }
  let served = 0;
  for (const child of servers) {
    await child.ended();
    served += Number((await child.line()).split(" ")[1]);
  }
  assertEquals(served, 500 * clients.length + servers.length, "no request was taken twice");
});
