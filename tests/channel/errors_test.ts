/** Codes and messages, and files that are no valid channels. */
import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Client, connect, RemoteError, serve, Server, TandemError } from "../../mod.ts";
import { Limit } from "../../src/limit/main.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  folder,
  newTarget,
  present,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";

/** A channel's file without a participant. */
function makeChannel(options = {}): string {
  const target = newTarget();
  Server.create(target, options).close();
  return target;
}

/** Writes some bytes into a file. */
function patch(path: string, offset: number, bytes: readonly number[]): void {
  const file = openSync(path, "r+");
  writeSync(file, new Uint8Array(bytes), 0, bytes.length, offset);
  closeSync(file);
}

test("a TandemError is an Error with a code", () => {
  const cause = new Error("underneath");
  const error = new TandemError("BUSY", "all are taken", { cause });
  assertInstanceOf(error, Error);
  assertEquals(
    [error.name, error.code, error.message, error.cause],
    ["TandemError", "BUSY", "all are taken", cause],
  );
  assertStringIncludes(String(error), "TandemError: all are taken");
});

test("a RemoteError is a TandemError that describes another", () => {
  const error = new RemoteError({ name: "TypeError", message: "no", properties: { a: 1 } });
  assertInstanceOf(error, TandemError);
  assertEquals([error.name, error.code, error.message], ["RemoteError", "REMOTE", "TypeError: no"]);
  assertEquals(
    [error.remoteName, error.remoteMessage, error.remoteStack, error.remoteProperties],
    ["TypeError", "no", "", { a: 1 }],
  );
});

test("messages say what was tried, what was found and what to do", async () => {
  const target = newTarget();
  const open = assertThrowsCode(() => Client.open(target), "NOT_FOUND", target);
  assertStringIncludes(open.message, "Client.connect");
  using server = Server.create(target, { slots: 1, maxRequestBytes: 10, maxResponseBytes: 5 });
  using client = Client.open(target);
  assertThrowsCode(() => Server.create(target), "EXISTS", target, "open");
  assertThrowsCode(() => Server.open(target, { slots: 2 }), "MISMATCH", target, "slots", "1", "2");
  assertThrowsCode(
    () => client.trySend("x".repeat(11)),
    "TOO_LARGE",
    "11",
    "10",
    "maxRequestBytes",
  );
  const call = present(client.trySend("x"));
  assertThrowsCode(() => client.sendSync("y", { timeout: 0 }), "BUSY", "slots");
  const request = present(server.tryReceive());
  assertThrowsCode(() => request.reply("x".repeat(6)), "TOO_LARGE", "6", "5", "maxResponseBytes");
  await assertRejectsCode(call.get({ timeout: 1 }), "TIMEOUT");
  server.close();
  assertThrowsCode(() => call.getSync(), "SERVER_DIED", "maxDeliveries");
  assertThrowsCode(() => server.tryReceive(), "CLOSED", "server");
});

test("a URL is no path: it is refused, without its password", async () => {
  for (const scheme of ["http:", "unix:", "tls:", "NATS:", "memory:", "file:"]) {
    const url = `${scheme}//user:secret@host/name`;
    const attempts = [
      () => Server.create(url),
      () => Client.open(url),
      () => Server.unlink(url),
      () => new Limit(url),
      async () => await serve(url, { call() {} }).ready,
      async () => await connect<{ call(): void }>(url).call(),
    ];
    // In typed calls, "memory:" is a scheme, and everything after it the name.
    for (const attempt of scheme === "memory:" ? attempts.slice(0, 4) : attempts) {
      const { message } = await assertRejects(
        async () => await attempt(),
        TypeError,
        `${scheme}//`,
      );
      assertStringIncludes(message, `./${scheme}/`);
      assertFalse(message.includes("secret"), message);
    }
  }
  const channel = assertThrowsCode(() => Server.create("nats://u:secret@host/name"), "UNSUPPORTED");
  assertFalse(channel.message.includes("secret"), channel.message);
});

test("a path through a folder with a colon is a path", () => {
  const inside = join(folder(), "http:");
  mkdirSync(inside);
  const before = process.cwd();
  process.chdir(folder());
  try {
    Server.create("./http://name").close();
    assert(statSync(join(inside, "name")).isFile());
    assert(Server.unlink("./http:/name"));
  } finally {
    process.chdir(before);
    rmdirSync(inside);
  }
});

