/** Creating, finding and attaching to channels. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type ChannelOptions, Client, IntServer, Server, TandemError } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  eventually,
  folder,
  newTarget,
  present,
  runtime,
  runtimes,
  sleep,
  spawn,
  startClient,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { does, standsStill, startStopping, stopsAt } from "../faults/test_library.ts";
import { asOtherUser, otherUser, works } from "../support/privileges.ts";

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

/** The sizes that a handle reports. */
function geometryOf(handle: Server | Client): Required<Omit<ChannelOptions, "mode">> {
  const { slots, maxRequestBytes, maxResponseBytes, maxDeliveries } = handle;
  return { slots, maxRequestBytes, maxResponseBytes, maxDeliveries };
}

test("create makes a channel with the default sizes", () => {
  const target = newTarget();
  using server = Server.create(target);
  assertEquals(geometryOf(server), {
    slots: 256,
    maxRequestBytes: 1_048_576,
    maxResponseBytes: 1_048_576,
    maxDeliveries: 1,
  });
  assertEquals(server.path, target);
  assertEquals(modeOf(target), 0o600);
  assert(server.fd > 2, `fd ${server.fd}`);
});

test("create takes sizes, and every handle that attaches sees them", () => {
  const target = newTarget();
  const sizes = { slots: 3, maxRequestBytes: 100, maxResponseBytes: 70_000, maxDeliveries: 5 };
  using server = Server.create(target, sizes);
  using other = Server.open(target);
  using client = Client.open(target);
  for (const handle of [server, other, client]) assertEquals(geometryOf(handle), sizes);
  assertEquals(client.path, target);
});

test("create refuses a channel that exists; open attaches to it", () => {
  const target = newTarget();
  using _server = Server.create(target);
  assertThrowsCode(() => Server.create(target), "EXISTS", target);
  using _other = Server.open(target);
});

test("create works again once a channel is unlinked", () => {
  const target = newTarget();
  Server.create(target).close();
  assertThrowsCode(() => Server.create(target), "EXISTS");
  assertEquals(Server.unlink(target), true);
  Server.create(target).close();
});

test("open makes a channel if there is none", () => {
  const target = newTarget();
  using server = Server.open(target, { slots: 2 });
  assertEquals(server.slots, 2);
  assertEquals(modeOf(target), 0o600);
});

test("mode is exact, for any umask", () => {
  const umask = process.umask(0o077);
  try {
    for (const mode of [0o600, 0o640, 0o660, 0o666]) {
      const target = newTarget();
      using _server = Server.open(target, { mode });
      assertEquals(modeOf(target), mode);
    }
  } finally {
    process.umask(umask);
  }
});

test("a channel that is not in use is made anew where other options are asked for", () => {
  const target = newTarget();
  Server.create(target, { slots: 4, maxRequestBytes: 100 }).close();
  const before = statSync(target).ino;
  for (const [index, maxRequestBytes] of [200, 300, 50].entries()) {
    using handle = index % 2
      ? Client.open(target, { create: { maxRequestBytes } })
      : Server.open(target, { maxRequestBytes });
    assertEquals([handle.maxRequestBytes, handle.slots], [maxRequestBytes, 256]);
    // Omitted options are not compared.
    using other = Server.open(target, { slots: 256 });
    assertEquals(other.maxRequestBytes, maxRequestBytes);
  }
  assert(statSync(target).ino !== before);
  assertEquals(readdirSync(folder()).length, 1);
  // Without the option `create` a client cannot make the channel.
  using client = Client.open(target);
  assertEquals(client.maxRequestBytes, 50);
});

