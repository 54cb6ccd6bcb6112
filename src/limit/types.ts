/**
 * The options of limits and what they tell.
 *
 * @module
 */
import type { NatsOptions } from "../base/nats_options.ts";

/**
 * Whether a lock is held alone or together with others. An `"exclusive"` lock has a place of its own. All
 * `"shared"` locks together occupy one place, so they have the same id.
 */
export type LockMode = "exclusive" | "shared";

/**
 * Which waiter gets the next free place: the one that has waited longest, or the one that came last. With
 * `"newest"`, a newcomer makes the older waiters retire: they get null, with the refusal `"replaced"`.
 */
export type LimitOrder = "oldest" | "newest";

/**
 * Why an acquire has returned null.
 *
 * | refusal | meaning |
 * | --- | --- |
 * | `"timeout"` | no place became free in time; also `tryAcquire` when there was none at once |
 * | `"standby-full"` | as many as `standby` allows are waiting already |
 * | `"replaced"` | in the order `"newest"`, a newcomer waits in its place |
 * | `"retries"` | the attempts that `retries` allows are used up |
 */
export type Refusal = "timeout" | "standby-full" | "replaced" | "retries";

/** A separate limit for those that wait. */
export interface StandbyLimit {
  /** How many may wait. */
  readonly max: number;
  /** The limit that the waiters hold a place of meanwhile; a name or a path, as for `new Limit`. */
  readonly target: string;
}

/**
 * Options of {@linkcode Limit}.
 *
 * @example Ten workers at most, and three that wait
 * ```ts
 * import { Limit, type LimitOptions } from "@tandem/ipc/limit";
 * import { assertEquals } from "@std/assert";
 *
 * const options: LimitOptions = { max: 10, standby: 3 };
 * using limit = new Limit("workers", options);
 * assertEquals(limit.max, 10);
 * ```
 */
export interface LimitOptions {
  /**
   * How many may hold a lock at once: 1 to 1,024. Another number than that of an existing limit is adopted
   * when nobody holds or waits, and is a `MISMATCH` otherwise.
   *
   * @default that of the existing limit, or 1 for a new one
   */
  max?: number;
  /**
   * How many may wait. Others get null at once, with the refusal `"standby-full"`. An object names a limit of
   * its own for the waiters, which several limits can share.
   *
   * @default all may wait; 1 in the order `"newest"`
   */
  standby?: number | StandbyLimit;
  /**
   * Who gets the next free place. As with {@linkcode max}, it is the same for all that use the limit.
   *
   * @default that of the existing limit, or `"oldest"` for a new one
   */
  order?: LimitOrder;
  /**
   * Whether the title of this process in lists of processes ends with " - standby" while it waits.
   *
   * @default {false}
   */
  title?: boolean;
  /**
   * Mode of the limit's file, exact: the umask is ignored.
   *
   * @default {0o600}
   */
  mode?: number;
  /**
   * How many more attempts a wait counts as: it ends after `retries * interval` seconds, with the refusal
   * `"retries"`. Nothing is polled: a place that becomes free meanwhile is given at once. A function is asked
   * now, and then every `interval` seconds, whether the wait goes on; it gets the number of the attempt, from
   * 1 on.
   *
   * @default waits are not limited, or 10 attempts if `interval` is given
   */
  retries?: number | ((attempt: number) => boolean);
  /**
   * Seconds between the attempts that `retries` counts, fractions allowed.
   *
   * @default {1}
   */
  interval?: number;
  /**
   * With a `nats://` target: how long a contender that has gone silent counts as alive, in milliseconds, from
   * 1,000 on. A contender renews its lease after each third of it. Elsewhere it has no effect: the kernel tells
   * of deaths.
   *
   * @default {15_000}
   */
  lease?: number;
  /** How a `nats://` target is reached. */
  nats?: NatsOptions;
}

/** How a lock is acquired, whether or not the call waits. */
export interface TryAcquireOptions {
  /**
   * Whether to hold it alone.
   *
   * @default {"exclusive"}
   */
  mode?: LockMode;
  /**
   * Whether to take the limit from all that hold it: their locks are lost, and their signals abort. Their
   * code cannot be stopped from here. See {@linkcode Lock.token} for how a resource refuses them.
   *
   * @default {false}
   */
  steal?: boolean;
}

/** Options of `acquireSync` and `runSync`. */
export interface AcquireSyncOptions extends TryAcquireOptions {
  /**
   * The longest wait in milliseconds, fractions allowed; 0 tries once.
   *
   * @default {Infinity}
   */
  timeout?: number;
}

/** Options of `acquire` and `run`. */
export interface AcquireOptions extends AcquireSyncOptions {
  /** An abort ends the wait: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** One that holds a lock of a limit, or waits for one. */
export interface LockInfo {
  /** The place that it holds, from 1 to `max`; 0 while it waits. */
  readonly id: number;
  /** The fencing token of its lock; `0n` while it waits. */
  readonly token: bigint;
  /** Its process, as it sees itself: in a container of its own it has another one outside. */
  readonly pid: number;
  /** The runtime that it runs on. */
  readonly runtime: "deno" | "bun" | "node" | "unknown";
  /** What lists of processes show of it; empty if this process may not read that. */
  readonly title: string;
  /** When it got its lock or began to wait, in milliseconds since the epoch. */
  readonly since: number;
  /** Whether it holds a lock alone, or wants to. */
  readonly mode: LockMode;
  /** Its number in the order of all attempts. */
  readonly ticket: number;
}
