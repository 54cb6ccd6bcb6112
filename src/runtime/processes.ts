/**
 * Starts programs in a runtime, as processes of their own.
 *
 * Modules of Node are loaded when the first process is started: `node:child_process` and `node:fs` take
 * Deno 20 ms, which a program that starts no process need not pay.
 *
 * @module
 */
import type { ChildProcess, StdioOptions } from "node:child_process";
import { TandemError } from "../errors.ts";
import { backend } from "./current.ts";
import type { RuntimeName } from "./names.ts";

export { type RuntimeName, runtimeNames } from "./names.ts";

/** A program and its arguments. */
export interface Command {
  /** The path of an executable file. */
  readonly program: string;
  readonly args: readonly string[];
}

/** How a runtime runs a TypeScript file. */
export interface RunOptions {
  /** The arguments of the file. */
  readonly args?: readonly string[];
  /**
   * Flags of the runtime, such as `--allow-net`. Deno grants exactly these permissions. Default: all
   * permissions in Deno, no flags in Bun and Node.
   */
  readonly runtimeArgs?: readonly string[];
  /** Paths to try before PATH where this process does not run in that runtime itself. */
  readonly candidates?: readonly string[];
}

/** How a process starts. */
export interface ProcessOptions {
  /** The name of the program in its arguments, which lists of processes show. Default: its path. */
  readonly argv0?: string;
  /** The user as whom it runs, and its group, by number. Default: those of this process. */
  readonly uid?: number;
  readonly gid?: number;
  /** The working directory. Default: that of this process. */
  readonly cwd?: string;
  /** Variables to set on top of this process's environment; `undefined` removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** As in `node:child_process`. Default: pipes. */
  readonly stdio?: StdioOptions;
  /** Whether it gets a session and a process group of its own, which signals such as Ctrl-C do not reach. */
  readonly isDetached?: boolean;
}

// The parts that are used, declared here so that the file type-checks under every compiler.
interface Global {
  readonly process: {
    readonly env: Readonly<Record<string, string | undefined>>;
    cwd(): string;
    kill(pid: number, signal: string): void;
    getBuiltinModule(name: "node:child_process"): typeof import("node:child_process");
    getBuiltinModule(name: "node:fs"): typeof import("node:fs");
    getBuiltinModule(name: "node:os"): typeof import("node:os");
  };
}

const { process } = globalThis as unknown as Global;

/** What a runtime with permissions calls itself, and the flags that it has for this. */
interface Refusal {
  readonly who: string;
  readonly look: string;
  readonly start: string;
}

const refusals: Readonly<Partial<Record<RuntimeName, Refusal>>> = {
  deno: {
    who: "Deno",
    look: "--allow-read and --allow-env",
    start: "--allow-run and --allow-env",
  },
  node: { who: "Node", look: "--allow-fs-read", start: "--allow-child-process" },
};

/**
 * The command that runs a TypeScript file in a runtime.
 *
 * @param file a path, relative to the working directory of this process, or a URL
 * @throws {TandemError} `NOT_FOUND` when there is no such runtime; `PERMISSION` when this runtime refuses to
 * look
 */
export function runtimeCommand(
  runtime: RuntimeName,
  file: string | URL,
  { args = [], runtimeArgs, candidates }: RunOptions = {},
): Command {
  const flags = runtimeArgs ?? (runtime === "deno" ? ["--allow-all"] : []);
  return {
    program: findRuntime(runtime, candidates),
    args: [
      ...(runtime === "node" ? [] : ["run"]),
      ...flags,
      fileArgument(runtime, file),
      ...args,
    ],
  };
}

/**
 * The path of a runtime's binary: the one that runs this process, else the first of `candidates`, else
 * the first on PATH.
 *
 * @throws {TandemError} `NOT_FOUND` when there is none; `PERMISSION` when this runtime refuses to look
 */
export function findRuntime(runtime: RuntimeName, candidates: readonly string[] = []): string {
  const { name, binary } = backend();
  // Every runtime reports this path without a permission. An upgrade may have removed the file.
  if (runtime === name && binary !== null && lookAt(binary) !== "absent") return binary;
  const paths = [...candidates, ...searchPath().map((folder) => `${folder}/${runtime}`)];
  const found = paths.find((path) => lookAt(path) === "present");
  if (found !== undefined) return found;
  const hidden = paths.find((path) => lookAt(path) === "hidden");
  const refusal = refusals[name];
  if (hidden !== undefined && refusal) {
    throw new TandemError(
      "PERMISSION",
      `Cannot look for ${runtime} at ${hidden}: ${refusal.who} refused access; ` +
        `run this program with ${refusal.look}`,
    );
  }
  const isPathHidden = name === "deno"
    ? ", or Deno does not let this program read it (--allow-env)"
    : "";
  throw new TandemError(
    "NOT_FOUND",
    `Cannot find ${runtime}: ${
      paths.length > 0
        ? `there is no executable file at ${paths.join(", ")}`
        : `PATH is empty${isPathHidden}`
    }; install ${runtime}, or add its folder to PATH`,
  );
}

