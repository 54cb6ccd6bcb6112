/**
 * Users and groups by name.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import { TandemError } from "../errors.ts";

// The parts that are used, declared here so that the file type-checks under every compiler.
interface Global {
  readonly process: {
    getBuiltinModule(name: "node:fs"): {
      readFileSync(path: string, encoding: "utf8"): string;
      chownSync(path: string, user: number, group: number): void;
      chmodSync(path: string, mode: number): void;
    };
    getuid(): number;
  };
}

const nameAt = 0;
const userAt = 2;
const groupAt = 3;

/** A line of a table of the system, by the name or the number that it begins with. */
function lineOf(file: string, key: string | number): readonly string[] | undefined {
  const { process } = globalThis as unknown as Global;
  const lines = process.getBuiltinModule("node:fs").readFileSync(file, "utf8").split("\n");
  const fields = lines.map((line) => line.split(":"));
  return fields.find((line) => line[typeof key === "number" ? userAt : nameAt] === String(key));
}

/**
 * @returns undefined: the user of this process
 * @throws {TandemError} `NOT_FOUND`
 */
export function userId(user: string | number | undefined): number | undefined {
  return user === undefined ? undefined : idOf("/etc/passwd", user, "user");
}

/** The group, or that of the user. */
export function groupId(
  group: string | number | undefined,
  user: string | number | undefined,
): number | undefined {
  if (group !== undefined) return idOf("/etc/group", group, "group");
  if (user === undefined) return undefined;
  const line = lineOf("/etc/passwd", numbered(user));
  // A user without a name has the group of the same number.
  return line ? Number(line[groupAt]) : Number(user);
}

function numbered(key: string | number): string | number {
  return typeof key === "string" && /^\d+$/.test(key) ? Number(key) : key;
}

function idOf(file: string, key: string | number, what: string): number {
  const wanted = numbered(key);
  if (typeof wanted === "number") {
    if (Number.isInteger(wanted) && wanted >= 0 && wanted < 2 ** 32 - 1) return wanted;
    throw new RangeError(`Cannot use ${wanted} as ${what}: give a name, or a number from 0`);
  }
  if (typeof wanted !== "string") {
    throw new TypeError(`Cannot use ${describe(wanted)} as ${what}: give a name or a number`);
  }
  const line = lineOf(file, wanted);
  if (line) return Number(line[userAt]);
  throw new TandemError(
    "NOT_FOUND",
    `Cannot find the ${what} ${
      JSON.stringify(wanted)
    }: ${file} has no such line; give another, or a number`,
  );
}

/** Lets the members of a group open a channel, as workers of another user do. */
export function shareWith(fd: number, group: number): void {
  const { process } = globalThis as unknown as Global;
  const { chownSync, chmodSync } = process.getBuiltinModule("node:fs");
  // By its name, because Deno knows only descriptors that it has opened itself.
  const path = `/proc/self/fd/${fd}`;
  chownSync(path, process.getuid(), group);
  chmodSync(path, 0o660);
}
