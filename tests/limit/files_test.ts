/** The file of a limit: where it may lie, who may use it, and what happens when somebody removes or replaces it. */
import { assert, assertEquals } from "@std/assert";
import { execFileSync, spawn as startChild } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Server } from "../../mod.ts";
import { Limit } from "../../src/limit/main.ts";
import { assertRefused } from "../support/bad_input_assert.ts";
import {
  atEnd,
  eventually,
  folder,
  newTarget,
  ownRuntime,
  present,
  test,
} from "../support/harness.ts";
import { openLimit, openLimits, startProcess, waiting } from "../support/limit.ts";
import { asOtherUser, noRoot, works } from "../support/privileges.ts";

const fixture = fileURLToPath(new URL("../fixtures/limit/contender.ts", import.meta.url));

/** Why a test that starts programs as another user cannot run here; null: it can. */
const noOtherUser: string | null = noRoot ??
  (works([...asOtherUser, "test", "-r", fixture]) ? null : "another user cannot read this folder");

/** How a file is lost. Each leaves a place where a new one can be made. */
const losses: Readonly<Record<string, (target: string) => void>> = {
  "is unlinked": (target) => unlinkSync(target),
  "is replaced by another limit": (target) => {
    const other = `${target}.other`;
    new Limit(other).close();
    renameSync(other, target);
  },
  "is moved away": (target) => renameSync(target, `${target}.moved`),
};

test("a symbolic link is refused, and nothing is made or changed behind it", () => {
  const limit = newTarget();
  new Limit(limit).close();
  const victim = newTarget();
  writeFileSync(victim, "precious");
  const nowhere = newTarget();
  for (const behind of [limit, victim, nowhere]) {
    const link = newTarget();
    symlinkSync(behind, link);
    assertRefused(() => new Limit(link), "CORRUPT", link, "symbolic link", "the limit itself");
  }
  assertEquals([readFileSync(victim, "utf8"), existsSync(nowhere)], ["precious", false]);
});

test("what is no limit is refused and stays as it is", () => {
  const file = newTarget();
  writeFileSync(file, "12345678\n");
  assertRefused(() => new Limit(file), "CORRUPT", file);
  assertEquals(readFileSync(file, "utf8"), "12345678\n");
  const fifo = newTarget();
  execFileSync("mkfifo", [fifo]);
  for (const target of [fifo, folder(), "/dev/null"]) {
    assertRefused(() => new Limit(target), "CORRUPT", target, "limit");
  }
  assertRefused(
    () => new Limit(join(folder(), "nowhere", "x")),
    "NOT_FOUND",
    "nowhere",
    "directory",
  );
});

test("a channel is no limit, and a limit is no channel", () => {
  const channel = newTarget();
  Server.create(channel).close();
  const limit = newTarget();
  new Limit(limit).close();
  assertRefused(
    () => new Limit(channel),
    "MISMATCH",
    channel,
    "a channel for bytes",
    "Server and Client",
  );
  assertRefused(() => Server.open(limit), "MISMATCH", limit, "a limit", "Limit");
  Server.open(channel).close();
  new Limit(limit).close();
});

test("a truncated limit is refused", () => {
  const target = newTarget();
  new Limit(target).close();
  truncateSync(target, statSync(target).size - 1);
  assertRefused(() => new Limit(target), "CORRUPT", target);
});

test("the leftovers of an interrupted making are made anew", () => {
  for (const length of [0, 100_000]) {
    const target = newTarget();
    writeFileSync(target, new Uint8Array(length));
    using limit = new Limit(target, { max: 2 });
    assertEquals(present(limit.tryAcquire()).id, 1);
  }
});

test("the file has mode 0600, or exactly the one that is asked for, whatever the umask", () => {
  const before = process.umask(0o077);
  try {
    const modes = [undefined, 0o660, 0o666].map((mode) => {
      const { target } = openLimit(newTarget(), mode === undefined ? {} : { mode });
      return statSync(target).mode & 0o7777;
    });
    assertEquals(modes, [0o600, 0o660, 0o666]);
  } finally {
    process.umask(before);
  }
});

