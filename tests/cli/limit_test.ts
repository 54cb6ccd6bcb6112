import { assert, assertEquals, assertMatch } from "@std/assert";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { serve } from "../../mod.ts";
import { checkout, toolCommand } from "../../scripts/tools.ts";
import { run } from "../../src/cli/app.ts";
import { Limit } from "@tandem/ipc/limit";
import { type Child, eventually, folder, runtime, startProgram, test } from "../support/harness.ts";
import { type Outcome, runFile } from "../support/run.ts";
import {
  assertAsDirect,
  limited,
  surroundingsCommand,
  surroundingsOf,
} from "../support/surroundings.ts";

const mainFile = "src/cli/main.ts";

const tandem = (...args: readonly string[]): Promise<Outcome> => runFile(mainFile, args);

/** The same in this process, for command lines after which it goes on. */
async function tandemHere(...args: readonly string[]): Promise<Outcome> {
  const out = { stdout: "", stderr: "" };
  const code = await run(args, {
    process: {
      stdout: { write: (text) => void (out.stdout += text) },
      stderr: { write: (text) => void (out.stderr += text) },
      env: process.env,
    },
    write: (text) => Promise.resolve(void (out.stdout += text)),
    readInput: () => Promise.resolve(new Uint8Array()),
  });
  return { code, signal: null, ...out };
}

function tandemCommand(args: readonly string[]): string[] {
  const command = toolCommand(runtime, join(checkout, mainFile), ["limit", ...args]);
  return [command.program, ...command.args];
}

/** `tandem limit`, which other commands may start. */
function start(args: readonly string[], through: readonly string[] = []): Child {
  return startProgram(`tandem limit ${args.join(" ")}`, [...through, ...tandemCommand(args)], {
    TANDEM_DIR: folder(),
    NO_COLOR: "1",
  });
}

/** A limit of the folder that the command looks in. */
const open = (name: string): Limit => new Limit(`${folder()}/${name}.limit`);

test("tandem limit: the command finds what it would find without it", async () => {
  const args = ["", "two words", "ünïcödé", "-x", "--max", "--"];
  const env = { TANDEM_DIR: folder(), NO_COLOR: "1" };
  const command = surroundingsCommand(args);
  const expected = await surroundingsOf(startProgram("direct", [...limited, ...command], env));
  const found = await surroundingsOf(start(["probe", "--", ...command], limited));
  assertAsDirect(found, expected);
  assertEquals(expected.files.filter(([fd]) => !found.files.some(([other]) => other === fd)), []);
});

test("tandem limit: bytes that are no text, and descriptors of the caller, reach the command", async () => {
  const shell = [
    "bash",
    "-c",
    String
      .raw`export BYTES=$'\xff=\xfe'; exec "$@" -- bash -c 'cat "$1" - <&9; echo "$2$BYTES" | od -An -tx1' sh ` +
    String.raw`<(echo substituted) $'\xfd' 9<<<inherited`,
    "sh",
  ];
  // Deno does not start with arguments that are no text.
  const through = runtime === "deno"
    ? shell.map((part) => part.replace(String.raw`$'\xfd'`, "''"))
    : shell;
  const child = start(["bytes"], through);
  await child.expect("substituted");
  await child.expect("inherited");
  await child.expect(runtime === "deno" ? " ff 3d fe 0a" : " fd ff 3d fe 0a");
  await child.ended();
});

test("tandem limit: it is the command: process, status, signals", async () => {
  const script =
    'echo $$ $PPID; read line; case $line in exit) exit 7;; *) kill -s "$line" $$; esac';
  const statuses = { exit: { code: 7, signal: null }, TERM: { code: null, signal: "SIGTERM" } };
  for (const [word, expected] of Object.entries(statuses)) {
    const child = start(["same", "--", "sh", "-c", script]);
    await child.expect(`${child.pid} ${process.pid}`);
    child.send(word);
    assertEquals(await child.exited, expected);
  }
});

