/**
 * Runs every example as its README says, and compares its output with the README:
 * `…` there matches anything. The servers run on this runtime, the clients on this one and on another one;
 * the suites of all runtimes together have each runtime with each other one.
 */
import { assert, assertEquals } from "@std/assert";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { exampleProject } from "../../scripts/tools.ts";
import {
  Child,
  eventually,
  folder,
  type Runtime,
  runtime,
  runtimePath,
  runtimes,
  test,
} from "../support/harness.ts";

const examples = fileURLToPath(new URL("../../examples", import.meta.url));

/** Milliseconds after which an example counts as hanging. */
const patience = 160_000;

interface Example {
  /** Whether each command is run when the one before has ended, and not all together. */
  readonly inTurn?: boolean;
  /** Its programs. Default: a server and a client. */
  readonly programs?: readonly string[];
}

const poolPrograms: Example = { programs: ["main.ts", "worker.ts"] };

/** Every folder of `examples/` that has programs. */
const table: Readonly<Record<string, Example>> = {
  "async-pipeline": {},
  "authentication": {},
  "autoscaling": {},
  "batch-server": {},
  "cache-service": {},
  "calls-by-hand": {},
  "cancellation": {},
  "chat": { programs: ["main.ts", "chat.ts", "room.ts"] },
  "echo": {},
  "fencing": { programs: ["main.ts", "store.ts", "writer.ts"] },
  "foreign-event-loop": {},
  "graceful-shutdown": {},
  "large-messages": {},
  "load-balancer": {},
  "log-tail": {},
  "memfd-to-a-child": {},
  "one-way": { inTurn: true },
  "pool/passwords": poolPrograms,
  "pool/sqlite": poolPrograms,
  "pool/thumbnails": poolPrograms,
  "selective-receive": {},
  "sqlite-writer": {},
  "supervised-counter": {},
  "three-runtimes": {},
  "thumbnails": {},
  "ticket-counter": {},
  "timeout-and-retry": {},
  "worker-discovery": { programs: ["main.ts", "dispatcher.ts", "worker.ts"] },
  "worker-pool": {},
  "zeromq": { programs: ["server.ts", "client.py"] },
};

/** Folders without programs of their own. tests/cli/pool_test.ts runs what the unit for systemd says. */
const withoutPrograms: readonly string[] = ["systemd"];

/** One command of a README. */
interface Command {
  readonly line: string;
  readonly program: Runtime | "python3";
  readonly args: readonly string[];
  /** The program's file name. */
  readonly file: string;
}

interface Readme {
  /** The commands on each runtime. */
  readonly commands: Readonly<Record<Runtime, readonly Command[]>>;
  /** The output of each program; a missing one prints nothing. */
  readonly outputs: ReadonlyMap<string, readonly string[]>;
}

