/** What workers get from the pool: runtimes, arguments, environment, titles, permissions, users. */
import { assert, assertEquals } from "@std/assert";
import { chmodSync, readFileSync, statSync } from "node:fs";
import process from "node:process";
import { Pool, type PoolOptions } from "../../src/pool/main.ts";
import type { Api as Permissions } from "../fixtures/pool/permissions.ts";
import type { Api } from "../fixtures/pool/worker.ts";
import {
  atEnd,
  eventually,
  folder,
  newTarget,
  runtime,
  runtimes,
  test,
} from "../support/harness.ts";
import { poolDefaults, readyPool, startPool, workerFile } from "../support/pool.ts";
import { asOtherUser, noRoot, otherUser, works } from "../support/privileges.ts";
import { fileURLToPath } from "node:url";
import { rejection } from "../support/rpc_helper.ts";

test("workers run in this process's runtime by default", async () => {
  const pool = await readyPool(1);
  assertEquals(await pool.call.runtime(), runtime);
  assertEquals(pool.workers()[0]!.runtime, runtime);
});

test("a list of runtimes: workers of all of them serve side by side", async () => {
  const pool = await readyPool(3, { runtime: runtimes });
  assertEquals(pool.workers().map((worker) => worker.runtime).sort(), [...runtimes].sort());
  const results = await pool.everywhere.runtime();
  assertEquals(
    results.map((result) => result.status === "fulfilled" ? result.value : result.reason).sort(),
    [...runtimes].sort(),
  );
  const value = new Map([["𝇚", new Uint8Array(10)]]);
  for (let round = 0; round < 20; round++) assertEquals(await pool.call.echo(value), value);
  // The one that dies has a successor in its own runtime.
  const dead = pool.workers()[1]!;
  process.kill(dead.pid, "SIGKILL");
  await eventually(() =>
    pool.workers().filter(({ pid, state }) => pid !== dead.pid && state === "idle").length === 3
  );
  assertEquals(pool.workers().map((worker) => worker.runtime).sort(), [...runtimes].sort());
});

test("args, env and cwd reach the worker; env is on top of this process's", async () => {
  process.env.TEST_POOL_KEPT = "kept";
  process.env.TEST_POOL_REMOVED = "removed";
  try {
    const cwd = folder();
    const pool = await readyPool(1, {
      args: ["--flag", "two words", ""],
      env: { TEST_POOL_OWN: "own", TEST_POOL_REMOVED: undefined },
      cwd,
    });
    const { args, env, cwd: found } = await pool.call.surroundings();
    assertEquals(args, ["--flag", "two words", ""]);
    assertEquals(found, cwd);
    assertEquals([env.TEST_POOL_KEPT, env.TEST_POOL_OWN, env.TEST_POOL_REMOVED], [
      "kept",
      "own",
      undefined,
    ]);
  } finally {
    delete process.env.TEST_POOL_KEPT;
    delete process.env.TEST_POOL_REMOVED;
  }
});

test("a child of a worker is not taken for a worker", async () => {
  const pool = await readyPool(1);
  assertEquals((await pool.call.surroundings()).env.TANDEM_WORKER, undefined);
});

test("titles: each worker has the pool's name and its number in the process table", async () => {
  const pool = await readyPool(2, { name: "thumbs", args: ["some", "arguments"] });
  for (const { pid, number } of pool.workers()) {
    const title = `tandem thumbs worker ${number}`;
    const shown = () => readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    await eventually(() => shown() === title, `the title is "${title}": ${shown()}`);
    assert(readFileSync(`/proc/${pid}/comm`, "utf8").trim() === title.slice(0, 15));
  }
  assertEquals(await pool.call.pool(), "thumbs");
  assertEquals(new Set([await pool.call.number()]).size, 1);
});

