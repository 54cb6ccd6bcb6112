/**
 * Keeps the order of the calls of one reader, of which some arrive in parts.
 *
 * @module
 */

/** Runs what comes after a long call only after that call. */
export class InOrder {
  /** Resolves when all that came before has run; null: it has. Never rejects. */
  #last: Promise<void> | null = null;

  /** Runs `run` now, or after what came before. */
  run(run: () => void): void {
    if (this.#last) this.#after(this.#last.then(run));
    else run();
  }

  /** Runs the function to which `fetch` resolves after what came before. `fetch` begins at once. */
  fetch(fetch: () => Promise<() => void>): void {
    const before = this.#last;
    const fetched = fetch();
    this.#after((async () => {
      await before;
      (await fetched)();
    })());
  }

  #after(last: Promise<void>): void {
    const settled = last.catch(() => {}).then(() => {
      if (this.#last === settled) this.#last = null;
    });
    this.#last = settled;
  }
}
