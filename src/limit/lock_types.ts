/**
 * What requests for locks take and give.
 *
 * @module
 */
import type { LockMode } from "./types.ts";

/**
 * Options of {@linkcode Locks.request}: those of the Web Locks specification, and two more.
 *
 * @example Give up after a minute
 * ```ts
 * import { locks, type NamedLockOptions } from "@tandem/ipc/limit";
 * import { assertEquals } from "@std/assert";
 *
 * const options: NamedLockOptions = { mode: "shared", timeout: 60_000 };
 * const mode = await locks.request("catalogue", options, (lock) => lock?.mode);
 * assertEquals(mode, "shared");
 * ```
 */
export interface NamedLockOptions {
  /**
   * Whether to hold the lock alone, or together with other shared requests.
   *
   * @default {"exclusive"}
   */
  mode?: LockMode;
  /**
   * Whether to call the callback with null, instead of waiting, if the lock is not available at once.
   *
   * @default {false}
   */
  ifAvailable?: boolean;
  /**
   * Whether to take the lock from all that hold it, and before all that wait. Their promises reject with an
   * `AbortError` and their `lock.signal` aborts, but their code goes on: it cannot be stopped from here. See
   * {@linkcode NamedLock.token} for how a resource refuses them.
   *
   * @default {false}
   */
  steal?: boolean;
  /** An abort ends the wait: the promise rejects with the signal's reason. It has no effect on a lock that is held. */
  signal?: AbortSignal;
  /**
   * How many may hold the lock at once; all shared holders together count as one. All requests for a name give the
   * same number; another one is a `MISMATCH` while anybody holds the lock or waits for it. Not in the
   * specification.
   *
   * @default {1}
   */
  max?: number;
  /**
   * The longest wait in milliseconds, fractions allowed. When it is over, the promise rejects with a
   * `TandemError` of the code `TIMEOUT`. Not in the specification.
   *
   * @default {Infinity}
   */
  timeout?: number;
}

/** A lock that a callback holds until its promise settles. */
export interface NamedLock {
  /** The name that it was requested by. */
  readonly name: string;
  /** Whether it is held alone. */
  readonly mode: LockMode;
  /** The place that is held, from 1 to `max`. Not in the specification, as the properties below. */
  readonly id: number;
  /**
   * The fencing token: greater than those of all earlier holders of this lock. A resource that remembers the
   * greatest token it has seen can refuse a holder whose lock was stolen.
   */
  readonly token: bigint;
  /**
   * Aborts when the lock is lost before the callback has ended: with an `AbortError` when another request has
   * stolen it, and with a `TandemError` of the code `NOT_FOUND` when the lock's file is gone.
   */
  readonly signal: AbortSignal;
}

/** A request that holds a lock, or waits for it. JSON can hold it. */
export interface NamedLockInfo {
  /** The name of the lock; that of its file, without `.limit`, if the lock's name is too long for it. */
  readonly name: string;
  /** Whether the lock is, or would be, held alone. */
  readonly mode: LockMode;
  /** The process: its runtime and its process id, such as `"deno-4711"`. Its Workers have the same. */
  readonly clientId: string;
  /** The process id. Not in the specification, as the properties below. */
  readonly pid: number;
  /** When it got the lock or began to wait, in milliseconds since the epoch. */
  readonly since: number;
}

/** All locks of this user's folder at one moment. Each list is ordered by names, then as the requests are served. */
export interface NamedLockSnapshot {
  /** The locks that are held. */
  readonly held: NamedLockInfo[];
  /** The requests that wait. */
  readonly pending: NamedLockInfo[];
}
