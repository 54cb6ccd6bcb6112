/** Connections that are slow to come, or never do, and options that cannot work. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { connect, type NatsOptions, serve, topic, withOptions } from "../../mod.ts";
import { loadClient } from "../../src/nats/client.ts";
import { linksClosed } from "../../src/nats/link.ts";
import { Limit } from "../../src/limit/main.ts";
import { Node } from "../../src/node/main.ts";
import {
  afterEnd,
  assertRejectsCode,
  atEnd,
  doomed,
  eventually,
  longEnough,
  test,
} from "../support/harness.ts";
import { hasNats, natsAddress, newNatsTarget } from "../support/nats.ts";
import { startNatsServer } from "../support/nats_server.ts";
import { NatsProxy } from "../support/nats_proxy.ts";

const skip = hasNats ? null : "scripts/setup --tests installs a NATS server";

interface Api {
  ping(): string;
}

/** Takes connections, and says nothing, or no more than the first words of a NATS server. */
async function mute(
  greeting = "",
): Promise<{ address: string; opened: Socket[]; open: Set<Socket> }> {
  const opened: Socket[] = [];
  const open: Set<Socket> = new Set();
  const server = createServer((socket) => {
    opened.push(socket);
    open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => void open.delete(socket));
    socket.resume();
    if (greeting) socket.write(greeting);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterEnd(linksClosed);
  atEnd(async () => {
    for (const socket of open) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, opened, open };
}

const info =
  'INFO {"server_id":"x","version":"2.11.1","proto":1,"max_payload":1048576,"headers":true}\r\n';

for (const [what, greeting] of [["says nothing", ""], ["falls silent", info]] as const) {
  test(`NATS: a server that ${what}: no attempt to connect leaves a socket`, async () => {
    const { address, opened, open } = await mute(greeting);
    const nats: NatsOptions = { timeout: 100 };
    using remote = connect<Api>(`nats://${address}/mute`, { timeout: 1_000, nats });
    await assertRejectsCode(remote.ping(), "DISCONNECTED");
    await eventually(() => opened.length > 1 && open.size <= 1);
  });

  test(`NATS: a server that ${what}: a remote that is closed ends the attempt`, async () => {
    const { address, opened, open } = await mute(greeting);
    const remote = connect<Api>(`nats://${address}/mute`, { timeout: 200 });
    await assertRejectsCode(remote.ping(), "TIMEOUT");
    assertEquals([opened.length, open.size], [1, 1]);
    remote[Symbol.dispose]();
    await eventually(() => open.size === 0);
  });
}

test("NATS: the connection is set up though no call can wait that long", async () => {
  await using proxy = await NatsProxy.start(Number(natsAddress().split(":")[1]));
  const target = newNatsTarget();
  await using service = serve(target, { ping: () => "pong" });
  await service.ready;
  proxy.hold();
  using remote = connect<Api>(target.replace(natsAddress(), proxy.address), { timeout: 50 });
  await assertRejectsCode(remote.ping(), "TIMEOUT", "set up");
  proxy.release();
  assertEquals(await withOptions(remote, { timeout: 30_000 }).ping(), "pong");
  assertEquals(proxy.connections, 1);
}, { skip });

test("NATS: a call that nobody has taken ends with BUSY, also far from the server", async () => {
  await using proxy = await NatsProxy.start(Number(natsAddress().split(":")[1]));
  const target = newNatsTarget();
  const gate = Promise.withResolvers<void>();
  const api = { hold: () => gate.promise, ping: () => "pong" };
  await using service = serve(target, api, { concurrency: 1 });
  await service.ready;
  using remote = connect<typeof api>(target.replace(natsAddress(), proxy.address));
  const held = remote.hold();
  await eventually(() => service.stats().inFlight === 1);
  try {
    proxy.delay = 40;
    for (const timeout of [300, 320, 340]) {
      await assertRejectsCode(withOptions(remote, { timeout }).ping(), "BUSY");
    }
  } finally {
    gate.resolve();
    await held;
  }
}, { skip });

/** What the action throws at once. */
function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

const wrongOptions: readonly unknown[] = [
  null,
  5,
  [],
  { connection: {} },
  { connection: null },
  { inboxPrefix: "" },
  { inboxPrefix: "a.*" },
  { user: 5 },
  { pass: 5 },
  { token: {} },
  { name: 5 },
  { authenticator: "x" },
  { tls: true },
  { timeout: "1" },
  { timeout: NaN },
  { prefix: "a b" },
];

test("NATS: options that cannot work are refused at once, wherever they are given", async () => {
  const target = "nats://127.0.0.1:1/name";
  for (const wrong of wrongOptions) {
    const nats = wrong as NatsOptions;
    const actions = [
      () => serve(target, { ping: () => "pong" }, { nats }),
      () => connect(target, { nats }),
      () => topic(target, { nats }),
      () => new Limit(target, { nats }),
    ];
    for (const action of actions) {
      const error = thrownBy(action);
      assert(error instanceof TypeError || error instanceof RangeError, JSON.stringify(wrong));
    }
    if (wrong === null) continue;
    const started = await Node.start({ network: "nats://127.0.0.1:1", nats }).catch((error) =>
      error
    );
    assert(started instanceof TypeError || started instanceof RangeError, JSON.stringify(wrong));
  }
  const secrets: unknown[] = [
    "nats://web:8642@host",
    { pass: 8642 },
    { connection: "nats://web:8642@host" },
    { authenticator: "8642" },
    { tls: "8642" },
    { timeout: "8642" },
  ];
  for (const nats of secrets) {
    const { message } = thrownBy(() => connect(target, { nats: nats as NatsOptions })) as Error;
    assert(!message.includes("8642"), message);
  }
});

test("NATS: messages hide the password of a target, also of one that is wrong", async () => {
  for (const login of ["web:8642", "web:86@8642", "8642", "web:%408642"]) {
    const target = `nats://${login}@127.0.0.1:1/name`;
    using remote = connect<Api>(target, { timeout: 50 });
    assertEquals(String(remote), "[Remote nats://127.0.0.1:1/name]");
    const { message } = await assertRejects(() => remote.ping(), Error);
    assert(!message.includes("8642"), message);
  }
});

test(
  "NATS: a call finds a service that comes, although its process was busy meanwhile",
  async () => {
    const server = await startNatsServer();
    afterEnd(linksClosed);
    afterEnd(() => server.kill());
    const target = `nats://${server.address}/late`;
    await longEnough(2_000, async (timeout) => {
      using remote = connect<Api>(target, { timeout });
      await assertRejectsCode(withOptions(remote, { timeout: 300 }).ping(), "NO_SERVER");
      const waiting = doomed(remote.ping());
      await Promise.resolve();
      for (const end = performance.now() + 0.55 * timeout; performance.now() < end;);
      await using service = serve(target, { ping: () => "pong" }, { nats: { name: "service" } });
      await service.ready;
      return await waiting.catch(() => null) === "pong";
    });
  },
  { skip },
);

test("NATS: ports from 1 to 65535", async () => {
  for (const port of ["0", "65536", "99999"]) {
    const server = `nats://127.0.0.1:${port}`;
    assert(thrownBy(() => serve(`${server}/name`, {})) instanceof TypeError, port);
    const started = await Node.start({ network: server }).catch((error) => error);
    assert(started instanceof TypeError, port);
  }
});

test(
  "NATS: a connection of the program's own comes back, whatever the package connects",
  async () => {
    const server = await startNatsServer();
    afterEnd(linksClosed);
    afterEnd(() => server.kill());
    const client = await loadClient();
    const own = await client.connect({
      servers: server.address,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
    });
    atEnd(() => own.close());
    const target = `nats://${server.address}/name`;
    await using service = serve(target, { ping: () => "pong" });
    await service.ready;
    using remote = connect<Api>(target, { timeout: 30_000, nats: { connection: own } });
    assertEquals(await remote.ping(), "pong");
    await server.kill();
    await eventually(() => remote.ping().then(() => false, () => true));
    const again = await startNatsServer("", server.port);
    afterEnd(() => again.kill());
    await eventually(() => remote.ping().then(() => true, () => false));
  },
  { skip },
);