test("a participant or a posted request keeps a channel as it is, and the participants are named", async () => {
  const target = newTarget();
  {
    using server = Server.create(target, { slots: 4 });
    const child = await startClient(runtime, target, "promise");
    const mine = `process ${process.pid} (server)`;
    const theirs = `process ${child.pid} (client)`;
    assertThrowsCode(() => Server.open(target, { slots: 5 }), "MISMATCH", mine, theirs, "slots 4");
    await child.killed();
    assertThrowsCode(() => Server.open(target, { slots: 5 }), "MISMATCH", mine);
    using poster = Client.open(target);
    poster.post("outlives its sender");
    // Its call ends with it.
    poster.trySend("does not");
    assertEquals(server.stats().queued, 2);
  }
  const error = assertThrowsCode(() => Server.open(target, { slots: 5 }), "MISMATCH", "slots 4");
  assert(!error.message.includes("attached"), error.message);
  {
    using server = Server.open(target);
    server.tryReceive()!.reply();
  }
  using server = Server.open(target, { slots: 5 });
  assertEquals(server.slots, 5);
});

test("an integer channel is not made anew for bytes, nor another user's for this one", () => {
  const target = newTarget();
  IntServer.create(target).close();
  assertThrowsCode(() => Server.open(target, { slots: 3 }), "MISMATCH", "integers");
  using server = IntServer.open(target, { slots: 3 });
  assertEquals(server.slots, 3);
});

test("options that differ from the channel are MISMATCH and name both values", () => {
  const target = newTarget();
  const sizes = { slots: 7, maxRequestBytes: 1001, maxResponseBytes: 2003, maxDeliveries: 3 };
  using _server = Server.create(target, sizes);
  for (const [name, value] of Object.entries(sizes)) {
    const other = { [name]: value + 10 };
    const parts = [name, `${value}`, `${value + 10}`] as const;
    assertThrowsCode(() => Server.open(target, other), "MISMATCH", ...parts);
    assertThrowsCode(() => Client.open(target, { create: other }), "MISMATCH", ...parts);
  }
});

test("options that are omitted and the mode are not compared", () => {
  const target = newTarget();
  using _server = Server.create(target, { slots: 7, maxRequestBytes: 1001 });
  using other = Server.open(target, { slots: 7, mode: 0o666 });
  assertEquals(other.maxRequestBytes, 1001);
  assertEquals(modeOf(target), 0o600);
});

test("a client finds no channel: NOT_FOUND at once", () => {
  const target = newTarget();
  assertThrowsCode(() => Client.open(target), "NOT_FOUND", target);
  assertThrowsCode(() => Client.open(join(folder(), "nowhere", "x.tandem")), "NOT_FOUND");
});

test("a client may make the channel", async () => {
  const target = newTarget();
  using client = Client.open(target, { create: { slots: 5, mode: 0o640 } });
  assertEquals([client.slots, modeOf(target)], [5, 0o640]);
  using server = Server.open(target);
  const answer = client.request("from the first to come");
  assertEquals(present(await server.receive()).reply("to it"), true);
  assertEquals(text(await answer), "to it");
});

test("a channel outlives the handles on it, with the requests that are queued", () => {
  const target = newTarget();
  using client = Client.open(target, { create: {} });
  Server.open(target).close();
  using call = present(client.trySend("later"));
  Server.open(target).close();
  using server = Server.open(target);
  assertEquals(server.tryReceive()?.reply("now"), true);
  assertEquals(text(call.getSync()), "now");
});

test("connect resolves at once when there is a channel", async () => {
  const target = newTarget();
  using _server = Server.create(target, { slots: 4 });
  using client = await Client.connect(target);
  assertEquals([client.slots, client.path], [4, target]);
});

test("connect waits for a channel to be made", async () => {
  const target = newTarget();
  const connecting = Client.connect(target, { timeout: 30_000 });
  // Later, so that it has looked and found nothing.
  await sleep(60);
  using server = Server.create(target);
  using client = await connecting;
  assertEquals(client.servers, 1);
  assertEquals(server.path, client.path);
});