test("a truncated file is CORRUPT, however little is missing", () => {
  const { size } = statSync(makeChannel({ slots: 4, maxRequestBytes: 5000 }));
  for (const length of [size - 1, size - 4096, Math.floor(size / 2), 4096, 100, 12, 8]) {
    const target = makeChannel({ slots: 4, maxRequestBytes: 5000 });
    truncateSync(target, length);
    assertThrowsCode(() => Server.open(target), "CORRUPT", target);
    assertThrowsCode(() => Client.open(target), "CORRUPT", target);
  }
});

test("a file that has grown is CORRUPT", () => {
  const target = makeChannel({ slots: 4 });
  truncateSync(target, statSync(target).size + 1);
  assertThrowsCode(() => Server.open(target), "CORRUPT");
});

test("another magic is CORRUPT, and unlink leaves it", () => {
  const target = makeChannel({ slots: 4 });
  patch(target, 0, [0x2a]);
  assertThrowsCode(() => Client.open(target), "CORRUPT", target);
  assertThrowsCode(() => Server.unlink(target), "CORRUPT", target);
  assert(statSync(target).size > 0);
});

test("another layout version is INCOMPATIBLE and names both", () => {
  const target = makeChannel({ slots: 4 });
  // Behind the magic, which has eight bytes.
  const version = readFileSync(target).readUInt32LE(8);
  patch(target, 8, [77, 0, 0, 0]);
  for (const open of [() => Server.open(target), () => Client.open(target)]) {
    assertThrowsCode(open, "INCOMPATIBLE", "77", `${version}`);
  }
  // It can still be removed.
  assertEquals(Server.unlink(target), true);
});

test("a header that makes no sense is CORRUPT, and never a crash", () => {
  // NOT_FOUND: one of these bytes says that the channel was unlinked.
  const codes = ["CORRUPT", "MISMATCH", "INCOMPATIBLE", "NOT_FOUND"];
  // Everything between the version and the end of the first words, one byte after the other.
  for (let offset = 12; offset < 64; offset++) {
    const target = makeChannel({ slots: 4 });
    const [before] = readFileSync(target).subarray(offset, offset + 1);
    patch(target, offset, [before! ^ 0xff]);
    try {
      // Some of these are not looked at, or make another valid header.
      Client.open(target).close();
    } catch (error) {
      assertInstanceOf(error, TandemError, `offset ${offset}: ${error}`);
      assert(codes.includes(error.code), error.message);
    }
  }
});

test("no more than 1,024 handles on a channel: one more is BUSY and says so", () => {
  const target = newTarget();
  using _server = Server.create(target);
  const clients: Client[] = [];
  try {
    for (let count = 1; count < 1024; count++) clients.push(Client.open(target));
    assertThrowsCode(() => Client.open(target), "BUSY", "1024", "handles");
    clients.pop()!.close();
    using _again = Client.open(target);
    assertThrowsCode(() => Server.open(target), "BUSY", "1024");
  } finally {
    for (const client of clients) client.close();
  }
});

test("a path that the system refuses is PERMISSION", async () => {
  // The system refuses nothing to root, so another user has to try.
  const target = makeChannel();
  chmodSync(target, 0o444);
  if (process.geteuid?.() !== 0) {
    assertThrowsCode(() => Client.open(target), "PERMISSION", target);
    const locked = join(folder(), "locked");
    mkdirSync(locked, { mode: 0o500 });
    assertThrowsCode(() => Server.create(join(locked, "x.tandem")), "PERMISSION");
  }
  for (const name of runtimes) {
    const child = await spawn(name, "open.ts", ["x", "open"], { env: { TANDEM_DIR: target } });
    const { code, message } = await child.message<{ code: string; message: string }>();
    assertEquals(code, "PERMISSION");
    assertStringIncludes(message, "TANDEM_DIR");
  }
});

test("open: looks at the file anew each time", () => {
  const target = newTarget();
  writeFileSync(target, "notes");
  assertThrowsCode(() => Server.open(target), "CORRUPT");
  writeFileSync(target, "");
  using server = Server.open(target, { slots: 2 });
  assertEquals(server.slots, 2);
  assertThrowsCode(() => Server.create(target), "EXISTS");
});
