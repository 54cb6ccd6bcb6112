/**
 * One contender on a limit's file, as the native side and the event loop know it. It refers to no object of the
 * user except weakly, so that a forgotten `Limit` can be collected.
 *
 * @module
 */
import { report } from "../base/guard.ts";
import {
  type Channel,
  closeChannel,
  closedError,
  openChannel,
  OpenMode,
} from "../channel/channel.ts";
import { opened, type Replaceable } from "../channel/reload.ts";
import { TandemError } from "../errors.ts";
import { Control, limitIdle, limitLost, Status } from "../ffi/layout.ts";
import { later, now } from "../runtime/timers.ts";
import { limitFailure } from "./failure.ts";
import { LimitWaits } from "./limit_waits.ts";
import { thiefOf } from "./listing.ts";
import type { LimitTerms } from "./options.ts";

/** How long it is taken for granted that the file still has its name, in milliseconds. */
const trustTime = 200;
/** How often a holder that listens looks whether the file still has its name, in milliseconds. */
const beatInterval = 500;
/** How often a look may find news while a contender tries to fall asleep, before it waits for another turn. */
const looksMax = 100;

/** A wait for a lock whose result is pending. */
export interface PendingAttempt {
  wake(): void;
}

/** The contender. */
export interface Owner {
  /** Its lock is lost. */
  lost(reason: TandemError): void;
  close(): void;
}

export class LimitCore implements Replaceable {
  readonly target: string;
  readonly #terms: LimitTerms;
  readonly #owner: WeakRef<Owner>;
  #channel: Channel;
  #waits: LimitWaits | null = null;
  #checkedAt: number;
  /** The file has lost its name, so the next attempt opens another one. */
  #isGone = false;
  #cancelBeat: (() => void) | null = null;
  readonly #unregister: (() => void) | null;
  /** Keeps the contender alive, too. */
  attempt: PendingAttempt | null = null;
  /** Of the lock that is held. */
  #controller: AbortController | null = null;

  constructor(target: string, terms: LimitTerms, owner: Owner) {
    this.target = target;
    this.#terms = terms;
    this.#owner = new WeakRef(owner);
    this.#channel = open(target, terms);
    this.#checkedAt = now();
    const { path } = this.#channel;
    this.#unregister = path === null ? null : opened(path, this);
  }

