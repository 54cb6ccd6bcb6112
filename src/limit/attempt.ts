/**
 * One attempt to get a lock, from the request to the lock or the refusal.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { deadlineAfter } from "../base/checks.ts";
import { rejectAs } from "../base/closing.ts";
import {
  limitIdle,
  limitLost,
  limitNoStandby,
  limitNotNow,
  limitRefusedFull,
  limitRefusedReplaced,
  limitTry,
  Status,
} from "../ffi/layout.ts";
import { beginStandby } from "../ffi/title.ts";
import { now } from "../runtime/timers.ts";
import { type LimitCore, type PendingAttempt, timedOut } from "./limit_core.ts";
import type { Lock } from "./lock.ts";
import type { AcquireSettings } from "./options.ts";
import { Retries } from "./retries.ts";
import type { LockMode, Refusal } from "./types.ts";

/** The contender of an attempt. */
export interface Contending {
  readonly core: LimitCore;
  readonly terms: ContendingTerms;
  /** Takes a place of the limit for waiters, if there is one. Null: it is full. */
  enterStandby(): (() => void) | null;
  /** The attempt waits from now on. Runs code of the user. */
  waits(): void;
  /** The native side has granted a place, whose numbers are in the control block. Runs code of the user. */
  granted(id: number, mode: LockMode): Lock;
  refused(refusal: Refusal): null;
  /** An attempt is over that others may have waited for. */
  ended(attempt: Attempt): void;
}

interface ContendingTerms {
  readonly standby: number;
  readonly standbyLimit: object | null;
  readonly hasTitle: boolean;
  readonly retry: ConstructorParameters<typeof Retries>[0] | null;
}

/** A place; 0: the attempt waits; otherwise why it is over. */
type Outcome = number | Refusal;

/** How often an attempt may begin anew because its file was deleted or its place stolen at once. */
const turnsMax = 1_000;

/** By the results of the native side. */
const refusals: ReadonlyMap<number, Refusal> = new Map([
  [limitRefusedFull, "standby-full"],
  [limitRefusedReplaced, "replaced"],
  [limitNotNow, "timeout"],
]);

const tried = "acquire a lock of";

export class Attempt implements PendingAttempt {
  readonly #contending: Contending;
  readonly #core: LimitCore;
  readonly #flags: number;
  readonly #standby: number;
  readonly #deadline: number;
  readonly #retries: Retries | null;
  readonly mode: LockMode;
  #isOver = false;
  #waits = false;
  #leaveStandby: (() => void) | null = null;
  #restoreTitle: (() => void) | null = null;
  #stopListening: (() => void) | null = null;
  #resolve: ((lock: Lock | null) => void) | null = null;
  #reject: ((error: unknown) => void) | null = null;
  /** Null: only blocking calls wait. */
  #promise: Promise<Lock | null> | null = null;

  constructor(contending: Contending, settings: AcquireSettings) {
    const { core, terms } = contending;
    this.#contending = contending;
    this.#core = core;
    this.#flags = settings.flags;
    this.mode = settings.mode ?? "exclusive";
    this.#standby = terms.standby;
    this.#deadline = deadlineAfter(settings.timeout);
    this.#retries = terms.retry ? new Retries(terms.retry) : null;
  }

  /**
   * Asks for a place.
   *
   * @param first what the first request has returned, if there was one
   * @returns the lock; null: refused; undefined: the attempt waits
   */
  begin(first?: number): Lock | null | undefined {
    try {
      const outcome = this.#begin(first);
      return outcome === 0 ? undefined : this.#settle(outcome);
    } catch (error) {
      this.cancel(error);
      throw error;
    }
  }