test("connect waits for a channel of another process", async () => {
  const target = newTarget();
  const connecting = Client.connect(target);
  const other = runtimes.find((name) => name !== runtime)!;
  await startServer(other, target, "serve");
  using client = await connecting;
  assertEquals(text(await client.request("hello")), "hello");
});

test("connect gives up with TIMEOUT, and not before", async () => {
  const target = newTarget();
  const begin = performance.now();
  await assertRejectsCode(Client.connect(target, { timeout: 80 }), "TIMEOUT", target);
  // Timers count in whole milliseconds.
  assert(performance.now() - begin >= 79);
});

test("connect with a time-out of 0 tries once", async () => {
  const target = newTarget();
  await assertRejectsCode(Client.connect(target, { timeout: 0 }), "TIMEOUT");
  using _server = Server.create(target);
  using _client = await Client.connect(target, { timeout: 0 });
});

test("connect ends by abort with the signal's reason", async () => {
  const target = newTarget();
  const reason = new Error("changed my mind");
  const controller = new AbortController();
  const connecting = Client.connect(target, { signal: controller.signal });
  controller.abort(reason);
  assertEquals(await assertRejects(() => connecting), reason);
  const already = Client.connect(target, { signal: AbortSignal.abort(reason) });
  assertEquals(await assertRejects(() => already), reason);
});

test("connect does not wait for a file that is no channel", async () => {
  const target = newTarget();
  writeFileSync(target, "something else");
  await assertRejectsCode(Client.connect(target), "CORRUPT");
});

test("the leftovers of an interrupted create are made anew by every form that creates", () => {
  for (const left of [new Uint8Array(0), new Uint8Array(100_000)]) {
    const target = newTarget();
    writeFileSync(target, left);
    assertThrowsCode(() => Client.open(target), "CORRUPT");
    using server = Server.open(target, { slots: 9 });
    using client = Client.open(target);
    assertEquals([server.slots, client.slots], [9, 9]);
  }
});

test("create takes the place of the leftovers of an interrupted create", () => {
  const target = newTarget();
  writeFileSync(target, "");
  using server = Server.create(target);
  assertEquals(server.slots, 256);
});

test("a file that is no channel is CORRUPT and stays as it is", () => {
  const cases: Record<string, Uint8Array> = {
    text: new TextEncoder().encode("these are a user's notes\n"),
    "one byte": new Uint8Array([1]),
    random: crypto.getRandomValues(new Uint8Array(50_000)),
    // All zero but for one byte far behind.
    "zeros and a byte": new Uint8Array(50_000).fill(1, 49_999),
  };
  for (const [name, content] of Object.entries(cases)) {
    const target = newTarget();
    writeFileSync(target, content);
    assertThrowsCode(() => Server.open(target), "CORRUPT", target);
    assertThrowsCode(() => Client.open(target), "CORRUPT", target);
    assertThrowsCode(() => Client.open(target, { create: {} }), "CORRUPT", target);
    assertEquals(statSync(target).size, content.length, name);
  }
});

test("a symbolic link, a folder and a device are refused", () => {
  const channel = newTarget();
  using _server = Server.create(channel);
  const link = newTarget();
  symlinkSync(channel, link);
  for (const target of [link, folder(), `${folder()}/`, "/dev/null"]) {
    assertThrowsCode(() => Client.open(target), "CORRUPT", target);
    const error = assertThrows(() => Server.open(target), TandemError);
    assert(["CORRUPT", "EXISTS"].includes(error.code), `${target}: ${error.code}`);
  }
  // A dangling link must not create a file elsewhere.
  const dangling = newTarget();
  const elsewhere = newTarget();
  symlinkSync(elsewhere, dangling);
  assertThrows(() => Server.open(dangling), TandemError);
  assertThrowsCode(() => Client.open(elsewhere), "NOT_FOUND");
});

