/**
 * The worker's half of a session: one client holds the worker, and only its calls run.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import { callContext } from "../../rpc/context.ts";
import { later, now, timerMax, wallClock } from "../../runtime/timers.ts";
import type { Report } from "../link/control.ts";
import type { SessionWorker } from "../types.ts";
import type { HeldTerms } from "../session/session_terms.ts";

/** What sessions need of the worker. */
export interface SessionWorkerHome {
  readonly worker: SessionWorker;
  /** Takes no calls from the pool's queue until the returned function runs. */
  pause(): () => void;
  /** Resolves when no call is in progress. */
  whenIdle(): Promise<void>;
  /** Resolves when no call of the program is in progress, whatever the package itself does. */
  whenNone(): Promise<void>;
  post(report: Report): void;
  /** Runs the program's `checkoutDone`. */
  checkoutDone(): unknown;
  /** Whether a client of that process is on the pool's channel. */
  isClientThere(pid: number): boolean;
  /** Reports an error of `checkoutDone`. Never throws. */
  failed(error: unknown): void;
  /** The worker is free again. */
  settle(): void;
}

/** The worker, and since when the hold is counted, in milliseconds since the epoch. */
type Step = IteratorResult<SessionWorker & { readonly since: number }, undefined>;

/** How often it looks whether a client still lives that has not asked for its worker yet, in milliseconds. */
const lookEvery = 50;
/** How long such a client may take, in milliseconds. One that is stopped for longer has to check out again. */
const claimTimeout = 10_000;

/** How a session has ended: the worker takes other calls, or it is replaced. */
type Ending = "clean" | "spent";

/** One session. Its holder reads it as a stream: the worker, then nothing, until the session has ended. */
class HeldSession implements AsyncIterator<SessionWorker, undefined> {
  readonly id: string;
  readonly terms: HeldTerms;
  readonly #home: SessionWorkerHome;
  readonly #resume: () => void;
  readonly #over: PromiseWithResolvers<void> = Promise.withResolvers();
  #onEnd: () => void;
  #wasAskedFor = false;
  #hasBegun = false;
  #hasEnded = false;
  #isCheckingIn = false;
  #cancelTimer: (() => void) | null = null;

  constructor(id: string, terms: HeldTerms, home: SessionWorkerHome, onEnd: () => void) {
    this.id = id;
    this.terms = terms;
    this.#home = home;
    this.#onEnd = onEnd;
    this.#resume = home.pause();
    const { peer, timeRemaining } = callContext()!;
    this.#awaitHolder(peer.pid, now() + Math.min(timeRemaining, claimTimeout));
  }

  /** The client may have died, or have been stopped, before it could learn that its call has reached a worker. */
  #awaitHolder(pid: number, deadline: number): void {
    this.#cancelTimer = later(lookEvery, () => {
      if (this.#wasAskedFor || this.#hasEnded) return;
      if (now() < deadline && this.#home.isClientThere(pid)) this.#awaitHolder(pid, deadline);
      else this.#abandon();
    });
  }

  /** Its holder knows the worker. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get over(): Promise<void> {
    return this.#over.promise;
  }

  async next(): Promise<Step> {
    this.#wasAskedFor = true;
    if (!this.#hasBegun && !this.#hasEnded) await this.#home.whenIdle();
    if (this.#hasEnded || this.#hasBegun) {
      await this.over;
      return { done: true, value: undefined };
    }
    this.#hasBegun = true;
    this.#home.post({ kind: "held", session: this.id });
    this.#limitHold(this.terms.maxHold);
    return { done: false, value: { ...this.#home.worker, since: wallClock() } };
  }

  /** The holder has left the stream, closed its connection, or died. */
  return(): Promise<Step> {
    this.#abandon();
    return Promise.resolve({ done: true, value: undefined });
  }

  #limitHold(milliseconds: number): void {
    if (milliseconds === Infinity) return;
    this.#cancelTimer = later(Math.min(milliseconds, timerMax), () => {
      if (milliseconds <= timerMax) this.#abandon();
      else this.#limitHold(milliseconds - timerMax);
    });
  }

  #abandon(): void {
    // The check-in goes on without its caller.
    if (this.#isCheckingIn) return;
    // A holder that never got the worker has not used it.
    this.#end(this.#hasBegun ? "spent" : "clean");
  }

  async checkIn(hadError: boolean): Promise<void> {
    if (this.#hasEnded || this.#isCheckingIn || !this.#hasBegun) throw notHeld(this.id);
    this.#isCheckingIn = true;
    this.#cancelTimer?.();
    await this.#home.whenNone();
    if (hadError && this.terms.afterError === "replace") return this.#end("spent");
    try {
      await this.#home.checkoutDone();
    } catch (error) {
      this.#home.failed(error);
      return this.#end("spent");
    }
    this.#end("clean");
  }

  #end(ending: Ending): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#cancelTimer?.();
    if (this.#hasBegun) this.#home.post({ kind: "held", session: null });
    this.#onEnd();
    this.#over.resolve();
    if (ending === "spent") return this.#home.post({ kind: "spent", reason: "session" });
    // It may be spent for another reason, and then takes no calls.
    this.#home.settle();
    this.#resume();
  }
}

/** The sessions of this worker, one at a time. */
export class SessionHost {
  readonly #home: SessionWorkerHome;
  #current: HeldSession | null = null;

  constructor(home: SessionWorkerHome) {
    this.#home = home;
  }

  /** The id of the session that holds the worker; null: none does. */
  get session(): string | null {
    return this.#current?.hasBegun ? this.#current.id : null;
  }

  /** Resolves when no session holds the worker. */
  async whenFree(): Promise<void> {
    while (this.#current) await this.#current.over;
  }

  /** The method {@linkcode reserved}.checkout. */
  checkout(id: string, terms: HeldTerms): AsyncIterable<SessionWorker> {
    if (this.#current) {
      throw new TandemError(
        "BUSY",
        "Cannot check out this worker: another session holds it; check out through the pool",
      );
    }
    const session = new HeldSession(id, terms, this.#home, () => this.#current = null);
    this.#current = session;
    return { [Symbol.asyncIterator]: () => session };
  }

  /** The method {@linkcode reserved}.checkin. */
  async checkin(id: string, hadError: boolean): Promise<void> {
    if (this.#current?.id !== id) throw notHeld(id);
    await this.#current.checkIn(hadError);
  }
}

function notHeld(id: string): TandemError {
  return new TandemError(
    "CLOSED",
    `Cannot check in session ${id}: it does not hold this worker any more; check out a worker again`,
  );
}
