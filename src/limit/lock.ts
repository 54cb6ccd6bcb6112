/**
 * A place of a limit that is held.
 *
 * @module
 */
import { notConstructible } from "../base/maker.ts";
import type { TandemError } from "../errors.ts";
import { Control } from "../ffi/layout.ts";
import { type ExecOptions, type Program, programOf } from "./exec.ts";
import type { LockMode } from "./types.ts";

/** The one whose lock it is. */
export interface LockOwner {
  isHeld(lock: Lock): boolean;
  heartbeat(lock: Lock): boolean;
  release(lock: Lock): boolean;
  /** Does not return: see {@linkcode Lock.exec}. */
  exec(lock: Lock, program: Program): never;
  /** The lock has a signal from now on: the owner watches for its loss. */
  watch(lock: Lock, controller: AbortController): void;
}

/** Makes a lock of the place that the control block of its handle tells of; only the package can. */
export let makeLock: (owner: LockOwner, id: number, mode: LockMode, control: Uint32Array) => Lock;
/** Marks a lock as lost. Its owner aborts the signal, if there is one. */
export let loseLock: (lock: Lock, reason: TandemError) => void;

/** What a constructor has to be called with. */
const key: unique symbol = Symbol("Lock");

/**
 * A place of a {@linkcode Limit} that this process holds, until it is released or the process ends, however it
 * ends. With `using`, the end of the block releases it.
 *
 * A lock is kept when the program forgets it, because the program may still do what the lock is for. The console
 * gets one warning then.
 *
 * @example
 * ```ts
 * import { Limit } from "@tandem/ipc/limit";
 * import { assertEquals } from "@std/assert";
 *
 * using limit = new Limit("nightly-report");
 * {
 *   using lock = limit.tryAcquire();
 *   assertEquals(lock?.id, 1);
 *   assertEquals(limit.isHeld, true);
 * }
 * assertEquals(limit.isHeld, false);
 * ```
 */
export class Lock implements Disposable {
  static {
    makeLock = (owner, id, mode, control) => new Lock(key, owner, id, mode, control);
    loseLock = (lock, reason) => lock.#loss = reason;
  }

  readonly #owner: LockOwner;
  readonly #tokenLow: number;
  readonly #tokenHigh: number;
  #controller: AbortController | null = null;
  #loss: TandemError | null = null;
  /** The place that is held, from 1 to the limit's `max`. All shared locks have the same. */
  readonly id: number;
  /** The number of the attempt that got this lock, in the order in which all contenders are served. */
  readonly ticket: number;
  /** Whether it is held alone. */
  readonly mode: LockMode;

  private constructor(
    made: typeof key,
    owner: LockOwner,
    id: number,
    mode: LockMode,
    control: Uint32Array,
  ) {
    if (made !== key) throw notConstructible("Lock", "the methods of Limit");
    this.#owner = owner;
    this.#tokenLow = control[Control.generationLow]!;
    this.#tokenHigh = control[Control.generationHigh]!;
    this.id = id;
    this.ticket = control[Control.epochHigh]! * 2 ** 32 + control[Control.epochLow]!;
    this.mode = mode;
  }

