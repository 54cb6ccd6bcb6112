/**
 * What other users can and cannot do to a channel whose folder they can write to; time and
 * place of processes. (Attacks by participants: `faults/`.)
 */
import { assert, assertEquals } from "@std/assert";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { Client, connect, serve, Server } from "../../mod.ts";
import { bellsOf, privateChannelsOf } from "../support/bells.ts";
import { callAsleep } from "../support/calls.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  eventually,
  folder,
  newTarget,
  ownRuntime,
  runtime,
  runtimes,
  spawn,
  startProgram,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { firstUserOffset, write32 } from "../support/scribble.ts";
import { asOtherUser, noRoot, otherUser, otherUserCan, works } from "../support/privileges.ts";

const noUsers = noRoot ?? (works([...asOtherUser, "true"]) ? null : "setpriv is refused");
const uid = process.geteuid!();

/** A folder that every user may write to, as /tmp is. */
function sharedFolder(): string {
  chmodSync(folder(), 0o711);
  const shared = join(folder(), "shared");
  mkdirSync(shared);
  chmodSync(shared, 0o1777);
  return shared;
}

function mode(path: string): number {
  return statSync(path).mode & 0o7777;
}

for (const kind of ["folder", "link to a folder", "file", "fifo"]) {
  test(`another user has put a ${kind} where the doorbells of a channel will be`, () => {
    const target = join(sharedFolder(), "early.tandem");
    const precious = join(folder(), "precious");
    mkdirSync(precious, { mode: 0o700 });
    const scripts: Record<string, string> = {
      folder: 'mkdir -m 777 "$1"',
      "link to a folder": 'ln -s "$2" "$1"',
      file: 'echo x > "$1"',
      fifo: 'mkfifo -m 666 "$1"',
    };
    assert(otherUserCan(scripts[kind]!, `${target}.bells`, precious));
    for (const open of [() => Server.open(target), () => Server.create(target)]) {
      assertThrowsCode(open, "PERMISSION", ".bells");
      assert(!existsSync(target), "what cannot be used is not left");
    }
    assertEquals([mode(precious), readdirSync(precious)], [0o700, []]);
    rmSync(`${target}.bells`, { recursive: true });
    return callAsleep(target);
  }, { skip: noUsers });
}

test(
  "the folder of the doorbells stays while the channel does, where others could take its name",
  async () => {
    const target = join(sharedFolder(), "kept.tandem");
    await callAsleep(target);
    assertEquals(mode(`${target}.bells`), 0o1700);
    assertEquals(bellsOf(target), []);
    assert(!otherUserCan('mkdir "$1" || rmdir "$1" || mv "$1" "$1.away"', `${target}.bells`));
    await callAsleep(target);
    assert(Server.unlink(target));
    assert(!existsSync(`${target}.bells`));
  },
  { skip: noUsers },
);

test("the folder of the doorbells goes with the last participant where no other user can take its name", async () => {
  const target = newTarget();
  await callAsleep(target);
  assertEquals(readdirSync(folder()), [target.slice(folder().length + 1)]);
});

test("a participant removes its bells, even if its shared entry names another user", async () => {
  const target = newTarget();
  const server = Server.create(target);
  const received = server.receive();
  await eventually(() => bellsOf(target).length === 2, "the server has a bell and a life socket");
  write32(target, firstUserOffset, uid + 1);
  server.close();
  await assertRejectsCode(received, "CLOSED");
  assert(!existsSync(`${target}.bells`), "the folder is gone");
});

test(
  "participants of another user cannot change or remove a user's bells, but can ring them",
  async () => {
    const target = join(sharedFolder(), "everybody.tandem");
    using server = Server.create(target, { mode: 0o666 });
    const received = server.receive();
    const own = `${target}.bells/u${uid}`;
    await eventually(() => bellsOf(target).length === 2, "it sleeps, and has a bell and a life");
    assertEquals([mode(`${target}.bells`), mode(own)], [0o1777, 0o711]);
    for (const path of bellsOf(target)) {
      // Whoever has a life open for writing hides the death of its participant.
      const isLife = basename(path).startsWith("l");
      assertEquals(mode(path), isLife ? 0o444 : 0o666);
      if (isLife) assert(!otherUserCan('exec 3<>"$1"', path), "opened for writing");
      assert(!otherUserCan('rm "$1"', path), "removed");
      assert(!otherUserCan('mv "$1" "$1.away"', path), "moved");
      assert(!otherUserCan('chmod 0 "$1"', path), "changed");
    }
    assert(!otherUserCan('ln -s /etc/passwd "$1/x"', own), "put something there");
    assert(!otherUserCan('mv "$1" "$1.away"', own), "moved the folder");
    assert(!otherUserCan('rm -r "$1"', own), "removed the folder");
    // They can ring.
    const asOther = { through: asOtherUser, env: { TANDEM_DIR: undefined } };
    for (const each of runtimes) {
      const client = await spawn(each, "client.ts", [target, "promise"], asOther);
      await client.expect("ready");
      client.end();
    }
    using client = Client.open(target);
    client.post("x");
    assertEquals((await received)!.text(), "x");
  },
  { skip: noUsers },
);

