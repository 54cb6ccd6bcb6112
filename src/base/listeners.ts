/**
 * Functions of the program that hear of events.
 *
 * @module
 */
import { describe } from "./checks.ts";
import { isThenable, report } from "./guard.ts";

type Listener<E> = (event: E) => unknown;

export class Listeners<E> {
  readonly #what: string;
  readonly #listeners: Set<{ readonly listen: Listener<E> }> = new Set();

  /** @param what the method with which programs listen, for messages */
  constructor(what: string) {
    this.#what = what;
  }

  get isEmpty(): boolean {
    return this.#listeners.size === 0;
  }

  /** @throws {TypeError} unless it is a function */
  add(listen: Listener<E>): Disposable {
    if (typeof listen !== "function") {
      throw new TypeError(`Cannot use ${describe(listen)} in ${this.#what}: give a function`);
    }
    const entry = { listen };
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }

  /** Never throws: the console gets the errors of listeners. */
  tell(event: E): void {
    for (const { listen } of [...this.#listeners]) {
      try {
        const result = listen(event);
        if (isThenable(result)) {
          Promise.resolve(result).then(undefined, (error) => report(listen, this.#what, error));
        }
      } catch (error) {
        report(listen, this.#what, error);
      }
    }
  }
}
