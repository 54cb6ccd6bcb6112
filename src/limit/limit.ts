/**
 * Limits on how many do something at once.
 *
 * @module
 */
import { Contender } from "./contender.ts";
import type { LimitChange } from "./events.ts";
import { NatsContender } from "../nats/limit/contender.ts";
import { isNatsTarget } from "../nats/target.ts";
import type { Lock } from "./lock.ts";
import type {
  AcquireOptions,
  AcquireSyncOptions,
  LimitOptions,
  LimitOrder,
  LockInfo,
  Refusal,
  TryAcquireOptions,
} from "./types.ts";
import type { LimitWork } from "./work.ts";

/** The work of a limit of this machine, for other layers. Users cannot reach it. */
export let contenderOf: (limit: Limit) => Contender;

/**
 * A limit on how many do something at once, in all processes of this machine. Each `Limit` object is one contender:
 * it holds at most one lock, and belongs to its thread. A Worker makes its own.
 *
 * Places go to contenders in the order in which they ask; `tryAcquire` overtakes nobody. When a holder dies,
 * however it dies, the kernel tells the next waiter at once. No waiter polls, so hundreds of them cost nothing. An open
 * limit does not keep its process alive, and a held lock does not either; a pending promise does.
 *
 * With a `nats://` target, the contenders of all machines share the limit, and leases take the place of the
 * kernel: a holder that stands still or is cut off loses its lock. Only a resource that refuses small
 * {@linkcode Lock.token}s is safe from it then. The guide has the differences.
 *
 * @example One at a time, and do without if another process is at it
 * ```ts
 * import { Limit } from "@tandem/ipc/limit";
 * import { assertEquals } from "@std/assert";
 *
 * using limit = new Limit("rebuild-index");
 * const built = await limit.run(() => "the index", { timeout: 0 });
 * assertEquals(built, "the index");
 * ```
 *
 * @example A leader with one hot standby
 * ```ts
 * import { Limit } from "@tandem/ipc/limit";
 * import { assertEquals } from "@std/assert";
 *
 * // Three processes, or three objects of one:
 * using first = new Limit("leader", { max: 1, standby: 1 });
 * using second = new Limit("leader", { max: 1, standby: 1 });
 * using third = new Limit("leader", { max: 1, standby: 1 });
 *
 * using leader = await first.acquire();
 * const standby = second.acquire(); // waits
 * assertEquals(await third.acquire(), null);
 * assertEquals(third.refusal, "standby-full");
 *
 * leader!.release(); // so would its death
 * using successor = await standby;
 * assertEquals(successor!.token > leader!.token, true);
 * ```
 */
export class Limit implements Disposable {
  static {
    contenderOf = (limit) => limit.#contender as Contender;
  }

  readonly #contender: LimitWork;

  /**
   * Opens a limit, or makes it.
   *
   * With a `nats://` target it does not wait for the server: {@linkcode acquire} throws what the server says.
   *
   * @param target a name, which means the file `<name>.limit` in the folder of channels; a path with a slash in it;
   * or `nats://HOST:PORT,HOST:PORT/NAME`
   * @throws {TandemError} `MISMATCH` when `max` or `order` differs from the existing limit's and a contender
   * holds or waits, or when the file is of another kind; `BUSY` when 1,024 objects have the limit open; `INCOMPATIBLE`;
   * `CORRUPT`; `PERMISSION`; `NO_SPACE`; `UNSUPPORTED`
   * @throws {TypeError} when `target` is no valid name or path, or an option has the wrong type
   * @throws {RangeError} when an option is out of its range
   */
  constructor(target: string, options: LimitOptions = {}) {
    this.#contender = isNatsTarget(target)
      ? new NatsContender(target, options)
      : new Contender(target, options);
  }

  /**
   * Resolves when the limit can be acquired. That is so at once, but with a `nats://` target it takes until the server
   * has told of the limit; the wait has no time limit, and keeps the process alive. Asking is not needed:
   * {@linkcode acquire} waits by itself.
   *
   * Rejects with `CLOSED`, and with a `nats://` target with `PERMISSION` when the server refuses the login, and with
   * `UNSUPPORTED` without JetStream or where the NATS client is not installed.
   */
  get ready(): Promise<void> {
    return this.#contender.ready;
  }

  /** The name or path that this limit was opened by. */
  get target(): string {
    return this.#contender.target;
  }

  /** How many may hold a lock at once, now. */
  get max(): number {
    return this.#contender.max;
  }

