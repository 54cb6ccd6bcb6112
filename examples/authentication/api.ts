/**
 * The interfaces of the two services, and the error that both may throw.
 *
 * @module
 */

/** A call without the right token. Both sides register the class, so that callers can catch it. */
export class Unauthorized extends Error {
  override name = "Unauthorized";
}

/** The errors that callers get as what they are. */
export const errors: { readonly Unauthorized: typeof Unauthorized } = { Unauthorized };

/** The accounts, which users call. */
export interface Accounts {
  deposit(amount: number): Promise<number>;
  history(): AsyncGenerator<number>;
  quit(): Promise<void>;
}

/** The audit, which the accounts call. */
export interface Audit {
  note(what: string): void;
  quit(): void;
}