test("tandem limit: a command dies of a closed pipe", async () => {
  const { code, stdout, stderr } = await tandem(
    "limit",
    "pipe",
    "--",
    "bash",
    "-c",
    'yes | head -1; echo "${PIPESTATUS[@]}"',
  );
  assertEquals([code, stdout, stderr], [0, "y\n141 0\n", ""]);
});

test("tandem limit: what is refused says by whom, in one line", async () => {
  using limit = open("nightly");
  const { target } = limit;
  const lock = limit.tryAcquire()!;
  const refused = await tandemHere("limit", target, "--", "backup.sh", "--all");
  assertEquals([refused.code, refused.stdout], [75, ""]);
  const { since } = limit.holders()[0]!;
  const [, name, pid, time] = refused.stderr.match(
    /^tandem: did not run "backup\.sh": limit (".*") is held by process (\d+) \(\S.*\) since (20[-\d]+ [\d:]+)\n$/,
  )!;
  assertEquals([JSON.parse(name!), Number(pid)], [target, process.pid]);
  // Local time, to the second.
  assertEquals(new Date(time!).getTime(), Math.floor(since / 1000) * 1000);
  const cases: [string[], RegExp][] = [
    [["--timeout", "0.01"], /: it waited 0\.01 s, and limit ".*" is held by process /],
    [["--timeout", "5ms"], /: it waited 0\.005 s, and limit /],
    [["--standby", "0"], /"backup\.sh": limit ".*" is held by process /],
    [["--no-wait"], /"backup\.sh": limit ".*" is held by process /],
    [["--shared"], /: limit ".*" is held by process /],
  ];
  for (const [flags, message] of cases) {
    const outcome = await tandemHere("limit", target, ...flags, "--", "backup.sh");
    assertEquals([outcome.code, outcome.stdout], [75, ""], outcome.stderr);
    assertMatch(outcome.stderr, message);
    assertMatch(outcome.stderr, /^tandem: [^\n]*\n$/);
  }
  const silent = await tandemHere("limit", target, "--skip-ok", "--", "backup.sh");
  assertEquals(silent, { code: 0, signal: null, stdout: "", stderr: "" });
  const others = await tandemHere("limit", target, "--max", "2", "--", "backup.sh");
  assertEquals(others.code, 1);
  assertMatch(others.stderr, /\(MISMATCH\)\n$/);
  lock.release();
  const outcome = await tandem("limit", target, "--max", "2", "--", "echo", "runs");
  assertEquals([outcome.code, outcome.stdout, outcome.stderr], [0, "runs\n", ""]);
});

test("tandem limit: many holders are not all named, and a title stays in its line", async () => {
  using limit = open("many");
  limit.resize(5);
  const others = Array.from({ length: 5 }, () => open("many"));
  for (const other of others) assert(other.tryAcquire());
  const command = "line\u001b[31m\nfeed".repeat(20);
  const outcome = await tandemHere("limit", limit.target, "--max", "5", "--", command);
  assertEquals(outcome.code, 75);
  assertEquals(outcome.stderr.match(/process \d+ /g)?.length, 3);
  assertMatch(
    outcome.stderr,
    /^\P{Cc}*…": limit ".*" \(5 at once\) is held by .* and 2 more\n$/u,
  );
  for (const other of others) other.close();
});

test("tandem limit: a command line that makes no sense", async () => {
  const cases: [string[], RegExp][] = [
    [[], /there is none; give the name of a limit, --, and the command\n$/],
    [["x"], /there is none; give the name/],
    [["x", "--max", "0", "--", "true"], /max/],
    [["x", "--max", "many", "--", "true"], /Cannot use "many" as a number/],
    [["x", "--wait", "--no-wait", "--", "true"], /wait/],
    [["x", "--no-wait", "--timeout", "1", "--", "true"], /leave out --no-wait\n$/],
    [["x", "--no-wait", "--standby", "1", "--", "true"], /leave out --no-wait\n$/],
    [["x", "--timeout", "soon", "--", "true"], /Cannot use "soon" as a duration/],
    [["no name", "--", "true"], /"no name"/],
    [["x", "true", "-l"], /-l/],
  ];
  for (const [args, message] of cases) {
    const outcome = await tandemHere("limit", ...args);
    assertEquals([outcome.code, outcome.stdout], [2, ""], `${args}: ${outcome.stderr}`);
    assertMatch(outcome.stderr, message);
    assertMatch(outcome.stderr, /^tandem: [^\n]*\n$/);
  }
});

