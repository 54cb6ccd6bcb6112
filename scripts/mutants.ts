/**
 * Breaks the protocol on purpose, in one way after the other (native/proof/model/mutants.ts), and expects the
 * model checker to find each.
 *
 *     bun scripts/mutants.ts [--only NAME]... [--list]
 *
 * @module
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Mutant, mutants } from "../native/proof/model/mutants.ts";

const root = resolve(import.meta.dirname!, "..");
/** A mutant that takes longer needs a smaller configuration. */
const secondsMax = 120;
/** Random ways before everything is explored: most mutants are caught there. */
const walks = 10_000;
/** Of the checker, beside 0 for "all is well". */
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
    throw new Error(`There is no mutant ${name}; --list says which there are`);
  });
}

function apply(folder: string, { name, file, text, replacement }: Mutant): void {
  const path = join(folder, "native", file);
  const source = readFileSync(path, "utf8");
  const count = source.split(text).length - 1;
  if (count !== 1) {
    throw new Error(`The text that ${name} replaces stands in ${file} ${count} times, not once`);
  }
  writeFileSync(path, source.replace(text, () => replacement));
}

/** Null: it was caught. */
function survives(folder: string, mutant: Mutant): string | null {
  cpSync(join(root, "native"), join(folder, "native"), { recursive: true });
  apply(folder, mutant);
  // Without optimization it is compiled in a second, which is most of the time that a mutant takes.
  const build = spawnSync(
    join(root, ".tools/bin/zig"),
    ["build", "model", "-Doptimize=debug", "--cache-dir", join(folder, ".zig-cache")],
    { cwd: folder, encoding: "utf8" },
  );
  if (build.status !== 0) return `it does not compile: ${build.error ?? build.stderr}`;
  const run = spawnSync(
    join(folder, "zig-out/bin/tandem-model"),
    ["--seconds", String(secondsMax), "--walks", String(walks), ...mutant.configuration.split(" ")],
    { encoding: "utf8", maxBuffer: 1 << 28 },
  );
  const lines = run.stdout.split("\n");
  if (run.status === foundViolation) {
    console.log(`  caught:${lines.find((line) => line.includes("VIOLATION"))?.split(":")[1]}`);
    console.log(`  ${lines[1]?.trim()}`);
    return null;
  }
  return `the checker ended with ${run.status ?? run.signal}: ${run.stdout}${run.stderr}`;
}

const folder = mkdtempSync(join(tmpdir(), "tandem-mutants-"));
let survivors = 0;
try {
  for (const file of ["build.zig", "build.zig.zon"]) cpSync(join(root, file), join(folder, file));
  cpSync(join(root, "scripts/embed.zig"), join(folder, "scripts/embed.zig"));
  const list = chosen();
  for (const mutant of list) {
    console.log(`${mutant.name}: ${mutant.why}`);
    const reason = survives(folder, mutant);
    if (reason === null) continue;
    survivors += 1;
    console.log(`  NOT CAUGHT with ${mutant.configuration}: ${reason}`);
  }
  console.log(`${list.length - survivors} of ${list.length} mutants caught`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(survivors === 0 ? 0 : 1);
