/**
 * One request of the memory transport, from the moment when it is sent until its sender has the answer.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { report } from "../base/guard.ts";
import { TandemError } from "../errors.ts";
import { now } from "../runtime/timers.ts";
import type { AnswerReader, Bytes, RequestTerms } from "./transport.ts";

export class MemoryCall {
  readonly request: Bytes;
  readonly isBackground: boolean;
  deliveries = 0;
  maxDeliveries: number;
  /** Set by the delivery that holds the request; runs when the sender leaves. */
  onSenderLost: ((reason: TandemError) => void) | null = null;
  /** In the time of `performance.now()`. */
  readonly deadline: number;
  readonly #reader: AnswerReader;
  readonly #onEnd: (call: MemoryCall) => void;
  #answer: Bytes | null = null;
  #hasEnded = false;
  #lostBecause: TandemError | null = null;
  #stopListening: (() => void) | null = null;

  /**
   * @param deadline a time of `performance.now()`
   * @param onEnd runs just before the sender gets the answer or an error
   * @throws the error of a signal that refuses listeners
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
    this.deadline = deadline;
    this.#reader = reader;
    this.#onEnd = onEnd;
    const { signal } = terms;
    if (signal) {
      this.#stopListening = onAbort(signal, () => this.abandon(cancelled(), reasonOf(signal)));
    }
  }

  /** The sender still waits, and no receiver has answered. */
  get isOpen(): boolean {
    return !this.#hasEnded && this.#answer === null;
  }

  /** Why the sender stopped waiting; null: it has not. */
  get lostBecause(): TandemError | null {
    return this.#lostBecause;
  }

  get timeRemaining(): number {
    return this.deadline === Infinity ? Infinity : Math.max(0, this.deadline - now());
  }

  /** Ends the call if its time has run out at `time` without an answer. */
  expire(time: number): void {
    if (this.isOpen && this.deadline <= time) this.abandon(deadlineOver(), timedOut());
  }

  /**
   * Keeps the answer for {@linkcode deliver}; until then the sender can still cancel. False: the sender
   * no longer waits.
   */
  answer(answer: Bytes): boolean {
    if (!this.isOpen) return false;
    this.#answer = answer;
    return true;
  }

  /** Hands the answer to the sender. */
  deliver(): void {
    if (!this.#answer || !this.#end()) return;
    try {
      this.#reader.read(this.#answer, true);
    } catch (error) {
      report(this.#reader, "the reader of an answer", error);
    }
  }

  /** Ends the call for its sender, which gets `error`. */
  fail(error: unknown): void {
    if (this.#end()) failReader(this.#reader, error);
  }

  /** The sender leaves. `reason` is for the receiver, `error` for the sender itself. */
  abandon(reason: TandemError, error: unknown): void {
    if (this.isOpen) this.#lostBecause = reason;
    this.fail(error);
  }

  #end(): boolean {
    if (this.#hasEnded) return false;
    this.#hasEnded = true;
    this.#stopListening?.();
    this.#onEnd(this);
    return true;
  }
}

/** Ends a request without an answer. Never throws: one reader must not stop what others wait for. */
export function failReader(reader: AnswerReader, error: unknown): void {
  try {
    reader.fail(error);
  } catch (thrown) {
    report(reader, "the reader of an answer", thrown);
  }
}

/** For a receiver: the sender has left. */
export function cancelled(): TandemError {
  return new TandemError("CANCELLED", "The client cancelled the call, closed or died");
}

function deadlineOver(): TandemError {
  return new TandemError("TIMEOUT", "The client's deadline ran out: it no longer waits");
}

function timedOut(): TandemError {
  return new TandemError(
    "TIMEOUT",
    "Cannot finish a request: the time ran out; is a service running, and is it quick enough?",
  );
}
