/**
 * Functions that `proxy` has made: messages refer to them.
 *
 * @module
 */
import { TandemError } from "../errors.ts";

/** For a call of a function that is lent no longer. */
export function functionEnded(): TandemError {
  return new TandemError(
    "CANCELLED",
    "Cannot call the function: its call is over, or its owner has disposed it; its owner can keep it " +
      "with proxy(fn, { keep: true })",
  );
}

/** A function in one message. */
export interface Loan {
  /** The program no longer lends the function. */
  dispose(reason: TandemError): void;
}

const known: WeakMap<object, LentFunction> = new WeakMap();

/** What the package knows of a function that can be lent. */
export class LentFunction {
  /** It outlives the calls that it is sent with. */
  readonly isKept: boolean;
  readonly #loans: Set<Loan> = new Set();
  #isDisposed = false;

  constructor(isKept: boolean) {
    this.isKept = isKept;
  }

  /** Undefined: `proxy` has not made the function. */
  static of(value: object): LentFunction | undefined {
    return known.get(value);
  }

  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  /** From now on, messages may refer to `value`. */
  belongsTo(value: object): void {
    known.set(value, this);
  }

  add(loan: Loan): void {
    this.#loans.add(loan);
  }

  delete(loan: Loan): void {
    this.#loans.delete(loan);
  }

  /** Ends all loans. May be called twice. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    const reason = new TandemError("CANCELLED", "The function was disposed by its owner");
    for (const loan of [...this.#loans]) loan.dispose(reason);
  }
}
