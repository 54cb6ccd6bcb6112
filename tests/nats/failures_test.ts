/** What becomes of calls over NATS when a server, a service, a caller or a right goes. */
import { assert, assertEquals } from "@std/assert";
import { type AddressInfo, createServer, type Socket } from "node:net";
import {
  callContext,
  connect,
  type ErrorCode,
  type Remote,
  serve,
  TandemError,
  topic,
  withOptions,
} from "../../mod.ts";
import type { Api } from "../fixtures/typed.ts";
import {
  afterEnd,
  assertRejectsCode,
  atEnd,
  doomed,
  eventually,
  ownRuntime,
  spawn,
  test,
} from "../support/harness.ts";
import { connectClient, loadClient } from "../../src/nats/client.ts";
import { readCancel, workingFrame } from "../../src/nats/frames.ts";
import { acquireLink, linksClosed } from "../../src/nats/link.ts";
import { parseTarget } from "../../src/nats/target.ts";
import { hasNats, natsAddress, newNatsTarget, rawConnection } from "../support/nats.ts";
import { NatsProxy } from "../support/nats_proxy.ts";
import { type NatsServer, startNatsServer } from "../support/nats_server.ts";
import { collect } from "../support/rpc_helper.ts";

const skip = hasNats ? null : "scripts/setup --tests installs a NATS server";

/** A server of this test alone. */
async function newServer(config = "", port = -1): Promise<NatsServer> {
  const server = await startNatsServer(config, port);
  afterEnd(linksClosed);
  afterEnd(() => server.kill());
  return server;
}

/** The code of a call's error; null: it has an answer. */
async function codeOfCall(call: Promise<unknown>): Promise<ErrorCode | null> {
  try {
    await call;
    return null;
  } catch (error) {
    assert(error instanceof TandemError, String(error));
    return error.code;
  }
}

test(
  "NATS: a server is killed under load: every call has an answer or a code, and calls flow again",
  async () => {
    const first = await newServer();
    const target = `nats://${first.address}/load`;
    let isSlow = false;
    const gate = Promise.withResolvers<void>();
    const service = serve(target, {
      add: async (a: number, b: number) => {
        if (isSlow) await gate.promise;
        return a + b;
      },
    });
    atEnd(() => service.close({ timeout: 0 }));
    using remote = connect<{ add(a: number, b: number): number }>(target, { timeout: 60_000 });
    const hasty = withOptions(remote, { timeout: 1_000 });
    let isOver = false;
    const codes: Map<ErrorCode | null, number> = new Map();
    const load = Array.from({ length: 64 }, async () => {
      while (!isOver) {
        const code = await codeOfCall(remote.add(1, 2));
        codes.set(code, (codes.get(code) ?? 0) + 1);
        // A loop of rejections would keep the events out.
        if (code !== null) await new Promise((resolve) => setTimeout(resolve, 10));
      }
    });
    await eventually(() => (codes.get(null) ?? 0) >= 200);
    isSlow = true;
    // Now 64 calls are outstanding, and go on until the server is gone.
    await eventually(() => service.stats().inFlight === 64);
    await first.kill();
    await eventually(
      () => (codes.get("UNKNOWN_OUTCOME") ?? 0) === 64,
      "the calls that were sent have ended",
    );
    await eventually(() => (codes.get("DISCONNECTED") ?? 0) > 0, "new calls are refused at once");
    assertEquals(await codeOfCall(hasty.add(1, 2)), "DISCONNECTED");
    isSlow = false;
    gate.resolve();
    await newServer("", first.port);
    const before = codes.get(null)!;
    await eventually(() => codes.get(null)! >= before + 200, "calls flow again");
    isOver = true;
    await Promise.all(load);
    assertEquals(await remote.add(3, 4), 7);
    for (const code of codes.keys()) {
      assert([null, "UNKNOWN_OUTCOME", "DISCONNECTED", "NO_SERVER"].includes(code), String(code));
    }
  },
  { skip },
);

