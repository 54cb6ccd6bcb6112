/**
 * The answer to a step of a stream.
 *
 * @module
 */
import { corrupt } from "../codec/reader.ts";
import { now } from "../runtime/timers.ts";
import type { AnswerReader, Bytes } from "../transport/transport.ts";
import type { StepLimits, StepOutcome, StreamTerms } from "./received.ts";
import { Kind, type Reading, readMessage, readParcel } from "./message.ts";
import { type Announcement, readAnnouncement } from "./parcels.ts";
import { readRefusal, thrownError } from "./replies.ts";
import type { Side } from "./side.ts";

/** Translates errors of the private path for the reader of a stream. */
export interface HostErrors {
  /** An error of the request. */
  explain(error: unknown): unknown;
  /** An answer that is an error, or cannot be read. */
  explainRefusal(error: unknown): unknown;
}

/** Reads the answer to a step. */
export class StepReader implements AnswerReader {
  readonly #side: Side;
  /** For streams in an item. */
  readonly #terms: StreamTerms | undefined;
  /** For an item in parts. */
  readonly #limits: StepLimits;
  readonly #outcome: StepOutcome;
  readonly #errors: HostErrors;

  constructor(
    side: Side,
    terms: StreamTerms | undefined,
    limits: StepLimits,
    outcome: StepOutcome,
    errors: HostErrors,
  ) {
    this.#side = side;
    this.#terms = terms;
    this.#limits = limits;
    this.#outcome = outcome;
    this.#errors = errors;
  }

  read(bytes: Bytes, isPrivate: boolean): void {
    this.#settle(() => readMessage(this.#side.reads, bytes, isPrivate, this.#open, undefined));
  }

  fail(error: unknown): void {
    this.#outcome.failed(this.#errors.explain(error));
  }

  /** Settles the step only after the read, because settling may read further messages. */
  #settle(read: () => () => void): void {
    let settle: () => void;
    try {
      settle = read();
    } catch (error) {
      settle = () => this.#outcome.failed(this.#errors.explainRefusal(error));
    }
    settle();
  }

  readonly #open = (reading: Reading): () => void => {
    if (reading.kind !== Kind.parcel) return this.#read(reading);
    const announcement = readAnnouncement(reading);
    return () => this.#fetch(announcement);
  };

  /** Returns a function that settles the step. */
  #read(reading: Reading): () => void {
    const { kind, decoder } = reading;
    const { reads } = this.#side;
    switch (kind) {
      case Kind.yielded:
      case Kind.returned: {
        const value = decoder.value();
        reads.finish(reading, this.#terms);
        return () => this.#outcome.returned({ done: kind === Kind.returned, value });
      }
      case Kind.thrown: {
        const thrown = decoder.thrown();
        reads.finish(reading, this.#terms);
        return () => this.#outcome.threw(thrownError(thrown, reads.errorClasses));
      }
      case Kind.refused:
        throw readRefusal(decoder);
    }
    throw corrupt(`an item has kind ${kind}`);
  }

  #fetch(announcement: Announcement): void {
    const { reads } = this.#side;
    const { timeout = Infinity, signal } = this.#limits;
    const terms = { deadline: now() + timeout, ...(signal && { signal }) };
    this.#side.fetch(announcement, terms).then(
      (parcel) => this.#settle(() => readParcel(reads, parcel, this.#open, undefined)),
      (error) => this.#outcome.failed(error),
    );
  }
}
