/** The parts of `tandem pool` that need no pool. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { LogRecord } from "@tandem/ipc/pool";
import { codeOf } from "../../src/base/guard.ts";
import { findUser } from "../../src/runtime/accounts.ts";
import { LogLines } from "../../src/cli/log_lines.ts";
import { PidFile } from "../../src/cli/pool/pid_file.ts";
import { ServiceManager } from "../../src/cli/service_manager.ts";
import { settingsIn, settingsOf } from "../../src/cli/pool/settings.ts";
import { RepeatedCommand, type RepeatOptions } from "../../src/cli/repeated_command.ts";
import {
  assertThrowsCode,
  atEnd,
  type Child,
  doomed,
  eventually,
  fixtureCommand,
  folder,
  newTarget,
  runtime,
  spawn,
  startProgram,
  test,
} from "../support/harness.ts";
import { noRoot } from "../support/privileges.ts";

const { uid: nobody, gid: nogroup, home } = findUser("nobody");

function becoming(user: string, group: string, path = "", dir = folder()): Promise<Child> {
  return spawn(runtime, "cli/become_user.ts", [user, group, path], {
    denoPermissions: ["-A"],
    env: { TANDEM_DIR: dir },
  });
}

/** A folder of that user's. */
function folderOf(uid: number, name: string): string {
  chmodSync(folder(), 0o711);
  const path = join(folder(), name);
  mkdirSync(path, { mode: 0o700 });
  chownSync(path, uid, uid);
  return path;
}

/** The greeting of the program that has executed itself again: it is the same process. */
async function assertSameProcess(child: Child): Promise<void> {
  assertEquals(await child.message(), { runtime, pid: child.pid });
}

test(
  "--user: the process becomes the user, with the user's groups, in all threads, and keeps its id",
  async () => {
    const child = await becoming("nobody", "", "", folderOf(nobody, "channels"));
    await assertSameProcess(child);
    assertEquals(await child.message(), {
      uids: [nobody],
      gids: [nogroup],
      groups: [nogroup],
      home,
      user: "nobody",
    });
    child.end();
    await child.ended();
  },
  { skip: noRoot },
);

test(
  "--group: another group alone, and both",
  async () => {
    for (const [user, uid] of [["", 0], [String(nobody), nobody]] as const) {
      const child = await becoming(user, "4321", "", folderOf(uid, `channels-${uid}`));
      await assertSameProcess(child);
      const { uids, gids, groups } = await child.message<Record<string, number[]>>();
      assertEquals([uids, gids], [[uid], [4321]]);
      assert(groups!.includes(4321) && !groups!.includes(0), String(groups));
      child.end();
      await child.ended();
    }
  },
  { skip: noRoot },
);

test("--user: the own one is no change, and another one needs root", async () => {
  const own = await becoming("", "");
  assertEquals((await own.message<{ uids: number[] }>()).uids, [process.geteuid!()]);
  own.end();
  await own.ended();
  const missing = await becoming("no such user", "");
  assertMatch((await missing.message<{ message: string }>()).message, /"no such user": the system/);
});

test(
  "--user: a user without rights is refused",
  async () => {
    const channels = folderOf(nobody, "channels");
    // Becomes nobody, and then would become root.
    const child = startProgram("become", [
      "setpriv",
      `--reuid=${nobody}`,
      `--regid=${nogroup}`,
      "--clear-groups",
      ...fixtureCommand(
        runtime,
        "cli/become_user.ts",
        ["root", "", ""],
        ["-A"],
      ),
    ], { TANDEM_DIR: channels });
    await child.line();
    const { code, message } = await child.message<{ code: string; message: string }>();
    assertEquals(code, "PERMISSION");
    assertMatch(message, /only root can become another user/);
  },
  { skip: noRoot },
);