test(
  "NATS: a caller has lost its link and is back: services stop working on what it has given up",
  async () => {
    const target = newNatsTarget();
    let openStreams = 0;
    const api = {
      hold: () =>
        new Promise<void>((resolve) => {
          const { signal } = callContext()!;
          signal.addEventListener("abort", () => resolve(), { once: true });
        }),
      async *count(): AsyncGenerator<number> {
        openStreams += 1;
        try {
          for (let number = 0;; number++) yield await Promise.resolve(number);
        } finally {
          openStreams -= 1;
        }
      },
    };
    await using service = serve(target, api);
    await service.ready;
    await using proxy = await NatsProxy.start(Number(natsAddress().split(":").at(-1)));
    using remote = connect<typeof api>(target.replace(natsAddress(), proxy.address), {
      timeout: Infinity,
    });
    const holding = doomed(remote.hold());
    const stream = remote.count();
    await stream.next();
    await eventually(() => service.stats().inFlight === 1 && openStreams === 1);
    // It is back before the service has asked whether somebody waits.
    proxy.cut();
    await assertRejectsCode(holding, "UNKNOWN_OUTCOME");
    assert(await codeOfCall(stream.next()));
    await eventually(() => service.stats().inFlight === 0 && openStreams === 0);
  },
  { skip },
);

test(
  "NATS: a service reports on a call for which nobody waits: it is told, and only of that",
  async () => {
    const target = parseTarget(newNatsTarget());
    const link = acquireLink({ target, options: {} });
    atEnd(() => Promise.resolve(link.release()));
    const raw = await rawConnection();
    const cancels: unknown[] = [];
    raw.subscribe("test.control", (_, data) => void cancels.push(readCancel(data)));
    const heard: (string | undefined)[] = [];
    const waiting = link.add({ arrived() {}, heard: (control) => void heard.push(control) });
    await link.opened();
    await Promise.all([link.flush(), raw.flush()]);
    raw.publish(`${link.inbox}.0`, workingFrame([waiting, waiting + 1]), "test.control");
    await eventually(() => cancels.length > 0);
    assertEquals(cancels, [{ caller: link.inbox, calls: [waiting + 1] }]);
    assertEquals(heard, ["test.control"]);
    link.remove(waiting);
  },
  { skip },
);

test(
  "NATS: an attempt to connect that takes too long leaves no socket",
  async () => {
    // Their kernel takes connections, and nothing ever comes: as from a server that stands still.
    const open: Set<Socket> = new Set();
    const silent = createServer((socket) => {
      open.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => open.delete(socket));
      socket.resume();
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    atEnd(async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => silent.close(() => resolve()));
    });
    const { port } = silent.address() as AddressInfo;
    const options = { servers: `127.0.0.1:${port}`, timeout: 500, reconnect: false };
    const client = await loadClient();
    for (const tls of [null, { handshakeFirst: true }]) {
      const connecting = doomed(
        connectClient(client, { ...options, tls }, new AbortController().signal),
      );
      await eventually(() => open.size === 1);
      assert(await connecting.then(() => false, () => true));
      await eventually(() => open.size === 0);
    }
  },
  { skip },
);

test("NATS: an answer at the moment at which the link is lost waits for the next one", async () => {
  const published: string[] = [];
  let isLost = true;
  const connection = {
    info: { version: "2.11.1", max_payload: 1_000 },
    publish(subject: string): void {
      if (isLost || subject === "too long") throw new Error("closed");
      published.push(subject);
    },
    subscribe: () => ({ unsubscribe() {}, drain: () => Promise.resolve() }),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
    closed: () => new Promise<void>(() => {}),
    isClosed: () => false,
    async *status() {
      await gone.promise;
      yield { type: "disconnect" };
      isLost = false;
      yield { type: "reconnect" };
    },
  };
  const gone = Promise.withResolvers<void>();
  const link = acquireLink({ target: parseTarget("nats://nowhere/x"), options: { connection } });
  await link.opened();
  for (const subject of ["first", "too long", "last"]) link.answer(subject, new Uint8Array());
  gone.resolve();
  await eventually(() => published.length === 2);
  assertEquals([published, link.isUp], [["first", "last"], true]);
  link.release();
}, { skip });

