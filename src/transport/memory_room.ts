/**
 * Requests of the memory transport that wait for a free slot, first come, first served.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { TandemError } from "../errors.ts";
import { laterForSure, now, timerMax } from "../runtime/timers.ts";

/** How long a request waits for a slot, and what becomes of it. */
export interface Entrant {
  /** Whoever sends it: {@linkcode MemoryRoom.failAll} ends the waits of one sender. */
  readonly sender: object;
  /** Of `performance.now()`. */
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  /** There is a slot. */
  enter(): void;
  fail(error: unknown): void;
}

interface Waiting extends Entrant {
  stop(): void;
}

export class MemoryRoom {
  readonly #waiting: Set<Waiting> = new Set();

  get size(): number {
    return this.#waiting.size;
  }

  add(entrant: Entrant): void {
    const { deadline, signal } = entrant;
    const stopListening = signal && onAbort(signal, () => this.#fail(waiting, reasonOf(signal)));
    const left = Math.min(Math.max(0, deadline - now()), timerMax);
    const cancelTimer = deadline === Infinity
      ? undefined
      : laterForSure(left, () => this.#fail(waiting, noRoom()));
    const waiting: Waiting = {
      ...entrant,
      enter: () => entrant.enter(),
      fail: (error) => entrant.fail(error),
      stop: () => {
        cancelTimer?.();
        stopListening?.();
      },
    };
    this.#waiting.add(waiting);
  }

  #fail(waiting: Waiting, error: unknown): void {
    if (this.#remove(waiting)) waiting.fail(error);
  }

  #remove(waiting: Waiting): boolean {
    waiting.stop();
    return this.#waiting.delete(waiting);
  }

  /** Ends the waits of one sender, or of all. */
  failAll(sender: object | null, error: unknown): void {
    for (const waiting of [...this.#waiting]) {
      if (sender === null || waiting.sender === sender) this.#fail(waiting, error);
    }
  }

  /** Lets the first request enter. */
  admit(): void {
    const [first] = this.#waiting;
    if (first && this.#remove(first)) first.enter();
  }
}

export function noRoom(): TandemError {
  return new TandemError(
    "BUSY",
    "Cannot send a request: all slots of the target are taken; wait longer, or serve it with more " +
      "slots",
  );
}