  #begin(first: number | undefined): Outcome {
    const { terms } = this.#contending;
    const isOnce = this.#deadline <= now();
    if (isOnce || this.#retries?.isOver || terms.standbyLimit) {
      const outcome = this.#judge(this.#request(limitTry), limitTry);
      if (typeof outcome === "number") return outcome;
      if (isOnce) return "timeout";
      if (this.#retries?.isOver) return "retries";
      this.#leaveStandby = this.#contending.enterStandby();
      if (!this.#leaveStandby) return "standby-full";
    }
    return this.#judge(first ?? this.#request(0), 0);
  }

  /** The contender has begun to wait. Runs code of the user, which may close the limit, or wait as well. */
  #beginWait(): Outcome {
    if (this.#waits) return 0;
    this.#waits = true;
    if (this.#contending.terms.hasTitle) this.#restoreTitle = beginStandby();
    this.#contending.waits();
    return this.#ask(now()) ? 0 : this.#withdraw("retries");
  }

  /** Blocks the thread until the attempt is over, or until a deadline of the caller's. */
  waitSync(deadline: number): Lock | null {
    try {
      return this.#waitSync(deadline);
    } catch (error) {
      this.cancel(error);
      throw error;
    }
  }

  #waitSync(deadline: number): Lock | null {
    const outcome = this.#beginWait();
    if (outcome !== 0) return this.#settle(outcome);
    for (;;) {
      this.#core.checkOpen();
      const time = now();
      const end = Math.min(deadline, this.#next);
      const result = this.#core.wait(end === Infinity ? NaN : Math.max(0, end - time));
      const outcome = result === timedOut ? this.#expire(now()) : this.#judge(result, 0);
      if (outcome !== 0) return this.#settle(outcome);
      if (!this.#isOver && now() >= deadline) {
        this.#core.restore();
        return this.#contending.refused("timeout");
      }
    }
  }

  /** Waits with the event loop, unless it does so already. */
  wait(signal?: AbortSignal): Promise<Lock | null> {
    if (this.#promise) return this.#promise;
    const { promise, resolve, reject } = Promise.withResolvers<Lock | null>();
    this.#promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    try {
      // First: it runs code of the user, and may throw.
      if (signal) this.#stopListening = onAbort(signal, () => this.#abort(signal));
      const outcome = this.#beginWait();
      if (outcome !== 0) this.#settle(outcome);
      if (!this.#isOver) this.#sleep();
    } catch (error) {
      this.cancel(error);
    }
    return promise;
  }

  /** There may be a result. */
  wake(): void {
    if (this.#isOver) return;
    try {
      if (!this.#lookOnce()) this.#sleep();
    } catch (error) {
      this.cancel(error);
    }
  }

  /** The lock, if it was granted meanwhile. Does not wait. */
  look(): Lock | null {
    try {
      const outcome = this.#judge(this.#core.look(), 0);
      return outcome === 0 ? this.#contending.refused("timeout") : this.#settle(outcome);
    } catch (error) {
      this.cancel(error);
      throw error;
    }
  }

  /** Ends the attempt. What was granted meanwhile is given back. */
  cancel(error: unknown): void {
    if (this.#isOver) return;
    this.#core.withdraw();
    this.#core.release();
    this.#end();
    if (this.#reject) rejectAs(this.#promise, this.#reject, error);
  }

  #sleep(): void {
    this.#core.sleep(this, this.#next, () => this.#lookOnce());
  }

  /** @returns whether the attempt is over */
  #lookOnce(): boolean {
    let outcome = this.#judge(this.#core.look(), 0);
    if (outcome === 0) outcome = this.#expire(now());
    if (outcome !== 0 && !this.#isOver) this.#settle(outcome);
    return this.#isOver;
  }

  get #next(): number {
    return Math.min(this.#deadline, this.#retries?.next ?? Infinity);
  }

  /** Ends a wait whose time is over. */
  #expire(time: number): Outcome {
    if (time >= this.#deadline) return this.#withdraw("timeout");
    return this.#ask(time) ? 0 : this.#withdraw("retries");
  }

  /** Whether the wait goes on. Runs code of the user, which may close the limit. */
  #ask(time: number): boolean {
    return this.#retries === null || this.#retries.goesOn(time) || this.#isOver;
  }

  #withdraw(refusal: Refusal): Outcome {
    if (this.#isOver) return refusal;
    const result = this.#core.withdraw();
    if (result <= 0) return refusal;
    if (this.#core.isFileThere()) return result;
    this.#core.release();
    return refusal;
  }

  #request(extra: number): number {
    this.#core.refresh();
    return this.#core.request(
      this.#flags | extra,
      extra === limitTry ? limitNoStandby : this.#standby,
    );
  }

  /**
   * What a result of the native side means. A place in a file that has lost its name is given back, and the
   * attempt goes on in the new file.
   */
  #judge(first: number, extra: number): Outcome {
    let result = first;
    for (let turn = 0; turn < turnsMax; turn++) {
      if (result > 0) {
        if (this.#core.isFileThere()) return result;
        this.#core.release();
      } else if (result === -Status.notFound || this.#isRefusalStale(result)) {
        this.#core.reopen();
      } else if (result === limitLost || result === limitIdle) {
        this.#core.release();
      } else {
        return this.#judgeOther(result);
      }
      result = this.#request(extra);
    }
    throw this.#core.failure(-Status.busy, tried);
  }

  /** Whether others that were met in a file without a name refuse a place. */
  #isRefusalStale(result: number): boolean {
    return refusals.has(result) && !this.#core.isTrusted && !this.#core.isFileThere();
  }

  #judgeOther(result: number): Outcome {
    const refusal = refusals.get(result);
    if (refusal) return refusal;
    if (result === 0) return 0;
    throw this.#core.failure(result, tried);
  }

  /** Code of the user may have ended the attempt meanwhile. */
  #settle(outcome: Outcome): Lock | null {
    if (this.#isOver) return null;
    this.#end();
    const lock = typeof outcome === "number"
      ? this.#contending.granted(outcome, this.mode)
      : this.#contending.refused(outcome);
    this.#resolve?.(lock);
    return lock;
  }

  #abort(signal: AbortSignal): void {
    this.cancel(reasonOf(signal));
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopListening?.();
    this.#restoreTitle?.();
    this.#leaveStandby?.();
    this.#core.rest();
    this.#contending.ended(this);
  }
}