for (const runtime of ownRuntime) {
  test(
    `${runtime} serves over NATS: a service that is killed in a call: UNKNOWN_OUTCOME`,
    async () => {
      const target = newNatsTarget();
      const service = await spawn(runtime, "typed.ts", [target, "{}"], { denoPermissions: ["-A"] });
      await service.expect("ready");
      using remote: Remote<Api> = connect<Api>(target, { timeout: 60_000 });
      const stream = remote.naturals();
      assertEquals((await stream.next()).value, 0);
      await service.expect("generator begins");
      const hanging = doomed(remote.hold());
      await service.expect("holding 1");
      service.kill("SIGKILL");
      const began = performance.now();
      await assertRejectsCode(hanging, "UNKNOWN_OUTCOME");
      const took = performance.now() - began;
      // Not the time limit of the call; the time itself is that of a machine without load.
      assert(took < 30_000, `${took}`);
      const end = await codeOfCall(collect(stream));
      assert(end === "UNKNOWN_OUTCOME" || end === "SERVER_DIED", String(end));
      // A call that no service has taken.
      await assertRejectsCode(withOptions(remote, { timeout: 300 }).pid(), "NO_SERVER");
    },
    { skip },
  );

  test(
    `${runtime} serves over NATS: a service in another process, stopped in good order`,
    async () => {
      const target = newNatsTarget();
      const service = await spawn(runtime, "typed.ts", [target, "{}"], { denoPermissions: ["-A"] });
      await service.expect("ready");
      using remote: Remote<Api> = connect<Api>(target, { timeout: 60_000 });
      assertEquals(await remote.pid(), service.pid);
      // A connection without a pending call keeps no process alive, and neither does one that is closed.
      service.send("stop");
      await service.expect("stopped");
      await service.ended();
    },
    { skip },
  );

  test(
    `${runtime}: an idle connection over NATS keeps no process alive; a pending call does`,
    async () => {
      const target = newNatsTarget();
      const service = serve(target, {
        wait: (ms: number) => new Promise((end) => setTimeout(end, ms)),
      });
      atEnd(() => service.close({ timeout: 0 }));
      const child = await spawn(runtime, "nats_idle.ts", [target], { denoPermissions: ["-A"] });
      await child.expect("answered");
      await child.ended();
    },
    { skip },
  );
}

test("NATS: a login that is refused is PERMISSION, for services and for calls", async () => {
  const server = await newServer('authorization { user: "me", password: "secret" }');
  const target = `nats://${server.address}/closed`;
  const api = { ping: () => "pong" };
  for (const wrong of [target, target.replace("//", "//me:wrong@")]) {
    const service = serve(wrong, api);
    await assertRejectsCode(service.ready, "PERMISSION");
    await assertRejectsCode(service.finished, "PERMISSION");
    using remote = connect<typeof api>(wrong, { timeout: 30_000 });
    await assertRejectsCode(remote.ping(), "PERMISSION", "login");
    // It stays so.
    await assertRejectsCode(remote.ping(), "PERMISSION");
  }
  await using service = serve(target, api, { nats: { user: "me", pass: "secret" } });
  await service.ready;
  using remote = connect<typeof api>(target.replace("//", "//me:secret@"), { timeout: 30_000 });
  assertEquals(await remote.ping(), "pong");
}, { skip });

test("NATS: subjects that a user must not use are PERMISSION", async () => {
  const server = await newServer(`
    authorization {
      users = [
        { user: "service", password: "s" }
        { user: "client", password: "c", permissions: {
          publish: ["tandem.call.open", "tandem.all.open", "tandem.host.>"], subscribe: "_INBOX.>" } }
      ]
    }`);
  const api = { ping: () => "pong" };
  const open = `nats://client:c@${server.address}/open`;
  const hidden = open.replace("open", "hidden");
  for (const name of ["open", "hidden"]) {
    const service = serve(`nats://service:s@${server.address}/${name}`, api);
    atEnd(() => service.close({ timeout: 0 }));
    await service.ready;
  }
  using remote = connect<typeof api>(open, { timeout: 30_000 });
  assertEquals(await remote.ping(), "pong");
  using other = connect<typeof api>(hidden, { timeout: 30_000 });
  await assertRejectsCode(other.ping(), "PERMISSION", "tandem.call.hidden");
  const service = serve(open, api);
  await assertRejectsCode(service.ready, "PERMISSION", "subscribe");
  await assertRejectsCode(service.finished, "PERMISSION");
}, { skip });