test(
  "--user with --pid-file: root makes the file for the user, who empties it where only root can remove it",
  async () => {
    const channels = folderOf(nobody, "channels");
    const roots = folderOf(0, "run");
    chmodSync(roots, 0o755);
    const own = folderOf(nobody, "own");
    for (const path of [join(roots, "pool.pid"), join(own, "pool.pid")]) {
      for (const _ of ["new", "emptied"]) {
        const child = await becoming("nobody", "", path, channels);
        await assertSameProcess(child);
        await child.message();
        assertEquals(readFileSync(path, "utf8"), `${child.pid}\n`);
        assertEquals(statSync(path).uid, nobody);
        child.end();
        await child.ended();
      }
      assertEquals(existsSync(path), path.startsWith(roots));
      if (existsSync(path)) assertEquals(readFileSync(path, "utf8"), "");
    }
  },
  { skip: noRoot },
);

test(
  "--user with --pid-file: nothing that another user has put there is handed over",
  async () => {
    const channels = folderOf(nobody, "channels");
    const open = join(folder(), "open");
    mkdirSync(open);
    chmodSync(open, 0o777);
    const secret = join(folder(), "secret");
    writeFileSync(secret, "secret", { mode: 0o600 });
    const link = join(open, "link.pid");
    symlinkSync(secret, link);
    const hard = join(open, "hard.pid");
    linkSync(secret, hard);
    for (const path of [link, hard]) {
      const child = await becoming("nobody", "", path, channels);
      const { code } = await child.message<{ code: string }>();
      assertEquals(code, "PERMISSION");
    }
    assertEquals([readFileSync(secret, "utf8"), statSync(secret).uid], ["secret", 0]);
    // One that root has left behind is made anew.
    const left = join(open, "left.pid");
    writeFileSync(left, "1\n");
    const child = await becoming("nobody", "", left, channels);
    await assertSameProcess(child);
    await child.message();
    assertEquals(readFileSync(left, "utf8"), `${child.pid}\n`);
    child.end();
    await child.ended();
  },
  { skip: noRoot },
);

test("pid file: made, refused to a second process, removed", async () => {
  const path = newTarget();
  const child = await becoming("", "", path);
  await child.message();
  assertEquals(readFileSync(path, "utf8"), `${child.pid}\n`);
  assertEquals(statSync(path).mode & 0o022, 0);
  assertThrowsCode(() => new PidFile(path), "EXISTS", path, `process ${child.pid} has it`);
  child.end();
  await child.ended();
  assert(!existsSync(path));
});

test("pid file: what a killed process has left is taken over, whoever has its id now", async () => {
  const path = newTarget();
  const child = await becoming("", "", path);
  await child.message();
  await child.killed();
  assertEquals(readFileSync(path, "utf8"), `${child.pid}\n`);
  // Longer than the own id, and of a process that runs.
  writeFileSync(path, `${process.ppid}\nand more than a process id\n`);
  {
    using _file = new PidFile(path);
    assertEquals(readFileSync(path, "utf8"), `${process.pid}\n`);
  }
  assert(!existsSync(path));
});

test("pid file: no link is followed, and a file that others have replaced stays", () => {
  const path = newTarget();
  const precious = newTarget();
  writeFileSync(precious, "precious");
  symlinkSync(precious, path);
  assertThrowsCode(() => new PidFile(path), "PERMISSION", "symbolic link");
  assertThrowsCode(() => new PidFile(folder()), "PERMISSION", "it is no file");
  assertThrowsCode(() => new PidFile(`${folder()}/none/pool.pid`), "PERMISSION", "none/pool.pid");
  assertEquals(readFileSync(precious, "utf8"), "precious");
  const other = newTarget();
  const file = new PidFile(other);
  rmSync(other);
  writeFileSync(other, "another's");
  file[Symbol.dispose]();
  assertEquals(readFileSync(other, "utf8"), "another's");
});

