/**
 * What `tandem pool` can be told, on the command line and in a file.
 *
 * @module
 */
import type { FlagParametersForType } from "@stricli/core";
import type { LogLevel, PoolCallOptions, PoolOptions, RuntimeName } from "@tandem/ipc/pool";
import { parseCount, parseDuration } from "../commands/parameters.ts";
import type { Context } from "../context.ts";
import { given } from "../given.ts";
import { type LogForm, logForms, logLevels } from "../log_lines.ts";

const runtimeNames: readonly RuntimeName[] = ["deno", "bun", "node"];

/** What concerns the supervisor alone. */
export interface SupervisorSettings {
  readonly log?: LogForm;
  readonly logLevel?: LogLevel;
  readonly pidFile?: string;
  readonly sideTask?: string;
  readonly sideTaskEvery?: number;
}

/** All settings, as a configuration file has them. */
export interface Settings
  extends Omit<PoolOptions, "title" | keyof PoolCallOptions>, SupervisorSettings {
  /** The worker file. */
  readonly worker?: string;
}

/** The options of the pool that are the same on the command line. */
type PlainOptions = Omit<
  PoolOptions,
  // Calls are for programs.
  | keyof PoolCallOptions
  | "runtime"
  | "idempotent"
  | "args"
  | "env"
  | "runtimeArgs"
  | "title"
  | "zmq"
>;

/** The flags of the command. */
export interface Flags extends PlainOptions, SupervisorSettings {
  readonly conf?: string;
  readonly runtime?: readonly RuntimeName[];
  readonly idempotent?: readonly string[];
  readonly env?: readonly string[];
  readonly runtimeArg?: readonly string[];
  readonly denoArg?: readonly string[];
  readonly bunArg?: readonly string[];
  readonly nodeArg?: readonly string[];
  readonly zmq?: string;
}

const duration = {
  kind: "parsed",
  parse: parseDuration,
  placeholder: "duration",
  optional: true,
} as const;
const count = { kind: "parsed", parse: parseLimit, placeholder: "n", optional: true } as const;
const size = { kind: "parsed", parse: parseBytes, placeholder: "bytes", optional: true } as const;
const text = { kind: "parsed", parse: String, optional: true } as const;
const texts = { ...text, variadic: true } as const;

/** The flags as the parser takes them. */
export const flags: FlagParametersForType<Flags, Context> = {
  conf: {
    ...text,
    placeholder: "file",
    brief: "JSON file with any of these settings, as in PoolOptions; flags come before it",
  },
  target: {
    ...text,
    placeholder: "name",
    brief: "Name, or nats://HOST:PORT/NAME, on which clients reach the pool",
  },
  name: { ...text, placeholder: "name", brief: "Name in titles and logs; default: the target" },
  runtime: {
    kind: "enum",
    values: runtimeNames,
    optional: true,
    variadic: ",",
    brief: "Runtime of the workers; several take turns; default: the one that runs this",
  },
  min: { ...count, brief: "Fewest workers" },
  max: { ...count, brief: "Most workers" },
  minSpare: { ...count, brief: "Fewest idle workers beside the busy ones" },
  maxSpare: { ...count, brief: "Most idle workers" },
  concurrency: { ...count, brief: "Calls that a worker handles at once" },
  maxQueue: { ...count, brief: "Calls that can wait for a worker" },
  maxQueuePerClient: { ...count, brief: "Calls that one client can have open" },
  timeout: { ...duration, brief: "Limit for a call: its wait for a worker, and its work" },
  hungTimeout: { ...duration, brief: "A worker that has one call for longer is replaced" },
  abortGrace: {
    ...duration,
    brief: "How long a call may go on when its caller has left; then its worker is killed",
  },
  startTimeout: { ...duration, brief: "Limit for a worker to start" },
  stopTimeout: { ...duration, brief: "Limit for calls to end at QUIT and HUP" },
  maxCalls: { ...count, brief: "A worker is replaced after so many calls" },
  maxLifetime: { ...duration, brief: "A worker is replaced when it has lived so long" },
  maxMemoryBytes: { ...size, brief: "A worker is replaced when it uses more memory" },
  idleTimeout: { ...duration, brief: "Idle workers beyond the fewest are stopped after it" },
  minTtl: { ...duration, brief: "No worker is stopped so soon after one started" },
  idempotent: {
    ...texts,
    variadic: ",",
    placeholder: "method",
    brief: "Method that may run twice, if a worker dies in it; *: all",
  },
  maxDeliveries: { ...count, brief: "Workers that get such a call, one after another" },
  afterError: {
    kind: "enum",
    values: ["keep", "replace"],
    optional: true,
    brief: "What happens to a worker after a call that threw",
  },
  env: { ...texts, placeholder: "name=value", brief: "Variable in the environment of workers" },
  cwd: { ...text, placeholder: "folder", brief: "Working directory of workers" },
  runtimeArg: {
    ...texts,
    placeholder: "flag",
    brief: "Flag of the workers' runtime, as in --runtime-arg=--allow-net",
  },
  denoArg: { ...texts, placeholder: "flag", brief: "As --runtime-arg, for workers in Deno alone" },
  bunArg: { ...texts, placeholder: "flag", brief: "As --runtime-arg, for workers in Bun alone" },
  nodeArg: { ...texts, placeholder: "flag", brief: "As --runtime-arg, for workers in Node alone" },
  maxRequestBytes: { ...size, brief: "Longest message with arguments that travels in one part" },
  maxResponseBytes: { ...size, brief: "Longest message with a result that travels in one part" },
  handOver: {
    kind: "boolean",
    optional: true,
    brief: "Take over the target of another supervisor, without losing a call",
  },
  user: { ...text, placeholder: "user", brief: "Become this user, and the user's groups" },
  group: { ...text, placeholder: "group", brief: "Become a member of this group" },
  zmq: {
    ...text,
    placeholder: "endpoint",
    brief: "Where clients of ZeroMQ reach the pool, as in tcp://127.0.0.1:6660",
  },
  pidFile: { ...text, placeholder: "file", brief: "File for the process id of the supervisor" },
  sideTask: {
    ...text,
    placeholder: "command",
    brief: "Command of the shell to run beside the pool, and again whenever it ends",
  },
  sideTaskEvery: { ...duration, brief: "Run the side task once in so long" },
  log: { kind: "enum", values: logForms, optional: true, brief: "Form of the lines on stderr" },
  logLevel: {
    kind: "enum",
    values: logLevels,
    optional: true,
    brief: "Least important level that is written; default: info",
  },
};

