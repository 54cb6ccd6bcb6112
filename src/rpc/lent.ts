/**
 * Lent values: streams, signals and functions, to which a message only refers. They stay in the process
 * that sends them, and its host keeps them for the receiver.
 *
 * @module
 */
import type { TandemError } from "../errors.ts";

/** A lent value at its sender. */
export interface Lent {
  /** It can still be sent as if for the first time. */
  readonly isFresh: boolean;
  /**
   * Whether it ends when its call or its stream ends, although its receiver still has it. A stream does
   * not, because its reader may go on with it.
   */
  readonly endsWithOwner: boolean;
  /** Its receiver stays its owner when its call has ended. */
  readonly isKept: boolean;
  /** No receiver needs it any longer. May be called twice. */
  end(reason: TandemError): void;
}

/** Keeps lent values for other processes. */
export interface Keeper {
  /** Ends these entries. */
  drop(ids: Iterable<number>, reason: TandemError): void;
}

/** Lent values that end with a stream: they came in its items, or in the values of its steps. */
export class Lot {
  readonly #entries: Map<number, Keeper> = new Map();

  add(id: number, keeper: Keeper): void {
    this.#entries.set(id, keeper);
  }

  delete(id: number): void {
    this.#entries.delete(id);
  }

  end(reason: TandemError): void {
    for (const [id, keeper] of [...this.#entries]) keeper.drop([id], reason);
  }
}

/** For messages whose lent values end with their call, or with no stream. */
export const noLot: LotOwner = { lot: null };

/** A stream, as the messages see it that belong to it. */
export interface LotOwner {
  /** Made when it is first needed. */
  readonly lot: Lot | null;
}