test("pid file: two processes that make and remove it again and again get it, or EXISTS", async () => {
  const path = newTarget();
  const child = await spawn(runtime, "cli/pid_files.ts", [path], { denoPermissions: ["-A"] });
  let made = 0;
  let refused = 0;
  let hasFailed = false;
  const told = child.message<{ refused?: number }>();
  doomed(told.then(() => hasFailed = true));
  while (!hasFailed && (made < 500 || refused < 500)) {
    try {
      using _file = new PidFile(path);
      made += 1;
    } catch (error) {
      assertEquals(codeOf(error), "EXISTS", String(error));
      refused += 1;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  child.send("enough");
  const end = await told;
  assert(end.refused !== undefined, JSON.stringify(end));
  child.end();
  await child.ended();
  assert(!existsSync(path));
});

/** Tells of each datagram: the process that has sent it, its fields, and when it has come. */
const listener = `
import json, socket, struct, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind("\\0" + sys.argv[1][1:] if sys.argv[1][0] == "@" else sys.argv[1])
now = lambda: time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
print(json.dumps(now()), flush=True)
while True:
    data, ancillary, _, _ = s.recvmsg(4096, 4096)
    pid = struct.unpack("iii", ancillary[0][2])[0]
    news = dict(line.split("=", 1) for line in data.decode().split("\\n"))
    print(json.dumps([pid, news, now()]), flush=True)
`;

type Datagram = [pid: number, news: Record<string, string>, microseconds: number];

async function listening(path: string): Promise<Child> {
  const child = startProgram("listener", ["python3", "-c", listener, path]);
  assertEquals(typeof await child.message(), "number");
  return child;
}

test("systemd: messages reach sockets with a path and abstract ones", async () => {
  for (const path of [newTarget(), `@tandem-test-${process.pid}-${runtime}`]) {
    const manager = await listening(path);
    const environment: Record<string, string | undefined> = { NOTIFY_SOCKET: path, OTHER: "stays" };
    using told = new ServiceManager(environment);
    assertEquals(environment, { OTHER: "stays" });
    told.tell({ READY: 1, STATUS: "4 workers take calls" });
    const [pid, first, before] = await manager.message<Datagram>();
    assertEquals([pid, first], [process.pid, { READY: "1", STATUS: "4 workers take calls" }]);
    told.tellReloading();
    const [, news, after] = await manager.message<Datagram>();
    assertEquals(Object.keys(news), ["RELOADING", "MONOTONIC_USEC"]);
    const time = Number(news["MONOTONIC_USEC"]);
    assert(before <= time && time <= after, `${before}, ${time}, ${after}`);
    await manager.killed();
    // Nobody listens any more.
    told.tell({ STOPPING: 1 });
  }
});

test("systemd: the watchdog is fed while the event loop runs, and only by the process that it watches", async () => {
  const path = newTarget();
  const manager = await listening(path);
  const watched = { NOTIFY_SOCKET: path, WATCHDOG_USEC: "20000" };
  {
    using _other = new ServiceManager({ ...watched, WATCHDOG_PID: "1" });
    using _own = new ServiceManager({ ...watched, WATCHDOG_PID: String(process.pid) });
    for (let beats = 0; beats < 3; beats++) {
      assertEquals((await manager.message<Datagram>()).slice(0, 2), [process.pid, {
        WATCHDOG: "1",
      }]);
    }
  }
  {
    using _unnamed = new ServiceManager({ ...watched });
    assertEquals((await manager.message<Datagram>()).slice(0, 2), [process.pid, { WATCHDOG: "1" }]);
  }
});

test("systemd: without a socket nothing is sent, and a wrong one is refused", () => {
  using none = new ServiceManager({ WATCHDOG_USEC: "1000" });
  none.tell({ READY: 1 });
  none.tellReloading();
  for (const wrong of ["relative", "vsock:2:1234", `/${"x".repeat(108)}`]) {
    assertThrows(() => new ServiceManager({ NOTIFY_SOCKET: wrong }), RangeError, "NOTIFY_SOCKET");
  }
});

interface Observed {
  readonly task: RepeatedCommand;
  readonly output: string[];
  readonly ends: [how: string, pause: number | null][];
}

function observe(command: string, options: RepeatOptions = {}): Observed {
  const output: string[] = [];
  const ends: [string, number | null][] = [];
  const task = new RepeatedCommand(["sh", "-c", command], options, {
    output: (line) => output.push(line),
    ended: (how, pause) => ends.push([how, pause]),
  });
  atEnd(async () => {
    task.kill();
    await task.stop();
  });
  return { task, output, ends };
}

test("repeated command: runs again after it has ended, after longer and longer pauses", async () => {
  const { output, ends } = observe("echo out; echo err >&2; exit 3");
  await eventually(() => ends.length >= 3 && output.length >= 6, "it ends three times");
  assertEquals(ends.slice(0, 3), [
    ["with exit code 3", 100],
    ["with exit code 3", 200],
    ["with exit code 3", 400],
  ]);
  assertEquals(output.slice(0, 6).toSorted(), ["err", "err", "err", "out", "out", "out"]);
});

test("repeated command: does not run again when nobody wants it", async () => {
  const { ends, task } = observe("exit 3", { isWanted: (hasFailed) => !hasFailed });
  await eventually(() => ends.length >= 1, "it ends");
  assertEquals(ends, [["with exit code 3", null]]);
  await task.stop();
});

test("repeated command: runs once in a period, never twice at once", async () => {
  const marker = newTarget();
  const { output } = observe(`mkdir ${marker} || echo twice; echo run; rmdir ${marker}`, {
    period: 10,
  });
  await eventually(() => output.length >= 4, "it runs four times");
  assertEquals(new Set(output), new Set(["run"]));
});

test("repeated command: stop() lets the command and what it has started end", async () => {
  const { task, output, ends } = observe(
    "trap 'echo stopping; sleep 0.1; echo stopped; exit 0' TERM; " +
      "sh -c \"trap 'sleep 0.3; echo child stopped; exit' TERM; echo child; while :; do sleep 0.05; done\" & " +
      "echo started; while :; do sleep 0.05; done",
  );
  await eventually(() => output.includes("started") && output.includes("child"));
  await task.stop();
  await eventually(() => output.includes("child stopped") && output.includes("stopped"));
  assertEquals(ends, []);
});

test("repeated command: kill() ends a command that ignores SIGTERM, with all that it has started", async () => {
  const { task, output } = observe("trap '' TERM; sleep 1000 & echo $! $$; wait");
  await eventually(() => output.length === 1);
  const stopped = task.stop();
  task.kill();
  await stopped;
  for (const pid of output[0]!.split(" ")) assertGone(Number(pid));
});

test("repeated command: ends with the process that has started it, even if that is killed", async () => {
  const child = await spawn(runtime, "cli/repeated_command.ts", ["sleep 1000 & echo $! $$; wait"], {
    denoPermissions: ["-A"],
  });
  const pids = (await child.line()).split(" ").map(Number);
  await child.killed();
  await eventually(() => pids.every((pid) => !isThere(pid)), "the command is gone");
});

function isThere(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

function assertGone(pid: number): void {
  assert(pid > 1 && !isThere(pid), `process ${pid} is there`);
}

const record: LogRecord = {
  level: "warning",
  message: "first line\nsecond",
  properties: { width: 3, big: 2n ** 64n },
  time: Date.UTC(2026, 0, 2),
  worker: 4,
  call: { id: "17", method: "resize" },
  timers: [{ name: "decode", startedAt: 0, duration: 12.345 }],
};

function written(
  env: Record<string, string>,
  write: (lines: (form: "text" | "json", lowest: LogRecord["level"]) => LogLines) => void,
): string[] {
  const output: string[] = [];
  const context = {
    process: {
      stdout: { write: () => assert(false, "standard output stays free") },
      stderr: { write: (text: string) => void output.push(text) },
      env,
    },
    write: () => Promise.resolve(),
    readInput: () => Promise.resolve(new Uint8Array()),
  };
  write((form, lowest) => new LogLines(context, form, lowest));
  return output;
}

test("log: one line for each record", () => {
  const output = written({}, (lines) => {
    lines("text", "info").record(record);
    lines("text", "info").record({
      ...record,
      message: "m",
      properties: {},
      call: null,
      timers: [],
    });
    lines("text", "info").record({ ...record, level: "debug" });
    lines("text", "error").say("warning", "supervisor", "unimportant");
    lines("text", "info").say("error", "side task", "failed\r\n");
  });
  assertEquals(output, [
    'warning worker 4 resize: first line\\nsecond {"width":3,"big":"18446744073709551616"} decode 12.3 ms\n',
    "warning worker 4: m\n",
    "error side task: failed\n",
  ]);
});

test("log: lines of JSON", () => {
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  const output = written({}, (lines) => {
    lines("json", "info").record(record);
    lines("json", "info").say("info", "supervisor", "is ready");
    lines("json", "info").record({ ...record, properties: circular });
  });
  const [first, second] = output.map((line) => JSON.parse(line));
  assertEquals(first, {
    ...record,
    time: "2026-01-02T00:00:00.000Z",
    source: "worker",
    properties: { width: 3, big: "18446744073709551616" },
  });
  assertEquals(Object.keys(second), ["time", "level", "source", "message"]);
  assertEquals(output.map((line) => line.split("\n").length), [2, 2, 2]);
});

test("log: the journal learns the level", () => {
  const { dev, ino } = statSync("/proc/self/fd/2");
  assertEquals(
    written(
      { JOURNAL_STREAM: `${dev}:${ino}` },
      (lines) => lines("text", "info").say("error", "supervisor", "x"),
    ),
    ["<3>error supervisor: x\n"],
  );
  assertEquals(
    written(
      { JOURNAL_STREAM: `${dev}:${ino}0` },
      (lines) => lines("text", "info").say("error", "supervisor", "x"),
    ),
    ["error supervisor: x\n"],
  );
});

test("settings: flags become options of the pool", () => {
  const settings = settingsOf(
    {
      runtime: ["bun", "node"],
      min: 1,
      idempotent: ["a", "b"],
      env: ["A=1", "B=x=y\nz", "C="],
      runtimeArg: ["--all"],
      bunArg: ["--smol"],
      pidFile: "x.pid",
    },
    "worker.ts",
    ["--port", "1"],
  );
  assertEquals(settings, {
    worker: "worker.ts",
    args: ["--port", "1"],
    runtime: ["bun", "node"],
    min: 1,
    idempotent: ["a", "b"],
    env: { A: "1", B: "x=y\nz", C: "" },
    runtimeArgs: { deno: ["--all"], bun: ["--all", "--smol"], node: ["--all"] },
    pidFile: "x.pid",
  });
  assertEquals(
    settingsOf({ runtime: ["deno"], idempotent: ["*"], runtimeArg: ["-x"] }, undefined, []),
    {
      runtime: "deno",
      idempotent: true,
      runtimeArgs: ["-x"],
    },
  );
  assertEquals(settingsOf({ nodeArg: ["-x"] }, undefined, []), { runtimeArgs: { node: ["-x"] } });
  assertThrows(() => settingsOf({ env: ["=1"] }, undefined, []), RangeError, '"=1" as a variable');
});

test("settings: a file has them as PoolOptions, or as flags", () => {
  const settings = settingsIn(
    JSON.stringify({
      worker: "w.ts",
      args: ["a"],
      min: 1,
      max: "infinity",
      timeout: "2m",
      hungTimeout: 1500,
      maxMemoryBytes: "512M",
      env: { A: "1" },
      runtimeArgs: ["--x"],
      idempotent: true,
      target: "5s",
      sideTaskEvery: "1h",
      user: "nobody",
    }),
    "pool.json",
  );
  assertEquals(settings, {
    worker: "w.ts",
    args: ["a"],
    min: 1,
    max: Infinity,
    timeout: 120_000,
    hungTimeout: 1500,
    maxMemoryBytes: 512 * 2 ** 20,
    env: { A: "1" },
    runtimeArgs: ["--x"],
    idempotent: true,
    target: "5s",
    sideTaskEvery: 3_600_000,
    user: "nobody",
  });
  for (
    const [json, message] of [
      ["{", "Cannot read pool.json"],
      ["[]", "it is no object"],
      ['{"mni": 1}', 'unknown setting "mni"; the settings are worker, '],
      ['{"conf": "x"}', 'unknown setting "conf"'],
      ['{"timeout": "soon"}', '"soon" as a duration'],
      ['{"maxMemoryBytes": "5 MB"}', '"5 MB" as a size'],
    ] as const
  ) {
    const error = assertThrows(() => settingsIn(json, "pool.json"));
    assert((error as Error).message.includes(message), (error as Error).message);
  }
});
