/** Files, names and descriptors that are no channel, or the wrong one. */
import { assert, assertEquals } from "@std/assert";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import {
  type ChannelOptions,
  Client,
  type ErrorCode,
  IntClient,
  IntServer,
  Server,
} from "../../mod.ts";
import { assertRefused, assertRefusedLater } from "../support/bad_input_assert.ts";
import { folder, newTarget, test } from "../support/harness.ts";

/** A channel's file without a participant. */
function makeChannel(options: ChannelOptions = {}): string {
  const target = newTarget();
  Server.create(target, { slots: 4, ...options }).close();
  return target;
}

/** Every form of opening refuses the file in the same way. */
function refused(target: string, code: ErrorCode, ...parts: readonly string[]): void {
  assertRefused(() => Client.open(target), code, target, ...parts);
  assertRefused(() => Server.open(target), code, target, ...parts);
  assertRefused(() => Client.open(target, { create: {} }), code, target, ...parts);
  assertRefused(() => IntClient.open(target), code, target, ...parts);
  assertRefused(() => IntServer.open(target), code, target, ...parts);
}

test("a missing channel: NOT_FOUND, and TIMEOUT of connect", async () => {
  const target = newTarget();
  const advice = ["no channel", "start its server", "Client.connect()", "create"];
  assertRefused(() => Client.open(target), "NOT_FOUND", target, ...advice);
  assertRefused(() => IntClient.open(target), "NOT_FOUND", target, ...advice);
  const connecting = Client.connect(target, { timeout: 1 });
  await assertRefusedLater(connecting, "TIMEOUT", target, "1 ms", "is its server running");
  assertEquals(Server.unlink(target), false);
  assert(!existsSync(target));
});

test("a missing folder, or a file in its place: NOT_FOUND", () => {
  const nowhere = join(folder(), "nowhere", "x.tandem");
  for (const open of [Client.open, Server.open, Server.create, IntServer.open]) {
    assertRefused(() => open(nowhere), "NOT_FOUND", nowhere, "directory");
  }
  const file = newTarget();
  writeFileSync(file, "notes");
  const below = join(file, "x.tandem");
  for (const open of [Client.open, Server.open, Server.create, IntServer.open]) {
    assertRefused(() => open(below), "NOT_FOUND", below, "no directory");
  }
});

test("a channel of the other kind: MISMATCH names the classes for it", () => {
  const bytes = makeChannel();
  const ints = newTarget();
  IntServer.create(ints).close();
  for (const open of [IntServer.open, IntClient.open]) {
    assertRefused(() => open(bytes), "MISMATCH", bytes, "for bytes", "Server and Client");
  }
  for (const open of [Server.open, Client.open]) {
    assertRefused(() => open(ints), "MISMATCH", ints, "for integers", "IntServer and IntClient");
  }
  using server = Server.open(bytes);
  assertRefused(() => IntClient.fromFd(server.fd), "MISMATCH", "for bytes");
});

test("a channel of other sizes: MISMATCH names both values", () => {
  const sizes = { slots: 7, maxRequestBytes: 1001, maxResponseBytes: 2003, maxDeliveries: 3 };
  const target = makeChannel(sizes);
  // In use: otherwise it would be replaced.
  using _server = Server.open(target);
  for (const [name, value] of Object.entries(sizes)) {
    const other = { [name]: value + 1 };
    const parts = [target, `${name} ${value}`, `${value + 1}`, "leave the option out"];
    assertRefused(() => Server.open(target, other), "MISMATCH", ...parts);
    assertRefused(() => Client.open(target, { create: other }), "MISMATCH", ...parts);
  }
});

test("create where a channel exists: EXISTS", () => {
  const target = makeChannel();
  for (const create of [Server.create, IntServer.create]) {
    assertRefused(() => create(target), "EXISTS", target, "already", "open()");
  }
});

test("a channel of another layout version: INCOMPATIBLE names both versions", () => {
  const target = makeChannel();
  const content = readFileSync(target).subarray(0, 4096);
  const size = statSync(target).size;
  // Behind the magic, which has eight bytes.
  const version = content.readUInt32LE(8);
  for (const other of [0, version + 1, 0xffff_ffff]) {
    content.writeUInt32LE(other, 8);
    writeFileSync(target, content);
    truncateSync(target, size);
    refused(target, "INCOMPATIBLE", `version ${other}`, `needs ${version}`, "the same version");
  }
  assertEquals(Server.unlink(target), true);
});

