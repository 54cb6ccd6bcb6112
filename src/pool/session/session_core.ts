/**
 * The work of a {@linkcode Session}, on the side of its holder.
 *
 * @module
 */
import { onAbort, reasonOf } from "../../base/abort.ts";
import { endedByClosing } from "../../base/closing.ts";
import { codeOf } from "../../base/guard.ts";
import type { TandemError } from "../../errors.ts";
import { errorOfCall } from "../../rpc/call_errors.ts";
import { CallPromise } from "../../rpc/call_promise.ts";
import type { InstanceLines } from "../../rpc/instance_lines.ts";
import { fail } from "../../rpc/raising.ts";
import { readableOf, streamIn } from "../../rpc/readable.ts";
import { type CallTerms, parseCallOptions } from "../../rpc/terms.ts";
import { later, laterForSure, now, timerMax } from "../../runtime/timers.ts";
import { reserved } from "../link/control.ts";
import type { SessionWorker } from "../types.ts";
import {
  callCleared,
  heldTooLong,
  poolClosed,
  sessionAborted,
  sessionClosed,
  titleOf,
  workerDied,
} from "./session_errors.ts";
import type { LogTap } from "./log_tap.ts";
import type { SessionHome } from "./session_home.ts";
import { SessionStream, StreamUse } from "./session_stream.ts";
import type { SessionTerms } from "./session_terms.ts";
import { TurnLines } from "./turn_lines.ts";
import { type Turn, Turns } from "./turns.ts";

/** A worker that was checked out. */
export interface Held {
  /** The id of the session. */
  readonly id: string;
  readonly worker: SessionWorker;
  /** When the worker has begun to count the hold, in the time of `performance.now()`. */
  readonly beganAt: number;
  /** If it ends before the session was checked in, the worker is replaced. */
  readonly hold: AsyncGenerator<unknown>;
  readonly lines: InstanceLines;
  /** Whether the worker is still a service of the pool. */
  isThere(): boolean;
  readonly logs: LogTap | null;
}

/** A call of the session. */
interface SessionCall {
  readonly turn: Turn;
  readonly method: string;
  readonly terms: CallTerms;
  /** In the time of `performance.now()`. */
  readonly deadline: number;
  readonly opened: ReturnType<typeof CallPromise.open>;
  /** Not to be collected before the call has ended: a session without an owner is released. */
  readonly owner: object;
}

/** Why a call has failed. */
interface Failure {
  readonly error: unknown;
  /** The error is the session's: other calls may have it, too. */
  readonly isShared: boolean;
  /** Resolves when the error is complete; null: it is. Never rejects. */
  readonly whenKnown: Promise<void> | null;
}

/** Why no further call can be made. */
interface Ending extends Failure {
  /** The program has ended the session itself, so it need not look at the calls in progress. */
  readonly isOwn: boolean;
}

/** Codes with which calls end whose worker is gone. */
const goneCodes: ReadonlySet<string> = new Set(["SERVER_DIED", "NO_SERVER"]);
/** Codes with which they may end. */
const doubtfulCodes: ReadonlySet<string> = new Set(["NOT_FOUND", "CLOSED", "CANCELLED"]);
/** How much earlier than its holder the worker may notice that `maxHold` is over, in milliseconds. */
const holdLead = 100;

const ignore = (): void => {};

export class SessionCore {
  readonly worker: SessionWorker;
  readonly #home: SessionHome;
  readonly #terms: SessionTerms;
  readonly #held: Held;
  readonly #title: string;
  readonly #turns: Turns = new Turns();
  /** Aborts with the error with which calls reject from then on. */
  readonly #over: AbortController = new AbortController();
  #ending: Ending | null = null;
  #hadError = false;
  /** The stream that occupies the session. */
  #stream: StreamUse | null = null;
  #closing: Promise<void> | null = null;
  readonly #heldUntil: number;
  #cancelTimer: (() => void) | null = null;
  readonly #stops: readonly (() => void)[];