  /** @throws {TandemError} `CLOSED` */
  checkOpen(): void {
    if (!this.#channel.isOpen) throw closedError("limit");
  }

  get isOpen(): boolean {
    return this.#channel.isOpen;
  }

  get channel(): Channel {
    return this.#channel;
  }

  /** The control block, which has the numbers of a grant. */
  get words(): Uint32Array {
    return this.#channel.words;
  }

  /**
   * Asks for a place.
   *
   * @returns the id of the place; 0: it waits; below 0: a refusal, or the negative of a status
   */
  request(flags: number, standby: number): number {
    const { native, address, words } = this.#channel;
    return native.tandem_limit_request(address, flags, standby, words);
  }

  /** As {@linkcode request}, of the attempt that is going on. */
  look(): number {
    const { native, address, words } = this.#channel;
    return native.tandem_limit_look(address, words);
  }

  /** Blocks the thread until there is a result, or until the time is over: `-Status.timeout`. */
  wait(timeout: number): number {
    const { native, address, words } = this.#channel;
    return native.tandem_limit_wait(address, timeout, words);
  }

  /** Ends the attempt that is going on. Above 0: the place was granted meanwhile. */
  withdraw(): number {
    const { native, address, words, isOpen } = this.#channel;
    return !isOpen ? limitIdle : native.tandem_limit_withdraw(address, words);
  }

  /** @returns whether a place was held until now */
  release(): boolean {
    this.#endWatch();
    const { native, address } = this.#channel;
    return this.#channel.isOpen && native.tandem_limit_release(address) === 1;
  }

  /** Whether a place is held, as far as its word in shared memory tells. A loss is reported to the owner. */
  checkHeld(): boolean {
    if (!this.#channel.isOpen) return false;
    if (this.#channel.native.tandem_limit_state(this.#channel.address) > 0) return true;
    this.#lose(this.#stolen());
    return false;
  }

  /** As {@linkcode checkHeld}, and looks at the file as well. */
  beat(): boolean {
    if (!this.checkHeld()) return false;
    if (this.isFileThere()) return true;
    this.#lose(
      this.#loss(
        "NOT_FOUND",
        "the limit's file was deleted or moved, so others may hold locks of a new one; " +
          "stop what the lock is for, and acquire it again",
      ),
    );
    return false;
  }

  /** Whether the file has had its name some milliseconds ago, when the clock costs less than a look. */
  get isTrusted(): boolean {
    return now() - this.#checkedAt < trustTime;
  }

  /** As {@linkcode isTrusted}, of the place that was just granted, and costs nothing. */
  get isNamed(): boolean {
    return this.#channel.words[Control.isNamed] === 1;
  }

  /** Whether the limit's file still has its name. */
  isFileThere(): boolean {
    const { native, address } = this.#channel;
    this.#checkedAt = now();
    const isLost = native.tandem_limit_heartbeat(address) === limitLost;
    // A place that was stolen is lost as well.
    this.#isGone = isLost && native.tandem_limit_state(address) !== limitLost;
    return !this.#isGone;
  }

  /** Opens the file again if it was found to have lost its name. */
  refresh(): void {
    if (this.#isGone) this.reopen();
  }

  /** As {@linkcode refresh}, and looks at the file, unless something is held or awaited in this one. */
  follow(): void {
    const { native, address } = this.#channel;
    if (this.attempt || native.tandem_limit_state(address) !== limitIdle) return;
    if (!this.isTrusted) this.isFileThere();
    this.refresh();
  }

  /** Leaves a file that has lost its name, and opens the one that has it now. */
  reopen(): void {
    const channel = open(this.target, this.#terms);
    this.#leave();
    this.#channel = channel;
    this.#isGone = false;
    this.#checkedAt = now();
  }

  /** What a negative result means. */
  failure(result: number, tried: string): Error {
    return limitFailure(result, `${tried} ${JSON.stringify(this.target)}`, this.#channel);
  }

  /** Sleeps until the attempt may have a result. */
  sleep(attempt: PendingAttempt, deadline: number, look: () => boolean): void {
    this.attempt = attempt;
    const terms = { keepsAlive: true, deadline };
    for (let looks = 0; looks < looksMax; looks++) {
      if (this.#sleeper.sleep(terms) || look()) return;
    }
    this.#sleeper.lookLater();
  }

  /** The attempt has its result. */
  rest(): void {
    this.attempt = null;
    this.#waits?.rest();
  }

  /** A blocking call has looked for a result meanwhile. */
  restore(): void {
    this.#waits?.restore();
  }

  /** Whether the owner hears of the loss of its lock without asking. */
  get isWatched(): boolean {
    return this.#cancelBeat !== null;
  }

  /** From now on the owner hears of the loss of its lock without asking, and `controller` aborts. */
  watch(controller: AbortController | null): void {
    this.#controller ??= controller;
    if (this.#cancelBeat) return;
    const beatLater = (): void => {
      this.#cancelBeat = later(beatInterval, () => {
        beatLater();
        this.beat();
      });
    };
    beatLater();
    this.#listen();
  }

  /** Newer code of this program has opened the limit, and must not wait for code that is gone. */
  replace(): void {
    if (this.isOpen && this.checkHeld()) {
      this.#lose(this.#loss("CANCELLED", "newer code has replaced this program"));
    }
    const owner = this.#owner.deref();
    if (owner) owner.close();
    else this.close();
  }

  /** Leaves the limit. */
  close(): void {
    this.#unregister?.();
    this.#endWatch();
    this.attempt = null;
    this.#leave();
  }

  get #sleeper(): LimitWaits {
    return this.#waits ??= new LimitWaits(this.#channel, () => {
      if (this.attempt) this.attempt.wake();
      else this.#listen();
    });
  }

  /** A holder's sleep, which a thief ends. */
  #listen(): void {
    const terms = { keepsAlive: false, deadline: Infinity };
    for (let looks = 0; looks < looksMax; looks++) {
      if (!this.#cancelBeat || !this.checkHeld() || this.#sleeper.sleep(terms)) return;
    }
    // The next beat looks again.
  }

  #endWatch(): void {
    this.#controller = null;
    if (!this.#cancelBeat) return;
    this.#cancelBeat();
    this.#cancelBeat = null;
    this.#waits?.rest();
  }

  #lose(reason: TandemError): void {
    const controller = this.#controller;
    this.release();
    this.#owner.deref()?.lost(reason);
    try {
      controller?.abort(reason);
    } catch (error) {
      report(LimitCore, "a listener of a lock's signal", error);
    }
  }

  #stolen(): TandemError {
    const thief = thiefOf(this.#channel);
    return this.#loss("CANCELLED", `${thief} has stolen it; stop what the lock is for`);
  }

  #loss(code: "CANCELLED" | "NOT_FOUND", found: string): TandemError {
    return new TandemError(
      code,
      `Cannot keep the lock of ${JSON.stringify(this.target)}: ${found}`,
    );
  }

  #leave(): void {
    this.#waits?.close();
    this.#waits = null;
    closeChannel(this.#channel);
  }
}

function open(target: string, { max, order, mode }: LimitTerms): Channel {
  const channel = openChannel("client", target, OpenMode.limit, mode === undefined ? {} : { mode });
  const { native, address, words } = channel;
  const status = native.tandem_limit_terms(address, max, order, words);
  if (status >= 0) return channel;
  const failure = limitFailure(status, `open limit ${JSON.stringify(target)}`, channel);
  closeChannel(channel);
  throw failure;
}

/** For {@linkcode LimitCore.wait}. */
export const timedOut: number = -Status.timeout;