/** The settings that flags and arguments make. */
export function settingsOf(
  flags: Flags,
  worker: string | undefined,
  args: readonly string[],
): Settings {
  const { conf: _, runtime, idempotent, env, runtimeArg, denoArg, bunArg, nodeArg, zmq, ...rest } =
    flags;
  const own = { deno: denoArg, bun: bunArg, node: nodeArg };
  return given({
    ...rest,
    worker,
    args: args.length > 0 ? args : undefined,
    runtime: runtime?.length === 1 ? runtime[0] : runtime,
    idempotent: idempotent?.includes("*") ? true : idempotent,
    env: env && Object.fromEntries(env.map(variable)),
    runtimeArgs: runtimeArgsOf(runtimeArg, own),
    zmq: zmq === undefined ? undefined : { frontend: zmq },
  });
}

function runtimeArgsOf(
  all: readonly string[] | undefined,
  own: Readonly<Record<RuntimeName, readonly string[] | undefined>>,
): PoolOptions["runtimeArgs"] {
  if (runtimeNames.every((name) => own[name] === undefined)) return all;
  return given(Object.fromEntries(
    runtimeNames.map((name) => [name, own[name] && [...all ?? [], ...own[name]] || all]),
  ));
}

function variable(text: string): [string, string] {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return [name, value];
  throw new RangeError(
    `Cannot use ${JSON.stringify(text)} as a variable: give its name, = and its value`,
  );
}

/** Reads the text of a configuration file. Numbers are as in PoolOptions, texts as on the command line. */
export function settingsIn(json: string, file: string): Settings {
  let values: unknown;
  try {
    values = JSON.parse(json);
  } catch (error) {
    throw new TypeError(
      `Cannot read ${file}: ${(error as Error).message}; write an object of JSON into it`,
    );
  }
  if (typeof values !== "object" || values === null || Array.isArray(values)) {
    throw new TypeError(`Cannot read ${file}: it is no object; write an object of JSON into it`);
  }
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, readSetting(name, value, file)]),
  );
}

function readSetting(name: string, value: unknown, file: string): unknown {
  const flag = (flags as Readonly<Record<string, { parse?: unknown } | undefined>>)[name];
  if (!settingNames.includes(name)) {
    throw new TypeError(
      `Cannot read ${file}: it has an unknown setting ${JSON.stringify(name)}; ` +
        `the settings are ${settingNames.join(", ")}`,
    );
  }
  if (typeof value !== "string") return value;
  if (name === "zmq") return { frontend: value };
  const parsers: readonly unknown[] = [parseDuration, parseLimit, parseBytes];
  return parsers.includes(flag?.parse) ? (flag!.parse as (text: string) => unknown)(value) : value;
}

const flagsOnly: readonly string[] = ["conf", "runtimeArg", "denoArg", "bunArg", "nodeArg"];
const settingNames: readonly string[] = [
  "worker",
  "args",
  "runtimeArgs",
  ...Object.keys(flags).filter((name) => !flagsOnly.includes(name)),
];

function parseLimit(text: string): number {
  return text === "infinity" ? Infinity : parseCount(text);
}

/** Reads a number of bytes, with an optional K, M or G. */
function parseBytes(text: string): number {
  const match = /^(\d{1,15})([KMG]?)$/.exec(text);
  if (text === "infinity") return Infinity;
  if (!match) {
    throw new RangeError(
      `Cannot use ${JSON.stringify(text)} as a size: give bytes, or a number with K, M or G`,
    );
  }
  const shift = ["", "K", "M", "G"].indexOf(match[2]!) * 10;
  return Number(match[1]) * 2 ** shift;
}
