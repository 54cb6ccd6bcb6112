/** Workers that cannot start: callers get the reason, and the pool tries again, but never in a tight loop. */
import { assert, assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { TandemError, withOptions } from "../../mod.ts";
import type { Pool, PoolOptions } from "../../src/pool/main.ts";
import type { Api, Mode } from "../fixtures/pool/changing.ts";
import type { PoolPlan } from "../fixtures/pool/supervisor.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  ownRuntime,
  sleep,
  spawn,
  test,
} from "../support/harness.ts";
import {
  Events,
  ModeFile,
  poolDefaults,
  readyPool,
  startPool,
  workerFile,
  writeFile,
} from "../support/pool.ts";
import { rejection } from "../support/rpc_helper.ts";

function works([program, ...args]: readonly [string, ...string[]]): boolean {
  return spawnSync(program, args).status === 0;
}

/** How many descriptors a process may open. */
function softLimit(pid: number): string {
  return /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))![1]!;
}

function changing(mode: ModeFile, options: PoolOptions = {}): Pool<Api> {
  return startPool<Api>({ min: 1, max: 1, ...options, env: mode.env }, workerFile("changing.ts"));
}

async function isServed(pool: Pool<Api>, version: string): Promise<boolean> {
  try {
    return await pool.call.version() === version;
  } catch {
    return false;
  }
}

test("setup runs once in each worker, before its first call", async () => {
  const pool = await readyPool(2);
  for (let round = 0; round < 3; round++) {
    const results = await pool.everywhere.setups();
    assertEquals(
      results.map((result) => result.status === "fulfilled" ? result.value : result.reason),
      [1, 1],
    );
  }
});

interface Start {
  readonly mode: Mode;
  readonly code: string | RegExp;
  readonly message: string;
  readonly options?: PoolOptions;
}

const starts: readonly Start[] = [
  { mode: "throws at import", code: "REMOTE", message: "no import today" },
  { mode: "throws in setup", code: "REMOTE", message: "no setup today" },
  { mode: "rejects in setup", code: "REMOTE", message: "no setup today" },
  { mode: "exits at import", code: "SERVER_DIED", message: "4" },
  { mode: "dies in setup", code: "SERVER_DIED", message: "SIGKILL" },
  { mode: "does not work", code: /./, message: "work(" },
  { mode: "never ready", code: /./, message: "startTimeout", options: { startTimeout: 1_500 } },
  {
    mode: "blocks at import",
    code: /./,
    message: "startTimeout",
    options: { startTimeout: 1_500 },
  },
];

for (const { mode, code, message, options } of starts) {
  test(`a worker that ${mode}: callers get the reason; once it is mended, calls are served`, async () => {
    const file = new ModeFile(mode);
    const pool = changing(file, options);
    const waits = rejection(pool.call.version());
    const error = await waits;
    assert(error instanceof TandemError, String(error));
    if (typeof code === "string") assertEquals(error.code, code, error.message);
    assert(error.message.includes(message), error.message);
    // Also those that come later.
    const { code: later } = await rejection(pool.call.version()) as TandemError;
    assertEquals(later, error.code);
    file.write("fine", "mended");
    await eventually(() => isServed(pool, "mended"), "the pool tries again");
  });
}

test("min 0: a start that fails is an answer for the calls that wait, and not for all that follow", async () => {
  const file = new ModeFile("throws at import");
  const pool = changing(file, { min: 0 });
  await assertRejectsCode(pool.call.version(), "REMOTE", "no import today");
  file.write("fine", "mended");
  await eventually(() => isServed(pool, "mended"), "a call starts a worker");
});

test("min 0: a start that fails when its caller has left refuses no later call", async () => {
  const file = new ModeFile("blocks at import");
  const pool = changing(file, { min: 0, startTimeout: 1_500 });
  const events = new Events(pool);
  const leaving = new AbortController();
  const call = rejection(withOptions(pool.call, { signal: leaving.signal }).version());
  await eventually(() => file.starts.length === 1, "a worker starts");
  leaving.abort();
  await call;
  await eventually(() => events.of("exited").length > 0, "the start fails");
  file.write("fine", "mended");
  await eventually(() => isServed(pool, "mended"), "a call starts a worker");
});