test("the name of a pool is that of its target, or of its file", async () => {
  const target = newTarget();
  const named = await readyPool(1, { target });
  assertEquals(await named.call.pool(), "channel-0");
  const file = new URL("../fixtures/pool/worker.ts", import.meta.url);
  assertEquals(await startPool({ min: 1, max: 1 }, file).call.pool(), "worker");
});

test("a runtime that is not installed: callers learn which", async () => {
  const path = process.env.PATH;
  const other = runtime === "bun" ? "deno" : "bun";
  process.env.PATH = folder();
  try {
    let pool: Pool<Api> | undefined;
    const error = await rejection((async () => {
      pool = startPool({ min: 1, max: 1, runtime: other });
      await pool.call.echo(1);
    })());
    assert(error.message.includes(`Cannot find ${other}`), error.message);
  } finally {
    process.env.PATH = path;
  }
});

for (
  const [title, flags, granted] of [
    ["nothing but what the package needs", ["--allow-ffi"], ["ffi"]],
    ["also the network", ["--allow-ffi", "--allow-net"], ["net", "ffi"]],
    ["everything when there are none", null, ["read", "write", "net", "env", "run", "ffi", "sys"]],
  ] as const
) {
  test(`Deno workers run with exactly runtimeArgs: ${title}`, async () => {
    const options: PoolOptions = { runtime: "deno", min: 1, max: 1, stopTimeout: 2_000 };
    const pool = new Pool<Permissions>(
      workerFile("permissions.ts"),
      flags === null ? options : { ...options, runtimeArgs: flags },
    );
    atEnd(() => pool.close());
    assertEquals(await pool.call.granted(), [...granted]);
  });
}

test("a Deno worker without --allow-ffi: callers learn what is missing", async () => {
  const pool = startPool<Permissions>(
    { runtime: "deno", min: 1, max: 1, runtimeArgs: ["--allow-env", "--no-prompt"] },
    workerFile("permissions.ts"),
  );
  const error = await rejection(pool.call.granted());
  assert(error.message.includes("--allow-ffi"), error.message);
});

const fixture = fileURLToPath(workerFile("worker.ts"));
const noOtherUser = noRoot ??
  (works([...asOtherUser, "test", "-r", fixture]) ? null : "another user cannot read this folder");

for (const isNamed of [false, true]) {
  test(
    `user and group: workers run as that user, and serve this one${isNamed ? " on a target" : ""}`,
    async () => {
      chmodSync(folder(), 0o711);
      const pool = await readyPool(2, {
        ...poolDefaults,
        user: otherUser,
        group: otherUser + 1,
        ...(isNamed ? { target: newTarget() } : {}),
        // Whose folder for compiled modules it may not write to.
        env: { NODE_DISABLE_COMPILE_CACHE: "1", DENO_DIR: folder() },
      });
      assertEquals(await pool.call.user(), { uid: otherUser, gid: otherUser + 1, groups: [] });
      for (const { pid } of pool.workers()) assertEquals(statSync(`/proc/${pid}`).uid, otherUser);
      if (isNamed) {
        assertEquals((await pool.call.reverse(new Uint8Array(3_000_000))).length, 3_000_000);
      }
      // It is replaced as any other one.
      await rejection(pool.call.die("exit 3", null));
      assertEquals((await pool.call.user()).uid, otherUser);
    },
    { skip: noOtherUser },
  );
}

test("user by name; the group is the user's", async () => {
  const pool = await readyPool(1, { user: "nobody", env: { NODE_DISABLE_COMPILE_CACHE: "1" } });
  const nobody = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync("/etc/passwd", "utf8"))!;
  const { uid, gid } = await pool.call.user();
  assertEquals([uid, gid], [Number(nobody[1]), Number(nobody[2])]);
}, { skip: noOtherUser });

test("a user that does not exist is refused", async () => {
  const error = await rejection((async () => {
    await startPool({ user: "no-such-user", min: 1, max: 1 }).call.echo(1);
  })());
  assert(error.message.includes("no-such-user"), error.message);
});