test("a truncated file: CORRUPT, with both lengths", () => {
  const { size } = statSync(makeChannel());
  for (const length of [size - 1, size - 4096, size >> 1, 4096, 2000]) {
    const target = makeChannel();
    truncateSync(target, length);
    refused(target, "CORRUPT", `${length} bytes`, `${size}`, "truncated", "remove it");
  }
  for (const length of [1000, 100, 12]) {
    const target = makeChannel();
    truncateSync(target, length);
    refused(target, "CORRUPT", `${length} bytes`, "truncated", "remove");
  }
});

test("a file that has grown: CORRUPT, with both lengths", () => {
  const target = makeChannel();
  const { size } = statSync(target);
  truncateSync(target, size + 1);
  refused(target, "CORRUPT", `${size + 1} bytes`, `${size}`, "added", "remove it");
});

test("a header that makes no sense: CORRUPT", () => {
  const target = makeChannel();
  const content = readFileSync(target).subarray(0, 4096);
  const size = statSync(target).size;
  // The first is the kind, which has no such value.
  for (const offset of [12, 16, 20, 24, 28]) {
    const other = Uint8Array.from(content);
    other.fill(0xff, offset, offset + 4);
    writeFileSync(target, other);
    truncateSync(target, size);
    refused(target, "CORRUPT", "header", "remove the file");
  }
});

test("a file that was never a channel: CORRUPT, and it stays as it is", () => {
  const contents: Record<string, Uint8Array> = {
    random: crypto.getRandomValues(new Uint8Array(50_000)),
    text: new TextEncoder().encode("these are a user's notes\n".repeat(500)),
    short: new TextEncoder().encode("notes"),
    byte: Uint8Array.of(1),
    "zeros and a byte": new Uint8Array(50_000).fill(1, 49_999),
  };
  for (const [name, content] of Object.entries(contents)) {
    const target = newTarget();
    writeFileSync(target, content);
    refused(target, "CORRUPT", "no channel", "yourself");
    assertRefused(() => Server.unlink(target), "CORRUPT", target, "no channel", "yourself");
    // The message does not claim that a channel is there.
    assertRefused(() => Server.create(target), "CORRUPT", target, "no channel", "yourself");
    assertEquals(new Uint8Array(readFileSync(target)), content, name);
  }
});

test("the leftovers of an interrupted create: CORRUPT to clients, and a server creates over them", () => {
  const { size } = statSync(makeChannel());
  for (const length of [0, 1, 4096, 100_000, size]) {
    const target = newTarget();
    writeFileSync(target, "");
    truncateSync(target, length);
    const parts = [target, "interrupted create", "Server", "create"];
    assertRefused(() => Client.open(target), "CORRUPT", ...parts);
    assertRefused(() => IntClient.open(target), "CORRUPT", ...parts);
    assertEquals(statSync(target).size, length);
    using server = Server.create(target, { slots: 3 });
    using client = Client.open(target);
    assertEquals([server.slots, client.slots], [3, 3]);
  }
});

test("a directory: CORRUPT", () => {
  for (const target of [folder(), `${folder()}/`, `${folder()}/.`, "/"]) {
    refused(target, "CORRUPT", "directory", "give");
    assertRefused(() => Server.create(target), "CORRUPT", target, "directory");
    assertRefused(() => Server.unlink(target), "CORRUPT", target, "no regular file");
  }
});

test("a symbolic link: CORRUPT, and nothing is created behind it", () => {
  const channel = makeChannel();
  const link = newTarget();
  symlinkSync(channel, link);
  const elsewhere = newTarget();
  const dangling = newTarget();
  symlinkSync(elsewhere, dangling);
  const loop = newTarget();
  symlinkSync(loop, loop);
  for (const target of [link, dangling, loop]) {
    refused(target, "CORRUPT", "symbolic link", "the channel itself");
    assertRefused(() => Server.create(target), "CORRUPT", target, "symbolic link");
    assertRefused(() => Server.unlink(target), "CORRUPT", target, "symbolic link");
  }
  assert(!existsSync(elsewhere), "nothing is made behind a link");
  Client.open(channel).close();
});

