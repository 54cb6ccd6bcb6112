/**
 * The options of pools once they are checked. Each option is read once.
 *
 * @module
 */
import { checkTimeout, checkWhole, describe } from "../../base/checks.ts";
import type { NatsOptions } from "../../base/nats_options.ts";
import { TandemError } from "../../errors.ts";
import { checkNatsOptions } from "../../nats/options.ts";
import { isNatsTarget, parseTarget, prefixOf, withoutLogin } from "../../nats/target.ts";
import { backend } from "../../runtime/current.ts";
import { type RuntimeName, runtimeNames } from "../../runtime/names.ts";
import { availableProcessors } from "../../runtime/processes.ts";
import { callOptionsOf } from "../call_options.ts";
import { parseFrontend, type ZmqFrontend } from "../../zmq/options.ts";
import type { PoolCallOptions, PoolOptions, RuntimeFlags } from "../options.ts";

/** How many workers a pool may have, and how many of them may be idle. */
export interface PoolSize {
  readonly min: number;
  readonly max: number;
}

/** Options of a pool, checked, and read once. Times are in milliseconds. */
export interface PoolTerms extends PoolSize {
  readonly runtimes: readonly RuntimeName[];
  readonly target: string | undefined;
  readonly name: string;
  readonly minSpare: number;
  /** Infinity: as many as there are workers. */
  readonly maxSpare: number;
  readonly concurrency: number;
  readonly maxQueue: number;
  readonly maxQueuePerClient: number;
  readonly timeout: number;
  readonly hungTimeout: number;
  readonly abortGrace: number;
  readonly startTimeout: number;
  readonly stopTimeout: number;
  readonly maxCalls: number;
  readonly maxLifetime: number;
  readonly maxMemoryBytes: number;
  readonly idleTimeout: number;
  readonly minTtl: number;
  readonly idempotent: boolean | readonly string[];
  readonly maxDeliveries: number;
  readonly afterError: "keep" | "replace";
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string | undefined;
  readonly flags: (runtime: RuntimeName) => readonly string[] | undefined;
  readonly user: string | number | undefined;
  readonly group: string | number | undefined;
  readonly maxRequestBytes: number | undefined;
  readonly maxResponseBytes: number | undefined;
  readonly handOver: boolean;
  /** For the calls of this process. */
  readonly callOptions: PoolCallOptions;
  readonly title: boolean;
  /** Checked. */
  readonly zmq: ZmqFrontend | undefined;
  /** For a target on several machines. */
  readonly nats: NatsOptions | undefined;
}

/** The most slots of a channel. */
const slotsMax = 65_536;
const workersMax = 500;
const concurrencyMax = 1_024;