test(
  "NATS: messages over the server's max_payload travel in parts, in both directions",
  async () => {
    const server = await newServer("max_payload: 8192");
    const target = `nats://${server.address}/parts`;
    const api = {
      echo: (bytes: Uint8Array) => bytes,
      async *parts(bytes: Uint8Array) {
        for (let count = 0; count < 3; count++) yield await Promise.resolve(bytes);
      },
    };
    const service = serve(target, api);
    atEnd(() => service.close({ timeout: 0 }));
    using remote = connect<typeof api>(target, { timeout: 60_000 });
    for (const length of [8_000, 8_168, 8_192, 100_000, 3_000_000]) {
      const bytes = Uint8Array.from({ length }, (_, index) => index * 7);
      assertEquals((await remote.echo(bytes)).every((byte, index) => byte === bytes[index]), true);
    }
    const items = await collect(remote.parts(new Uint8Array(50_000).fill(9)));
    assertEquals(items.map(({ byteLength }) => byteLength), [50_000, 50_000, 50_000]);
  },
  { skip },
);

test(
  "NATS: a server comes back that takes shorter messages: an answer is lost, and the rest goes on",
  async () => {
    const server = await newServer();
    const nats = { name: "service" };
    const target = `nats://${server.address}/long`;
    const working = Promise.withResolvers<void>();
    const api = {
      async long() {
        await working.promise;
        return new Uint8Array(100_000);
      },
      ping: () => "pong",
    };
    const service = serve(target, api, { nats });
    atEnd(() => service.close({ timeout: 0 }));
    await service.ready;
    const values: number[] = [];
    // It shares the connection of the service.
    const news = topic<number>(`nats://${server.address}/news`, { nats });
    atEnd(() => Promise.resolve(news.close()));
    const subscription = news.subscribe();
    const reading = (async () => {
      for await (const value of subscription) values.push(value);
    })();
    atEnd(async () => {
      subscription[Symbol.dispose]();
      await reading;
    });
    await subscription.ready;
    using remote = connect<typeof api>(target, { timeout: 60_000, idempotent: ["ping"] });
    const long = doomed(remote.long());
    await eventually(() => service.stats().inFlight === 1);
    await server.kill();
    await assertRejectsCode(long, "UNKNOWN_OUTCOME");
    working.resolve();
    await eventually(() => service.stats().inFlight === 0);
    const again = await newServer("max_payload: 8192", server.port);
    assertEquals(await remote.ping(), "pong");
    const raw = await rawConnection(again.address);
    const other = topic<number>(`nats://${again.address}/news`, { nats: { name: "other" } });
    atEnd(() => Promise.resolve(other.close()));
    await eventually(() => {
      other.publish(1);
      return values.length > 0;
    });
    values.length = 0;
    other.publish(2);
    other.publish(3);
    await eventually(() => values.includes(3));
    await raw.flush();
    assertEquals(values.filter((value) => value > 1), [2, 3]);
  },
  { skip },
);

test(
  "NATS: without a server, calls go on trying until their time is over: DISCONNECTED",
  async () => {
    const server = await newServer();
    const target = `nats://${server.address}/late`;
    await server.kill();
    const api = { ping: () => "pong" };
    const service = serve(target, api);
    atEnd(() => service.close({ timeout: 0 }));
    using remote = connect<typeof api>(target, { timeout: 60_000 });
    await assertRejectsCode(withOptions(remote, { timeout: 300 }).ping(), "DISCONNECTED");
    const waiting = remote.ping();
    await newServer("", server.port);
    assertEquals(await waiting, "pong");
    await service.ready;
  },
  { skip },
);