  constructor(home: SessionHome, terms: SessionTerms, held: Held) {
    this.worker = held.worker;
    this.#home = home;
    this.#terms = terms;
    this.#held = held;
    this.#title = titleOf(terms.name);
    this.#heldUntil = held.beganAt + terms.maxHold;
    const { signal } = terms;
    const poolCloses = () => {
      held.logs?.stop();
      this.#end(endedByClosing(poolClosed(this.#title)), { isOwn: true });
    };
    this.#stops = [
      onAbort(held.lines.closing, poolCloses),
      ...(signal ? [onAbort(signal, () => this.abort(reasonOf(signal)))] : []),
    ];
    this.#limitHold();
  }

  #limitHold(): void {
    const left = this.#heldUntil - now();
    if (left === Infinity || this.#ending) return;
    if (left <= 0) {
      return this.#end(heldTooLong(this.#title, this.#terms.maxHold), { isOwn: false });
    }
    const delay = Math.min(Math.ceil(left), timerMax);
    this.#cancelTimer = later(delay, () => this.#limitHold());
  }

  /** @param owner is not collected before the call, or the stream that it returns, has ended */
  call(
    method: string,
    args: readonly unknown[],
    terms: CallTerms,
    owner: object,
  ): CallPromise<unknown> {
    const opened = CallPromise.open();
    const turn = this.#turns.take();
    const call = { turn, method, terms, deadline: now() + terms.timeout, opened, owner };
    // A process that has stood still may learn of the worker's end before its own timer rings.
    if (now() >= this.#heldUntil) this.#limitHold();
    const refusal = this.#refusal;
    if (refusal) {
      this.#turns.end(turn);
      this.#reject(call, refusal);
      return opened.promise;
    }
    const lines = new TurnLines(this.#held.lines, turn);
    this.#home.connection.through(lines).call(method, args, this.#termsOf(terms)).then(
      (result) => this.#succeeded(call, result),
      (error) => this.#failed(call, error),
    );
    return opened.promise;
  }

  get #refusal(): Failure | null {
    if (this.#ending || !this.#closing) return this.#ending;
    return { error: sessionClosed(this.#title), isShared: true, whenKnown: null };
  }

  #termsOf(terms: CallTerms): CallTerms {
    const { signal } = terms;
    const over = this.#over.signal;
    return {
      ...terms,
      signal: signal ? AbortSignal.any([over, signal]) : over,
      // No other worker could take the call.
      waitsForService: true,
      idempotent: undefined,
      maxDeliveries: 1,
    };
  }

  #succeeded(call: SessionCall, result: unknown): void {
    const { turn, deadline, opened: { promise, resolve }, owner } = call;
    const inner = streamIn(result);
    if (!inner) {
      promise.settle(resolve, result);
      return this.#turns.end(turn);
    }
    const use = new StreamUse({
      failed: async (error) => {
        const failure = this.#failureOf(call, error);
        await failure.whenKnown;
        return this.#errorFor(call, failure);
      },
      over: () => {
        this.#stream = null;
        this.#turns.end(turn);
      },
    });
    this.#stream = use;
    if (this.#closing) use.leaveAfter(this.#terms.timeout);
    // The call's time runs out for a step that has waited for the call.
    if (promise.waiting) inner.firstDeadline = deadline;
    const stream = new SessionStream(inner, use, owner);
    promise.stream = stream;
    resolve(result === inner ? stream : readableOf(stream));
  }

  #failed(call: SessionCall, error: unknown): void {
    const { turn, opened: { promise } } = call;
    const ending = this.#ending;
    const wasCleared = turn.state === "over";
    // The program knows from an earlier call, or it has ended the session itself.
    const isKnown = wasCleared || (ending && (ending.isOwn || turn.state === "waiting"));
    if (isKnown) promise.catch(ignore);
    const failure = wasCleared ? plain(error) : this.#failureOf(call, error);
    this.#turns.end(turn);
    this.#reject(call, failure);
  }

  #reject(call: SessionCall, failure: Failure): void {
    const reject = () => fail(call.opened, this.#errorFor(call, failure));
    if (failure.whenKnown) void failure.whenKnown.then(reject);
    else reject();
  }

  /** An error that calls share names each of them. */
  #errorFor({ method, terms: { site } }: SessionCall, { error, isShared }: Failure): unknown {
    const { target } = this.#home.connection;
    return isShared ? errorOfCall(error, { target, method, site }, false, undefined) : error;
  }

  /** What it means for the session that a call has ended with an error. */
  #failureOf(call: SessionCall, error: unknown): Failure {
    const ending = this.#ending;
    if (ending) return error === ending.error ? ending : plain(error);
    this.#hadError = true;
    const isLost = call.turn.state === "now" && this.#isGone(codeOf(error) ?? "");
    const failure = isLost ? this.#loss(call) : plain(error);
    this.#turns.clearAfter(call.turn, () => callCleared(this.#title, failure.error));
    if (isLost) this.#end(failure.error, { isOwn: false, whenKnown: failure.whenKnown });
    return failure;
  }

  #isGone(code: string): boolean {
    // A worker that dies leaves the channel a moment after it has left its calls.
    return goneCodes.has(code) || (doubtfulCodes.has(code) && !this.#held.isThere());
  }

  /** The worker is gone. */
  #loss(call: SessionCall): Failure {
    // The worker measures the same time.
    const wasHeldTooLong = now() > this.#heldUntil - holdLead;
    const error = wasHeldTooLong
      ? heldTooLong(this.#title, this.#terms.maxHold)
      : workerDied(this.#title, this.worker);
    const whenKnown = wasHeldTooLong ? null : this.#findCause(error);
    return plain(this.#errorFor(call, { error, isShared: true, whenKnown }), whenKnown);
  }

  async #findCause(error: TandemError): Promise<void> {
    const exit = await this.#home.exitOfProcess(this.worker.pid);
    if (exit) Object.defineProperty(error, "cause", { value: exit, configurable: true });
  }

  /** Ends the session without checking it in. May be called twice. */
  abort(error: unknown): void {
    if (error === undefined) this.#end(sessionAborted(this.#title), { isOwn: true });
    else this.#end(error, { isOwn: true, isShared: false });
  }

  #end(
    error: unknown,
    { isOwn, isShared = true, whenKnown = null }: Omit<Partial<Ending>, "error"> & {
      readonly isOwn: boolean;
    },
  ): void {
    if (this.#ending) return;
    this.#ending = { error, isShared, isOwn, whenKnown };
    this.#cancelTimer?.();
    for (const stop of this.#stops) stop();
    this.#over.abort(error);
    // Records that are under way still come.
    this.#held.hold.return(undefined).catch(ignore);
  }

  /** Waits for the calls, then gives the worker back. Never rejects. May be called twice. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    if (this.#ending) return;
    // Nobody may be left who reads it.
    this.#stream?.leaveAfter(this.#terms.timeout);
    const { signal } = this.#over;
    const over = Promise.withResolvers<void>();
    const stopListening = onAbort(signal, over.resolve);
    await Promise.race([this.#turns.empty(), over.promise]);
    stopListening();
    if (!signal.aborted) await this.#checkIn();
    this.#end(sessionClosed(this.#title), { isOwn: true });
  }

  async #checkIn(): Promise<void> {
    // Calls may have little time, but without this the worker would be replaced.
    const timeout = Math.max(this.#terms.timeout, this.#home.timeout);
    const deadline = now() + timeout;
    const options = { timeout, signal: this.#over.signal, inheritDeadline: false };
    const terms = parseCallOptions(options);
    const connection = this.#home.connection.through(this.#held.lines);
    try {
      await connection.call(reserved.checkin, [this.#held.id, this.#hadError], terms);
    } catch {
      // The worker is gone, or the end of the hold makes the pool replace it.
      return;
    }
    await this.#recordsCome(deadline);
  }

  /** Waits for the last records. If another supervisor has the worker now, no message says which one is the last. */
  async #recordsCome(deadline: number): Promise<void> {
    const { logs } = this.#held;
    if (!logs) return;
    const left = Math.min(Math.max(0, deadline - now()), timerMax);
    const cancel = laterForSure(left, () => logs.stop());
    const over = Promise.withResolvers<void>();
    const stopListening = onAbort(this.#over.signal, over.resolve);
    await Promise.race([logs.ended, over.promise]);
    stopListening();
    cancel();
  }
}

function plain(error: unknown, whenKnown: Promise<void> | null = null): Failure {
  return { error, isShared: false, whenKnown };
}
