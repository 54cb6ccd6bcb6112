/** Descriptors in the event loop: what `Backend.watch` and `watchHangup` promise, in each runtime. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { closeSync, fstatSync, openSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { type Backend, bellFifo } from "../../src/runtime/backend.ts";
import { backend } from "../../src/runtime/current.ts";
import { eventually, folder, runtime, sleep, test } from "../support/harness.ts";

interface Libc {
  socketpair(domain: number, type: number, protocol: number, out: Int32Array): number;
  mkfifo(path: Uint8Array, mode: number): number;
  open(path: Uint8Array, flags: number): number;
  close(fd: number): number;
  write(fd: number, bytes: Uint8Array, length: bigint): bigint;
}

const [stream, nonBlocking, closeOnExec, readWrite] = [1, 0x800, 0x80000, 2];

let bound: Libc | undefined;

/** Not at the start of the file: it needs permissions. */
function libc(): Libc {
  return bound ??= backend().bind<Libc>("libc.so.6", {
    socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32", cold: true },
    mkfifo: { parameters: ["buffer", "u32"], result: "i32", cold: true },
    open: { parameters: ["buffer", "i32"], result: "i32", cold: true },
    close: { parameters: ["i32"], result: "i32", cold: true },
    write: { parameters: ["i32", "buffer", "size"], result: "size", cold: true },
  });
}

/** Two connected sockets. */
function connected(): [number, number] {
  const fds = new Int32Array(2);
  const unix = 1;
  assertEquals(libc().socketpair(unix, stream | nonBlocking | closeOnExec, 0, fds), 0);
  return [fds[0]!, fds[1]!];
}

/** A FIFO that its reader holds open for writing as well, as the bell is. */
function bell(): [number, string] {
  const path = join(folder(), `bell-${Math.random()}`);
  const name = new TextEncoder().encode(`${path}\0`);
  assertEquals(libc().mkfifo(name, 0o600), 0);
  return [libc().open(name, readWrite | nonBlocking | closeOnExec), path];
}

