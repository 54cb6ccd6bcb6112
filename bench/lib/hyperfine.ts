/**
 * Measures how long programs run, with hyperfine, which starts them without a shell.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";

/** The milliseconds of each run of each command. */
export function timePrograms(
  commands: readonly (readonly string[])[],
  runs: number,
  report: string,
): readonly (readonly number[])[] {
  const options = ["--shell=none", "--style=none", "--warmup=1", `--runs=${runs}`];
  const lines = commands.map((words) => words.map(quoted).join(" "));
  execFileSync("hyperfine", [...options, `--export-json=${report}`, ...lines], {
    // Drops warnings of a busy machine. The error contains the output if it fails.
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, DENO_NO_UPDATE_CHECK: "1" },
  });
  const { results } = JSON.parse(readFileSync(report, "utf8")) as {
    results: readonly { readonly times: readonly number[] }[];
  };
  return results.map(({ times }) => times.map((seconds) => seconds * 1e3));
}

/** The version of hyperfine, or null if it is not installed. */
export function hyperfineVersion(): string | null {
  try {
    return execFileSync("hyperfine", ["--version"], { encoding: "utf8" }).trim();
  } catch {
    return null;
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