test("every example is tested and in the index", () => {
  const programs = readdirSync(examples, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"));
  const folders = [...new Set(programs.map((file) => dirname(file)))].sort();
  assertEquals(folders, Object.keys(table).sort());
  const index = readFileSync(join(examples, "README.md"), "utf8");
  const linked = [...index.matchAll(/^\| \[.+\]\((.+)\/README\.md\) \|/gm)].map(([, name]) =>
    name!
  );
  assertEquals(linked.sort(), [...folders, ...withoutPrograms].sort());
});

for (const [index, [name, example]] of Object.entries(table).entries()) {
  test(`${name}: its files are there, and its README runs them`, () => {
    for (const file of ["README.md", ...example.programs ?? ["server.ts", "client.ts"]]) {
      assert(existsSync(join(examples, name, file)), `there is no ${file}`);
    }
    const { commands, outputs } = readReadme(name);
    const programs = runtimes.map((runtime) =>
      commands[runtime].map(({ args }) => programOf(args))
    );
    for (const each of programs) assertEquals(each, programs[0], "the same programs everywhere");
    const files = new Set(commands.deno.map(({ file }) => file));
    for (const file of outputs.keys()) assert(files.has(file), `${file} is not run`);
  });

  test(`${name}: no difference between the runtimes in its code`, () => {
    const sources = readdirSync(join(examples, name)).filter((file) => file.endsWith(".ts"));
    for (const file of sources) {
      const source = readFileSync(join(examples, name, file), "utf8");
      const found = /\b(Deno|Bun)\.\w|"Bun"|"Deno"|bun:|process\.(versions|features)/.exec(source);
      assertEquals(found?.[0], undefined, file);
    }
  });

  const { commands } = readReadme(name);
  const hasClient = commands[runtime].some(isClient);
  for (const clients of hasClient ? [runtime, another(index)] : [runtime]) {
    const title = hasClient ? `${name}: ${runtime} serves ${clients}` : `${name}: ${runtime}`;
    const mix = commands[runtime].map((command, index) =>
      isClient(command) ? commands[clients][index]! : command
    );
    test(title, () => run(name, mix, example), { timeout: patience + 20_000 });
  }
}

/** The next runtime in the list, or the one before, in turn. */
function another(index: number): Runtime {
  const place = runtimes.indexOf(runtime) + (index % 2 === 0 ? 1 : -1);
  return runtimes.at(place % runtimes.length)!;
}

async function run(name: string, commands: readonly Command[], example: Example): Promise<void> {
  const { outputs } = readReadme(name);
  const children: Child[] = [];
  const hang = setTimeout(() => children.forEach((child) => child.kill("SIGKILL")), patience);
  try {
    const checks: Promise<void>[] = [];
    for (const command of commands) {
      const child = start(command);
      children.push(child);
      checks.push(check(command, child, outputs.get(command.file) ?? []));
      if (example.inTurn) await checks.at(-1);
    }
    await Promise.all(checks);
  } finally {
    clearTimeout(hang);
    children.forEach((child) => child.kill("SIGKILL"));
    await Promise.all(children.map((child) => child.closed));
  }
  await eventually(() => processesOf(folder()).length === 0, `${name}: every process ends`);
  assertEquals(readdirSync(folder()), [], "files left behind");
}

function start({ line, program, args }: Command): Child {
  const path = program === "python3" ? program : runtimePath(program);
  const env = {
    ...process.env,
    TANDEM_DIR: folder(),
    NO_COLOR: "1",
    // The suites of the other runtimes may use the port at the same time. Abstract names have no file.
    FRONTEND: `ipc://@${folder()}`,
    PYTHONPATH: fileURLToPath(new URL("../../.tools/pyzmq", import.meta.url)),
    PYTHONDONTWRITEBYTECODE: "1",
  };
  return new Child(line, path, args, env, [], exampleProject());
}

async function check(command: Command, child: Child, expected: readonly string[]): Promise<void> {
  const lines = await linesOf(child);
  const found = ["", child.describe(), `${command.line} printed`, ...lines].join("\n");
  assertEquals(lines.length, expected.length, found);
  expected.forEach((text, index) => assert(matches(lines[index]!, text), found));
  await child.ended();
  assertEquals(child.stderr, "", command.line);
}

/** All of its output, once it has ended. */
async function linesOf(child: Child): Promise<string[]> {
  const lines: string[] = [];
  try {
    for (;;) lines.push(await child.line());
  } catch {
    return lines; // The output has ended.
  }
}

/** Whether a line is as expected; `…` stands for anything. */
function matches(line: string, expected: string): boolean {
  const parts = expected.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".+")}$`).test(line);
}

function readReadme(name: string): Readme {
  const text = readFileSync(join(examples, name, "README.md"), "utf8");
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) =>
    block!.trimEnd().split("\n").map((line) => parseCommand(line, name))
  );
  const all = (runtime: Runtime) => {
    const runs = ({ program }: Command) => program === runtime || program === "python3";
    const found = blocks.find((block) => block.every(runs));
    assert(found, `${name}/README.md has no commands for ${runtime}`);
    return found;
  };
  const commands = { deno: all("deno"), bun: all("bun"), node: all("node") };
  // Blocks that mix the runtimes consist of the same commands, which the tests run.
  const lines = new Set(runtimes.flatMap((name) => commands[name].map(({ line }) => line)));
  for (const { line } of blocks.flat()) assert(lines.has(line), `${name}/README.md: ${line}`);
  const outputs = new Map<string, readonly string[]>();
  for (const [, file, output] of text.matchAll(/^`([^`\n]+)` prints:\n\n```text\n(.*?)\n```$/gms)) {
    outputs.set(file!, output!.split("\n"));
  }
  return { commands, outputs };
}

function parseCommand(line: string, name: string): Command {
  const [program, ...args] = line.split(" ");
  const known = ([...runtimes, "python3"] as const).find((known) => known === program);
  assert(known, `${name}/README.md: ${line}`);
  const folder = `examples/${name}/`;
  const file = programOf(args)[0]?.slice(folder.length);
  assert(file && existsSync(join(examples, name, file)), `${name}/README.md: ${line}`);
  return { line, program: known, args, file };
}

/** The program and its arguments, without the runtime's own. */
function programOf(args: readonly string[]): readonly string[] {
  return args.slice(args.findIndex((arg) => arg.startsWith("examples/")));
}

function isClient({ file }: Command): boolean {
  return file === "client.ts";
}

/** The processes whose channels are in that folder. */
function processesOf(folder: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/environ`, "utf8").includes(`TANDEM_DIR=${folder}\0`);
    } catch {
      return false; // It has ended, or belongs to another user.
    }
  });
}
