/**
 * The options of limits, checked once and copied into records. Reading options runs code of the user, which may
 * return something else the next time and may close the limit.
 *
 * @module
 */
import { checkWhole, describe, timeoutOf } from "../base/checks.ts";
import { limitNoStandby, limitShared, limitSteal, participantsMax } from "../ffi/layout.ts";
import type {
  AcquireOptions,
  AcquireSyncOptions,
  LimitOptions,
  LimitOrder,
  LockMode,
  StandbyLimit,
  TryAcquireOptions,
} from "./types.ts";

/** How long a wait goes on, in attempts; see retries.ts. */
export interface RetryTerms {
  readonly retries: number | ((attempt: number) => unknown);
  /** Milliseconds between attempts. */
  readonly interval: number;
}

/** The options of a limit. */
export interface LimitTerms {
  /** 0: the file's. */
  readonly max: number;
  /** 0: the file's; 1: oldest first; 2: newest first. */
  readonly order: number;
  /** How many may wait; `limitNoStandby`: as many as want to. */
  readonly standby: number;
  readonly standbyLimit: StandbyLimit | null;
  readonly hasTitle: boolean;
  readonly mode: number | undefined;
  readonly retry: RetryTerms | null;
  /** Of contenders across machines, in milliseconds. */
  readonly lease: number;
}

/** In milliseconds. Servers end no lease earlier than after a second. */
const leaseDefault = 15_000;
const leaseMin = 1_000;
const leaseMax = 86_400_000;

/** As the native side numbers them. */
export const orders: readonly LimitOrder[] = ["oldest", "newest"];

/** @throws {TypeError} for a wrong type; @throws {RangeError} for a number out of its range */
export function limitTerms(options: LimitOptions): LimitTerms {
  checkObject(options);
  const { max, standby, order, title, mode, retries, interval, lease } = options;
  const isCount = typeof standby !== "object" || standby === null;
  return {
    max: max === undefined ? 0 : checkMax(max, "max"),
    order: order === undefined ? 0 : 1 + checkOneOf(order, "order", orders),
    standby: standby === undefined || !isCount
      ? limitNoStandby
      : checkWhole(standby, "standby", 0, participantsMax),
    standbyLimit: isCount ? null : checkStandbyLimit(standby),
    hasTitle: title === undefined ? false : checkBoolean(title, "title"),
    mode: mode === undefined ? undefined : checkWhole(mode, "mode", 0, 0o777),
    retry: retryTerms(retries, interval),
    lease: checkLease(lease),
  };
}

/** @throws {RangeError} unless it is a number of places */
export function checkMax(max: number, name: string): number {
  return checkWhole(max, name, 1, participantsMax);
}

function checkStandbyLimit({ max, target }: StandbyLimit): StandbyLimit {
  if (typeof target !== "string") {
    throw new TypeError(
      `Cannot use ${describe(target)} as standby.target: give a name or a path`,
    );
  }
  return { max: checkMax(max, "standby.max"), target };
}

/** @throws {TypeError} {RangeError} */
export function checkLease(lease: number | undefined): number {
  return lease === undefined ? leaseDefault : checkWhole(lease, "lease", leaseMin, leaseMax);
}

/** As in the predecessor, an interval alone means ten attempts. */
const defaultRetries = 10;

function retryTerms(retries: unknown, interval: unknown): RetryTerms | null {
  if (retries === undefined && interval === undefined) return null;
  const milliseconds = 1000 * (interval === undefined ? 1 : checkSeconds(interval));
  if (typeof retries === "function") {
    return { retries: retries as (attempt: number) => unknown, interval: milliseconds };
  }
  const count = retries === undefined
    ? defaultRetries
    : checkWhole(retries as number, "retries", 0, Number.MAX_SAFE_INTEGER);
  return { retries: count, interval: milliseconds };
}

function checkSeconds(value: unknown): number {
  if (typeof value !== "number") {
    throw new TypeError(`Cannot use ${describe(value)} as interval: give seconds as a number`);
  }
  if (value >= 0 && value < Infinity) return value;
  throw new RangeError(`Cannot use ${value} as interval: give seconds, 0 or more`);
}

/** How a lock is acquired. */
export interface AcquireSettings {
  /** For the native side. */
  readonly flags: number;
  /** As the user gave it. */
  readonly mode: LockMode | undefined;
  /** In milliseconds; NaN: for ever. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

const plain: AcquireSettings = { flags: 0, mode: undefined, timeout: NaN, signal: undefined };

/** @throws the reason of a signal that has aborted already; otherwise as {@linkcode trySettings} */
export function acquireSettings(options: AcquireOptions | undefined): AcquireSettings {
  if (options === undefined) return plain;
  checkObject(options);
  const { signal } = options;
  signal?.throwIfAborted();
  return { ...syncSettings(options), signal };
}

/** @throws {RangeError} for a wrong time-out; otherwise as {@linkcode trySettings} */
export function syncSettings(options: AcquireSyncOptions | undefined): AcquireSettings {
  if (options === undefined) return plain;
  const { flags, mode } = trySettings(options);
  return { flags, mode, timeout: timeoutOf(options), signal: undefined };
}

/** @throws {TypeError} for a wrong mode, or a `steal` that is no boolean */
export function trySettings(options: TryAcquireOptions | undefined): AcquireSettings {
  if (options === undefined) return plain;
  checkObject(options);
  const { mode, steal } = options;
  const isShared = mode !== undefined && checkOneOf(mode, "mode", modes) === 1;
  const isUrgent = steal !== undefined && checkBoolean(steal, "steal");
  const flags = (isShared ? limitShared : 0) | (isUrgent ? limitSteal : 0);
  return { flags, mode, timeout: NaN, signal: undefined };
}

const modes: readonly LockMode[] = ["exclusive", "shared"];

function checkObject(options: unknown): void {
  if (typeof options === "object" && options !== null) return;
  throw new TypeError(`Cannot use ${describe(options)} as options: give an object`);
}

function checkBoolean(value: boolean, name: string): boolean {
  if (typeof value === "boolean") return value;
  throw new TypeError(`Cannot use ${describe(value)} as ${name}: give true or false`);
}

/** The index of `value`. */
function checkOneOf<T extends string>(value: T, name: string, values: readonly T[]): number {
  const index = values.indexOf(value);
  if (index >= 0) return index;
  const choices = values.map((choice) => JSON.stringify(choice)).join(" or ");
  throw new TypeError(`Cannot use ${describe(value)} as ${name}: give ${choices}`);
}
