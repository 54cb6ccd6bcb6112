/**
 * Replaces the program of this process, and passes a participant's life on to the new program.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import { textOf } from "../base/guard.ts";
import { TandemError } from "../errors.ts";
import { Control, execAlone, Status } from "../ffi/layout.ts";
import type { Native } from "../ffi/symbols.ts";
import { mergedEnvironment } from "../runtime/processes.ts";
import { type ControlBlock, openFailure } from "../channel/failure.ts";

/** Text, or bytes that need not be UTF-8. */
export type Text = string | Uint8Array;

/** A program, as the kernel takes it. */
export interface Program {
  /** A path, or a name to search for along `PATH` of the environment. */
  readonly command: Text;
  /** Without the name of the program itself. */
  readonly args: readonly Text[];
  /** `NAME=value` each. */
  readonly environment: readonly Text[];
  /** Whether the participant ends with the program, also if children of the program live on. */
  readonly isAlone: boolean;
}

/** Options of `Lock.exec`. */
export interface ExecOptions {
  /**
   * Whether the lock is released when the program has ended, although children that it has started live on.
   *
   * @default {false}
   */
  close?: boolean;
  /** Variables to set in the environment of the program; `undefined` removes one. */
  env?: Readonly<Record<string, string | undefined>>;
  /**
   * The environment that `env` changes, `NAME=value` each.
   *
   * @default that of this process
   */
  environment?: readonly (string | Uint8Array)[];
}

/** A lock's part of the environment. */
interface Numbers {
  readonly id: number;
  readonly token: bigint;
}

/** What `Lock.exec` has been given, checked. */
export function programOf(
  command: Text,
  args: readonly Text[],
  options: ExecOptions,
  numbers: Numbers,
): Program {
  for (const text of [command, ...args, ...options.environment ?? []]) {
    if (typeof text === "string" || text instanceof Uint8Array) continue;
    throw new TypeError(`Cannot pass ${describe(text)} to a program: give a string, or bytes`);
  }
  const environment = environmentOf(options, numbers);
  return { command, args, environment, isAlone: options.close ?? false };
}

function environmentOf({ env, environment }: ExecOptions, { id, token }: Numbers): Text[] {
  const set: Readonly<Record<string, string | undefined>> = {
    ...env,
    TANDEM_LIMIT_ID: String(id),
    TANDEM_LIMIT_TOKEN: String(token),
  };
  const given = environment ?? ownEnvironment();
  return [...given.filter((variable) => !Object.hasOwn(set, nameOf(variable))), ...variables(set)];
}

function ownEnvironment(): string[] {
  try {
    return variables(mergedEnvironment({}));
  } catch (cause) {
    throw new TandemError(
      "PERMISSION",
      `Cannot pass on the environment: the runtime refuses to read it (${
        textOf(cause)
      }); run with --allow-env, or ` +
        "give the option environment",
      { cause },
    );
  }
}

function variables(values: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(values)
    .flatMap(([name, value]) => value === undefined ? [] : [`${name}=${value}`]);
}

function nameOf(variable: Text): string {
  const text = typeof variable === "string" ? variable : new TextDecoder().decode(variable);
  return text.split("=", 1)[0]!;
}

/** Whose life is passed on. */
export interface Heritage extends ControlBlock {
  readonly native: Native;
  readonly address: number;
}

/**
 * Does not return: the process goes on as the other program.
 *
 * @throws {TandemError} when it goes on as it was: `NOT_FOUND`: there is no such program; `PERMISSION`: it
 * cannot be executed; `TOO_LARGE`: the arguments are too long; `BUSY`, `UNSUPPORTED`: see `Lock.exec`
 * @throws {TypeError} when a text has a zero byte
 */
export function replaceProgram(heritage: Heritage, program: Program): never {
  const command = bytesOf(program.command);
  const paths = candidates(command, searchPath(program.environment));
  const args = program.args.map(bytesOf);
  let failure = execute(heritage, program, paths, [command, ...args]);
  if (failure.errno === errnos.noExecutable) {
    // A script without a line that names its interpreter.
    failure = execute(heritage, program, [shell], [shell, paths[failure.path]!, ...args]);
  }
  throw refused(program.command, failure.errno);
}

const shell = bytesOf("/bin/sh");
const errnos = { noEntry: 2, tooLong: 7, noExecutable: 8, access: 13 } as const;

interface Failure {
  readonly errno: number;
  /** The position of the path that it is about. */
  readonly path: number;
}

function execute(
  heritage: Heritage,
  { environment, isAlone }: Program,
  paths: readonly Uint8Array[],
  args: readonly Uint8Array[],
): Failure {
  const { native, address, words } = heritage;
  const [pathBytes, argBytes, variableBytes] = [paths, args, environment.map(bytesOf)].map(joined);
  const status = native.tandem_exec(
    address,
    pathBytes!,
    pathBytes!.length,
    argBytes!,
    argBytes!.length,
    variableBytes!,
    variableBytes!.length,
    isAlone ? execAlone : 0,
    words,
  );
  const errno = words[Control.errno]!;
  if (status === -Status.system && errno !== 0) return { errno, path: words[Control.slot]! };
  if (status === -Status.busy) {
    throw new TandemError(
      "BUSY",
      "Cannot pass a lock on to a program without its children: this process has opened the limit's " +
        "file more than once; close its other Limit objects first",
    );
  }
  throw openFailure(status, "pass a lock on to a program", heritage);
}

function refused(command: Text, errno: number): TandemError {
  const name = JSON.stringify(
    typeof command === "string" ? command : new TextDecoder().decode(command),
  );
  switch (errno) {
    case errnos.noEntry:
      return new TandemError(
        "NOT_FOUND",
        `Cannot run ${name}: there is no such program${
          name.includes("/") ? "" : " in PATH"
        }; give its path`,
      );
    case errnos.tooLong:
      return new TandemError(
        "TOO_LARGE",
        `Cannot run ${name}: the arguments and the environment are too long; pass less`,
      );
    case errnos.access:
      return new TandemError(
        "PERMISSION",
        `Cannot run ${name}: it is no program, or this user may not execute it; check its mode`,
      );
  }
  return new TandemError(
    "PERMISSION",
    `Cannot run ${name}: the system refuses to execute it (errno ${errno}); check the file`,
  );
}

function candidates(command: Uint8Array, path: Uint8Array): Uint8Array[] {
  if (command.includes(slash)) return [command];
  // An empty name would be the folder itself.
  if (command.length === 0) return [];
  return splitAt(path, colon).map((folder) =>
    folder.length === 0 ? command : concat([folder, new Uint8Array([slash]), command])
  );
}

const slash = 47;
const colon = 58;

/** As the C library has it when there is none. */
const defaultPath = "/bin:/usr/bin";

function searchPath(environment: readonly Text[]): Uint8Array {
  const variable = environment.find((text) => nameOf(text) === "PATH");
  return variable === undefined ? bytesOf(defaultPath) : bytesOf(variable).subarray("PATH=".length);
}

function bytesOf(text: Text): Uint8Array {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  if (!bytes.includes(0)) return bytes;
  throw new TypeError(
    `Cannot pass ${JSON.stringify(text)} to a program: it has a zero byte; leave that out`,
  );
}

function joined(texts: readonly Uint8Array[]): Uint8Array {
  const zero = new Uint8Array(1);
  return concat(texts.flatMap((text) => [text, zero]));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

function splitAt(bytes: Uint8Array, separator: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let start = 0;
  for (let end = bytes.indexOf(separator); end >= 0; end = bytes.indexOf(separator, start)) {
    parts.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return [...parts, bytes.subarray(start)];
}
