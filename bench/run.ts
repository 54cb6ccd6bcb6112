/**
 * Runs the benchmarks and writes a report.
 *
 *     bun bench/run.ts [--short] [--only SCENARIO,…] [--out DIR] [--check] [--rounds N]
 *
 * On an idle machine the full form takes a quarter of an hour, `--short` two minutes. `--rounds` sets the
 * slices of each contender: with fewer than 40 the figures mean little, and 1 tests that everything runs.
 * `--check` exits with code 1 when a bar is missed or could not be measured. The contenders run in processes
 * of their own, in both runtimes.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Context, isMet, type Scenario } from "./lib/outcome.ts";
import { nativeProgram } from "./lib/runtimes.ts";
import { describeMachine } from "./report/machine.ts";
import { barLine, reportName, type Section, writeReport } from "./report/markdown.ts";
import { scenarios } from "./scenarios/all.ts";

interface Options {
  readonly isShort: boolean;
  readonly isCheck: boolean;
  readonly chosen: readonly Scenario[];
  readonly folder: string;
  readonly rounds: number;
}

/** Slices of each contender, in both forms. */
const defaultRounds = 40;

const usage = `usage: bun bench/run.ts [options]

  --short            takes two minutes instead of a quarter of an hour
  --only NAME,…      some of: ${scenarios.map(({ name }) => name).join(", ")}
  --rounds N         slices of each contender; default: ${defaultRounds}
  --out DIR          the folder of the report; default: bench/out
  --check            exits with code 1 when a bar is missed or could not be measured
  -h, --help         shows this text`;

await main(readOptions());

async function main(options: Options): Promise<void> {
  if (!existsSync(nativeProgram)) fail("the native programs are missing: run `zig build bench`");
  // On a signal the process ends by `exit`, so that its exit handlers clean up.
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));

  const { isShort, chosen, folder, rounds } = options;
  const context: Context = { isShort, rounds, sliceMs: isShort ? 8 : 50 };
  const began = performance.now();
  const machine = describeMachine();
  const sections: Section[] = [];
  for (const scenario of chosen) sections.push(await runOne(scenario, context));
  const seconds = Math.round((performance.now() - began) / 1e3);
  const how =
    `${isShort ? "Short form" : "Full form"}: ${rounds} slices of ${context.sliceMs} ms ` +
    `(some scenarios say more), ${seconds} s in all. ` +
    "Compare figures of one run with each other, not with those of another run.";
  await writeReport(folder, { machine, how, sections });
  console.log(`\n${join(folder, reportName)}`);
  if (sections.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
  if (options.isCheck && !sections.every(holds)) process.exitCode = 1;
}

async function runOne(scenario: Scenario, context: Context): Promise<Section> {
  const began = performance.now();
  process.stdout.write(`${scenario.name} …`);
  const section = await attempt(scenario, context);
  console.log(` ${((performance.now() - began) / 1e3).toFixed(1)} s`);
  if (section.failure !== undefined) console.log(`FAIL  ${section.failure}`);
  for (const bar of section.outcome?.bars ?? []) console.log(barLine(bar));
  return section;
}

async function attempt(scenario: Scenario, context: Context): Promise<Section> {
  try {
    return { scenario, outcome: await scenario.run(context) };
  } catch (error) {
    // The other scenarios are still useful.
    return { scenario, outcome: null, failure: (error as Error).stack ?? `${error}` };
  }
}

function holds({ outcome }: Section): boolean {
  return (outcome?.bars ?? []).every((bar) => isMet(bar, bar.must));
}

function readOptions(): Options {
  const { values } = parseValues();
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  const wanted = values.only?.split(",") ?? scenarios.map(({ name }) => name);
  const chosen = wanted.map((name) =>
    scenarios.find((scenario) => scenario.name === name) ?? fail(
      `there is no scenario "${name}"; there are ${scenarios.map(({ name }) => name).join(", ")}`,
    )
  );
  const rounds = Number(values.rounds ?? defaultRounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    fail(`--rounds must be a whole number above 0: current value is ${values.rounds}`);
  }
  return {
    rounds,
    isShort: values.short ?? false,
    isCheck: values.check ?? false,
    chosen,
    folder: values.out ?? fileURLToPath(new URL("out", import.meta.url)),
  };
}

function parseValues() {
  try {
    return parseArgs({
      options: {
        short: { type: "boolean" },
        check: { type: "boolean" },
        only: { type: "string" },
        rounds: { type: "string" },
        out: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    return fail(`${(error as Error).message}\n\n${usage}`);
  }
}

function fail(message: string): never {
  console.error(`bench: ${message}`);
  process.exit(2);
}