test("names lie in TANDEM_DIR, which is made private", async () => {
  for (const name of runtimes) {
    const directory = join(folder(), `names-${name}`);
    const child = await spawn(name, "open.ts", ["thumbs.v1-2_3", "open"], {
      env: { TANDEM_DIR: directory },
    });
    assertEquals(await child.message(), { path: join(directory, "thumbs.v1-2_3.tandem") });
    assertEquals(modeOf(directory), 0o700);
    using client = Client.open(join(directory, "thumbs.v1-2_3.tandem"));
    assertEquals(client.servers, 1);
  }
});

/** A user with a folder that no other program uses; null: this user has to do. */
const lonelyUser = works([...asOtherUser, "test", "-r", import.meta.filename!]) ? otherUser : null;

test("without TANDEM_DIR names lie in /dev/shm, in a folder of the user's own", async () => {
  // A unique name.
  const name = `test-${process.pid}-${Date.now().toString(36)}`;
  const directory = `/dev/shm/tandem-${lonelyUser ?? process.geteuid!()}`;
  const path = join(directory, `${name}.tandem`);
  try {
    const child = await spawn(runtime, "open.ts", [name, "open"], {
      env: { TANDEM_DIR: undefined },
      through: lonelyUser === null ? [] : asOtherUser,
    });
    assertEquals(await child.message(), { path });
    assertEquals(modeOf(directory), 0o700);
    child.end();
    await child.ended();
    assert(existsSync(path), "it outlives its participants");
  } finally {
    if (lonelyUser !== null) rmSync(directory, { recursive: true, force: true });
    // The folder stays: other programs of this user may be about to use it.
    else rmSync(path, { force: true });
  }
});

test("a TANDEM_DIR that others can write to is refused", async () => {
  for (const mode of [0o770, 0o702, 0o2770]) {
    const directory = join(folder(), `open-to-all-${mode}`);
    mkdirSync(directory);
    Server.create(join(directory, "x.tandem")).close();
    chmodSync(directory, mode);
    for (const how of ["open", "attach"]) {
      const child = await spawn(runtime, "open.ts", ["x", how], {
        env: { TANDEM_DIR: directory },
      });
      const { code, message } = await child.message<{ code: string; message: string }>();
      assertEquals(code, "PERMISSION");
      // The way out, also for users that share a folder on purpose.
      for (const part of ["TANDEM_DIR", "between users", "a path", "mode", "0o660"]) {
        assert(message.includes(part), message);
      }
    }
    // The advice works: a path in that folder.
    using server = Server.open(join(directory, "shared.tandem"), { mode: 0o660 });
    assertEquals(statSync(server.path!).mode & 0o777, 0o660);
    server.unlink();
  }
});

test("many processes open one new channel at once: there is one, and all are on it", async () => {
  for (let round = 0; round < 3; round++) {
    const target = newTarget();
    const children = await Promise.all(Array.from(
      { length: 8 },
      (_, index) => spawn(runtimes[index % 2]!, "open.ts", [target, "open", "wait"]),
    ));
    for (const child of children) child.send("go");
    for (const child of children) assertEquals(await child.message(), { path: target });
    using client = Client.open(target);
    assertEquals(client.servers, 8);
    for (const child of children) child.end();
    await Promise.all(children.map((child) => child.ended()));
    assertEquals(client.servers, 0);
  }
});

test("closing the last handle leaves the channel's file and nothing beside it", () => {
  const target = newTarget();
  const server = Server.create(target);
  const client = Client.open(target);
  client.close();
  server.close();
  assertEquals(readdirSync(folder()), [target.slice(folder().length + 1)]);
});

