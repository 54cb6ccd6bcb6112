/**
 * One attempt to get a lock of a limit across machines, from the request to the lock or the refusal.
 *
 * @module
 */
import { onAbort, reasonOf } from "../../base/abort.ts";
import { deadlineAfter } from "../../base/checks.ts";
import { rejectAs } from "../../base/closing.ts";
import { codeOf, report } from "../../base/guard.ts";
import { TandemError } from "../../errors.ts";
import { limitNoStandby, limitShared, limitSteal } from "../../ffi/layout.ts";
import { beginStandby } from "../../ffi/title.ts";
import type { Lock } from "../../limit/lock.ts";
import type { AcquireSettings, LimitTerms } from "../../limit/options.ts";
import { Retries } from "../../limit/retries.ts";
import type { LockMode, Refusal } from "../../limit/types.ts";
import { backend } from "../../runtime/current.ts";
import { keepAlive, later, now, timerMax, wallClock } from "../../runtime/timers.ts";
import { pauseUpTo } from "../pauses.ts";
import type { Board } from "./board.ts";
import { Lease } from "./lease.ts";
import { enter, type Entry, entryOf, leave, waitersOf, type Wish } from "./state.ts";

/** The longest pauses before it asks again, in milliseconds: the link may be up, and the server not able to answer. */
const pauseMin = 20;
const pauseMax = 500;

/** The contender of an attempt. */
export interface Contending {
  readonly board: Board;
  readonly terms: LimitTerms;
  readonly leaseMilliseconds: number;
  readonly settings: { readonly max: number | null; readonly order: Wish["order"] };
  /** Attempts of this contender that are over, and of which the limit may not know yet. */
  readonly leaving: ReadonlySet<string>;
  /** A change of the limit that this contender has asked for before. */
  readonly earlier: Promise<void>;
  /** Takes a place of the limit for waiters, if there is one. Null: it is full. */
  enterStandby(): Promise<(() => void) | null>;
  /** The attempt waits from now on. Runs code of the user. */
  waits(): void;
  /** Runs code of the user. */
  granted(entry: Entry, lease: Lease): Lock;
  refused(refusal: Refusal): null;
  /** An attempt is over. */
  ended(attempt: NatsAttempt): void;
  /** The lease of a lock is lost. */
  leaseLost(lease: Lease): void;
  /** What the limit knows of an attempt does not count any more. */
  abandon(lease: Lease): void;
}

type Phase = "entering" | "waiting" | "leaving";

export class NatsAttempt {
  readonly #contending: Contending;
  readonly #settings: AcquireSettings;
  readonly mode: LockMode;
  readonly #deadline: number;
  readonly #retries: Retries | null;
  readonly promise: Promise<Lock | null>;
  readonly #resolve: (lock: Lock | null) => void;
  readonly #reject: (error: unknown) => void;
  readonly #letEnd: () => void = keepAlive();
  #phase: Phase = "entering";
  #isOver = false;
  #hasWaited = false;
  #lease: Lease | null = null;
  #cancelTimer: (() => void) | null = null;
  #stopListening: (() => void) | null = null;
  #leaveStandby: (() => void) | null = null;
  #restoreTitle: (() => void) | null = null;
  #isSweeping = false;

  constructor(contending: Contending, settings: AcquireSettings) {
    const { terms } = contending;
    this.#contending = contending;
    this.#settings = settings;
    this.mode = settings.flags & limitShared ? "shared" : "exclusive";
    this.#deadline = deadlineAfter(settings.timeout);
    this.#retries = terms.retry ? new Retries(terms.retry) : null;
    const { promise, resolve, reject } = Promise.withResolvers<Lock | null>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Never throws. */
  begin(): void {
    const { signal } = this.#settings;
    try {
      // It runs code of the user.
      if (signal) this.#stopListening = onAbort(signal, () => this.cancel(reasonOf(signal)));
    } catch (error) {
      return this.cancel(error);
    }
    this.#setTimer();
    void this.#enterAll();
  }

  /** It tries once, or its time is over. */
  get #isImpatient(): boolean {
    return now() >= this.#deadline;
  }

