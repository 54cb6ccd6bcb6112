/**
 * One request on its way through the memory transport, from the moment when it is sent to the moment
 * when its sender has the answer.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { TandemError } from "../errors.ts";
import { laterForSure, now, timerMax } from "../runtime/timers.ts";
import type { AnswerReader, Bytes, RequestTerms } from "./transport.ts";

export class MemoryCall {
  readonly request: Bytes;
  readonly isBackground: boolean;
  deliveries = 0;
  maxDeliveries: number;
  /** Set by the delivery that has to hear of the sender's loss. */
  onSenderLost: ((reason: TandemError) => void) | null = null;
  readonly #deadline: number;
  readonly #reader: AnswerReader;
  readonly #onEnd: (call: MemoryCall) => void;
  #answer: Bytes | null = null;
  #hasEnded = false;
  #lostBecause: TandemError | null = null;
  #cancelTimer: (() => void) | null = null;
  #stopListening: (() => void) | null = null;

  /**
   * @param deadline of `performance.now()`
   * @param onEnd told when the sender has its answer, or an error
   * @throws the error of a signal that cannot be listened to
   */
  constructor(
    request: Bytes,
    terms: RequestTerms,
    deadline: number,
    maxDeliveries: number,
    reader: AnswerReader,
    onEnd: (call: MemoryCall) => void,
  ) {
    this.request = request;
    this.isBackground = terms.isBackground ?? false;
    this.maxDeliveries = maxDeliveries;
    this.#deadline = deadline;
    this.#reader = reader;
    this.#onEnd = onEnd;
    const { signal } = terms;
    if (signal) {
      this.#stopListening = onAbort(signal, () => this.abandon(cancelled(), reasonOf(signal)));
    }
    if (deadline !== Infinity) this.#startTimer();
  }

  /** The sender waits for an answer that nobody has given yet. */
  get isOpen(): boolean {
    return !this.#hasEnded && this.#answer === null;
  }

  /** Why the sender does not wait any longer; null: it has not left. */
  get lostBecause(): TandemError | null {
    return this.#lostBecause;
  }

  get timeRemaining(): number {
    return this.#deadline === Infinity ? Infinity : Math.max(0, this.#deadline - now());
  }

  /** A timer counts to 2³¹ ms, and may fire a little early. */
  #startTimer(): void {
    const left = Math.max(0, this.#deadline - now());
    this.#cancelTimer = laterForSure(Math.min(left, timerMax), () => {
      if (this.#deadline > now()) this.#startTimer();
      else this.abandon(deadlineOver(), timedOut());
    });
  }

  /** Keeps the answer for {@linkcode deliver}. False: the sender does not wait any longer. */
  answer(answer: Bytes): boolean {
    if (!this.isOpen) return false;
    this.#answer = answer;
    this.#stopWaiting();
    return true;
  }

  /** Hands the answer to the sender. */
  deliver(): void {
    if (this.#answer && this.#end()) this.#reader.read(this.#answer, true);
  }

  /** Ends the call for its sender, who gets `error`. */
  fail(error: unknown): void {
    if (this.#end()) this.#reader.fail(error);
  }

  /** The sender leaves. `reason` is for the receiver, `error` for the sender itself. */
  abandon(reason: TandemError, error: unknown): void {
    if (this.isOpen) {
      this.#lostBecause = reason;
      this.onSenderLost?.(reason);
    }
    this.fail(error);
  }

  #end(): boolean {
    if (this.#hasEnded) return false;
    this.#hasEnded = true;
    this.#stopWaiting();
    this.#onEnd(this);
    return true;
  }

  #stopWaiting(): void {
    this.#cancelTimer?.();
    this.#stopListening?.();
  }
}

/** For a receiver: its sender has left. */
export function cancelled(): TandemError {
  return new TandemError("CANCELLED", "The client cancelled the call or is gone");
}

function deadlineOver(): TandemError {
  return new TandemError("TIMEOUT", "The client's deadline ran out: nobody waits for the answer");
}

function timedOut(): TandemError {
  return new TandemError(
    "TIMEOUT",
    "Cannot finish a request: the time ran out; is a service running, and is it quick enough?",
  );
}