test(
  "a user's folder that another participant has created is not used, and calls are answered",
  async () => {
    const target = join(sharedFolder(), "squatted.tandem");
    Server.create(target, { mode: 0o666 }).close();
    const own = `${target}.bells/u${uid}`;
    rmSync(own, { recursive: true, force: true });
    assert(otherUserCan('mkdir -m 777 "$1" && ln -s /etc/passwd "$1/b0-2-1"', own));
    await callAsleep(target);
    assertEquals(readdirSync(own), ["b0-2-1"], "nothing was put there");
    Server.unlink(target);
  },
  { skip: noUsers },
);

test(
  "a folder that others may write to beyond the channel's mode is refused, and its owner mends it",
  async () => {
    const target = join(sharedFolder(), "wide.tandem");
    Server.create(target).close();
    chmodSync(`${target}.bells`, 0o777);
    assertThrowsCode(() => Server.open(target), "PERMISSION", "777");
    chmodSync(`${target}.bells`, 0o755);
    await callAsleep(target);
    assertEquals(mode(`${target}.bells`), 0o1700, "as it should be");
    Server.unlink(target);
  },
  { skip: noUsers },
);

test("a file that is linked among the bells is not written to", async () => {
  const target = newTarget();
  const precious = join(folder(), "precious");
  writeFileSync(precious, "untouched", { mode: 0o600 });
  using server = Server.open(target);
  for (const link of [symlinkSync, linkSync]) {
    const received = server.receive();
    await eventually(() => server.stats().waitingServers === 1, "it sleeps, and has a bell");
    const bell = bellsOf(target).find((path) => /\/b[^/]*$/.test(path))!;
    rmSync(bell);
    link(precious, bell);
    using client = Client.open(target);
    client.post("x");
    assertEquals((await received)!.text(), "x");
  }
  assertEquals([mode(precious), statSync(precious).size], [0o600, "untouched".length]);
});

test(
  "private channels of streams lie in the user's own folder, which other users cannot change",
  async () => {
    const target = join(sharedFolder(), "streams.tandem");
    const api = {
      async *double(numbers: AsyncIterable<number>): AsyncGenerator<number> {
        for await (const number of numbers) yield 2 * number;
      },
    };
    await using service = serve(target, api, { mode: 0o666 });
    using remote = connect<typeof api>(target);
    const doubled = remote.double((async function* () {
      yield 1;
      yield 2;
    })());
    assertEquals((await doubled.next()).value, 2);
    const channels = privateChannelsOf(target);
    assertEquals(channels.length, 2);
    for (const path of channels) {
      assert(path.startsWith(`${target}.bells/u${uid}/`));
      assert(!otherUserCan('rm "$1" || mv "$1" "$1.away"', path));
    }
    assertEquals((await doubled.next()).value, 4);
    service.unlink();
  },
  { skip: noUsers },
);

test("an anonymous channel's bells are not put into another user's folder", async () => {
  chmodSync(folder(), 0o711);
  const others = join(folder(), "others");
  mkdirSync(others);
  chownSync(others, otherUser, otherUser);
  const wide = join(folder(), "wide");
  mkdirSync(wide);
  chmodSync(wide, 0o777);
  for (const each of runtimes) {
    for (const [directory, found] of [[others, String(otherUser)], [wide, "777"]] as const) {
      const child = await spawn(each, "anonymous.ts", [], { env: { TANDEM_DIR: directory } });
      const outcome = await child.message<{ code: string; message: string }>();
      assertEquals(outcome.code, "PERMISSION");
      assert(outcome.message.includes(found), outcome.message);
      assertEquals(readdirSync(directory), []);
    }
  }
}, { skip: noUsers });

test("unlink does not touch the folder of a file that is no channel", () => {
  const album = join(folder(), "album");
  writeFileSync(album, "pictures");
  mkdirSync(`${album}.bells/u${uid}`, { recursive: true });
  for (const name of ["l0-1-1", "b0-1-1", "p0-1-1"]) {
    writeFileSync(`${album}.bells/u${uid}/${name}`, "x");
  }
  assertThrowsCode(() => Server.unlink(album), "CORRUPT");
  assertEquals(Server.unlink(`${album}-there-is-none`), false);
  assertEquals(bellsOf(album).length, 3);
});

test("unlink does not descend into folders within folders", () => {
  const target = newTarget();
  Server.create(target).close();
  let deep = `${target}.bells/u${uid}`;
  for (let level = 0; level < 400 && deep.length < 3_900; level++) {
    mkdirSync(deep, { recursive: true });
    writeFileSync(`${deep}/l0-9-9`, "");
    deep += `/p0-9-9.bells/u${uid}`;
  }
  for (let round = 0; round < 2; round++) {
    using server = Server.open(target);
    assertEquals(server.stats().servers, 1);
  }
  assert(Server.unlink(target));
  assert(!existsSync(target));
});

