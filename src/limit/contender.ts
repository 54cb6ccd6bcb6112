/**
 * One contender of a limit: the work of a `Limit` object.
 *
 * @module
 */
import { deadlineAfter, describe } from "../base/checks.ts";
import { endedByClosing } from "../base/closing.ts";
import { isThenable, remark } from "../base/guard.ts";
import { Listeners } from "../base/listeners.ts";
import { closedError } from "../channel/channel.ts";
import { TandemError } from "../errors.ts";
import { limitNoStandby, limitNotNow, limitTry } from "../ffi/layout.ts";
import { Attempt, type Contending } from "./attempt.ts";
import type { LimitChange } from "./events.ts";
import { type Program, replaceProgram } from "./exec.ts";
import { LimitCore, type Owner } from "./limit_core.ts";
import { contendersOf, termsOf } from "./listing.ts";
import { type Lock, type LockOwner, loseLock, makeLock } from "./lock.ts";
import { keepAlive } from "../runtime/timers.ts";
import {
  type AcquireSettings,
  acquireSettings,
  checkMax,
  type LimitTerms,
  limitTerms,
  orders,
  syncSettings,
  trySettings,
} from "./options.ts";
import type {
  AcquireOptions,
  AcquireSyncOptions,
  LimitOptions,
  LimitOrder,
  LockInfo,
  LockMode,
  Refusal,
  TryAcquireOptions,
} from "./types.ts";

/** Contenders that the program has forgotten although they hold a lock. They keep it. */
const forgotten: Set<LimitCore> = new Set();

const registry: FinalizationRegistry<LimitCore> = new FinalizationRegistry((core) => {
  if (!core.isOpen) return;
  if (!core.checkHeld()) return core.close();
  forgotten.add(core);
  remark(
    `the program has forgotten a Limit object that holds a lock of ${
      JSON.stringify(core.target)
    }, so it cannot ` +
      "release the lock any more; the lock is kept until the process ends: release it, or keep the object",
  );
});

export class Contender implements LockOwner, Owner, Contending {
  readonly target: string;
  readonly terms: LimitTerms;
  readonly core: LimitCore;
  /** Of the waiters, if they have one of their own. */
  readonly #standby: Contender | null;
  readonly #listeners: Listeners<LimitChange> = new Listeners("onChange");
  #lock: Lock | null = null;
  #attempt: Attempt | null = null;
  refusal: Refusal | null = null;
  /** How many runs are going on. */
  #runs = 0;
  /** The lock was also acquired by other means than runs. */
  #outlivesRuns = false;

  constructor(target: string, options: LimitOptions) {
    this.target = target;
    this.terms = limitTerms(options);
    this.core = new LimitCore(target, this.terms, this);
    registry.register(this, this.core, this);
    const { standbyLimit } = this.terms;
    try {
      this.#standby = standbyLimit && new Contender(standbyLimit.target, { max: standbyLimit.max });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  // deno-lint-ignore require-await -- others take a while
  async #whenReady(): Promise<void> {
    this.core.checkOpen();
  }

  get ready(): Promise<void> {
    return this.#whenReady();
  }

  get max(): number {
    this.#follow();
    return termsOf(this.core.channel).max;
  }

  get order(): LimitOrder {
    this.#follow();
    return orders[termsOf(this.core.channel).order - 1] ?? "oldest";
  }

  get lock(): Lock | null {
    return this.#lock !== null && this.core.checkHeld() ? this.#lock : null;
  }

  acquire(options?: AcquireOptions): Promise<Lock | null> {
    const promise = this.#acquire(options);
    this.#outlivesRuns = true;
    return promise;
  }

  #acquire(options: AcquireOptions | undefined): Promise<Lock | null> {
    const settings = acquireSettings(options);
    if (this.#attempt) return this.#attempt.wait();
    const lock = this.#begin(settings);
    return lock === undefined ? this.#attempt!.wait(settings.signal) : Promise.resolve(lock);
  }

  acquireSync(options?: AcquireSyncOptions): Lock | null {
    const lock = this.#acquireSync(options);
    this.#outlivesRuns = true;
    return lock;
  }

  #acquireSync(options: AcquireSyncOptions | undefined): Lock | null {
    const settings = syncSettings(options);
    if (this.#attempt) {
      this.refusal = null;
      return this.#attempt.waitSync(deadlineAfter(settings.timeout));
    }
    const lock = this.#begin(settings);
    return lock === undefined ? this.#attempt!.waitSync(Infinity) : lock;
  }

  tryAcquire(options?: TryAcquireOptions): Lock | null {
    const settings = trySettings(options);
    const { core } = this;
    core.checkOpen();
    if (this.#attempt) {
      this.refusal = null;
      this.#outlivesRuns = true;
      return this.#attempt.look();
    }
    if (this.#lock !== null && core.checkHeld()) return this.#again(settings);
    this.#outlivesRuns = true;
    core.refresh();
    const result = core.request(settings.flags | limitTry, limitNoStandby);
    if (result > 0 && core.isNamed) return this.granted(result, settings.mode ?? "exclusive");
    if (result === limitNotNow && core.isTrusted) return this.refused("timeout");
    const once = { ...settings, timeout: 0 };
    return this.#finish(once, result) ?? null;
  }

  /** @returns undefined: it waits */
  #begin(settings: AcquireSettings): Lock | null | undefined {
    const { core, terms } = this;
    core.checkOpen();
    if (this.#lock !== null && core.checkHeld()) return this.#again(settings);
    this.#outlivesRuns = false;
    if (terms.standbyLimit || terms.retry || settings.timeout === 0) return this.#finish(settings);
    core.refresh();
    const result = core.request(settings.flags, terms.standby);
    if (result > 0 && core.isNamed) return this.granted(result, settings.mode ?? "exclusive");
    return this.#finish(settings, result);
  }

  /** @param first what the first request has returned, if there was one */
  #finish(settings: AcquireSettings, first?: number): Lock | null | undefined {
    this.refusal = null;
    const attempt = this.#attempt = new Attempt(this, settings);
    return attempt.begin(first);
  }

