/**
 * Code that waits for a message which it chooses itself.
 *
 * @module
 */
import { onAbort, reasonOf } from "../../base/abort.ts";
import { rejectAs } from "../../base/closing.ts";
import { later, timerMax } from "../../runtime/timers.ts";

/** Options of {@linkcode Port.receive}. */
export interface ReceiveOptions<M = unknown[]> {
  /** Whether to take a message; others wait. Default: every message. */
  readonly match?: (message: M) => boolean;
  /**
   * How long to wait, in milliseconds; then the result is null.
   *
   * @default Infinity
   */
  readonly timeout?: number;
  /** Ends the wait: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export class Receiver {
  readonly promise: Promise<unknown[] | null>;
  readonly #match: ((message: unknown[]) => boolean) | undefined;
  readonly #ended: (receiver: Receiver) => void;
  #resolve!: (message: unknown[] | null) => void;
  #reject!: (error: unknown) => void;
  #cancelTimer: (() => void) | null = null;
  #forgetSignal: (() => void) | null = null;
  isOver = false;

  /** @param ended runs once, when it waits no longer */
  constructor(
    match: ((message: unknown[]) => boolean) | undefined,
    ended: (receiver: Receiver) => void,
  ) {
    this.#match = match;
    this.#ended = ended;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** @param timeout NaN: for ever */
  wait(timeout: number, signal: AbortSignal | undefined): void {
    if (!Number.isNaN(timeout)) {
      this.#cancelTimer = later(
        Math.min(timeout, timerMax),
        () => this.#end(() => this.#resolve(null)),
      );
    }
    if (signal) {
      this.#forgetSignal = onAbort(signal, () => this.fail(reasonOf(signal)));
    }
  }

  /** @throws what `match` has thrown */
  wants(message: unknown[]): boolean {
    return this.#match === undefined || this.#match(message) === true;
  }

  /** Offers a message. False: it does not want it. */
  offer(message: unknown[]): boolean {
    try {
      if (this.isOver || !this.wants(message)) return false;
    } catch (error) {
      this.fail(error);
      return false;
    }
    // `match` may have ended it.
    if (this.isOver) return false;
    this.take(message);
    return true;
  }

  take(message: unknown[]): void {
    this.#end(() => this.#resolve(message));
  }

  fail(error: unknown): void {
    this.#end(() => rejectAs(this.promise, this.#reject, error));
  }

  #end(settle: () => void): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#cancelTimer?.();
    this.#forgetSignal?.();
    this.#ended(this);
    settle();
  }
}