/** @throws {RangeError} {TypeError} for an invalid option */
export function parsePoolOptions(file: string | URL, options: PoolOptions): PoolTerms {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot use ${describe(options)} as options of a pool: give an object`);
  }
  const { min, max } = parseSize(options);
  const { concurrency = 1, maxQueue = 10_000, maxDeliveries = 2, target } = options;
  const { minSpare = 0, maxSpare = Infinity } = options;
  checkCount(minSpare, "minSpare", 0, max);
  if (maxSpare !== Infinity) checkCount(maxSpare, "maxSpare", minSpare, workersMax);
  checkCount(concurrency, "concurrency", 1, concurrencyMax);
  checkCount(maxQueue, "maxQueue", 0, slotsMax - max * concurrency);
  checkWhole(maxDeliveries, "maxDeliveries", 1, 31);
  if (target !== undefined && typeof target !== "string") {
    throw new TypeError(`Cannot use ${describe(target)} as target: give a name or a path`);
  }
  if (target !== undefined) checkTarget(target, options);
  return {
    min,
    max,
    minSpare,
    maxSpare,
    concurrency,
    maxQueue,
    maxQueuePerClient: countOrInfinity(options.maxQueuePerClient, "maxQueuePerClient", 0),
    target,
    name: parseName(options.name, target, file),
    runtimes: parseRuntimes(options.runtime),
    timeout: time(options.timeout, "timeout", 30_000),
    hungTimeout: time(options.hungTimeout, "hungTimeout", 300_000),
    abortGrace: time(options.abortGrace, "abortGrace", 100),
    startTimeout: time(options.startTimeout, "startTimeout", 30_000),
    stopTimeout: time(options.stopTimeout, "stopTimeout", 30_000),
    maxCalls: countOrInfinity(options.maxCalls, "maxCalls", 1),
    maxLifetime: time(options.maxLifetime, "maxLifetime", Infinity),
    maxMemoryBytes: countOrInfinity(options.maxMemoryBytes, "maxMemoryBytes", 1),
    idleTimeout: time(options.idleTimeout, "idleTimeout", 30_000),
    minTtl: time(options.minTtl, "minTtl", 10_000),
    idempotent: parseIdempotent(options.idempotent),
    maxDeliveries,
    afterError: parseChoice(options.afterError, "afterError", ["keep", "replace"]),
    args: parseTexts(options.args ?? [], "args"),
    env: { ...options.env },
    cwd: options.cwd,
    flags: parseFlags(options.runtimeArgs),
    user: options.user,
    group: options.group,
    maxRequestBytes: options.maxRequestBytes,
    maxResponseBytes: options.maxResponseBytes,
    handOver: options.handOver === true,
    callOptions: callOptionsOf(options),
    title: options.title === true,
    zmq: parseZmq(options.zmq),
    nats: options.nats,
  };
}

function parseZmq(zmq: ZmqFrontend | undefined): ZmqFrontend | undefined {
  if (zmq === undefined) return undefined;
  // The getters of options run once.
  const frontend = typeof zmq === "object" && zmq !== null ? { ...zmq } : zmq;
  parseFrontend(frontend);
  return frontend;
}

/** @throws {RangeError} unless `min` is at most `max` */
function parseSize(options: { min?: number; max?: number }): PoolSize {
  const { min, max = Math.max(2, availableProcessors(), min ?? 0) } = options;
  checkCount(max, "max", 1, workersMax);
  const least = min ?? Math.min(2, max);
  checkCount(least, "min", 0, workersMax);
  if (least > max) throw new RangeError(`Cannot use min ${least}: max is ${max}; give no more`);
  return { min: least, max };
}

/** As {@linkcode parseSize}, for a pool that has a size: the other bound follows if it must. */
export function parseResize(
  size: { min?: number; max?: number },
  now: PoolSize,
  slots: number,
): PoolSize {
  if (typeof size !== "object" || size === null) {
    throw new TypeError(`Cannot resize to ${describe(size)}: give { min, max }`);
  }
  const { min = Math.min(now.min, size.max ?? now.min), max = Math.max(now.max, min) } = size;
  checkCount(max, "max", 1, Math.min(workersMax, slots));
  checkCount(min, "min", 0, workersMax);
  if (min > max) throw new RangeError(`Cannot use min ${min}: max is ${max}; give no more`);
  return { min, max };
}

function checkCount(value: unknown, name: string, least: number, most: number): void {
  checkWhole(value as number, name, least, most);
}

function countOrInfinity(value: number | undefined, name: string, least: number): number {
  if (value === undefined || value === Infinity) return Infinity;
  return checkWhole(value, name, least, Number.MAX_SAFE_INTEGER);
}

function time(value: number | undefined, name: string, otherwise: number): number {
  if (value === undefined) return otherwise;
  checkTimeout(value, name);
  return value;
}

function parseRuntimes(value: unknown): readonly RuntimeName[] {
  if (value === undefined) return [backend().name];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  const isKnown = (name: unknown) => runtimeNames.includes(name as RuntimeName);
  if (list.length > 0 && list.every(isKnown)) return list as RuntimeName[];
  throw new TypeError(
    `Cannot use ${describe(value)} as runtime: give ${runtimeNames.map(quoted).join(", ")}, or a ` +
      "list of them",
  );
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

function parseName(name: unknown, target: string | undefined, file: string | URL): string {
  const given = name ?? target?.replace(/^.*\//, "").replace(/\.tandem$/, "") ??
    String(file).replace(/^.*\//, "").replace(/\.[^.]*$/, "");
  if (typeof given === "string" && given !== "" && !/\p{Cc}/u.test(given)) return given;
  throw new TypeError(
    `Cannot use ${describe(given)} as name: give a text without control characters`,
  );
}

function parseIdempotent(value: unknown): boolean | readonly string[] {
  if (value === undefined) return false;
  if (typeof value === "boolean") return value;
  return parseTexts(value, "idempotent");
}

function parseTexts(value: unknown, name: string): readonly string[] {
  if (Array.isArray(value) && value.every((text) => typeof text === "string")) return [...value];
  throw new TypeError(`Cannot use ${describe(value)} as ${name}: give a list of texts`);
}

function parseChoice<T extends string>(value: unknown, name: string, choices: readonly T[]): T {
  if (value === undefined) return choices[0]!;
  if (choices.includes(value as T)) return value as T;
  throw new TypeError(
    `Cannot use ${describe(value)} as ${name}: give ${choices.map(quoted).join(" or ")}`,
  );
}

function parseFlags(value: unknown): (runtime: RuntimeName) => readonly string[] | undefined {
  if (value === undefined) return () => undefined;
  if (Array.isArray(value)) {
    const flags = parseTexts(value, "runtimeArgs");
    return () => flags;
  }
  if (typeof value !== "object" || value === null) {
    throw new TypeError(
      `Cannot use ${describe(value)} as runtimeArgs: give a list of flags, or one for each runtime`,
    );
  }
  const lists: RuntimeFlags = { ...value };
  for (const [name, flags] of Object.entries(lists)) parseTexts(flags, `runtimeArgs.${name}`);
  return (runtime) => lists[runtime];
}

/** Options that a target on several machines cannot have, and what to do instead. */
const nearOnly = {
  handOver: "pools share such a target: start the new pool, then close the old one",
  maxQueuePerClient:
    "callers on other machines wait where they are, and not in the queue of this pool",
} as const;

/**
 * @throws {TandemError} `UNSUPPORTED` for options that a target on several machines cannot have
 * @throws {TypeError} for a target that no pool can have
 */
function checkTarget(target: string, options: PoolOptions): void {
  if (isNatsTarget(target)) {
    parseTarget(target);
    if (options.nats !== undefined) {
      checkNatsOptions(options.nats);
      prefixOf(options.nats);
    }
    for (const [name, advice] of Object.entries(nearOnly)) {
      const value = options[name as keyof typeof nearOnly];
      if (value === undefined || value === false || value === Infinity) continue;
      throw new TandemError(
        "UNSUPPORTED",
        `Cannot use ${name} with the target ${JSON.stringify(withoutLogin(target))}: ${advice}`,
      );
    }
  } else if (/^[a-z]+:/.test(target)) {
    throw new TypeError(
      `Cannot use ${
        JSON.stringify(withoutLogin(target))
      } as target of a pool: its workers are processes of ` +
        "this machine; give a name, a path, or nats://HOST:PORT/NAME",
    );
  }
}