test("a missing file, a file that does not compile: callers get the reason", async () => {
  const files: readonly (readonly [string, RegExp])[] = [
    [`${writeFile("x", "")}.missing.ts`, /missing\.ts/],
    [writeFile("wrong.ts", "export const = ;\n"), /[Ee]xpected/],
  ];
  for (const [file, part] of files) {
    const pool = startPool<Api>({ min: 1, max: 1 }, file);
    const error = await rejection(pool.call.version());
    assert(error instanceof TandemError, String(error));
    assert(part.test(error.message), error.message);
  }
});

test("workers that cannot start are started less and less often, and take no calls", async () => {
  const file = new ModeFile("throws at import");
  const pool = changing(file, { min: 2, max: 2 });
  const events = new Events(pool);
  await rejection(pool.call.version());
  const window = 3_000;
  const began = performance.now();
  // Calls do not hurry it.
  while (performance.now() - began < window) {
    await rejection(pool.call.version());
    await sleep(20);
  }
  const starts = file.starts.length;
  await eventually(() => file.starts.length >= 2, "it tries again");
  // In a tight loop there would be thirty and more.
  assert(starts <= 16, `${starts} starts in ${window} ms`);
  assertEquals(events.of("ready"), []);
  assertEquals(
    events.of("exited").every(({ exit }) => exit!.code === 1),
    true,
    JSON.stringify(events.all),
  );
});

test("a worker that cannot start beside one that works: calls are served, and the pool is not ready", async () => {
  const file = new ModeFile("fine");
  const pool = changing(file, { max: 2 });
  await pool.ready;
  file.write("throws at import", "2");
  pool.resize({ min: 2 });
  await eventually(() => file.starts.length >= 3, "it tries again");
  for (let round = 0; round < 20; round++) assertEquals(await pool.call.version(), "1");
  file.write("fine", "3");
  await eventually(() => pool.workers().filter(({ state }) => state === "idle").length === 2);
});

test("a pool that cannot start its workers can be closed: its calls reject, and so does ready", async () => {
  const file = new ModeFile("never ready");
  const pool = changing(file);
  const waits = doomed(pool.call.version());
  const ready = doomed(pool.ready);
  await eventually(() => file.starts.length === 1);
  await pool.close();
  await assertRejectsCode(waits, "CLOSED");
  await assertRejectsCode(ready, "CLOSED");
});

const noLimits = works(["prlimit", "--nofile=60", "true"]) ? null : "prlimit is missing";

/** No process of that id opens a descriptor from now on. */
function limitDescriptors(pid: number, most: string): void {
  const { status, stderr } = spawnSync("prlimit", [`--pid=${pid}`, `--nofile=${most}:`]);
  assertEquals(status, 0, String(stderr));
}

test(
  "a supervisor without a descriptor for a worker goes on, and starts one when it has some again",
  async () => {
    for (const runtime of ownRuntime) {
      const plan: PoolPlan = {
        file: workerFile("worker.ts").href,
        options: { ...poolDefaults, min: 2, max: 2 },
        isAwaited: true,
      };
      const child = await spawn(runtime, "pool/supervisor.ts", [JSON.stringify(plan)], {
        denoPermissions: ["--allow-all"],
      });
      await child.expect("ready");
      const [first, second] = await child.ask<[number, number]>(["pids"]);
      const before = softLimit(child.pid);
      limitDescriptors(child.pid, "3");
      process.kill(first, "SIGKILL");
      await eventually(async () => (await child.ask<number[]>(["pids"])).length === 1, "it ends");
      const { error } = await child.ask<{ error: { code: string } }>(["restart"]);
      assertEquals(error.code, "NO_SPACE");
      process.kill(second, "SIGKILL");
      await eventually(async () => (await child.ask<number[]>(["pids"])).length === 0, "it ends");
      // Nobody can answer it yet.
      assertEquals(await child.ask(["start", "pid"]), "started");
      limitDescriptors(child.pid, before);
      const isServed = async () => "result" in await child.ask<object>(["call", "pid"]);
      await eventually(isServed, "a worker starts");
      assertEquals(await child.ask(["close"]), "closed");
    }
  },
  { skip: noLimits },
);
