/**
 * Keeps the process alive while something is awaited.
 *
 * @module
 */
import { keepAlive, setImmediate } from "../../runtime/timers.ts";

/** What is awaited often ends before the next begins: so one timer of the runtime serves many. */
export class Holder {
  #count = 0;
  #end: (() => void) | null = null;
  #isResting = false;

  readonly hold = (): void => {
    this.#count += 1;
    this.#end ??= keepAlive();
  };

  readonly release = (): void => {
    this.#count -= 1;
    if (this.#count > 0 || this.#isResting) return;
    this.#isResting = true;
    setImmediate(() => {
      this.#isResting = false;
      if (this.#count <= 0) this.end();
    });
  };

  /** Until it is disposed. */
  held(): Disposable {
    let isHeld = true;
    this.hold();
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.release();
        isHeld = false;
      },
    };
  }

  /** As {@linkcode held}, until what somebody has asked for is disposed. */
  during(asked: Disposable): Disposable {
    const hold = this.held();
    return {
      [Symbol.dispose]: () => {
        hold[Symbol.dispose]();
        asked[Symbol.dispose]();
      },
    };
  }

  end(): void {
    this.#end?.();
    this.#end = null;
  }
}