test("tandem limit: commands that cannot run, as shells say it", async () => {
  const cases: [string, number, RegExp][] = [
    ["no-such-command", 127, /no such program in PATH; give its path/],
    ["/no/such/command", 127, /"\/no\/such\/command": there is no such/],
    ["/etc/passwd", 126, /"\/etc\/passwd": it is no program, or/],
  ];
  for (const [command, code, message] of cases) {
    const outcome = await tandem("limit", "x", "--skip-ok", "--", command);
    assertEquals([outcome.code, outcome.stdout], [code, ""], outcome.stderr);
    assertMatch(outcome.stderr, message);
    assertMatch(outcome.stderr, /^tandem: [^\n]*\n$/);
  }
});

test("tandem limit: waiters get the place in their order, and wake without looking", async () => {
  using limit = open("queue");
  const lock = limit.tryAcquire()!;
  const first = start(["queue", "--wait", "--", "sh", "-c", "echo first; read line"]);
  await eventually(() => limit.waiters().length === 1);
  const second = start(["queue", "--standby", "2", "--", "echo", "second"]);
  await eventually(() => limit.waiters().length === 2);
  assertEquals(limit.waiters().map(({ pid }) => pid), [first.pid, second.pid]);
  const third = await tandemHere("limit", limit.target, "--standby", "2", "--", "true");
  assertEquals(third.code, 75);
  assertMatch(third.stderr, /: 2 others wait already, and /);
  lock.release();
  await first.expect("first");
  assertEquals(limit.holders().map(({ pid }) => pid), [first.pid]);
  first.end();
  await second.expect("second");
  await Promise.all([first.exited, second.ended()]);
});

test("tandem limit: signals end one that waits, as any command", async () => {
  using limit = open("signals");
  using _lock = limit.tryAcquire()!;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    const child = start(["signals", "--wait", "--", "true"]);
    await eventually(() => limit.waiters().length === 1);
    process.kill(child.pid, signal);
    assertEquals(await child.exited, { code: null, signal });
    await eventually(() => limit.waiters().length === 0);
  }
});

test("tandem limit: the lock outlives the command in its children, but not with --close", async () => {
  const script = "sleep 1000 >/dev/null 2>&1 & echo $!; read line; exit 3";
  for (const close of [false, true]) {
    using limit = open("children");
    const flags = close ? ["--close"] : [];
    const child = start(["children", ...flags, "--", "sh", "-c", script]);
    const grandchild = Number(await child.line());
    assertEquals(limit.tryAcquire(), null);
    child.send("and now end");
    assertEquals(await child.exited, { code: 3, signal: null });
    process.kill(grandchild, 0);
    if (!close) {
      const refused = await tandemHere("limit", limit.target, "--", "true");
      assertEquals(refused.code, 75);
      assertMatch(refused.stderr, new RegExp(`process ${child.pid} or its children since `));
      assertEquals(limit.tryAcquire(), null);
      process.kill(grandchild, "SIGKILL");
    }
    assertEquals((await limit.acquire())?.id, 1);
    if (close) process.kill(grandchild, "SIGKILL");
  }
});

test("tandem limit: one limit around another, both held by the command", async () => {
  using outer = open("outer");
  using inner = open("inner");
  const command = ["inner", "--", "sh", "-c", "echo runs; read line"];
  const child = start(["outer", "--", ...tandemCommand(command)]);
  await child.expect("runs");
  for (const limit of [outer, inner]) {
    assertEquals(limit.tryAcquire(), null);
    assertEquals(limit.holders().map(({ pid }) => pid), [child.pid]);
  }
  child.end();
  assertEquals([(await outer.acquire())?.id, (await inner.acquire())?.id], [1, 1]);
});