function ring(fd: number): void {
  assertEquals(libc().write(fd, new Uint8Array(1), 1n), 1n);
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

class Watched {
  readable = 0;
  hangups = 0;
  #hasReturned = false;
  readonly watch: ReturnType<Backend["watch"]>;

  constructor(fd: number) {
    this.watch = backend().watch(fd, () => {
      assertEquals(this.#hasReturned, true);
      this.readable += 1;
    }, () => {
      assertEquals(this.#hasReturned, true);
      this.hangups += 1;
    });
    this.#hasReturned = true;
  }
}

/** Long enough for what is on its way to arrive. */
async function aWhile(): Promise<void> {
  const [fd, peer] = connected();
  const other = new Watched(fd);
  ring(peer);
  await eventually(() => other.readable > 0);
  other.watch.close();
  libc().close(peer);
  await sleep(20);
}

test("a peer that was gone before hangs up once", async () => {
  const [fd, peer] = connected();
  libc().close(peer);
  const watched = new Watched(fd);
  assertEquals(watched.hangups, 0);
  await eventually(() => watched.hangups > 0);
  await aWhile();
  assertEquals(watched.hangups, 1);
  watched.watch.close();
});

test("a peer that goes hangs up once, whatever it has written and not read", async () => {
  for (const [writes, isRead] of [[0, true], [1, true], [100_000, true], [1, false]] as const) {
    const [fd, peer] = connected();
    const watched = new Watched(fd);
    if (writes > 0) libc().write(peer, new Uint8Array(writes), BigInt(writes));
    // The kernel reports what the peer has not read as a reset connection.
    if (!isRead) ring(fd);
    if (writes > 0) await eventually(() => watched.readable > 0);
    assertEquals(watched.hangups, 0);
    libc().close(peer);
    await eventually(() => watched.hangups > 0);
    await aWhile();
    assertEquals(watched.hangups, 1);
    watched.watch.close();
  }
});

test("bytes that arrive at any time are reported", async () => {
  const [fd, peer] = connected();
  ring(peer);
  const watched = new Watched(fd);
  await eventually(() => watched.readable > 0);
  for (let round = 0; round < 100; round++) {
    const { readable } = watched;
    ring(peer);
    await eventually(() => watched.readable > readable);
  }
  watched.watch.close();
  libc().close(peer);
});

test("a turn that follows a ring at once needs no ring of its own", async () => {
  // A process that stands still for a millisecond in between may ring itself all the same.
  while (await ringsOfOne() > 1);
}, { skip: backend().bellKind === bellFifo ? null : "its bell is a socket" });

/** How often a bell rings that was rung once, if a turn follows. */
async function ringsOfOne(): Promise<number> {
  const [fd, path] = bell();
  let rings = 0;
  let hasTurned = false;
  const watch = backend().watch(fd, () => {
    rings += 1;
    if (rings === 1) backend().nextTurn(() => hasTurned = true, watch);
  }, () => {});
  const writer = openSync(path, "w");
  ring(writer);
  await eventually(() => hasTurned);
  await aWhile();
  watch.close();
  closeSync(writer);
  return rings;
}

test("closing is immediate, happens once, and no callback follows", async () => {
  for (const what of ["nothing", "bytes", "a hangup", "bytes and a hangup"]) {
    while (!(await closesAtOnce(what)));
  }
});

/** False: another thread of the runtime has opened or closed a descriptor just then, so nothing takes the number. */
async function closesAtOnce(what: string): Promise<boolean> {
  const [fd, peer] = connected();
  const socket = nameOf(fd);
  const watched = new Watched(fd);
  if (what.includes("bytes")) ring(peer);
  if (what.includes("hangup")) libc().close(peer);
  watched.watch.close();
  assert(nameOf(fd) !== socket, `${what}: the descriptor is free`);
  // It takes the number over.
  const next = openSync("/proc/self/stat", "r");
  watched.watch.close();
  await aWhile();
  assertEquals([watched.readable, watched.hangups], [0, 0], what);
  assertEquals(nameOf(next)?.endsWith("/stat"), true);
  closeSync(next);
  if (!what.includes("hangup")) libc().close(peer);
  return next === fd;
}

/** What a descriptor stands for; null: it is not open. */
function nameOf(fd: number): string | null {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return null;
  }
}

test("a watch that its own callback closes", async () => {
  for (const ends of ["bytes", "hangup"]) {
    const [fd, peer] = connected();
    let calls = 0;
    const close = () => {
      calls += 1;
      watch.close();
    };
    const watch = backend().watch(fd, close, close);
    if (ends === "bytes") ring(peer);
    libc().close(peer);
    await eventually(() => calls > 0);
    await aWhile();
    assertEquals(calls, 1);
    assertEquals(isOpen(fd), false);
  }
});

test("a bell never hangs up, whoever else opens and closes it", async () => {
  const [fd, path] = bell();
  const watched = new Watched(fd);
  for (let round = 0; round < 50; round++) {
    const writer = openSync(path, "w");
    const { readable } = watched;
    if (round % 2 === 0) ring(writer);
    closeSync(writer);
    if (round % 2 === 0) await eventually(() => watched.readable > readable);
  }
  await aWhile();
  assertEquals(watched.hangups, 0);
  watched.watch.close();
  assertEquals(isOpen(fd), false);
}, { skip: backend().bellKind === bellFifo ? null : "its bell is a socket" });

/** As many descriptors are open, if none has been left open. */
function highest(): number {
  const [one, other] = connected();
  libc().close(one);
  libc().close(other);
  return one;
}

test("a thousand watches leave no descriptor", async () => {
  await aWhile();
  const before = highest();
  for (let round = 0; round < 1000; round++) {
    const [fd, peer] = connected();
    const watched = new Watched(fd);
    if (round % 3 === 0) watched.watch.ref();
    if (round % 4 === 0) watched.watch.unref();
    if (round % 5 === 0) ring(peer);
    if (round % 7 === 0) await sleep(0);
    if (round % 2 === 0) libc().close(peer);
    watched.watch.close();
    if (round % 2 !== 0) libc().close(peer);
  }
  // Other threads of the runtime open and close some at any time.
  await eventually(() => highest() <= before, "all are closed");
});

/** A FIFO that is open for writing, as that of a participant's life is, and a way to read it. */
function life(): { owner: number; reader(): number } {
  const [owner, path] = bell();
  const name = new TextEncoder().encode(`${path}\0`);
  return { owner, reader: () => libc().open(name, nonBlocking | closeOnExec) };
}

test("a pipe hangs up once for each of its readers, and only when its last writer is gone", async () => {
  const { owner, reader } = life();
  const hangups = [0, 0, 0];
  const watches = hangups.map((_, index) =>
    backend().watchHangup(reader(), () => hangups[index]! += 1)
  );
  watches[0]!.ref();
  watches[0]!.unref();
  for (let round = 0; round < 50; round++) libc().close(reader());
  await aWhile();
  assertEquals(hangups, [0, 0, 0]);
  libc().close(owner);
  await eventually(() => !hangups.includes(0));
  await aWhile();
  assertEquals(hangups, [1, 1, 1]);
  for (const watch of watches) watch.close();
});

test("a pipe that is watched no more reports nothing, and leaves no descriptor", async () => {
  const { owner, reader } = life();
  const hangups: number[] = [];
  await aWhile();
  const before = highest();
  for (let round = 0; round < 1000; round++) {
    const watch = backend().watchHangup(reader(), () => hangups.push(round));
    if (round % 7 === 0) await sleep(0);
    watch.close();
  }
  await eventually(() => highest() <= before, "all are closed");
  const watches = Array.from({ length: 20 }, () => {
    const watch = backend().watchHangup(reader(), () => {
      hangups.push(-1);
      watch.close();
    });
    return watch;
  });
  for (const [index, watch] of watches.entries()) if (index % 2 === 0) watch.close();
  libc().close(owner);
  await eventually(() => hangups.length === 10);
  await aWhile();
  assertEquals(hangups, Array(10).fill(-1));
  await eventually(() => highest() <= before, "all are closed");
});

test("what is no descriptor is refused", () => {
  for (const fd of [-1, 100_000]) {
    assertThrows(() => backend().watch(fd, () => {}, () => {}));
  }
}, { skip: runtime === "deno" ? "Deno reports it later, as a hang-up" : null });
