/**
 * The signals that end a command in good order.
 *
 * @module
 */
import process from "node:process";

const signals = ["SIGTERM", "SIGINT"] as const;

/** Listens to SIGTERM and SIGINT. */
export class EndingSignals implements Disposable {
  readonly #heed: () => void;

  /** @param end `isAgain`: it has been called before */
  constructor(end: (isAgain: boolean) => void) {
    let isAgain = false;
    this.#heed = () => {
      const wasCalled = isAgain;
      isAgain = true;
      end(wasCalled);
    };
    for (const signal of signals) process.on(signal, this.#heed);
  }

  [Symbol.dispose](): void {
    for (const signal of signals) process.off(signal, this.#heed);
  }
}
