/**
 * Bounds the calls of functions that are in flight to one process, and keeps their order.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { TandemError } from "../errors.ts";
import { laterForSure, now, timerMax } from "../runtime/timers.ts";
import type { EncodedMessage } from "./encoded_message.ts";

/** Each call in flight takes a slot of the host, and others need some, too. */
const inFlightMax = 512;

/** A call of a function, not yet sent. */
export interface Entrant {
  /** Milliseconds; Infinity: no limit. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** Encodes the arguments now, because the program may change them. */
  encode(): EncodedMessage;
  /** Sends the call; `message` is null if it is not encoded yet. Never throws. */
  send(message: EncodedMessage | null, timeout: number): void;
  /** The call was not sent. */
  fail(error: unknown): void;
  /** The call has to wait. The returned function is called when it waits no longer. */
  delay(): (() => void) | undefined;
}

interface Waiting {
  readonly entrant: Entrant;
  readonly message: EncodedMessage;
  readonly deadline: number;
  readonly stop: () => void;
}

export class Lane {
  #inFlight = 0;
  readonly #waiting: Set<Waiting> = new Set();
  #isAdmitting = false;

  /** Sends the call now, or when others have ended. @throws what encoding throws */
  enter(entrant: Entrant): void {
    if (this.#inFlight < inFlightMax && this.#waiting.size === 0) {
      this.#inFlight += 1;
      return entrant.send(null, entrant.timeout);
    }
    const { timeout, signal } = entrant;
    const message = entrant.encode();
    const fail = (error: unknown) => {
      if (!this.#remove(waiting)) return;
      message.drop(notSent());
      entrant.fail(error);
    };
    const stopTimer = timeout === Infinity
      ? undefined
      : laterForSure(Math.min(timeout, timerMax), () => fail(timedOut()));
    const stopListening = signal && onAbort(signal, () => fail(reasonOf(signal)));
    const endDelay = entrant.delay();
    const stop = () => {
      endDelay?.();
      stopTimer?.();
      stopListening?.();
    };
    const waiting: Waiting = { entrant, message, deadline: now() + timeout, stop };
    this.#waiting.add(waiting);
  }

  #remove(waiting: Waiting): boolean {
    waiting.stop();
    return this.#waiting.delete(waiting);
  }

  /** A call that was sent has ended. */
  leave(): void {
    this.#inFlight -= 1;
    // A call that cannot be sent leaves at once.
    if (this.#isAdmitting) return;
    this.#isAdmitting = true;
    for (const waiting of this.#waiting) {
      if (this.#inFlight >= inFlightMax) break;
      this.#inFlight += 1;
      waiting.entrant.send(waiting.message, Math.max(0, waiting.deadline - now()));
      this.#remove(waiting);
    }
    this.#isAdmitting = false;
  }
}

function notSent(): TandemError {
  return new TandemError(
    "CANCELLED",
    "The call of the function that the value came with was not sent",
  );
}

function timedOut(): TandemError {
  return new TandemError(
    "TIMEOUT",
    "Cannot call the function: the time ran out while earlier calls of functions of its process had no " +
      "answer; await each call before the next one",
  );
}