/**
 * Starts a process.
 *
 * Other failures, such as a limit of the system, arrive in the `error` event.
 *
 * @throws {TandemError} `NOT_FOUND` when the program or the working directory does not exist; `PERMISSION`
 * when this runtime refuses to start processes
 */
export function startProcess(command: Command, options: ProcessOptions = {}): ChildProcess {
  const { cwd, env, stdio = "pipe", isDetached = false, argv0, uid, gid } = options;
  const { program, args } = command;
  checkPaths(program, cwd);
  try {
    return process.getBuiltinModule("node:child_process").spawn(unlikeNode(program), args, {
      ...(cwd !== undefined && { cwd }),
      ...(argv0 !== undefined && { argv0 }),
      ...(uid !== undefined && { uid }),
      ...(gid !== undefined && { gid }),
      env: mergedEnvironment(env ?? {}),
      stdio,
      detached: isDetached,
    });
  } catch (error) {
    const refusal = refusals[backend().name];
    if (!refusal || !isRefusal(error)) throw error;
    throw new TandemError(
      "PERMISSION",
      `Cannot start ${program}: ${refusal.who} refused (${(error as Error).message}); ` +
        `run this program with ${refusal.start}`,
      { cause: error },
    );
  }
}

/** Kills all processes of a group. Does nothing if there are none. */
export function killGroup(group: number): void {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // None is left, or they belong to another user.
  }
}

/** The system reports both with one error, which names the program alone. */
function checkPaths(program: string, cwd: string | undefined): void {
  if (program.startsWith("/") && lookAt(program) === "absent") {
    throw new TandemError(
      "NOT_FOUND",
      `Cannot start ${program}: there is no executable file; install it, or give another path`,
    );
  }
  if (cwd !== undefined && lookAt(cwd, "folder") === "absent") {
    throw new TandemError(
      "NOT_FOUND",
      `Cannot start ${program} in ${cwd}: there is no such folder; create it, or give another`,
    );
  }
}

/**
 * Another spelling of the path of Deno's own binary. Deno's `node:child_process` compares paths to find
 * programs that take it for Node. To such a child it grants all permissions of this process unless the
 * arguments grant some, and it rewrites the arguments.
 */
function unlikeNode(program: string): string {
  const { name, binary } = backend();
  return name === "deno" && program === binary ? program.replace(/[^/]*$/, "./$&") : program;
}

/** The environment of this process with changes; `undefined` removes a variable. */
export function mergedEnvironment(
  changes: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const merged: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...process.env, ...changes })) {
    if (value !== undefined) merged[name] = value;
  }
  return merged;
}

/** How many processors this process may use. */
export function availableProcessors(): number {
  try {
    return process.getBuiltinModule("node:os").availableParallelism();
  } catch {
    // Deno does not tell without --allow-sys.
    return 1;
  }
}

/** An absolute path or a URL: neither is mistaken for a flag, nor for a script of a package.json. */
function fileArgument(runtime: RuntimeName, file: string | URL): string {
  if (typeof file === "string" && !/^\w+:\/\//.test(file)) {
    return file.startsWith("/") ? file : `${process.cwd()}/${file}`;
  }
  const url = new URL(file);
  if (url.protocol === "file:") return decodeURIComponent(url.pathname);
  if (runtime === "deno") return url.href;
  throw new TypeError(
    `Cannot run ${url.href} in ${runtime}: it runs files; give a path or a file: URL`,
  );
}

function searchPath(): readonly string[] {
  const path = backend().environment("PATH") ?? "";
  return path.split(":").filter((folder) => folder !== "");
}

/** `"hidden"`: this runtime does not let this process look. */
function lookAt(
  path: string,
  kind: "program" | "folder" = "program",
): "present" | "absent" | "hidden" {
  const { accessSync, constants, statSync } = process.getBuiltinModule("node:fs");
  try {
    accessSync(path, constants.X_OK);
    const stat = statSync(path);
    return (kind === "folder" ? stat.isDirectory() : stat.isFile()) ? "present" : "absent";
  } catch (error) {
    return isRefusal(error) ? "hidden" : "absent";
  }
}

/** Whether the runtime's permissions were missing, rather than the system's. */
function isRefusal(error: unknown): boolean {
  const { name, code } = error as { name?: string; code?: string };
  return name === "NotCapable" || code === "ERR_ACCESS_DENIED";
}
