/**
 * Lent values as their receiver sees them: see `lent.ts`.
 *
 * @module
 */
import type { TandemError } from "../errors.ts";
import type { RequestTerms } from "../transport/transport.ts";
import type { CallSite } from "./call_errors.ts";
import type { LotOwner } from "./lent.ts";

/** The time limits of items, and the signal that ends the value here. */
export interface StreamTerms {
  /** Milliseconds for the first item. */
  readonly timeout?: number | undefined;
  /** Milliseconds for each further item. */
  readonly itemTimeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds left for the call that the value came with. */
  readonly timeRemaining?: number;
  /** Delays the answer to that call until the returned function is called. */
  delay?(): () => void;
  /** The call whose result has brought the value. */
  readonly call?: CallSite;
  /** Kept from garbage collection as long as the value is reachable. */
  readonly owner?: object;
}

/** The limits of one step. */
export type StepLimits = Pick<RequestTerms, "timeout" | "signal" | "isBackground">;

/** Gets the outcome of a step: one of the methods runs, once. */
export interface StepOutcome {
  /** Values that are lent with the step end with its stream. */
  readonly lotOwner: LotOwner;
  /** The iterator's result. */
  returned(result: IteratorResult<unknown, unknown>): void;
  /** The iterator has thrown `error`. */
  threw(error: unknown): void;
  /** The step's value cannot be sent; the other side has not seen the step. */
  refused(error: unknown): void;
  /** There is no answer: the host, or the connection to it, has failed. */
  failed(error: unknown): void;
}

/** Values that were lent with a call of a function. */
export interface LentWithCall {
  /** There are some. */
  readonly hasEntries: boolean;
  /** The call is over. `owner` stays reachable as long as values that the other side keeps. */
  end(reason: TandemError, owner: object): unknown;
}

/** Gets the outcome of a call of a function: as the outcome of the only step of a stream. */
export interface InvocationOutcome extends StepOutcome {
  /** Runs just before the call is sent. Values that are lent with it end with it. */
  begin(lent: LentWithCall): void;
  /** Set by the source; runs when the call has ended. */
  onEnd: (() => void) | null;
}

/** The process that lends a value, as the value sees it. */
export interface Source {
  /** How many items of a stream are asked for ahead. */
  readonly prefetch: number;
  /** Keeps the connection until the caller calls the returned function. */
  hold(): () => void;
  /**
   * Takes a step of the stream `id`. Never throws.
   *
   * @returns a promise when the step is sent later, because its value has Blobs; later steps wait for it
   */
  step(
    id: number,
    step: number,
    hasValue: boolean,
    value: unknown,
    terms: StreamTerms | undefined,
    limits: StepLimits,
    outcome: StepOutcome,
  ): Promise<void> | undefined;
  /** Calls the function `id`. Never throws. */
  invoke(
    id: number,
    args: readonly unknown[],
    terms: StreamTerms | undefined,
    outcome: InvocationOutcome,
  ): void;
  /** This process no longer needs the value `id`. */
  drop(id: number): void;
  /** The value `id`, which was attached, has ended here, or the program has forgotten it. */
  detach(id: number): void;
}

/** A lent value that has arrived in a message. */
export interface Received {
  /** Gets the news of the value's host; null: it needs none. */
  readonly news: NewsTaker | null;
  /** Sets the value's host, before the program gets the value. */
  attach(source: Source, id: number, terms: StreamTerms | undefined): void;
}

/** What a host reports about a value. */
export interface NewsTaker {
  /** A signal has aborted. */
  aborted(reason: unknown): void;
  /** The host no longer keeps the value. */
  ended(): void;
  /** The host is gone, or the connection to it is closed. */
  lost(error: unknown): void;
}

/** A received value, and its number at its host. */
export interface Attached {
  readonly id: number;
  readonly value: Received;
}
