/** `tandem pool`, as a service manager or a user of a shell sees it. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { connect } from "../../mod.ts";
import { checkout, nodeArgs, programOf, toolCommand } from "../../scripts/tools.ts";
import type { Remote } from "../../src/rpc/types.ts";
import type { Api } from "../fixtures/cli/pool_worker.ts";
import {
  atEnd,
  type Child,
  doomed,
  eventually,
  folder,
  newTarget,
  runtime,
  startProgram,
  test,
} from "../support/harness.ts";
import { hasNats, newNatsTarget } from "../support/nats.ts";
import { childrenOf, undisturbed } from "../support/pool.ts";
import { noRoot } from "../support/privileges.ts";
import { type Outcome, runFile } from "../support/run.ts";

const workerFile = programOf(join(checkout, "tests/fixtures/cli/pool_worker.ts"));

const patience = { timeout: 120_000 };

interface PoolOptions {
  /** The command that starts the supervisor. */
  readonly through?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly worker?: string | null;
  readonly target?: string;
}

/** A supervisor, what it has written, and its workers. */
class Supervisor {
  readonly target: string;
  readonly versionFile = newTarget();
  readonly child: Child;

  constructor(
    flags: readonly string[],
    { through = [], env = {}, worker, target }: PoolOptions = {},
  ) {
    this.target = target ?? newTarget();
    this.setVersion("1");
    const { program, args } = toolCommand(runtime, `${checkout}/src/cli/main.ts`, [
      "pool",
      ...(worker === null ? [] : [worker ?? workerFile, this.versionFile]),
      "--target",
      this.target,
      ...nodeArgs.map((arg) => `--node-arg=${arg}`),
      ...flags,
    ]);
    this.child = startProgram("tandem pool", [...through, program, ...args], {
      TANDEM_DIR: folder(),
      NO_COLOR: "1",
      ...env,
    });
  }

  /** What workers that start from now on answer. */
  setVersion(version: string): void {
    writeFileSync(this.versionFile, version);
  }

  connect(): Remote<Api> & Disposable {
    const remote = connect<Api>(this.target, { timeout: 60_000 });
    atEnd(() => Promise.resolve(remote[Symbol.dispose]()));
    return remote;
  }

  get lines(): string[] {
    return this.child.stderr.split("\n").slice(0, -1);
  }

  /** Waits until it has written a line. */
  async wrote(pattern: RegExp, times = 1): Promise<void> {
    await eventually(
      () => {
        if (!this.child.isRunning) throw new Error(this.child.describe());
        return this.lines.filter((line) => pattern.test(line)).length >= times;
      },
      `${pattern} in\n${this.child.stderr}`,
    );
  }

  ready(): Promise<void> {
    return this.wrote(/^info supervisor: is ready$/);
  }

  /** The processes of its workers. */
  get workers(): number[] {
    return workersOf(this.child.pid);
  }

  signal(signal: string): void {
    process.kill(this.child.pid, signal);
  }

  /** Asserts that it has ended as daemons do, with its workers. */
  async assertEnded(workers: readonly number[]): Promise<void> {
    await this.child.ended();
    assert(workers.length > 0);
    for (const pid of workers) assert(!isThere(pid), `worker process ${pid} is there`);
  }
}

/** Beside workers, a supervisor may have its side task, and what the runtime starts. */
function workersOf(pid: number): number[] {
  return childrenOf(pid).filter((child) => / worker \d+/.test(titleOf(child)));
}

function titleOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return ""; // It has ended.
  }
}