test("tandem limit: job control, also while it waits", async () => {
  using limit = open("jobs");
  const lock = limit.tryAcquire()!;
  const job = tandemCommand(["jobs", "--wait", "--", "sh", "-c", "echo ready; exec cat"]);
  const terminal = ["/usr/bin/python3", join(checkout, "tests/fixtures/limit/job_control.py")];
  const shell = startProgram("shell", [...terminal, ...job], { TANDEM_DIR: folder() });
  const pid = Number((await shell.line()).split(" ")[1]);
  await eventually(() => limit.waiters().some((waiter) => waiter.pid === pid));
  const dialogue: [string, string?][] = [
    ["type \\x1a"],
    ["wait", "stopped SIGTSTP"],
    ["foreground", "continued"],
  ];
  const talk = async (lines: typeof dialogue) => {
    for (const [command, answer] of lines) {
      shell.send(command);
      if (answer !== undefined) await shell.expect(answer);
    }
  };
  await talk(dialogue);
  lock.release();
  await talk([["read ready", "shown ready"], ["group", `foreground ${pid}`]]);
  assertEquals(limit.holders().map((holder) => holder.pid), [pid]);
  await talk(dialogue);
  await talk([
    ["type hello\\n"],
    // The terminal's own echo, and that of the program.
    ["read hello\r\nhello", "shown hello"],
    ["type \\x03"],
    ["wait", "killed SIGINT"],
  ]);
  assertEquals((await limit.acquire())?.id, 1);
});

test("tandem ls, stat and rm know limits", async () => {
  using limit = open("nightly");
  const path = `${folder()}/nightly.limit`;
  const lock = limit.tryAcquire()!;
  const waiter = start(["nightly", "--wait", "--", "true"]);
  await eventually(() => limit.waiters().length === 1);

  const [list, objects, table, object, metrics, kept] = await Promise.all([
    tandem("ls"),
    tandem("ls", "--json"),
    tandemHere("stat", path),
    tandemHere("stat", path, "--json"),
    tandemHere("stat", path, "--prometheus"),
    tandemHere("rm", path),
  ]);
  assertEquals([list.code, list.stderr], [0, ""]);
  assertMatch(list.stdout, /^LIMIT +MAX +HELD +WAITING +ORDER\nnightly +1 +1 +1 +oldest\n$/);
  assertMatch(table.stdout, /^kind +limit$/m);
  assertMatch(
    table.stdout,
    new RegExp(`^1 +${process.pid} +${runtime} +exclusive +20.*${lock.token}`, "m"),
  );
  assertMatch(table.stdout, new RegExp(`^waits +${waiter.pid} +${runtime} +exclusive +20`, "m"));
  const found = JSON.parse(object.stdout);
  assertEquals([found.kind, found.max, found.order], ["limit", 1, "oldest"]);
  assertEquals(found.holders[0].token, String(lock.token));
  assertEquals(found.waiters[0].pid, waiter.pid);
  assertEquals(JSON.parse(objects.stdout), { ...found, target: "nightly", path });
  assertMatch(metrics.stdout, /^tandem_limit_waiters\{target=".*nightly\.limit"\} 1$/m);
  assertEquals([kept.code, existsSync(path)], [75, true]);
  assertMatch(kept.stderr, /^tandem: Cannot remove limit ".*": 2 hold it or wait for it; /);

  lock.release();
  await waiter.ended();
  await using service = serve(`${folder()}/nightly.tandem`, { ping: () => true });
  const both = await tandem("stat", "nightly", "--json");
  assertEquals(both.stdout.trimEnd().split("\n").map((line) => JSON.parse(line).kind), [
    "bytes",
    "limit",
  ]);
  assertEquals((await tandem("rm", "nightly")).code, 2);
  service.unlink();
  assertEquals(await tandem("rm", "nightly"), { code: 0, signal: null, stdout: "", stderr: "" });
  assert(!existsSync(path));
});