  /** Asks for a place until the server has answered. Never rejects. */
  async #enterAll(): Promise<void> {
    const { board, earlier } = this.#contending;
    this.#phase = "entering";
    try {
      for (let pause = pauseMin;; pause = Math.min(pauseMax, 2 * pause)) {
        try {
          await board.ready(() => !this.#isImpatient || this.#isOver);
          await earlier;
          if (this.#isOver) return;
          const outcome = await this.#ask();
          if (this.#isOver) return;
          if (outcome !== null) return this.#refuse(outcome);
          break;
        } catch (error) {
          this.#forgetLease();
          if (this.#isOver) return;
          if (codeOf(error) !== "DISCONNECTED" || this.#isImpatient) throw error;
        }
        await pauseUpTo(pause);
        if (this.#isOver) return;
      }
      this.#phase = "waiting";
      this.changed();
      if (!this.#isOver) this.#beginWait();
    } catch (error) {
      this.cancel(error);
    }
  }

  /** @returns null: it holds a place, or waits */
  async #ask(): Promise<Refusal | null> {
    const { terms } = this.#contending;
    const isOnce = this.#settings.timeout === 0;
    const hasTried = this.#hasWaited;
    if (!hasTried && (isOnce || this.#retries?.isOver || terms.standbyLimit)) {
      const outcome = await this.#askOnce(true);
      if (outcome === null) return null;
      if (isOnce) return "timeout";
      if (this.#retries?.isOver) return "retries";
      if (this.#isOver) return outcome;
      const leaveStandby = await this.#contending.enterStandby();
      if (!leaveStandby) return "standby-full";
      if (this.#isOver) leaveStandby();
      else this.#leaveStandby = leaveStandby;
    }
    return this.#isOver ? "timeout" : await this.#askOnce(false);
  }

  async #askOnce(isOnce: boolean): Promise<Refusal | null> {
    const { board, settings, terms, leaving, leaseMilliseconds } = this.#contending;
    this.#forgetLease();
    const dead = await board.theDead(board.suspects());
    const lease = this.#lease = new Lease(board, leaseMilliseconds, () => this.#leaseLost(lease));
    if (!await lease.renew()) throw lateLease(board);
    const wish: Wish = {
      id: lease.id,
      mode: this.mode,
      isUrgent: (this.#settings.flags & limitSteal) !== 0,
      isOnce,
      standby: terms.standby === limitNoStandby ? null : terms.standby,
      ...settings,
      pid: backend().pid,
      runtime: backend().name,
    };
    const refusal = await board.change((found) => {
      const time = wallClock();
      const gone = new Set([...dead, ...leaving]);
      const left = leave(found, gone, time);
      const { state, refusal } = enter(left ?? found, wish, board.name, time);
      return { state: state ?? left, result: refusal };
    });
    if (refusal !== null || this.#isOver) this.#forgetLease();
    return refusal;
  }

  #forgetLease(): void {
    const lease = this.#lease;
    this.#lease = null;
    if (lease) this.#contending.abandon(lease);
  }

  /** Runs code of the user, which may close the limit. */
  #beginWait(): void {
    if (this.#hasWaited) return;
    this.#hasWaited = true;
    if (this.#contending.terms.hasTitle) this.#restoreTitle = beginStandby();
    this.#contending.waits();
    if (!this.#isOver) this.#timeGone();
  }

  /** The limit has changed. Never throws. */
  changed(): void {
    try {
      this.#look();
    } catch (error) {
      this.cancel(error);
    }
  }

  #look(): void {
    const { board } = this.#contending;
    const lease = this.#lease;
    if (this.#isOver || this.#phase !== "waiting" || !board.isReady || !lease) return;
    const { state } = board;
    const entry = entryOf(state, lease.id);
    if (!lease.isAlive) return this.#enterAnew();
    if (entry?.place) return this.#grant(entry, lease);
    if (entry) return this.#sweep(entry);
    // Others came later, and wait in its place.
    if (state?.order === "newest" && waitersOf(state).length > 0) return this.#refuse("replaced");
    this.#enterAnew();
  }

  #enterAnew(): void {
    void this.#enterAll();
  }

  #leaseLost(lease: Lease): void {
    // It has become the lease of a lock.
    if (this.#isOver) return this.#contending.leaseLost(lease);
    if (this.#lease === lease && this.#phase === "waiting") this.#enterAnew();
  }

  #grant(entry: Entry, lease: Lease): void {
    this.#lease = null;
    this.#end();
    try {
      this.#resolve(this.#contending.granted(entry, lease));
    } catch (error) {
      this.#reject(error);
    }
  }

  #refuse(refusal: Refusal): void {
    if (this.#isOver) return;
    this.#end();
    this.#resolve(this.#contending.refused(refusal));
  }

  /** The first waiter that lives removes the dead, or all would do so at once. */
  #sweep(own: Entry): void {
    const { board } = this.#contending;
    if (this.#isSweeping) return;
    const suspects = board.suspects();
    if (suspects.length === 0) return;
    const first = waitersOf(board.state!).find(({ id }) => !suspects.includes(id));
    if (first?.id !== own.id) return;
    this.#isSweeping = true;
    board.sweep(suspects, wallClock()).catch((error) => {
      // Without a link, the next snapshot leads here again.
      if (codeOf(error) === undefined) {
        report(NatsAttempt, "removing contenders that have died", error);
      }
    }).finally(() => {
      this.#isSweeping = false;
    });
  }

  #setTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const next = this.#hasWaited ? this.#retries?.next ?? Infinity : Infinity;
    const end = Math.min(this.#deadline, next);
    if (end === Infinity || this.#isOver) return;
    const delay = Math.min(Math.max(0, end - now()), timerMax);
    this.#cancelTimer = later(delay, () => {
      try {
        this.#timeGone();
      } catch (error) {
        this.cancel(error);
      }
    });
  }

  /** Some time is over. Runs code of the user. */
  #timeGone(): void {
    const time = now();
    if (time >= this.#deadline) return this.#expire();
    const goesOn = !this.#hasWaited || this.#retries === null || this.#retries.goesOn(time);
    if (this.#isOver) return;
    if (goesOn) this.#setTimer();
    else if (this.#phase === "waiting") void this.#withdraw("retries");
    else this.#refuse("retries");
  }

  #expire(): void {
    const { board } = this.#contending;
    if (this.#phase === "waiting") return void this.#withdraw("timeout");
    if (this.#phase === "leaving") return;
    if (this.#hasWaited) return this.#refuse("timeout");
    // It takes the answer that is on the way. Without a link there is none.
    if (!board.isReady && this.#settings.timeout > 0) this.cancel(board.failure ?? notYet(board));
    else board.hurry();
  }

  /** Gives up, unless it was granted a place meanwhile. Never rejects. */
  async #withdraw(refusal: Refusal): Promise<void> {
    const { board } = this.#contending;
    const lease = this.#lease!;
    this.#phase = "leaving";
    let entry: Entry | null = null;
    try {
      if (board.isReady) {
        entry = await board.change((state) => {
          const entry = entryOf(state, lease.id);
          if (entry?.place) return { state: null, result: entry };
          return { state: leave(state, new Set([lease.id]), wallClock()), result: null };
        });
      }
    } catch {
      // Its lease ends, and so it leaves anyway.
    }
    if (this.#isOver) return;
    if (entry && lease.isAlive) return this.#grant(entry, lease);
    this.#refuse(refusal);
  }

  /** Ends the attempt. What was granted meanwhile is given back. */
  cancel(error: unknown): void {
    if (this.#isOver) return;
    this.#end();
    rejectAs(this.promise, this.#reject, error);
  }

  #end(): void {
    this.#isOver = true;
    this.#letEnd();
    this.#cancelTimer?.();
    this.#stopListening?.();
    this.#restoreTitle?.();
    this.#leaveStandby?.();
    this.#forgetLease();
    this.#contending.board.hurry();
    this.#contending.ended(this);
  }
}

function notYet(board: Board): TandemError {
  return new TandemError(
    "DISCONNECTED",
    `Cannot acquire a lock of ${board.name}: NATS has not answered in time`,
  );
}

function lateLease(board: Board): TandemError {
  return new TandemError(
    "DISCONNECTED",
    `Cannot acquire a lock of ${board.name}: its lease could not be stored in time`,
  );
}