function isThere(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function ready(flags: readonly string[], options?: PoolOptions): Promise<Supervisor> {
  const pool = new Supervisor(flags, options);
  await pool.ready();
  return pool;
}

const two = ["--min", "2", "--max", "2"];

test("tandem pool: QUIT lets calls end, exit code 0", async () => {
  const pool = await ready(two);
  const { workers } = pool;
  assertEquals(workers.length, 2);
  const remote = pool.connect();
  const release = newTarget();
  const calls = [remote.hold(release), remote.hold(release)];
  await begun(release, 2);
  pool.signal("SIGQUIT");
  await pool.wrote(/^info supervisor: stops$/);
  writeFileSync(release, "");
  const pids = await Promise.all(calls);
  assertEquals(new Set(pids), new Set(workers));
  await pool.assertEnded(workers);
  assertEquals(pool.lines.filter((line) => !line.startsWith("info ")), []);
}, patience);

/** Waits until so many calls hold for a file. */
function begun(file: string, calls: number): Promise<void> {
  const note = `${file}.begun`;
  return eventually(
    () => existsSync(note) && readFileSync(note, "utf8").length === calls,
    `${calls} calls have begun`,
  );
}

function tandem(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  return runFile("src/cli/main.ts", args, { env });
}

for (const signals of [["SIGTERM"], ["SIGINT"], ["SIGQUIT", "SIGQUIT"], ["SIGQUIT", "SIGTERM"]]) {
  test(`tandem pool: ${signals.join(" and ")} at once, exit code 0`, async () => {
    const pool = await ready([...two, "--side-task", "trap '' TERM; sleep 1000"]);
    const { workers } = pool;
    const release = newTarget();
    const call = doomed(pool.connect().hold(release));
    await begun(release, 1);
    pool.signal(signals[0]!);
    await pool.wrote(/^info supervisor: stops$/);
    if (signals.length > 1) {
      assert(pool.child.isRunning);
      pool.signal(signals[1]!);
    }
    await pool.assertEnded(workers);
    await call.then(() => assert(false, "the call has ended well"), () => {});
  }, patience);
}

test("tandem pool: --stop-timeout ends what QUIT waits for", async () => {
  const pool = await ready([
    ...two,
    "--stop-timeout",
    "200ms",
    "--side-task",
    "trap '' TERM; wait; sleep 1000",
  ]);
  const { workers } = pool;
  const release = newTarget();
  const call = doomed(pool.connect().hold(release));
  await begun(release, 1);
  pool.signal("SIGQUIT");
  await pool.assertEnded(workers);
  await call.then(() => assert(false, "the call has ended well"), () => {});
}, patience);

test(
  "tandem pool: what reaches the group of the supervisor, as Ctrl-C does, reaches no worker",
  async () => {
    const sideTask = "trap 'echo interrupted' QUIT; while :; do sleep 0.1; done";
    // It begins a session of its own, and becomes the supervisor.
    const pool = await ready([...two, "--side-task", sideTask], { through: ["setsid"] });
    const { workers } = pool;
    const release = newTarget();
    const call = pool.connect().hold(release);
    await begun(release, 1);
    process.kill(-pool.child.pid, "SIGQUIT");
    await pool.wrote(/^info supervisor: stops$/);
    writeFileSync(release, "");
    assert(workers.includes(await call));
    await pool.assertEnded(workers);
    assert(!pool.child.stderr.includes("interrupted"));
  },
  patience,
);

test("tandem pool: HUP replaces the workers and fails no call", async () => {
  const pool = await ready(two);
  const { workers } = pool;
  const remote = pool.connect();
  assertEquals(await remote.version(), "1");
  let isLoading = true;
  const load = Array.from({ length: 4 }, async () => {
    while (isLoading) await remote.slow(5);
  });
  pool.setVersion("2");
  // The second one comes while the first is in work; the third adds nothing.
  for (let times = 0; times < 3; times++) pool.signal("SIGHUP");
  await pool.wrote(/^info supervisor: has replaced the workers$/);
  isLoading = false;
  await Promise.all(load);
  assertEquals([await remote.version(), await remote.version()], ["2", "2"]);
  await eventually(() => workers.every((pid) => !isThere(pid)), "the old workers have gone");
  let working = 0;
  for (const line of pool.lines.slice(pool.lines.indexOf("info supervisor: is ready"))) {
    if (/^info supervisor: worker .* is ready$/.test(line)) working += 1;
    if (/^\w+ supervisor: worker .* has ended/.test(line)) working -= 1;
    assert(working >= 0, `the successor is ready first: ${pool.child.stderr}`);
  }
  pool.signal("SIGQUIT");
  await pool.child.ended();
}, patience);

test(
  "tandem pool: HUP with a broken worker file: a message, and the old workers go on",
  async () => {
    const pool = await ready(two);
    const workers = new Set(pool.workers);
    const remote = pool.connect();
    pool.setVersion("");
    pool.signal("SIGHUP");
    await pool.wrote(
      /^error supervisor: could not replace the workers; the old ones go on: .*no version today/,
    );
    assertEquals(await remote.version(), "1");
    assert(workers.has(await remote.pid()));
    pool.setVersion("3");
    pool.signal("SIGHUP");
    await pool.wrote(/^info supervisor: has replaced the workers$/);
    assertEquals(await remote.version(), "3");
    pool.signal("SIGTERM");
    await pool.child.ended();
  },
  patience,
);

test(
  "tandem pool: TTIN and TTOU raise and lower the fewest workers, and never below 0",
  async () => {
    const pool = await ready([
      "--min",
      "1",
      "--max",
      "2",
      "--min-ttl",
      "0",
      "--idle-timeout",
      "100ms",
    ]);
    const count = (workers: number) =>
      eventually(() => pool.workers.length === workers, `${workers} workers`);
    await count(1);
    for (const [min, max] of [[2, 2], [3, 3]]) {
      pool.signal("SIGTTIN");
      await pool.wrote(new RegExp(`keeps at least ${min} and at most ${max} workers`));
      await count(min!);
    }
    for (const [index, [min, max]] of [[2, 2], [1, 2], [0, 2], [0, 2]].entries()) {
      pool.signal("SIGTTOU");
      await pool.wrote(/keeps at least/, 3 + index);
      assertStringIncludes(
        pool.lines.findLast((line) => line.includes("keeps"))!,
        `least ${min} and at most ${max}`,
      );
      await count(min!);
    }
    // A call starts the first one again.
    assertEquals(await pool.connect().version(), "1");
    pool.signal("SIGQUIT");
    await pool.child.ended();
  },
  patience,
);

test("tandem pool: a worker that dies is reported and replaced", () =>
  undisturbed(async () => {
    const pool = await ready(two);
    const [first] = pool.workers;
    process.kill(first!, "SIGKILL");
    const who = `worker [12] \\(${runtime}, process ${first}\\)`;
    await pool.wrote(new RegExp(`^warning supervisor: ${who} has ended: `));
    const line = pool.lines.find((line) => line.includes(" has ended: "))!;
    assertMatch(line, new RegExp(`^warning supervisor: ${who} has ended: crash, SIGKILL$`));
    await pool.wrote(/is ready$/, 4);
    pool.signal("SIGQUIT");
    await pool.child.ended();
  }), patience);

test("tandem pool: logs of workers are lines on standard error", async () => {
  const pool = await ready(two);
  await pool.connect().logs();
  await pool.wrote(
    /^warning worker [12] logs: the profile is missing\\nin two lines {"file":"cat.png"}$/,
  );
  assert(!pool.child.stderr.includes("unimportant"));
  pool.signal("SIGQUIT");
  await pool.child.ended();
}, patience);

test("tandem pool: goes on when nobody reads its log any more", async () => {
  const pool = await ready(two, { through: ["sh", "-c", forgetful, "sh"] });
  const remote = pool.connect();
  const before = await remote.pid();
  await eventually(() => pool.lines.at(-1) === "the reader has left");
  const [supervisor] = childrenOf(pool.child.pid);
  process.kill(supervisor!, "SIGHUP");
  await eventually(() => !isThere(before), "the workers are replaced");
  assertEquals(await remote.version(), "1");
  process.kill(supervisor!, "SIGQUIT");
  await pool.child.ended();
}, patience);

/** Runs a command, passes its standard error on until it is ready, and then closes the pipe. */
const forgetful = `
mkfifo "$TANDEM_DIR/log"
sed '/supervisor: is ready/q' < "$TANDEM_DIR/log" >&2 &
"$@" 2> "$TANDEM_DIR/log" &
supervisor=$!
wait %1
echo "the reader has left" >&2
wait "$supervisor"
`;

test("tandem pool: --log json --log-level debug", async () => {
  const pool = new Supervisor([...two, "--log", "json", "--log-level", "debug"]);
  await pool.wrote(/"is ready"/);
  await pool.connect().logs();
  await pool.wrote(/unimportant/);
  const records = pool.lines.map((line) => JSON.parse(line));
  const { time, call, worker, ...rest } = records.find(({ level }) => level === "warning");
  assertEquals(rest, {
    level: "warning",
    source: "worker",
    message: "the profile is missing\nin two lines",
    properties: { file: "cat.png" },
    timers: [],
  });
  assert(Date.parse(time) > 0 && (worker === 1 || worker === 2));
  assertEquals(call.method, "logs");
  pool.signal("SIGQUIT");
  await pool.child.ended();
}, patience);

test("tandem pool: a killed supervisor takes its workers and its side task along", async () => {
  const marker = newTarget();
  const pool = await ready([...two, "--side-task", `echo $$ > ${marker}; sleep 1000`]);
  await eventually(() => existsSync(marker) && readFileSync(marker, "utf8") !== "");
  const pids = [...pool.workers, Number(readFileSync(marker, "utf8"))];
  assert(pids.every(isThere));
  await pool.child.killed();
  await eventually(() => !pids.some(isThere), "all are gone");
}, patience);

test("tandem pool: --side-task runs, is restarted, and ends first", async () => {
  const pool = await ready([...two, "--side-task", "echo sweeps; exit 3"]);
  await pool.wrote(/^info side task: sweeps$/, 2);
  await pool.wrote(/^warning side task: ended with exit code 3; runs again in \d+ ms$/, 2);
  pool.signal("SIGQUIT");
  await pool.child.ended();
  const often = await ready([...two, "--side-task", "echo sweeps", "--side-task-every", "10ms"]);
  await often.wrote(/^info side task: sweeps$/, 4);
  assert(!often.child.stderr.includes("warning"));
  often.signal("SIGTERM");
  await often.child.ended();
}, patience);

test("tandem pool: --pid-file", async () => {
  const path = newTarget();
  const pool = await ready([...two, "--pid-file", path]);
  assertEquals(readFileSync(path, "utf8"), `${pool.child.pid}\n`);
  const { code, stderr } = await tandem(["pool", workerFile, "--pid-file", path]);
  assertEquals(code, 1);
  assertMatch(
    stderr,
    /^tandem: Cannot write the pid file .*: process \d+ has it and runs; .*\(EXISTS\)\n$/,
  );
  pool.signal("SIGQUIT");
  await pool.child.ended();
  assert(!existsSync(path));
}, patience);

test("tandem pool: --conf has the settings, and flags come first", async () => {
  const file = join(folder(), "pool.json");
  const version = join(folder(), "version");
  writeFileSync(version, "from the file");
  writeFileSync(join(folder(), "worker.ts"), `import ${JSON.stringify(workerFile)};\n`);
  writeFileSync(
    file,
    JSON.stringify({
      worker: "worker.ts",
      args: [version],
      min: 5,
      max: 1,
      env: { COLOUR: "red" },
      pidFile: "own.pid",
    }),
  );
  const pool = await ready(["--conf", file, "--min", "1"], { worker: null });
  assertEquals(pool.workers.length, 1);
  assertEquals(await pool.connect().variables(["COLOUR"]), ["red"]);
  assertEquals(await pool.connect().version(), "from the file");
  assertEquals(readFileSync(join(folder(), "own.pid"), "utf8"), `${pool.child.pid}\n`);
  pool.signal("SIGQUIT");
  await pool.child.ended();
}, patience);

test("tandem pool: the supervisor and its workers have titles", async () => {
  const pool = await ready([...two, "--name", "pictures"]);
  assertEquals(titleOf(pool.child.pid), "tandem pictures supervisor");
  assertEquals(pool.workers.map(titleOf).sort(), [
    "tandem pictures worker 1",
    "tandem pictures worker 2",
  ]);
  pool.signal("SIGQUIT");
  await pool.child.ended();
}, patience);

test("tandem pool: --hand-over takes the place of another supervisor, which ends", async () => {
  const old = await ready(two);
  const workers = old.workers;
  const remote = old.connect();
  let isLoading = true;
  const load = Array.from({ length: 4 }, async () => {
    while (isLoading) await remote.slow(5);
  });
  const pool = await ready([...two, "--hand-over"], { target: old.target });
  await old.assertEnded(workers);
  isLoading = false;
  await Promise.all(load);
  assert(pool.workers.includes(await remote.pid()));
  pool.signal("SIGQUIT");
  await pool.child.ended();
}, patience);

test("tandem pool: mistakes end it with a reason", async () => {
  const pool = await ready(two);
  const cases: [string[], number, RegExp][] = [
    [[], 2, /^tandem: Cannot run a pool: there is no worker file; give its path\n$/],
    [["no-such-file.ts"], 1, /^tandem: Cannot run a pool of .*no-such-file.ts: .*\(NOT_FOUND\)\n$/],
    [[workerFile, "--min", "-1"], 2, /^tandem: .*"-1" as a number/],
    [[workerFile, "--runtime", "perl"], 2, /perl/],
    [[workerFile, "--env", "A"], 2, /^tandem: Cannot use "A" as a variable/],
    [[workerFile, "--min", "3", "--max", "2"], 2, /^tandem: .*min/],
    [[workerFile, "--conf", "no-such.json"], 2, /^tandem: Cannot read no-such.json: /],
    [[workerFile, "--user", "no such user"], 2, /^tandem: Cannot run as user "no such user": /],
    [
      [workerFile, "--target", pool.target],
      1,
      new RegExp(`^tandem: .*${pool.child.pid}.*\\(EXISTS\\)\\n$`),
    ],
  ];
  for (const [args, code, message] of cases) {
    const outcome = await tandem(["pool", ...args]);
    assertEquals([outcome.code, outcome.stdout], [code, ""], `${args}: ${outcome.stderr}`);
    assertMatch(outcome.stderr, message);
  }
  pool.signal("SIGQUIT");
  await pool.child.ended();
}, patience);

test(
  "tandem pool on a nats:// target: callers of other machines reach it; QUIT ends it",
  async () => {
    const pool = new Supervisor(["--min", "1", "--max", "1"], { target: newNatsTarget() });
    await pool.ready();
    const remote = pool.connect();
    assertEquals(await remote.pid(), pool.workers[0]);
    const workers = pool.workers;
    pool.signal("SIGQUIT");
    await pool.assertEnded(workers);
  },
  { ...patience, skip: hasNats ? null : "scripts/setup --tests installs a NATS server" },
);

/** Tells of each datagram. */
const listener = `
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
print(json.dumps({}), flush=True)
while True:
    data = s.recv(4096).decode()
    print(json.dumps(dict(line.split("=", 1) for line in data.split("\\n"))), flush=True)
`;

type News = Readonly<Record<string, string>>;

test("systemd: the example unit's command is ready, reloads and stops", async () => {
  const unit = readFileSync(join(checkout, "examples/systemd/thumbs.service"), "utf8");
  const setting = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1] ?? "";
  assertEquals(
    ["Type", "KillMode", "KillSignal", "ExecReload", "NotifyAccess"].map(setting),
    ["notify", "mixed", "SIGQUIT", "/bin/kill -HUP $MAINPID", ""],
  );
  const [, worker, flags] = / pool (\S+) (.*)$/.exec(setting("ExecStart"))!;
  assertEquals(worker, "/opt/thumbs/worker.js");
  const own = flags!.replace(/--target \S+ /, "").split(" ");

  const socket = newTarget();
  const manager = startProgram("listener", ["python3", "-c", listener, socket]);
  await manager.message();
  /** The next message that is no sign of life, and has news of that name. */
  const told = async (name: string): Promise<News> => {
    for (;;) {
      const news = await manager.message<News>();
      if (name in news) return news;
    }
  };
  const pool = new Supervisor(own, {
    env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "30000000", WATCHDOG_PID: undefined },
  });
  assertMatch((await told("STATUS"))["STATUS"]!, /^\d workers take calls$/);
  assertEquals(await told("READY"), { READY: "1" });
  await pool.ready();
  assertEquals(pool.workers.length, 2);
  const remote = pool.connect();
  assertEquals(await remote.variables(["NOTIFY_SOCKET", "WATCHDOG_USEC"]), [null, null]);
  pool.signal("SIGHUP");
  assertMatch((await told("RELOADING"))["MONOTONIC_USEC"]!, /^\d+$/);
  assertEquals(await told("READY"), { READY: "1" });
  pool.signal("SIGQUIT");
  assertEquals((await told("STOPPING"))["STOPPING"], "1");
  await pool.child.ended();
}, patience);

