/**
 * What a program finds when it starts.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { checkout } from "../../scripts/tools.ts";
import type { Child } from "./processes.ts";

/** The command that tells it, with some arguments. */
export function surroundingsCommand(args: readonly string[] = []): [string, ...string[]] {
  const script = 'grep -E "^Sig(Blk|Ign)" /proc/self/status; ulimit -n; exec python3 "$@"';
  const python = join(checkout, "tests/fixtures/limit/surroundings.py");
  return ["sh", "-c", script, "sh", python, ...args];
}

/** How many descriptors a program may have that {@linkcode limited} starts. */
const descriptorLimit = 500;

/** Starts a command with another limit of descriptors than the test's. */
export const limited: readonly string[] = [
  "/bin/sh",
  "-c",
  `ulimit -S -n ${descriptorLimit}; "$@"; exit $?`,
  "sh",
];

/** What it has told. Bytes are hexadecimal. */
export interface Surroundings {
  readonly blocked: string;
  readonly ignored: string;
  readonly descriptorLimit: number;
  readonly pid: number;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly nonblocking: readonly number[];
  readonly files: readonly (readonly [fd: number, name: string])[];
}

/** Reads it, and ends the program. */
export async function surroundingsOf(child: Child): Promise<Surroundings> {
  const [blocked, ignored, limit] = [await child.line(), await child.line(), await child.line()];
  const found = await child.message<
    Omit<Surroundings, "blocked" | "ignored" | "descriptorLimit">
  >();
  child.end();
  await child.ended();
  const mask = (line: string) => line.split("\t")[1]!;
  return {
    blocked: mask(blocked),
    ignored: mask(ignored),
    descriptorLimit: Number(limit),
    ...found,
  };
}

/** A text as {@linkcode Surroundings} has it. */
export function hexOf(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/** What a program finds that has become another under a limit, beside one that was started directly. */
export function assertAsDirect(found: Surroundings, direct: Surroundings): void {
  assertEquals(found.args, direct.args);
  assertEquals(found.blocked, "0000000000000000");
  // SIGPIPE and SIGXFSZ, which runtimes ignore.
  assertEquals(parseInt(found.ignored, 16) & 0x1001000, 0);
  assertEquals(found.nonblocking, []);
  assertEquals(found.descriptorLimit, descriptorLimit);
  assertEquals(
    { ...found.environment, TANDEM_LIMIT_TOKEN: "" },
    { ...direct.environment, TANDEM_LIMIT_ID: hexOf("1"), TANDEM_LIMIT_TOKEN: "" },
  );
  assertMatch(found.environment["TANDEM_LIMIT_TOKEN"]!, /^(3\d)+$/);
  const known = new Set(direct.files.map(([, name]) => name));
  const others = found.files.filter(([, name]) => !known.has(name));
  assertEquals(others.map(([fd]) => fd), [800, 801]);
}