  /** Who gets the next free place. */
  get order(): LimitOrder {
    return this.#contender.order;
  }

  /** The lock that this object holds; null: none. */
  get lock(): Lock | null {
    return this.#contender.lock;
  }

  /** Whether this object holds a lock. */
  get isHeld(): boolean {
    return this.#contender.lock !== null;
  }

  /** Why the last acquire of this object has returned null; null: it has not. */
  get refusal(): Refusal | null {
    return this.#contender.refusal;
  }

  /**
   * Acquires a lock, and waits for it if necessary; the event loop keeps running. If this object holds a lock, that one
   * is returned. If it waits already, this call gets the result of that wait, and its own options do not count.
   *
   * @example Wait at most a minute
   * ```ts
   * import { Limit } from "@tandem/ipc/limit";
   * import { assert } from "@std/assert";
   *
   * using limit = new Limit("import", { max: 3 });
   * using lock = await limit.acquire({ timeout: 60_000 });
   * assert(lock !== null && lock.id >= 1 && lock.id <= 3);
   * ```
   *
   * @param options `timeout`: milliseconds; `signal`: an abort rejects with its reason, and nothing is held
   * @returns null: no place was granted, {@linkcode refusal} says why
   * @throws {TandemError} `CLOSED` when this limit closes meanwhile; `MISMATCH` when `max` or `order` was
   * changed by others and a contender holds or waits, or when this object holds a shared lock and `mode` is
   * `"exclusive"`; what opening throws, when the limit's file was deleted; the reason of the signal; what `retries`
   * throws. With a `nats://` target also `DISCONNECTED`; `PERMISSION` when the server refuses the login;
   * `UNSUPPORTED` without JetStream, or before version 2.11.1 of the server
   * @throws {RangeError} for a negative or NaN `timeout`
   */
  acquire(options?: AcquireOptions): Promise<Lock | null> {
    try {
      return this.#contender.acquire(options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Acquires a lock, and blocks the thread until there is one. Signal handlers of the runtime do not run
   * meanwhile. If this object holds a lock, that one is returned. If it waits already, the two waits share the
   * lock; when the time of this call runs out, the other wait goes on.
   *
   * @example
   * ```ts
   * import { Limit } from "@tandem/ipc/limit";
   * import { assertEquals } from "@std/assert";
   *
   * using first = new Limit("migrate");
   * using second = new Limit("migrate");
   * using lock = first.acquireSync();
   * assertEquals(lock?.id, 1);
   * assertEquals(second.acquireSync({ timeout: 5 }), null);
   * assertEquals(second.refusal, "timeout");
   * ```
   *
   * @param options `timeout`: milliseconds
   * @returns null: no place was granted, {@linkcode refusal} says why
   * @throws {TandemError} as {@linkcode acquire}; `UNSUPPORTED` with a `nats://` target
   * @throws {RangeError} for a negative or NaN `timeout`
   */
  acquireSync(options?: AcquireSyncOptions): Lock | null {
    return this.#contender.acquireSync(options);
  }

  /**
   * Acquires a lock if there is a free place and nobody waits for it. Never waits.
   *
   * @example
   * ```ts
   * import { Limit } from "@tandem/ipc/limit";
   * import { assertEquals } from "@std/assert";
   *
   * using first = new Limit("cleanup");
   * using second = new Limit("cleanup");
   * using lock = first.tryAcquire();
   * assertEquals(lock !== null, true);
   * assertEquals(second.tryAcquire(), null);
   * ```
   *
   * @returns null: no place is free, or others wait for it
   * @throws {TandemError} as {@linkcode acquire}; `UNSUPPORTED` with a `nats://` target, where
   * `acquire({ timeout: 0 })` does the same
   */
  tryAcquire(options?: TryAcquireOptions): Lock | null {
    return this.#contender.tryAcquire(options);
  }

  /**
   * Acquires a lock, runs `body`, and releases the lock when the result of `body` is there, or its error. Runs of
   * this object that overlap share its lock, and the last one to end releases it. A lock that was acquired otherwise
   * stays held.
   *
   * @example
   * ```ts
   * import { Limit } from "@tandem/ipc/limit";
   * import { assertEquals } from "@std/assert";
   *
   * using limit = new Limit("thumbnails", { max: 4 });
   * const place = await limit.run((lock) => lock.id);
   * assertEquals(place! >= 1 && place! <= 4, true);
   * assertEquals(limit.isHeld, false);
   * ```
   *
   * @param options as for {@linkcode acquire}
   * @returns the result of `body`; null: no place was granted, and `body` did not run
   * @throws the error of `body`, and what {@linkcode acquire} throws
   */
  run<T>(body: (lock: Lock) => T | PromiseLike<T>, options?: AcquireOptions): Promise<T | null> {
    return this.#contender.run(body, options);
  }

  /**
   * As {@linkcode run}, but blocks the thread until there is a lock. `body` returns its result, and no promise.
   *
   * @example
   * ```ts
   * import { Limit } from "@tandem/ipc/limit";
   * import { assertEquals } from "@std/assert";
   *
   * using limit = new Limit("counter");
   * assertEquals(limit.runSync((lock) => lock.isHeld), true);
   * ```
   *
   * @param options as for {@linkcode acquireSync}
   * @returns the result of `body`; null: no place was granted, and `body` did not run
   * @throws the error of `body`, and what {@linkcode acquireSync} throws
   */
  runSync<T>(body: (lock: Lock) => T, options?: AcquireSyncOptions): T | null {
    return this.#contender.runSync(body, options);
  }

  /**
   * All that hold a lock, in the order of their tickets. With a `nats://` target: as the server has told last.
   *
   * @example
   * ```ts
   * import { Limit } from "@tandem/ipc/limit";
   * import { assertEquals } from "@std/assert";
   * import process from "node:process";
   *
   * using limit = new Limit("encode", { max: 2 });
   * using lock = limit.tryAcquire();
   * const [holder] = limit.holders();
   * assertEquals(holder?.pid, process.pid);
   * assertEquals(holder?.token, lock?.token);
   * assertEquals(limit.waiters(), []);
   * ```
   *
   * @throws {TandemError} `CLOSED`; `CORRUPT`; what opening throws, when the limit's file was deleted; with a
   * `nats://` target: `UNSUPPORTED` before the server has told anything, `DISCONNECTED` without a link
   */
  holders(): LockInfo[] {
    return this.#contender.holders();
  }

  /**
   * All that wait, in the order in which they will be served.
   *
   * @throws {TandemError} `CLOSED`; `CORRUPT`; what opening throws, when the limit's file was deleted
   */
  waiters(): LockInfo[] {
    return this.#contender.waiters();
  }

  /**
   * Runs `listener` when this object begins to wait, and when it gets, loses or releases a lock. An error of the
   * listener is reported on the console. While there are listeners and a lock is held, its loss is noticed within
   * a second, as with {@linkcode Lock.signal}.
   *
   * @example
   * ```ts
   * import { Limit } from "@tandem/ipc/limit";
   * import { assertEquals } from "@std/assert";
   *
   * using limit = new Limit("watched");
   * const kinds: string[] = [];
   * using _listening = limit.onChange(({ kind }) => kinds.push(kind));
   * limit.tryAcquire()?.release();
   * assertEquals(kinds, ["acquired", "released"]);
   * ```
   *
   * @returns disposing it ends the listening
   * @throws {TypeError} when `listener` is no function
   */
  onChange(listener: (change: LimitChange) => unknown): Disposable {
    return this.#contender.onChange(listener);
  }

  /**
   * Changes how many may hold a lock at once, for all that have the limit open. If fewer may than do, all of them keep
   * their locks, and no place is granted until there is room. Processes that open the limit with another `max` get a
   * `MISMATCH` while anyone holds or waits. With a `nats://` target, it returns before the server knows.
   *
   * @example
   * ```ts
   * import { Limit } from "@tandem/ipc/limit";
   * import { assertEquals } from "@std/assert";
   *
   * using limit = new Limit("downloads", { max: 2 });
   * limit.resize(5);
   * assertEquals(limit.max, 5);
   * ```
   *
   * @param max 1 to 1,024
   * @throws {TandemError} `CLOSED`; `CORRUPT`; what opening throws, when the limit's file was deleted
   * @throws {RangeError} when `max` is out of its range
   */
  resize(max: number): void {
    this.#contender.resize(max);
  }

  /**
   * Looks whether this object's lock is still good; see {@linkcode Lock.heartbeat}.
   *
   * @returns false: it holds no lock, or has just lost it
   */
  heartbeat(): boolean {
    return this.#contender.lock?.heartbeat() ?? false;
  }

  /** Releases the lock, and leaves the limit. A pending promise rejects with `CLOSED`. Calling it twice is fine. */
  close(): void {
    this.#contender.close();
  }

  /** The same as {@linkcode close}. */
  [Symbol.dispose](): void {
    this.#contender.close();
  }
}
