/**
 * The turns of a session's calls: one call at a time, in the order in which they were made.
 *
 * @module
 */

/** The turn of one call. */
export class Turn {
  /** Waiting, then the call's own time, then over. A turn may also end while it waits. */
  state: "waiting" | "now" | "over" = "waiting";
  /** Resolves when it is the call's turn; rejects if it never will be. */
  readonly come: Promise<void>;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;

  constructor() {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.come = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    // The call may still be reading its Blobs, and listens later.
    promise.catch(() => {});
  }

  begin(): void {
    this.state = "now";
    this.#resolve();
  }

  /** @param error why the call gets no turn, if it still waits for one */
  end(error?: unknown): void {
    if (this.state === "waiting") this.#reject(error);
    this.state = "over";
  }
}

export class Turns {
  /** In their order; the first one has its time. */
  readonly #turns: Set<Turn> = new Set();
  #whenEmpty: (() => void)[] = [];

  /** A turn after all others. */
  take(): Turn {
    const turn = new Turn();
    if (this.#turns.size === 0) turn.begin();
    this.#turns.add(turn);
    return turn;
  }

  /** The call has ended, or it no longer waits. May be called twice. */
  end(turn: Turn): void {
    const isFirst = turn.state === "now";
    if (!this.#turns.delete(turn)) return;
    turn.end();
    if (isFirst) this.#beginNext();
  }

  #beginNext(): void {
    for (const next of this.#turns) return next.begin();
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  /** Takes their turns from all calls that were made after the one with `turn`. */
  clearAfter(turn: Turn, errorOf: () => unknown): void {
    let isAfter = false;
    for (const other of [...this.#turns]) {
      if (isAfter) {
        this.#turns.delete(other);
        other.end(errorOf());
      } else isAfter = other === turn;
    }
  }

  /** Resolves when no call has a turn. */
  empty(): Promise<void> {
    if (this.#turns.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }
}
