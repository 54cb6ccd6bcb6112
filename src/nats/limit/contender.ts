/**
 * One contender of a limit across machines: the work of a `Limit` object with a `nats://` target.
 *
 * @module
 */
import { describe } from "../../base/checks.ts";
import { endedByClosing } from "../../base/closing.ts";
import { codeOf, isThenable, report } from "../../base/guard.ts";
import { Listeners } from "../../base/listeners.ts";
import { TandemError } from "../../errors.ts";
import { Control } from "../../ffi/layout.ts";
import type { LimitChange } from "../../limit/events.ts";
import { type Lock, type LockOwner, loseLock, makeLock } from "../../limit/lock.ts";
import {
  type AcquireSettings,
  acquireSettings,
  checkMax,
  type LimitTerms,
  limitTerms,
} from "../../limit/options.ts";
import type {
  AcquireOptions,
  LimitOptions,
  LimitOrder,
  LockInfo,
  Refusal,
} from "../../limit/types.ts";
import type { LimitWork } from "../../limit/work.ts";
import { keepAlive, later, wallClock } from "../../runtime/timers.ts";
import { checkNatsOptions } from "../options.ts";
import { isNatsTarget, withoutLogin } from "../target.ts";
import { type Contending, NatsAttempt } from "./attempt.ts";
import { Board, type BoardOwner } from "./board.ts";
import { afterwards } from "./farewells.ts";
import type { Lease } from "./lease.ts";
import {
  type Entry,
  entryOf,
  holdersOf,
  infoOf,
  leave,
  resize,
  type State,
  waitersOf,
} from "./state.ts";

/** Milliseconds before a contender tries again to tell the server that it leaves. */
const leavePauseMin = 20;
const leavePauseMax = 500;

/** A lock that is held. */
interface Held {
  readonly lock: Lock;
  readonly lease: Lease;
  controller: AbortController | null;
}

export class NatsContender implements LimitWork, LockOwner, Contending, BoardOwner {
  readonly target: string;
  readonly terms: LimitTerms;
  readonly leaseMilliseconds: number;
  readonly board: Board;
  readonly leaving: Set<string> = new Set();
  earlier: Promise<void> = Promise.resolve();
  /** The terms of the options. */
  readonly #given: Contending["settings"];
  /** The limit has had the terms of the options. From then on its own count, which `resize` may have changed. */
  #hasAgreed = false;
  readonly #standby: NatsContender | null;
  readonly #listeners: Listeners<LimitChange> = new Listeners("onChange");
  readonly #farewells: Set<Promise<void>> = new Set();
  #held: Held | null = null;
  #attempt: NatsAttempt | null = null;
  refusal: Refusal | null = null;
  /** How many runs are going on. */
  #runs = 0;
  /** The lock was also acquired by other means than runs. */
  #outlivesRuns = false;
  #isClosed = false;

