/**
 * Requests of the memory transport that wait for a free slot, first come, first served.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { TandemError } from "../errors.ts";
import { laterForSure, now, timerMax } from "../runtime/timers.ts";

/** A request that waits, and for how long. */
export interface Entrant {
  /** The sender: {@linkcode MemoryRoom.failAll} ends the waits of one. */
  readonly sender: object;
  /** A time of `performance.now()`. */
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  /** There is a slot. Never throws. */
  enter(): void;
  /** The wait has ended without a slot. Never throws. */
  fail(error: unknown): void;
}

interface Waiting {
  readonly entrant: Entrant;
  readonly stop: () => void;
}

export class MemoryRoom {
  readonly #waiting: Set<Waiting> = new Set();

  get size(): number {
    return this.#waiting.size;
  }

  /** @throws the error of a signal that refuses listeners */
  add(entrant: Entrant): void {
    const { deadline, signal } = entrant;
    const stopListening = signal && onAbort(signal, () => this.#fail(waiting, reasonOf(signal)));
    const left = Math.min(Math.max(0, deadline - now()), timerMax);
    const cancelTimer = deadline === Infinity
      ? undefined
      : laterForSure(left, () => this.#fail(waiting, noRoom()));
    const stop = () => {
      cancelTimer?.();
      stopListening?.();
    };
    const waiting: Waiting = { entrant, stop };
    this.#waiting.add(waiting);
  }

  #fail(waiting: Waiting, error: unknown): void {
    if (this.#remove(waiting)) waiting.entrant.fail(error);
  }

  #remove(waiting: Waiting): boolean {
    waiting.stop();
    return this.#waiting.delete(waiting);
  }

  /** Ends the waits of one sender, or of all. */
  failAll(sender: object | null, error: unknown): void {
    for (const waiting of [...this.#waiting]) {
      if (sender === null || waiting.entrant.sender === sender) this.#fail(waiting, error);
    }
  }

  /** Lets the first request enter. */
  admit(): void {
    const [first] = this.#waiting;
    if (first && this.#remove(first)) first.entrant.enter();
  }
}

export function noRoom(): TandemError {
  return new TandemError(
    "BUSY",
    "Cannot send a request: all slots of the target are taken; wait longer, or serve it with more " +
      "slots",
  );
}