test("wrong arguments are TypeError and RangeError", () => {
  const target = newTarget();
  const wrong: [keyof ChannelOptions, number[]][] = [
    ["slots", [0, -1, 65_537, 1.5, NaN, Infinity, 2 ** 50]],
    ["maxRequestBytes", [-1, 0.5, NaN, Infinity, 2 ** 53]],
    ["maxResponseBytes", [-1, 0.5, NaN, Infinity, 2 ** 53]],
    ["maxDeliveries", [0, -1, 1.5, NaN, 2 ** 31]],
    ["mode", [-1, 0o1000, 1.5, NaN]],
  ];
  for (const [name, values] of wrong) {
    for (const value of values) {
      const error = assertThrows(() => Server.open(target, { [name]: value }), RangeError);
      assert(error.message.includes(name) && error.message.includes(`${value}`), error.message);
      assertThrows(() => Server.create(target, { [name]: value }), RangeError, name);
      assertThrows(() => Client.open(target, { create: { [name]: value } }), RangeError, name);
    }
    for (const value of ["8", 8n, null, {}]) {
      const options = { [name]: value } as unknown as ChannelOptions;
      assertThrows(() => Server.open(target, options), TypeError, name);
    }
  }
  for (const value of [undefined, null, 5, {}, ["a"]]) {
    assertThrows(() => Server.open(value as unknown as string), TypeError);
    assertThrows(() => Client.open(value as unknown as string), TypeError);
    assertThrows(() => Server.unlink(value as unknown as string), TypeError);
  }
  assertEquals(readdirSync(folder()), [], "nothing was made");
});

test("names that break the rules are a TypeError, and paths are taken as they are", async () => {
  const names = ["", ".", "..", ".hidden", "-x", "_x", "a b", "ä", "a\0b", "x".repeat(65), "a:b"];
  for (const name of names) {
    for (
      const open of [
        () => Server.open(name),
        () => Server.create(name),
        () => Client.open(name),
        () => Server.unlink(name),
      ]
    ) {
      const error = assertThrows(open);
      assertInstanceOf(error, TypeError, `${JSON.stringify(name)}: ${error}`);
    }
    await assertRejects(() => Client.connect(name), TypeError);
  }
  // A path may contain any character except NUL, and has a maximum length.
  assertThrows(() => Server.open(`${folder()}/a\0b`), TypeError);
  assertThrows(() => Server.open(`${folder()}/${"x/".repeat(3000)}`), TypeError);
  const target = join(folder(), "ä b:c");
  using server = Server.open(target);
  assertEquals(server.path, target);
});

test("sizes that no address space holds are refused before anything is made", () => {
  const target = newTarget();
  const options = { slots: 65_536, maxRequestBytes: 2 ** 30, maxResponseBytes: 2 ** 30 };
  const error = assertThrows(() => Server.open(target, options));
  assert(error instanceof RangeError || error instanceof TandemError, String(error));
  assertEquals(readdirSync(folder()), []);
});

for (const name of runtimes) {
  test(`${name}: where a new file has to have a name, the next creator removes what a killed one has left`, async () => {
    const target = newTarget();
    const before = readdirSync(folder()).length;
    const unfinished = () => readdirSync(folder()).length - before;
    const start = () => startStopping(name, target, undefined, { TANDEM_WITHOUT_O_TMPFILE: "1" });
    const [killed, slow, quick] = [await start(), await start(), await start()];
    await stopsAt(killed, "linking", "open server");
    await standsStill(killed);
    assertEquals(unfinished(), 1);
    await killed.killed();
    await stopsAt(slow, "linking", "open server");
    await standsStill(slow);
    assertEquals(
      unfinished(),
      1,
      "that of the killed one is gone, and that of the slow one is there",
    );
    await does(quick, "open server", "open");
    using client = Client.open(target);
    slow.kill("SIGCONT");
    await slow.expect("open");
    await eventually(() => client.servers === 2, "the slow one uses the channel of the quick one");
    await does(slow, "leave", "left");
    await does(quick, "leave", "left");
    client.close();
    assertEquals(unfinished(), 1, "the channel alone");
    // Nobody else holds the lock of a file that is complete.
    assertEquals(Server.unlink(target), true);
    assertEquals(unfinished(), 0);
  });
}
