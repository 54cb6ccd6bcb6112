/**
 * How long programs run, measured by hyperfine, which starts them without a shell between.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";

/** Milliseconds of each run of each command. */
export function timePrograms(
  commands: readonly (readonly string[])[],
  runs: number,
  report: string,
): readonly (readonly number[])[] {
  const options = ["--shell=none", "--style=none", "--warmup=1", `--runs=${runs}`];
  const lines = commands.map((words) => words.map(quoted).join(" "));
  execFileSync("hyperfine", [...options, `--export-json=${report}`, ...lines], {
    // It warns of a busy machine; what it says when it fails is in the error.
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, DENO_NO_UPDATE_CHECK: "1" },
  });
  const { results } = JSON.parse(readFileSync(report, "utf8")) as {
    results: readonly { readonly times: readonly number[] }[];
  };
  return results.map(({ times }) => times.map((seconds) => seconds * 1e3));
}

/** Its version, or null where it is not installed. */
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
