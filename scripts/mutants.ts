/**
 * Breaks the protocol on purpose, in one way after the other (native/proof/model/mutants.ts), and expects
 * the model checker to find each. Comments in the native code mark the lines that a mutant replaces.
 *
 *     bun scripts/mutants.ts [--only NAME]... [--list]
 *
 * @module
 */
import { spawn } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Mutant, mutants } from "../native/proof/model/mutants.ts";

const root = resolve(import.meta.dirname!, "..");
/** A mutant that takes longer needs a smaller configuration. */
const secondsMax = 120;
/** Random walks before everything is explored: most mutants are caught there. */
const walks = 10_000;
/** The checker's exit code for a violation. */
const foundViolation = 1;

function chosen(): readonly Mutant[] {
  const { values } = parseArgs({
    options: {
      only: { type: "string", multiple: true },
      list: { type: "boolean" },
    },
  });
  if (values.list) {
    for (const { name, why } of mutants) console.log(`${name}: ${why}`);
    process.exit(0);
  }
  if (!values.only) return mutants;
  return values.only.map((name) => {
    const mutant = mutants.find((each) => each.name === name);
    if (mutant) return mutant;
    throw new Error(`There is no mutant ${name}; --list shows all`);
  });
}

/** The lines that a mutant replaces, as indexes in its file. */
interface Anchor {
  readonly file: string;
  readonly first: number;
  readonly end: number;
}

/** Where the comments `// mutant:name` stand, by name. Each has to have its mutant, and stand once. */
function findAnchors(): Map<string, Anchor> {
  const anchors = new Map<string, Anchor>();
  const files = readdirSync(join(root, "native"), { recursive: true, encoding: "utf8" });
  for (const file of files.filter((name) => name.endsWith(".zig"))) {
    const lines = readFileSync(join(root, "native", file), "utf8").split("\n");
    const marks = lines.map((line) => /^\s*\/\/ mutant:(\S+)(?: (begin|end))?$/.exec(line));
    marks.forEach((mark, index) => {
      if (mark === null || mark[2] === "end") return;
      const name = mark[1]!;
      if (anchors.has(name)) throw new Error(`${name} has a second anchor in ${file}`);
      const isCode = (line: number) => !lines[line]!.trim().startsWith("// mutant:");
      let first = index + 1;
      while (!isCode(first)) first++;
      const end = mark[2] === "begin"
        ? marks.findIndex((other) => other?.[1] === name && other[2] === "end")
        : first + 1;
      if (end < 0) throw new Error(`${name} has a begin and no end in ${file}`);
      anchors.set(name, { file, first, end });
    });
  }
  const known = new Set(mutants.map(({ name }) => name));
  for (const { name } of mutants) {
    if (!anchors.has(name)) throw new Error(`There is no comment "// mutant:${name}" in native`);
  }
  for (const [name, { file }] of anchors) {
    if (!known.has(name)) throw new Error(`${file} has an anchor for ${name}, which is no mutant`);
  }
  return anchors;
}

function apply(folder: string, { name, replacement }: Mutant): void {
  const { file, first, end } = anchors.get(name)!;
  const path = join(folder, "native", file);
  const lines = readFileSync(path, "utf8").split("\n");
  const indentation = /^ */.exec(lines[first]!)![0];
  const replacing = replacement === "" ? [] : replacement.split("\n");
  lines.splice(first, end - first, ...replacing.map((line) => indentation + line));
  writeFileSync(path, lines.join("\n"));
}

/** How a program ended, and what it said. */
interface Run {
  readonly status: number | null;
  readonly output: string;
}

function run(program: string, args: readonly string[], cwd: string): Promise<Run> {
  const child = spawn(program, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output += text);
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, output }));
  });
}

// Compiling takes most of a mutant's time. So nothing is optimized, and LLVM is used only where Zig has no code
// generator of its own that is good enough.
const compile = [
  ...["build-exe", "native/model.zig", "-Odebug", "-fstrip", "-fsingle-threaded"],
  // As in build.zig.
  "-mno-red-zone",
  ...(process.arch === "x64" ? ["-fno-llvm", "-fno-lld"] : []),
  ...["--cache-dir", ".zig-cache", "-femit-bin=model"],
];

/** Null: it was caught. */
async function survives(folder: string, mutant: Mutant): Promise<string | null> {
  cpSync(join(root, "native"), join(folder, "native"), { recursive: true });
  apply(folder, mutant);
  const build = await run(join(root, ".tools/bin/zig"), compile, folder);
  if (build.status !== 0) return `it does not compile: ${build.output}`;
  const limits = ["--seconds", String(secondsMax), "--walks", String(walks)];
  const args = [...limits, ...mutant.configuration.split(" ")];
  const { status, output } = await run(join(folder, "model"), args, folder);
  const lines = output.split("\n");
  if (status === foundViolation) {
    const violation = lines.find((line) => line.includes("VIOLATION"))?.split(":")[1];
    console.log(`${mutant.name}: ${mutant.why}\n  caught:${violation}\n  ${lines[1]?.trim()}`);
    return null;
  }
  return `the checker ended with ${status}: ${output}`;
}

/** Tries mutants, one after the other, until none is left. */
async function work(folder: string): Promise<void> {
  for (let mutant = rest.shift(); mutant; mutant = rest.shift()) {
    const reason = await survives(folder, mutant);
    if (reason === null) continue;
    survivors += 1;
    const { name, why, configuration } = mutant;
    console.log(`${name}: ${why}\n  NOT CAUGHT with ${configuration}: ${reason}`);
  }
}

const anchors = findAnchors();
const list = chosen();
const rest = [...list];
let survivors = 0;
const folder = mkdtempSync(join(tmpdir(), "tandem-mutants-"));
try {
  const workers = Array.from({ length: availableParallelism() }, (_, index) => {
    const own = join(folder, String(index));
    mkdirSync(own);
    return work(own);
  });
  await Promise.all(workers);
  console.log(`${list.length - survivors} of ${list.length} mutants caught`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(survivors === 0 ? 0 : 1);