test(
  "a process that may only read the file hides no death and is named when it keeps others out",
  async () => {
    const target = newTarget();
    using client = Client.open(target, { create: { mode: 0o644 } });
    const server = await startServer(runtime, target, "serve");
    assertEquals(text(await client.request("x")), "x");
    // Every byte of the file that is not locked, including those of later participants, from both ends.
    const script = `
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
start, end = 1 << 62, (1 << 62) + (1 << 53)
def lock(first, length):
    if length <= 0: return
    try: fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, first, length, 0))
    except OSError:
        if length > 1:
            lock(first, length // 2)
            lock(first + length // 2, length - length // 2)
lock(start, end - start)
print("locked", flush=True)
sys.stdin.read()
`;
    const reader = startProgram("reader", ["python3", "-c", script, target]);
    await reader.expect("locked");
    assertThrowsCode(() => Client.open(target), "PERMISSION", "/proc/locks");
    const answer = assertRejectsCode(client.request("hold"), "SERVER_DIED");
    await server.expect("holding 1");
    await server.killed();
    await answer;
    reader.end();
    await reader.closed;
    Client.open(target).close();
  },
  { skip: noUsers },
);

test("unlink removes the bells of living participants as well", async () => {
  const target = newTarget();
  using server = Server.open(target);
  const child = await startServer(runtime, target, "promise");
  await eventually(() => server.stats().waitingServers === 1, "the other sleeps");
  assert(bellsOf(target).length >= 3);
  assert(Server.unlink(target));
  assertEquals(readdirSync(folder()), []);
  await child.expect("unlinked");
  await child.expect("served 0");
  await child.ended();
  server.close();
  assertEquals(readdirSync(folder()), []);
});

test("a channel that cannot be mapped leaves no file behind", () => {
  // An eighth of the addresses each.
  const options = { slots: 16_000, maxRequestBytes: 2 ** 29, maxResponseBytes: 2 ** 29 - 2 ** 20 };
  const servers: Server[] = [];
  try {
    for (let count = 0; count < 10; count++) {
      const target = newTarget();
      try {
        servers.push(Server.create(target, options));
      } catch {
        assertThrowsCode(() => Server.create(target, options), "NO_SPACE", "address space");
        assert(!existsSync(target) && !existsSync(`${target}.bells`));
        return;
      }
    }
    throw new Error("ten eighths of the address space were mapped");
  } finally {
    for (const server of servers) server.close();
  }
});

const noTimeNamespace = noRoot ??
  (works(["unshare", "--time", "--monotonic", "1000", "true"]) ? null : "no time namespaces here");

for (const offset of ["1000000", "-3"]) {
  test(`a deadline means the same in a time namespace that is ${offset} s off`, async () => {
    const through = ["unshare", "--time", "--monotonic", offset];
    const target = newTarget();
    for (const each of runtimes) {
      using server = Server.open(target);
      const client = await spawn(each, "deadline.ts", [target, "60000"], { through });
      const request = (await server.receive())!;
      assert(request.timeRemaining > 1_000 && request.timeRemaining <= 60_000);
      assert(!request.cancelled);
      assert(request.reply("y"));
      assertEquals(await client.message(), { answer: "y" });
    }
  }, { skip: noTimeNamespace });
}

test(
  "a process whose environment cannot be read gets an error that says so, and can use paths",
  async () => {
    chmodSync(folder(), 0o711);
    const target = join(sharedFolder(), "by-path.tandem");
    for (const each of runtimes) {
      const child = await spawn(each, "other_user.ts", [target, String(otherUser)], {
        denoPermissions: ["-A"],
      });
      const outcome = await child.message<
        { byName: { code: string; message: string }; byPath: string }
      >();
      assertEquals(outcome.byName.code, "PERMISSION");
      assert(outcome.byName.message.includes("TANDEM_DIR"), outcome.byName.message);
      assertEquals(outcome.byPath, target);
    }
  },
  { skip: noUsers },
);

test("closing a handle whose views other threads read is no crash", async () => {
  for (const each of ownRuntime) {
    const child = await spawn(each, "stale_views.ts", ["6"]);
    await child.expect("done");
    const { signal } = await child.exited;
    assertEquals(signal, null);
  }
});

test("a relative path keeps its meaning when the working directory changes", async () => {
  const target = newTarget();
  const before = process.cwd();
  try {
    process.chdir(folder());
    const api = {
      *count(): Generator<number> {
        yield 1;
      },
      length: (bytes: Uint8Array) => bytes.byteLength,
    };
    await using service = serve(`./${target.slice(folder().length + 1)}`, api);
    using remote = connect<typeof api>(`./${target.slice(folder().length + 1)}`);
    assertEquals(await remote.length(new Uint8Array(1)), 1);
    process.chdir("/");
    assert(service.path.startsWith("/"));
    assertEquals((await remote.count().next()).value, 1);
    assertEquals(await remote.length(new Uint8Array(2 ** 22)), 2 ** 22);
    assert(service.unlink());
    assert(!existsSync(target));
  } finally {
    process.chdir(before);
  }
});
