/** Typed calls over handles: anonymous channels, and channels that the program has opened itself. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { fileURLToPath } from "node:url";
import {
  type ChannelHandle,
  Client,
  connect,
  IntClient,
  IntServer,
  serve,
  Server,
} from "../../mod.ts";
import { toolCommand } from "../../scripts/tools.ts";
import { startProcess } from "../../src/runtime/processes.ts";
import { callAll, Words } from "../fixtures/typed_fd.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  doomed,
  eventually,
  newTarget,
  type Runtime,
  runtimes,
  test,
} from "../support/harness.ts";

const fixture = fileURLToPath(new URL("../fixtures/typed_fd.ts", import.meta.url));

/** Starts a child that has `fd` as its descriptor 3, and resolves to its exit code. */
function start(runtime: Runtime, role: string, fd: number): Promise<number | null> {
  const command = toolCommand(runtime, fixture, [role], ["--allow-ffi"]);
  const child = startProcess(command, { stdio: ["ignore", "inherit", "inherit", fd] });
  return new Promise((resolve) => child.on("exit", resolve));
}

const small = { slots: 16, maxRequestBytes: 4_096, maxResponseBytes: 4_096 };

test("an anonymous channel is served and called in one process", async () => {
  const server = Server.anonymous(small);
  await using service = serve(server, new Words());
  await callAll(Client.fromFd(server.fd));
  assertEquals(service.path, "(anonymous)");
  assertEquals(service.stats().slots, 16);
  assertThrowsCode(() => service.unlink(), "NOT_FOUND");
  void service;
});

test("handles on a channel with a name are served and called, with clients by name beside them", async () => {
  const target = newTarget();
  const server = Server.create(target, small);
  await using service = serve(server, new Words());
  using byName = connect<Words>(target, { timeout: 30_000 });
  using byHandle = connect<Words>(Client.open(target), { timeout: 30_000 });
  assertEquals([await byName.upper("a"), await byHandle.upper("b")], ["A", "B"]);
  assertEquals([service.path, String(byHandle)], [server.path, `[Remote ${server.path}]`]);
  await callAll(Client.fromFd(server.fd));
  void service;
});

for (const runtime of runtimes) {
  test(`a ${runtime} child calls a service over an inherited descriptor`, async () => {
    const server = Server.anonymous(small);
    await using service = serve(server, new Words());
    assertEquals(await start(runtime, "call", server.fd), 0);
    void service;
  });

  test(`a ${runtime} child serves an inherited descriptor`, async () => {
    using server = Server.anonymous(small);
    const exited = start(runtime, "serve", server.fd);
    await callAll(Client.fromFd(server.fd));
    assertEquals(await exited, 0);
  });
}

test("a service closes its handle, and ends when the handle is closed", async () => {
  const closed = Server.anonymous();
  const service = serve(closed, new Words());
  const other = Client.fromFd(closed.fd);
  await service.close();
  assertThrowsCode(() => closed.fd, "CLOSED");
  assertEquals(other.servers, 0);
  other.close();

  const server = Server.anonymous();
  const ending = serve(server, new Words());
  server.close();
  await ending.finished;
});

test("a connection closes its handle, also one that it has never used", async () => {
  const server = Server.anonymous();
  await using service = serve(server, new Words());
  for (const isUsed of [true, false]) {
    const client = Client.fromFd(server.fd);
    {
      using remote = connect<Words>(client, { timeout: 30_000 });
      if (isUsed) assertEquals(await remote.upper("a"), "A");
    }
    assertThrowsCode(() => client.fd, "CLOSED");
  }
  void service;
});

test("a client that is closed under its connection ends the calls with CLOSED", async () => {
  const server = Server.anonymous();
  const holding: (() => void)[] = [];
  const api = { hold: () => new Promise<void>((resolve) => holding.push(resolve)) };
  const service = serve(server, api);
  const client = Client.fromFd(server.fd);
  using remote = connect<typeof api>(client, { timeout: 30_000 });
  const held = doomed(remote.hold());
  await eventually(() => holding.length === 1);
  client.close();
  await assertRejectsCode(held, "CLOSED");
  await assertRejectsCode(remote.hold(), "CLOSED");
  holding.pop()!();
  await service.close();
});

test("a call through a handle whose channel was removed is NOT_FOUND", async () => {
  const target = newTarget();
  const server = Server.create(target);
  const service = serve(server, new Words());
  using remote = connect<Words>(Client.open(target), { timeout: 30_000 });
  assertEquals(await remote.upper("a"), "A");
  service.unlink();
  await assertRejectsCode(remote.upper("b"), "NOT_FOUND");
  await service.close();
});

test("a request waits for the service of its handle", async () => {
  const server = Server.anonymous();
  using remote = connect<Words>(Client.fromFd(server.fd), { timeout: 30_000 });
  const early = remote.upper("early");
  await using service = serve(server, new Words());
  assertEquals(await early, "EARLY");
  void service;
});

test("options of serve agree with the channel of the handle, or MISMATCH names both", async () => {
  const server = Server.anonymous(small);
  for (const [name, value] of Object.entries(small)) {
    const options = { [name]: value * 2 };
    const error = assertThrowsCode(() => serve(server, new Words(), options), "MISMATCH", name);
    assert(error.message.includes(`${value * 2}`) && error.message.includes(`has ${value}`));
  }
  await using service = serve(server, new Words(), { ...small, mode: 0o600 });
  void service;
});

test("handles of the wrong side, in use, closed, or of integers are refused", () => {
  const served = Server.anonymous();
  const connected = Client.fromFd(served.fd);
  const as = <T extends ChannelHandle>(handle: ChannelHandle) => handle as T;
  assertThrows(() => serve(as<Server>(connected), new Words()), TypeError, "give a Server");
  assertThrows(() => connect(as<Client>(served)), TypeError, "give a Client");
  using integers = IntServer.anonymous();
  using integerClient = IntClient.fromFd(integers.fd);
  for (const handle of [integers, integerClient]) {
    assertThrowsCode(() => serve(as<Server>(handle), new Words()), "MISMATCH", "integers");
    assertThrowsCode(() => connect(as<Client>(handle)), "MISMATCH", "integers");
  }
  const service = serve(served, new Words());
  assertThrows(() => serve(served, new Words()), TypeError, "taken it over");
  const remote = connect<Words>(connected);
  assertThrows(() => connect(connected), TypeError, "taken it over");
  remote[Symbol.dispose]();
  served.close();
  assertThrowsCode(() => serve(closed(), new Words()), "CLOSED");
  for (const value of [1, null, undefined, {}, new URL("file:///x")]) {
    assertThrows(() => serve(value as unknown as string, new Words()), TypeError, "a Server");
    assertThrows(() => connect(value as unknown as string), TypeError, "a Client");
  }
  return service.finished;
});

function closed(): Server {
  const server = Server.anonymous();
  server.close();
  return server;
}