test(
  "tandem pool: --user makes the supervisor, the workers and the channel that user's, who is its client",
  async () => {
    const uid = 65_534;
    const name = `tandem-test-${process.pid}-${runtime}`;
    const path = `/dev/shm/tandem-${uid}/${name}.tandem`;
    const pid = join(folder(), "pool.pid");
    const versionFile = join(folder(), "version");
    writeFileSync(versionFile, "1");
    chmodSync(folder(), 0o711);
    const { program, args } = toolCommand(runtime, `${checkout}/src/cli/main.ts`, [
      "pool",
      workerFile,
      "--target",
      name,
      "--user",
      String(uid),
      "--pid-file",
      pid,
      ...nodeArgs.map((arg) => `--node-arg=${arg}`),
      ...two,
      "--",
      versionFile,
    ]);
    const child = startProgram("tandem pool", [program, ...args], { TANDEM_DIR: undefined });
    await eventually(() => {
      assert(child.isRunning, child.describe());
      return child.stderr.includes("supervisor: is ready");
    });
    assertEquals(readFileSync(pid, "utf8"), `${child.pid}\n`);
    assertEquals(statSync(path).uid, uid);
    const workers = workersOf(child.pid);
    assertEquals(workers.length, 2);
    for (const each of [child.pid, ...workers]) {
      assertMatch(
        readFileSync(`/proc/${each}/status`, "utf8"),
        new RegExp(`^Uid:(\\t${uid}){4}$`, "m"),
      );
    }
    const call = toolCommand(runtime, `${checkout}/src/cli/main.ts`, ["call", name, "version"]);
    const client = startProgram("tandem call", [
      "setpriv",
      `--reuid=${uid}`,
      `--regid=${uid}`,
      "--clear-groups",
      call.program,
      ...call.args,
    ], { TANDEM_DIR: undefined });
    await client.expect('"1"');
    await client.ended();
    process.kill(child.pid, "SIGQUIT");
    await child.ended();
    rmSync(path);
    rmSync(path.replace(/\.tandem$/, ".pool.tandem"));
    assertEquals(readFileSync(pid, "utf8"), "", "only root could remove it");
  },
  { ...patience, skip: noRoot },
);
