/**
 * The options that the benchmarks have in common.
 *
 * @module
 */
import { basename } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";

/** The options on the command line. */
export interface Options {
  /** Whether a missed bar makes the exit code 1. */
  readonly check: boolean;
  /** The number of repetitions, or of seconds, depending on the benchmark. */
  readonly count: number;
}

/**
 * Reads the command line. `counter` names the option with a number. On a signal the process ends by `exit`,
 * so that its exit handlers clean up.
 */
export function parseOptions(counter: string, count: number): Options {
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  const usage =
    `usage: bun bench/${basename(process.argv[1] ?? "")} [--check] [--${counter} N]\n\n` +
    `  --check  exits with code 1 when a bar is missed\n  --${counter} N  default: ${count}`;
  const values = parseValues(counter, usage);
  if (values["help"] === true) {
    console.log(usage);
    process.exit(0);
  }
  const given = values[counter];
  const options = { check: values["check"] === true, count: Number(given ?? count) };
  if (Number.isInteger(options.count) && options.count > 0) return options;
  console.error(`--${counter} must be a whole number above 0: current value is ${given}`);
  process.exit(2);
}

function parseValues(counter: string, usage: string): Record<string, string | boolean | undefined> {
  try {
    return parseArgs({
      options: {
        check: { type: "boolean" },
        help: { type: "boolean", short: "h" },
        [counter]: { type: "string" },
      },
    }).values as Record<string, string | boolean | undefined>;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    return process.exit(2);
  }
}

/** A figure that a benchmark must reach. */
export interface Bar {
  readonly what: string;
  readonly met: boolean;
}

/** Prints which bars were met. With `--check`, a missed bar sets the exit code. */
export function judge(bars: readonly Bar[], options: Options): void {
  for (const { what, met } of bars) console.log(`${met ? "pass" : "MISS"}  ${what}`);
  if (options.check && bars.some(({ met }) => !met)) process.exitCode = 1;
}
