/**
 * Root opens, uses and removes channels in a folder that every user can write to, while another user
 * changes everything there that can be changed by name: no file of root's is touched, nothing crashes or
 * hangs, every answer is right, and every error has a code. Then a trace of the system calls shows that
 * no name is looked up twice, and no link followed, and that what Node loads lies in a file without a name.
 *
 *     bun tests/faults/users.ts [--full] [--seed N]
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { checkout, runtimePath, toolPath } from "../../scripts/tools.ts";
import { programCommand, runtimes, Talker } from "./talker.ts";
import { fault, makesName } from "./users/trace.ts";

const uid = 2_000_000_000 + process.pid % 100_000_000;
const channels = ["raw.tandem", "typed.tandem", "again.tandem", "private.tandem"];
const { full, seed } = options();
const root = mkdtempSync("/dev/shm/tandem-users-");
const shared = join(root, "shared");
const precious = join(root, "precious");

if (process.geteuid!() !== 0) {
  console.log("users: skipped, only root can become another user");
  process.exit();
}

const talkers: Talker[] = [];
try {
  prepare();
  await attack(full ? 600 : 20);
  trace();
  traceLoading();
} catch (error) {
  console.error(`users: seed ${seed}: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  for (const talker of talkers) talker.kill();
  await Promise.all(talkers.map(({ closed }) => closed));
  rmSync(root, { recursive: true, force: true });
}

function prepare(): void {
  chmodSync(root, 0o755);
  mkdirSync(shared);
  chmodSync(shared, 0o1777);
  // Reached by the attacker, so that links to it can be made, but closed to it.
  mkdirSync(precious, { mode: 0o755 });
  mkdirSync(join(precious, "folder"), { mode: 0o700 });
  writeFileSync(join(precious, "file"), "precious", { mode: 0o600 });
  spawnSync("mkfifo", ["-m", "600", join(precious, "fifo")]);
  const fifo = join(root, "fifo-of-attacker");
  spawnSync("mkfifo", ["-m", "666", fifo]);
  chownSync(fifo, uid, uid);
}

function state(): string {
  const files = ["folder", "file", "fifo"].map((name) => {
    const { mode, uid, gid, size } = statSync(join(precious, name));
    return [name, mode.toString(8), uid, gid, name === "file" ? size : 0].join(" ");
  });
  const content = readFileSync(join(precious, "file"), "utf8");
  return [...files, content, ...readdirSync(join(precious, "folder"))].join("\n");
}

async function attack(seconds: number): Promise<void> {
  const before = state();
  const attackers = [0, 1].map((index) => {
    const program = programCommand("bun", "tests/faults/users/attacker.ts");
    const args = [String(uid), shared, precious, String(seed + index), ...channels];
    return new Talker(`attacker ${index}`, [...program, ...args]);
  });
  talkers.push(...attackers);
  for (const attacker of attackers) await attacker.line(() => {});
  const victims = runtimes.map((runtime) => {
    const program = programCommand(runtime, "tests/faults/users/victim.ts");
    return new Talker(`${runtime} victim`, [...program, shared, String(seconds), ...channels]);
  });
  talkers.push(...victims);
  const deadline = Date.now() + seconds * 1000 + 120_000;
  const checkTime = () => {
    if (Date.now() > deadline) throw new Error("a victim hangs");
    if (state() !== before) throw new Error(`touched:\n${state()}\nwas\n${before}`);
  };
  const counts: Record<string, number> = {};
  for (const victim of victims) {
    const said = JSON.parse(await victim.line(checkTime)) as {
      counts: Record<string, number>;
      faults: string[];
    };
    if (said.faults.length > 0) throw new Error(`${victim.title}: ${said.faults.join("\n")}`);
    for (const [name, count] of Object.entries(said.counts)) {
      counts[name] = (counts[name] ?? 0) + count;
    }
  }
  const moves: Record<string, number> = {};
  for (const attacker of attackers) {
    attacker.process.stdin!.end();
    const done = JSON.parse(await attacker.line(checkTime)) as Record<string, number>;
    for (const [name, count] of Object.entries(done)) moves[name] = (moves[name] ?? 0) + count;
  }
  checkTime();
  for (const name of ["raw ok", "typed ok"]) {
    if (!counts[name]) throw new Error(`never was there: ${name}; but ${JSON.stringify(counts)}`);
  }
  console.log(`moves of the other user: ${describe(moves)}`);
  console.log(
    `users: seed ${seed}: ${seconds} s, ${describe(counts)}; nothing of root's was touched`,
  );
}

/** The operations that the library does by name in a folder that others can write to. */
function trace(): void {
  const here = join(root, "traced");
  mkdirSync(here);
  chmodSync(here, 0o1777);
  let calls = 0;
  for (const runtime of runtimes) {
    const file = join(root, `${runtime}.trace`);
    const command = programCommand(runtime, "tests/faults/users/victim.ts");
    const traced = traceOf(file, [...command, here, "2", ...channels]);
    const lines = traced.filter((line) => line.includes(here));
    const faults = lines.flatMap((line) => fault(line, here) ?? []);
    if (faults.length > 0) {
      throw new Error(`${runtime}: ${[...new Set(faults)].slice(0, 10).join("\n")}`);
    }
    if (lines.length < 100) {
      throw new Error(`${runtime}: ${lines.length} calls are too few to tell`);
    }
    calls += lines.length;
  }
  console.log(`trace: ${calls} system calls by name, none looks up a name twice or follows a link`);
}

/** The lines that strace writes of a command. */
function traceOf(file: string, command: readonly string[]): string[] {
  const filter = ["-e", "trace=%file,%network,fchmod"];
  const args = ["-f", "-y", "-qq", "-s", "4096", ...filter, "-o", file, ...command];
  const { status, stdout, stderr } = spawnSync("strace", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`the traced ${command[0]} failed: ${stdout}${stderr}`);
  return readFileSync(file, "utf8").split("\n");
}

/** The package, which a bundle is like, takes the addon for Node from no path that another user can change. */
function traceLoading(): void {
  const here = join(root, "loading");
  mkdirSync(here);
  const bundle = join(root, "victim.mjs");
  const victim = join(checkout, "tests/faults/users/victim.ts");
  const build = ["build", victim, "--target=node", "--format=esm", `--outfile=${bundle}`];
  const { status, stderr } = spawnSync(toolPath("bun"), build, { encoding: "utf8" });
  if (status !== 0) throw new Error(`cannot bundle the victim: ${stderr}`);
  const command = [runtimePath("node"), bundle, here, "0.1", channels[0]!];
  const traced = traceOf(join(root, "loading.trace"), command);
  const lines = traced.filter((line) => !line.includes(here));
  const made = lines.filter(makesName);
  if (made.length > 0) throw new Error(`node makes files with names:\n${made.join("\n")}`);
  const nameless = lines.filter((line) => line.includes("O_TMPFILE"));
  if (nameless.length !== 1 || !nameless[0]!.includes('"/dev/shm"')) {
    throw new Error(`node does not load the addon as it should:\n${nameless.join("\n")}`);
  }
  console.log("loading: the addon for Node lies in a file of /dev/shm without a name");
}

function describe(counts: Record<string, number>): string {
  return Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(", ");
}

function options(): { full: boolean; seed: number } {
  const { values } = parseArgs({
    options: { full: { type: "boolean", default: false }, seed: { type: "string" } },
  });
  return {
    full: values.full,
    seed: values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed),
  };
}