  /** The lock that is held already. */
  #again({ mode }: AcquireSettings): Lock {
    const lock = this.#lock!;
    this.refusal = null;
    if (mode !== "exclusive" || lock.mode === mode) return lock;
    throw new TandemError(
      "MISMATCH",
      `Cannot acquire an exclusive lock of ${
        JSON.stringify(this.target)
      }: this Limit object holds a shared one; ` +
        "release that first, or use another Limit object",
    );
  }

  async run<T>(
    body: (lock: Lock) => T | PromiseLike<T>,
    options?: AcquireOptions,
  ): Promise<T | null> {
    checkBody(body, "run");
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
      this.#endRun();
    }
  }

  runSync<T>(body: (lock: Lock) => T, options?: AcquireSyncOptions): T | null {
    checkBody(body, "runSync");
    this.#runs += 1;
    try {
      const lock = this.#acquireSync(options);
      const result = lock && body(lock);
      if (!isThenable(result)) return result;
      // The lock is released now, and the promise needs it.
      Promise.resolve(result).then(undefined, () => {});
      throw new TypeError(
        "Cannot run a function that returns a promise with runSync(): use run(), which keeps the lock until then",
      );
    } finally {
      this.#endRun();
    }
  }

  #endRun(): void {
    this.#runs -= 1;
    if (this.#runs === 0 && !this.#outlivesRuns && this.#lock) this.release(this.#lock);
  }

  holders(): LockInfo[] {
    return this.#contenders().filter(({ id }) => id > 0);
  }

  waiters(): LockInfo[] {
    return this.#contenders().filter(({ id }) => id === 0);
  }

  #contenders(): LockInfo[] {
    this.#follow();
    return contendersOf(this.core.channel);
  }

  /** @throws {TandemError} `CLOSED`, and what opening throws */
  #follow(): void {
    this.core.checkOpen();
    this.core.follow();
  }

  onChange(listener: (change: LimitChange) => unknown): Disposable {
    const listening = this.#listeners.add(listener);
    if (this.lock) this.core.watch(null);
    return listening;
  }

  resize(max: number): void {
    checkMax(max, "max");
    this.#follow();
    const { native, address } = this.core.channel;
    const status = native.tandem_limit_resize(address, max);
    if (status < 0) throw this.core.failure(status, "resize");
  }

  close(): void {
    if (!this.core.isOpen) return;
    registry.unregister(this);
    const lock = this.#lock;
    this.#lock = null;
    const isReleased = lock !== null && this.core.release();
    this.#attempt?.cancel(endedByClosing(closedError("limit")));
    this.core.close();
    this.#standby?.close();
    if (isReleased) this.#tell("released", lock);
  }

  isHeld(lock: Lock): boolean {
    return this.#lock === lock && this.core.checkHeld();
  }

  heartbeat(lock: Lock): boolean {
    return this.#lock === lock && this.core.beat();
  }

  release(lock: Lock): boolean {
    if (this.#lock !== lock) return false;
    // A lock that was stolen is lost, and not released.
    if (this.core.isWatched && !this.core.checkHeld()) return false;
    this.#lock = null;
    const isReleased = this.core.release();
    if (isReleased) this.#tell("released", lock);
    return isReleased;
  }

  exec(lock: Lock, program: Program): never {
    if (!this.isHeld(lock)) {
      throw new TandemError(
        "CANCELLED",
        `Cannot pass the lock of ${
          JSON.stringify(this.target)
        } on: it is not held any more; acquire it again`,
      );
    }
    try {
      replaceProgram(this.core.channel, program);
    } finally {
      this.core.restore();
    }
  }

  watch(lock: Lock, controller: AbortController): void {
    if (this.isHeld(lock)) this.core.watch(controller);
  }

  lost(reason: TandemError): void {
    const lock = this.#lock;
    this.#lock = null;
    if (!lock) return;
    loseLock(lock, reason);
    this.#tell("lost", lock);
  }

  enterStandby(): (() => void) | null {
    const lock = this.#standby?.tryAcquire();
    return lock ? () => void lock.release() : null;
  }

  waits(): void {
    this.#tell("standby", null);
  }

  granted(id: number, mode: LockMode): Lock {
    this.refusal = null;
    const lock = this.#lock = makeLock(this, id, mode, this.core.words);
    if (!this.#listeners.isEmpty) {
      this.core.watch(null);
      this.#tell("acquired", lock);
    }
    return lock;
  }

  refused(refusal: Refusal): null {
    this.refusal = refusal;
    return null;
  }

  ended(attempt: Attempt): void {
    if (this.#attempt === attempt) this.#attempt = null;
  }

  #tell(kind: LimitChange["kind"], lock: Lock | null): void {
    if (!this.#listeners.isEmpty) this.#listeners.tell({ kind, lock });
  }
}

function checkBody(body: unknown, name: string): void {
  if (typeof body === "function") return;
  throw new TypeError(`Cannot use ${describe(body)} in ${name}: give a function`);
}