  /**
   * The fencing token: greater than that of every earlier lock of the limit, also after the limit's file was deleted,
   * and after a restart of the machine unless its clock was set back. A resource that remembers the greatest token
   * it has seen can refuse a holder that was stopped for so long that it lost its lock.
   *
   * @example A resource that refuses old holders
   * ```ts
   * import { Limit } from "@tandem/ipc/limit";
   * import { assertEquals } from "@std/assert";
   *
   * let newest = 0n;
   * function write(token: bigint): boolean {
   *   if (token < newest) return false;
   *   newest = token;
   *   return true;
   * }
   *
   * using first = new Limit("fenced");
   * using second = new Limit("fenced");
   * const slow = first.acquireSync();
   * const thief = second.acquireSync({ steal: true });
   * assertEquals(write(thief!.token), true);
   * assertEquals(write(slow!.token), false);
   * ```
   */
  get token(): bigint {
    return (BigInt(this.#tokenHigh) << 32n) | BigInt(this.#tokenLow);
  }

  /** Whether the lock is held: false once it is released or stolen, and when its limit is closed. */
  get isHeld(): boolean {
    return this.#owner.isHeld(this);
  }

  /**
   * Aborts when the lock is lost, within a second: with a {@linkcode TandemError} of the code `CANCELLED` when
   * another contender has stolen it, or its lease is over (`nats://` targets), and of the code `NOT_FOUND` when the
   * limit's file is gone. It does not abort when
   * the lock is released. Ask for it when you use it: as long as the lock is held, a timer looks for the file then.
   * It does not keep the process alive.
   *
   * @example
   * ```ts
   * import { Limit } from "@tandem/ipc/limit";
   * import { TandemError } from "@tandem/ipc";
   * import { assert, assertEquals } from "@std/assert";
   *
   * using limit = new Limit("leader");
   * using rival = new Limit("leader");
   * const { signal } = limit.acquireSync()!;
   * const lost = new Promise((resolve) => signal.addEventListener("abort", resolve));
   * rival.acquireSync({ steal: true });
   * const waiting = limit.acquire({ timeout: 60_000 }); // keeps this process alive until then
   * await lost;
   * assert(signal.reason instanceof TandemError);
   * assertEquals(signal.reason.code, "CANCELLED");
   * rival.close();
   * (await waiting)?.release();
   * ```
   */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      const controller = this.#controller = new AbortController();
      if (this.#loss === null) this.#owner.watch(this, controller);
      // Lost before anyone has watched, or found to be lost just now.
      if (this.#loss !== null) controller.abort(this.#loss);
    }
    return this.#controller.signal;
  }

  /**
   * Looks whether the lock is still good: it is held, and the limit's file is where it was. If not, the lock is lost
   * from now on. Two system calls; {@linkcode isHeld} needs none and does not look at the file.
   *
   * @returns false: the lock was released, or is lost
   */
  heartbeat(): boolean {
    return this.#owner.heartbeat(this);
  }

  /**
   * Gives the place back. The next waiter gets it.
   *
   * @returns false: it was released before, or it was lost
   */
  release(): boolean {
    return this.#owner.release(this);
  }

  /**
   * Replaces this process by another program, which takes the lock with it. The process keeps its id, its terminal and
   * its place among the processes; nothing of this program runs on, no `finally` and no listener of `exit`. The lock
   * is released when the program and the children that inherited it have ended, whatever ends them. The program has
   * `TANDEM_LIMIT_ID` and `TANDEM_LIMIT_TOKEN` in its environment.
   *
   * A program that closes descriptors that it does not know releases the lock, and so does one that marks them for its
   * children, as far as these are concerned.
   *
   * @example
   * ```ts
   * import { Limit } from "@tandem/ipc/limit";
   * import { TandemError } from "@tandem/ipc";
   * import { assert, assertEquals } from "@std/assert";
   *
   * using limit = new Limit("backup");
   * using lock = limit.tryAcquire();
   * try {
   *   lock?.exec("/no/such/program", ["--all"], { environment: [] });
   * } catch (error) {
   *   assert(error instanceof TandemError);
   *   assertEquals(error.code, "NOT_FOUND");
   * }
   * assertEquals(limit.isHeld, true);
   * ```
   *
   * @param command a name to search for along `PATH`, or a path; bytes need not be UTF-8
   * @param args the arguments that follow the name
   * @param options `close`: the lock ends with the program, and its children do not keep it; `env`: variables to set
   * @throws {TandemError} `NOT_FOUND` when there is no such program, `PERMISSION` when it cannot be executed, or
   * when the runtime does not let this process read its environment (Deno: `--allow-env`),
   * `TOO_LARGE` when the arguments are too long; `CANCELLED` when the lock is not held any more; with `close`: `BUSY`
   * when this process has opened the limit's file more than once, and `UNSUPPORTED` before Linux 5.11, and with a
   * `nats://` target. Then the
   * process goes on, and still holds the lock
   * @throws {TypeError} when an argument is neither a string nor bytes, or has a zero byte
   */
  exec(
    command: string | Uint8Array,
    args: readonly (string | Uint8Array)[] = [],
    options: ExecOptions = {},
  ): never {
    return this.#owner.exec(this, programOf(command, args, options, this));
  }

  /** The same as {@linkcode release}. */
  [Symbol.dispose](): void {
    this.#owner.release(this);
  }
}