for (const runtime of ownRuntime) {
  test(`${runtime}: a name lies in TANDEM_DIR, with a suffix of its own, and others may not write there`, async () => {
    const contender = await startProcess(runtime);
    await contender.open("nightly");
    assert(existsSync(join(folder(), "nightly.limit")));
    chmodSync(folder(), 0o770);
    const error = await contender.open("weekly", {}, "b").then(() => null, (error) => error);
    assertEquals((error as { code?: string } | null)?.code, "PERMISSION");
    assert(!existsSync(join(folder(), "weekly.limit")));
  });

  test(
    `${runtime}: another user cannot use a limit of this one, unless its mode allows it`,
    async () => {
      chmodSync(folder(), 0o711);
      const shared = join(folder(), "shared");
      mkdirSync(shared);
      chmodSync(shared, 0o1777);
      const [own] = openLimits(1, {}, join(shared, "own"));
      const [common] = openLimits(1, { mode: 0o666 }, join(shared, "common"));
      present(own!.tryAcquire());
      const lock = present(common!.tryAcquire());
      const other = await startProcess(runtime, [], asOtherUser);
      const error = await other.open(own!.target).then(() => null, (error) => error);
      assertEquals((error as { code?: string } | null)?.code, "PERMISSION");
      await other.open(common!.target);
      const waits = other.acquire();
      await waiting(common!, 1);
      lock.release();
      assertEquals((await waits).id, 1);
      const again = common!.acquire();
      await waiting(common!, 1);
      other.child.end();
      present(await again);
    },
    { skip: noOtherUser },
  );
}

for (const [loss, lose] of Object.entries(losses)) {
  test(`a file that ${loss}: the holder learns of it, and later tokens are greater`, async () => {
    const target = newTarget();
    const [holder, next] = openLimits(2, {}, target);
    const lock = present(holder!.tryAcquire());
    const { signal } = lock;
    lose(target);
    await eventually(() => signal.aborted, "the signal aborts");
    assertEquals((signal.reason as { code?: string }).code, "NOT_FOUND");
    assertEquals([lock.isHeld, lock.heartbeat(), holder!.isHeld], [false, false, false]);
    // All go on with the new file.
    const again = present(holder!.tryAcquire());
    assert(again.token > lock.token, `${again.token} after ${lock.token}`);
    assertEquals([next!.tryAcquire(), openLimit(target).tryAcquire()], [null, null]);
    lock.release();
    assert(again.isHeld, "the lost lock releases nothing");
    again.release();
    present(next!.tryAcquire());
  });

  test(`a file that ${loss}: without a signal, the next question tells`, async () => {
    const target = newTarget();
    for (const ask of ["heartbeat", "tryAcquire"] as const) {
      const [holder, next] = openLimits(2, {}, target);
      const lock = present(holder!.tryAcquire());
      assertEquals(lock.heartbeat(), true);
      lose(target);
      if (ask === "heartbeat") {
        assertEquals([lock.heartbeat(), lock.isHeld], [false, false]);
        present(holder!.tryAcquire());
      } else {
        // Attempts look for the file only now and then.
        await eventually(() => next!.tryAcquire(), "it has a lock of the new file");
        assert(present(next!.lock).token > lock.token);
        assertEquals(lock.heartbeat(), false);
      }
      holder!.close();
      next!.close();
    }
  });

  test(`a file that ${loss}: those that wait go on in the new one, and there is one holder`, async () => {
    const target = newTarget();
    const [holder, first, second] = openLimits(3, {}, target);
    const lock = present(holder!.tryAcquire());
    const waits = [first!.acquire(), second!.acquire()];
    await waiting(holder!, 2);
    lose(target);
    const other = present(openLimit(target).tryAcquire());
    assert(other.token > lock.token);
    lock.release();
    await eventually(() => openLimit(target).waiters().length === 2, "both have moved");
    assertEquals([first!.isHeld, second!.isHeld], [false, false]);
    other.release();
    const won = await Promise.race(waits);
    assert(present(won).token > other.token);
    won!.release();
    present((await Promise.all(waits))[1]);
  });
}

test("a second name for the file changes nothing: it is one limit", () => {
  const target = newTarget();
  const [holder] = openLimits(1, {}, target);
  present(holder!.tryAcquire());
  const second = newTarget();
  linkSync(target, second);
  assertEquals(openLimit(second).tryAcquire(), null);
});

for (const runtime of ownRuntime) {
  test(`${runtime}: the children of a holder do not inherit its lock`, async () => {
    const [watcher] = openLimits(1);
    const { target } = watcher!;
    // Of this process, and of one that is killed.
    const holder = openLimit(target);
    const lock = present(holder.tryAcquire());
    const child = startChild("sleep", ["1000000"], { stdio: "ignore" });
    const gone = new Promise((resolve) => child.once("exit", resolve));
    atEnd(async () => {
      child.kill("SIGKILL");
      await gone;
    });
    lock.release();
    present(watcher!.tryAcquire()).release();
    const again = present(holder.tryAcquire());
    assert(again.isHeld);
    holder.close();
    present(watcher!.tryAcquire()).release();
    const contender = await startProcess(runtime, ["--allow-env", "--allow-run=sleep"]);
    await contender.open(target);
    await contender.acquire();
    const { child: grandchild } = await contender.tell<{ child: number }>({ do: "fork" });
    atEnd(() => Promise.resolve(endProcess(grandchild)));
    await contender.child.killed();
    await eventually(() => watcher!.tryAcquire(), "the place is free");
    assert(existsSync(`/proc/${grandchild}`), "the child lives on");
  });
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}
