import { assert, assertEquals } from "@std/assert";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { type ExecOptions, Limit } from "../../src/limit/main.ts";
import {
  assertThrowsCode,
  type Child,
  eventually,
  folder,
  newTarget,
  runtime,
  spawn,
  type SpawnOptions,
  startProgram,
  test,
} from "../support/harness.ts";
import {
  assertAsDirect,
  hexOf,
  limited,
  surroundingsCommand,
  surroundingsOf,
} from "../support/surroundings.ts";

/** A holder that has become another program. */
async function become(
  target: string,
  command: readonly string[],
  options: ExecOptions = {},
  { through = [], env = {} }: SpawnOptions = {},
): Promise<Child> {
  const given = JSON.stringify(options, (_, value) => value === undefined ? null : value);
  const child = await spawn(runtime, "limit/exec.ts", [target, given, ...command], {
    denoPermissions: ["--allow-ffi", "--allow-env", "--allow-read"],
    through,
    env,
  });
  await child.expect("begins");
  return child;
}

/** A program with a child, whose id it tells. */
const parent = ["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!; read line; exec sleep 1000"];

test("exec: the program finds what it would find without a limit", async () => {
  const target = newTarget();
  const args = ["", "two words", "ünïcödé", "-x", "--"];
  const direct = startProgram("directly", [...limited, ...surroundingsCommand(args)], {
    TANDEM_DIR: folder(),
    NO_COLOR: "1",
  });
  const expected = await surroundingsOf(direct);
  const child = await become(target, surroundingsCommand(args), {}, { through: limited });
  const found = await surroundingsOf(child);
  assertEquals(found.pid, child.ownPid);
  assertEquals(found.args, args.map(hexOf));
  assertAsDirect(found, expected);
});

test("exec: variables are added and removed, and PATH of the program counts", async () => {
  const script = `${folder()}/no-interpreter-line`;
  writeFileSync(script, 'echo "$0 $1 $ADDED ${HOME-none}"\nread line\n');
  chmodSync(script, 0o755);
  const env = { ADDED: "yes", HOME: undefined, PATH: `/nonexistent:${folder()}:/usr/bin:/bin` };
  const child = await become(newTarget(), ["no-interpreter-line", "argument"], { env }, {
    env: { HOME: "/home" },
  });
  await child.expect(`${script} argument yes none`);
  child.end();
  await child.exited;
});

test("exec: the lock is held until the program and its children have ended", async () => {
  const target = newTarget();
  using limit = new Limit(target);
  const child = await become(target, parent);
  const grandchild = Number(await child.line());
  assertEquals(limit.tryAcquire(), null);
  assertEquals(limit.holders().map(({ pid }) => pid), [child.pid]);
  let isGranted = false;
  const waiting = limit.acquire().then((lock) => {
    isGranted = true;
    return lock;
  });
  await child.killed();
  process.kill(grandchild, 0);
  assertEquals(limit.holders().length, 1);
  assertEquals(isGranted, false);
  process.kill(grandchild, "SIGKILL");
  assertEquals((await waiting)?.id, 1);
});

test("exec with close: the lock is held until the program has ended", async () => {
  const target = newTarget();
  using limit = new Limit(target);
  const child = await become(target, parent, { close: true });
  const grandchild = Number(await child.line());
  assertEquals(limit.tryAcquire(), null);
  const waiting = limit.acquire();
  child.send("become another program once more");
  await eventually(() => readFileSync(`/proc/${child.pid}/comm`, "utf8") === "sleep\n");
  assertEquals(limit.holders().map(({ pid }) => pid), [child.pid]);
  await child.killed();
  assertEquals((await waiting)?.id, 1);
  process.kill(grandchild, 0);
  process.kill(grandchild, "SIGKILL");
});

test("exec: a blocking waiter gets the place as well", async () => {
  for (const close of [false, true]) {
    const target = newTarget();
    using limit = new Limit(target);
    const child = await become(target, ["sh", "-c", "echo runs; exec sleep 0.1"], { close });
    await child.expect("runs");
    assertEquals(limit.acquireSync()?.id, 1);
    await child.exited;
  }
});

test("exec: if the program cannot be executed, this one goes on and holds the lock", async () => {
  const target = newTarget();
  using limit = new Limit(target);
  using other = new Limit(target);
  const lock = limit.acquireSync()!;
  const { signal } = lock;
  const waiting = other.acquire();
  for (const close of [false, true]) {
    const code = close ? "BUSY" : "NOT_FOUND";
    assertThrowsCode(() => lock.exec("no-such-program", [], { close }), code);
  }
  assertThrowsCode(() => lock.exec("/no/such/program"), "NOT_FOUND", '"/no/such/program"');
  assertThrowsCode(() => lock.exec("/"), "PERMISSION");
  assertThrowsCode(() => lock.exec("/etc/passwd"), "PERMISSION");
  assertThrowsCode(() => lock.exec("true", ["x".repeat(2 ** 22)]), "TOO_LARGE");
  assertThrowsCode(() => lock.exec(""), "NOT_FOUND");
  assert(lock.isHeld);
  assertEquals(other.holders().map(({ pid }) => pid), [process.pid]);
  // It still listens.
  const thief = new Limit(target);
  const stolen = thief.tryAcquire({ steal: true });
  assert(stolen);
  await eventually(() => signal.aborted);
  assertThrowsCode(() => lock.exec("true"), "CANCELLED");
  stolen.release();
  thief.close();
  assertEquals((await waiting)?.isHeld, true);
});

test("exec with close: a failure leaves the lock as it was", () => {
  const target = newTarget();
  {
    using limit = new Limit(target);
    const lock = limit.acquireSync()!;
    for (let attempt = 0; attempt < 3; attempt++) {
      assertThrowsCode(() => lock.exec("no-such-program", [], { close: true }), "NOT_FOUND");
    }
    using other = new Limit(target);
    assertEquals(other.tryAcquire(), null);
    lock.release();
    assert(other.tryAcquire());
  }
});
