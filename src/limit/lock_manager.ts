/**
 * The Web Locks API over limits.
 *
 * @module
 */
import { queryLocks } from "./lock_query.ts";
import { runRequest } from "./lock_request.ts";
import type { NamedLock, NamedLockOptions, NamedLockSnapshot } from "./lock_types.ts";

/**
 * The Web Locks API, across the processes of a user instead of the tabs of an origin: {@linkcode locks}. All processes
 * with the same `TANDEM_DIR` share the names.
 *
 * A request is a contender of a limit of the same name, so {@linkcode Limit}, `tandem limit` and `tandem stat` work with it.
 * A name that no limit can have is encoded. The guide says what differs from the specification.
 *
 * @example
 * ```ts
 * import { type Locks, locks } from "@tandem/ipc/limit";
 * import { assertEquals } from "@std/assert";
 *
 * async function once(manager: Locks): Promise<string> {
 *   return await manager.request("import", { ifAvailable: true }, (lock) => lock ? "imported" : "busy");
 * }
 *
 * assertEquals(await once(locks), "imported");
 * ```
 */
export class Locks {
  /**
   * Requests a lock, and calls `callback` with it once it is granted. The lock is held until the promise of the callback
   * settles, also when it rejects. First come, first served: an exclusive request waits for all earlier ones of the
   * same name, a shared one for the earlier exclusive ones.
   *
   * The process stays alive until the promise settles, also while the callback waits for something that never happens.
   *
   * @param name any string that does not begin with "-"
   * @param callback gets the lock
   * @returns what the callback returns, or its promise resolves to
   * @throws (rejects) what the callback throws; `AbortError` when the lock was stolen; what `new Limit` and
   * `acquire` throw, such as {@linkcode TandemError} `MISMATCH`
   *
   * @example One at a time
   * ```ts
   * import { locks } from "@tandem/ipc/limit";
   * import { assertEquals } from "@std/assert";
   *
   * const report = await locks.request("nightly report", async (lock) => {
   *   // No other process is here now.
   *   await Promise.resolve();
   *   return `made under ${lock.name}`;
   * });
   * assertEquals(report, "made under nightly report");
   * ```
   */
  request<T>(name: string, callback: (lock: NamedLock) => T): Promise<Awaited<T>>;
  /**
   * The same with options that never make the callback get null.
   *
   * @param name any string that does not begin with "-"
   * @param options how to request it
   * @param callback gets the lock
   * @returns what the callback returns, or its promise resolves to
   */
  request<T>(
    name: string,
    options: NamedLockOptions & { ifAvailable?: false },
    callback: (lock: NamedLock) => T,
  ): Promise<Awaited<T>>;
  /**
   * The same with any options.
   *
   * @param name any string that does not begin with "-"
   * @param options how to request it
   * @param callback gets the lock, or null: with `ifAvailable`, the lock was not available
   * @returns what the callback returns, or its promise resolves to
   * @throws (rejects) `NotSupportedError` for a combination of options that the specification excludes;
   * {@linkcode TandemError} `TIMEOUT`; the reason of `signal` when it aborts
   */
  request<T>(
    name: string,
    options: NamedLockOptions,
    callback: (lock: NamedLock | null) => T,
  ): Promise<Awaited<T>>;
  request(...args: readonly unknown[]): Promise<unknown> {
    return runRequest(args);
  }

  /**
   * A snapshot of all locks that processes of this user's folder hold or wait for, those of {@linkcode Limit} objects with a
   * name included. By the time it arrives, it may be out of date: look at it for diagnosis, and decide nothing by it.
   *
   * @returns what is held, and what waits
   *
   * @example
   * ```ts
   * import { locks } from "@tandem/ipc/limit";
   * import { assertEquals } from "@std/assert";
   *
   * await locks.request("queried", async () => {
   *   const { held } = await locks.query();
   *   const ours = held.find(({ name }) => name === "queried");
   *   assertEquals(ours?.mode, "exclusive");
   * });
   * ```
   */
  query(): Promise<NamedLockSnapshot> {
    return queryLocks();
  }
}

/**
 * Locks with names, as `navigator.locks` of the browsers, for all processes and runtimes of a user on this machine.
 * Nothing global is touched: to run code that uses `navigator.locks`, give it this object.
 *
 * @example Run what nobody else runs
 * ```ts
 * import { locks } from "@tandem/ipc/limit";
 * import { assertEquals } from "@std/assert";
 *
 * const done = await locks.request("cleanup", { ifAvailable: true }, (lock) => {
 *   return lock !== null; // null: another process does it
 * });
 * assertEquals(done, true);
 * ```
 */
export const locks: Locks = new Locks();