  constructor(target: string, options: LimitOptions) {
    this.target = target;
    this.terms = limitTerms(options);
    this.leaseMilliseconds = this.terms.lease;
    const { max, order } = options;
    this.#given = { max: max ?? null, order: order ?? null };
    const { nats = {}, lease } = options;
    checkNatsOptions(nats);
    const { standbyLimit } = this.terms;
    if (standbyLimit && !isNatsTarget(standbyLimit.target)) {
      throw new TandemError(
        "UNSUPPORTED",
        `Cannot use ${
          describe(standbyLimit.target)
        } as standby.target of a limit across machines: waiters of other ` +
          "machines cannot reach it; give a nats:// target",
      );
    }
    this.board = new Board(target, nats, this);
    try {
      this.#standby = standbyLimit && new NatsContender(standbyLimit.target, {
        max: standbyLimit.max,
        nats,
        ...(lease !== undefined && { lease }),
      });
    } catch (error) {
      this.board.close();
      throw error;
    }
  }

  get ready(): Promise<void> {
    return this.#whenReady();
  }

  async #whenReady(): Promise<void> {
    this.#checkOpen();
    const letEnd = keepAlive();
    try {
      await this.board.ready(() => !this.#isClosed);
      await this.#standby?.ready;
    } catch (error) {
      this.#checkOpen();
      throw error;
    } finally {
      letEnd();
    }
  }

  get settings(): Contending["settings"] {
    return this.#hasAgreed ? { max: null, order: null } : this.#given;
  }

  get max(): number {
    const { max } = this.#given;
    return this.board.isReady || max === null ? this.#state?.max ?? max ?? 1 : max;
  }

  get order(): LimitOrder {
    const { order } = this.#given;
    return this.board.isReady || order === null ? this.#state?.order ?? order ?? "oldest" : order;
  }

  get lock(): Lock | null {
    const lock = this.#held?.lock ?? null;
    return lock !== null && this.isHeld(lock) ? lock : null;
  }

  acquire(options?: AcquireOptions): Promise<Lock | null> {
    const promise = this.#acquire(options);
    this.#outlivesRuns = true;
    return promise;
  }

  #acquire(options: AcquireOptions | undefined): Promise<Lock | null> {
    const settings = acquireSettings(options);
    this.#checkOpen();
    if (this.#attempt) return this.#attempt.promise;
    const { lock } = this;
    if (lock) return Promise.resolve(this.#again(lock, settings));
    this.#outlivesRuns = false;
    this.refusal = null;
    const attempt = this.#attempt = new NatsAttempt(this, settings);
    attempt.begin();
    return attempt.promise;
  }

  /** The lock that is held already. */
  #again(lock: Lock, { mode }: AcquireSettings): Lock {
    this.refusal = null;
    if (mode !== "exclusive" || lock.mode === mode) return lock;
    throw new TandemError(
      "MISMATCH",
      `Cannot acquire an exclusive lock of ${this.board.name}: this Limit object holds a shared one; release that ` +
        "first, or use another Limit object",
    );
  }

  acquireSync(): never {
    throw this.#blocking("acquireSync()", "await acquire()");
  }

  tryAcquire(): never {
    throw this.#blocking("tryAcquire()", "await acquire({ timeout: 0 })");
  }

  runSync(): never {
    throw this.#blocking("runSync()", "await run()");
  }

  #blocking(tried: string, instead: string): TandemError {
    this.#checkOpen();
    return new TandemError(
      "UNSUPPORTED",
      `Cannot use ${tried} on ${this.board.name}: the answer comes from another machine, and the event loop has to ` +
        `run meanwhile; use ${instead}`,
    );
  }

  async run<T>(
    body: (lock: Lock) => T | PromiseLike<T>,
    options?: AcquireOptions,
  ): Promise<T | null> {
    if (typeof body !== "function") {
      throw new TypeError(`Cannot use ${describe(body)} in run: give a function`);
    }
    let letEnd: (() => void) | null = null;
    this.#runs += 1;
    try {
      const lock = await this.#acquire(options);
      const result = lock && body(lock);
      if (!isThenable(result)) return result as T | null;
      letEnd = keepAlive();
      return await result;
    } finally {
      letEnd?.();
      this.#runs -= 1;
      if (this.#runs === 0 && !this.#outlivesRuns && this.#held) this.release(this.#held.lock);
    }
  }

  holders(): LockInfo[] {
    const state = this.#state;
    return state ? holdersOf(state).map(infoOf) : [];
  }

  waiters(): LockInfo[] {
    const state = this.#state;
    return state ? waitersOf(state).map(infoOf) : [];
  }

  /** @throws {TandemError} when it is not known */
  get #state(): State | null {
    this.#checkOpen();
    const { board } = this;
    if (board.isReady) return board.state;
    throw board.failure ?? new TandemError(
      "UNSUPPORTED",
      `Cannot tell yet who uses the limit ${board.name}: NATS has not answered yet; look again after an ` +
        "acquire() of this object, or a little later",
    );
  }

  onChange(listener: (change: LimitChange) => unknown): Disposable {
    return this.#listeners.add(listener);
  }

  resize(max: number): void {
    checkMax(max, "max");
    this.#checkOpen();
    const { board } = this;
    this.#hasAgreed = true;
    this.earlier = this.#track(async () => {
      try {
        await board.ready(() => !this.#isClosed);
        await board.change((state) => ({
          state: resize(state, max, wallClock()),
          result: undefined,
        }));
      } catch (error) {
        report(this, "resize() of a limit across machines", error);
      }
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const held = this.#held;
    const isHeld = held !== null && this.isHeld(held.lock);
    this.#held = null;
    this.#attempt?.cancel(
      endedByClosing(new TandemError("CLOSED", `The limit ${this.board.name} is closed`)),
    );
    if (held) this.abandon(held.lease);
    this.#standby?.close();
    if (isHeld) this.#tell("released", held.lock);
    // What waits for a server that is out of reach waits no longer.
    this.board.hurry();
    this.#closeBoard();
  }

  /** After what it still has to say. */
  #closeBoard(): void {
    if (this.#farewells.size === 0) return this.board.close();
    void Promise.all(this.#farewells).then(() => this.#closeBoard());
  }

  #checkOpen(): void {
    if (!this.#isClosed) return;
    throw new TandemError(
      "CLOSED",
      `Cannot use the limit ${JSON.stringify(withoutLogin(this.target))}: it is closed`,
    );
  }

  /** Runs something of which nobody hears; `action` does not reject. The process stays alive meanwhile. */
  #track(action: () => Promise<void>): Promise<void> {
    const tracked = afterwards(action);
    this.#farewells.add(tracked);
    void tracked.then(() => this.#farewells.delete(tracked));
    return tracked;
  }

  // What an attempt needs.

  async enterStandby(): Promise<(() => void) | null> {
    const lock = await this.#standby!.acquire({ timeout: 0 });
    return lock && (() => void lock.release());
  }

  waits(): void {
    this.#hasAgreed = true;
    this.#tell("standby", null);
  }

  granted(entry: Entry, lease: Lease): Lock {
    this.refusal = null;
    this.#hasAgreed = true;
    const lock = makeLock(this, entry.place, entry.mode, controlOf(entry));
    this.#held = { lock, lease, controller: null };
    this.#tell("acquired", lock);
    return lock;
  }

  refused(refusal: Refusal): null {
    this.refusal = refusal;
    return null;
  }

  ended(attempt: NatsAttempt): void {
    if (this.#attempt === attempt) this.#attempt = null;
  }

  abandon(lease: Lease): void {
    const { remaining } = lease;
    lease.end();
    this.leaving.add(lease.id);
    // If the server cannot be reached, the lease ends there, too.
    const deadline = wallClock() + remaining;
    void this.#track(async () => {
      try {
        await this.#leave(lease.id, deadline);
      } catch (error) {
        if (codeOf(error) === undefined) report(this, "leaving a limit across machines", error);
      } finally {
        this.leaving.delete(lease.id);
      }
    });
  }

  /** Tries until the lease has ended there anyway: in a cluster, another server may be about to take over. */
  async #leave(id: string, deadline: number): Promise<void> {
    const { board } = this;
    for (let pause = leavePauseMin;; pause = Math.min(leavePauseMax, 2 * pause)) {
      try {
        await board.ready(() => wallClock() < deadline);
        await board.change((state) => ({
          state: leave(state, new Set([id]), wallClock()),
          result: undefined,
        }));
        return await board.removeLease(id);
      } catch (error) {
        if (codeOf(error) !== "DISCONNECTED" || wallClock() >= deadline) throw error;
      }
      await new Promise<void>((resolve) => void later(pause, resolve));
    }
  }

  // What a lock needs.

  isHeld(lock: Lock): boolean {
    const held = this.#held;
    if (held?.lock !== lock) return false;
    if (held.lease.isAlive) return true;
    this.leaseLost(held.lease);
    return false;
  }

  heartbeat(lock: Lock): boolean {
    return this.isHeld(lock);
  }

  release(lock: Lock): boolean {
    if (!this.isHeld(lock)) return false;
    const { lease } = this.#held!;
    this.#held = null;
    this.abandon(lease);
    this.#tell("released", lock);
    return true;
  }

  exec(): never {
    throw new TandemError(
      "UNSUPPORTED",
      `Cannot pass the lock of ${this.board.name} on to another program: it lives as long as this process renews its ` +
        "lease; start the program as a child, and wait for it",
    );
  }

  watch(lock: Lock, controller: AbortController): void {
    if (this.isHeld(lock)) this.#held!.controller = controller;
  }

  /** The limit has changed. */
  changed(): void {
    const held = this.#held;
    const { board } = this;
    if (board.isReady) this.#agree(board.state);
    if (held && board.isReady && !entryOf(board.state, held.lease.id)) {
      this.#lose(held, goneReason(board));
    }
    this.#attempt?.changed();
  }

  #agree(state: State | null): void {
    const { max, order } = this.#given;
    // It was removed: who comes makes it anew.
    if (state === null) this.#hasAgreed = false;
    else if (state.max === (max ?? state.max) && state.order === (order ?? state.order)) {
      this.#hasAgreed = true;
    }
  }

  leaseLost(lease: Lease): void {
    const held = this.#held;
    if (held?.lease === lease) this.#lose(held, lateReason(this.board));
  }

  #lose(held: Held, reason: TandemError): void {
    this.#held = null;
    this.abandon(held.lease);
    loseLock(held.lock, reason);
    held.controller?.abort(reason);
    this.#tell("lost", held.lock);
  }

  #tell(kind: LimitChange["kind"], lock: Lock | null): void {
    if (!this.#listeners.isEmpty) this.#listeners.tell({ kind, lock });
  }
}

/** The numbers of a grant, as a control block of the native side would have them. */
function controlOf({ token, ticket }: Entry): Uint32Array {
  const words = new Uint32Array(Math.max(...numbers) + 1);
  const value = BigInt(token);
  words[Control.generationLow] = Number(value & 0xffff_ffffn);
  words[Control.generationHigh] = Number(value >> 32n);
  words[Control.epochLow] = ticket % 2 ** 32;
  words[Control.epochHigh] = Math.floor(ticket / 2 ** 32);
  return words;
}

const numbers: readonly number[] = [
  Control.generationLow,
  Control.generationHigh,
  Control.epochLow,
  Control.epochHigh,
];

function goneReason({ name, state }: Board): TandemError {
  if (state) {
    return new TandemError(
      "CANCELLED",
      `The lock of ${name} is lost: another contender has stolen it, or its lease was over`,
    );
  }
  return new TandemError(
    "NOT_FOUND",
    `The lock of ${name} is lost: the limit was removed from NATS`,
  );
}

function lateReason({ name }: Board): TandemError {
  return new TandemError(
    "CANCELLED",
    `The lock of ${name} is lost: its lease could not be renewed in time, because NATS was out of reach or this ` +
      "process stood still",
  );
}