test("a FIFO or a device: CORRUPT, without waiting for its other end", () => {
  const fifo = newTarget();
  execFileSync("mkfifo", [fifo]);
  for (const target of [fifo, "/dev/null", "/dev/zero"]) {
    refused(target, "CORRUPT", "no regular file", "give");
    assertRefused(() => Server.create(target), "CORRUPT", target, "no regular file");
    assertRefused(() => Server.unlink(target), "CORRUPT", target, "no regular file");
  }
  assert(statSync(fifo).isFIFO());
});

test("a descriptor that is no channel: CORRUPT", () => {
  const file = newTarget();
  writeFileSync(file, "x".repeat(10_000));
  const short = newTarget();
  writeFileSync(short, "notes");
  const cases: [path: string, flags: string, ...parts: string[]][] = [
    [file, "r+", "no channel", "give"],
    [short, "r+", "no channel", "give"],
    [folder(), "r", "directory", "give"],
    ["/dev/null", "r+", "no regular file", "descriptor"],
  ];
  for (const [path, flags, ...parts] of cases) {
    const fd = openSync(path, flags);
    try {
      for (const open of [Client.fromFd, Server.fromFd, IntClient.fromFd, IntServer.fromFd]) {
        assertRefused(() => open(fd), "CORRUPT", `descriptor ${fd}`, ...parts);
      }
    } finally {
      closeSync(fd);
    }
  }
  assertEquals(readFileSync(short, "utf8"), "notes");
  for (const fd of [999_999, 2 ** 31 - 1]) {
    assertRefused(() => Client.fromFd(fd), "CORRUPT", `descriptor ${fd}`, "open", "server.fd");
  }
});

test("a descriptor: a RangeError or TypeError unless it can be one", () => {
  for (const fd of [-1, 1.5, NaN, Infinity, 2 ** 31, 2 ** 53]) {
    for (const open of [Client.fromFd, Server.fromFd, IntClient.fromFd, IntServer.fromFd]) {
      assertRefused(() => open(fd), RangeError, `${fd}`, "fd", "whole number");
    }
  }
  for (const fd of ["3", 3n, null, undefined, {}]) {
    assertRefused(() => Client.fromFd(fd as unknown as number), TypeError, "fd", "number");
  }
});

test("names and paths that break the rules: a TypeError", () => {
  const names = [
    "",
    ".",
    "..",
    ".hidden",
    "a\0b",
    "a\0",
    "-x",
    "a b",
    "ä",
    "a:b",
    "%2e%2e",
    "x".repeat(65),
  ];
  for (const name of names) {
    const openers = [
      Client.open,
      Server.open,
      Server.create,
      Server.unlink,
      IntClient.open,
      IntServer.open,
    ];
    for (const open of openers) {
      assertRefused(() => open(name), TypeError, JSON.stringify(name), "64 letters", "slash");
    }
  }
  for (const path of [`${folder()}/a\0b`, "./\0", "\0/x"]) {
    assertRefused(() => Server.open(path), TypeError, JSON.stringify(path), "NUL");
  }
  for (const path of [`${folder()}/${"x/".repeat(3000)}y`, `${folder()}/${"y".repeat(300)}`]) {
    for (const open of [Client.open, Server.open, Server.unlink]) {
      assertRefused(() => open(path), TypeError, "too long", "shorter");
    }
  }
  // A path is taken as it is; the system resolves dots in it.
  mkdirSync(join(folder(), "a"));
  const roundabout = `${folder()}/a/../a/./b..c`;
  using server = Server.open(roundabout);
  assertEquals(server.path, roundabout);
  assert(existsSync(join(folder(), "a", "b..c")));
});

test("a target that is no string: a TypeError", () => {
  for (const value of [undefined, null, 5, 5n, {}, ["a"], new URL("file:///tmp/x")]) {
    const target = value as unknown as string;
    for (const open of [Client.open, Server.open, Server.create, Server.unlink, IntServer.open]) {
      assertRefused(() => open(target), TypeError, "target", "give a name or a path");
    }
  }
});
