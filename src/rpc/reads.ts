/**
 * Reads messages, with the lent values to which they refer.
 *
 * @module
 */
import { corrupt } from "../codec/reader.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import { readableKind, type StreamKind } from "../codec/stream_kinds.ts";
import { InCallback } from "./in_callback.ts";
import { InSignal } from "./in_signal.ts";
import { InStream } from "./in_stream.ts";
import { readableOf } from "./readable.ts";
import { hasHost, type ReadHooks, type Reading } from "./message.ts";
import { ownFunction } from "./own_functions.ts";
import type { Attached, Received, StreamTerms } from "./received.ts";
import type { Limits } from "./terms.ts";

/** The end that reads a message. */
export interface ReadingSide {
  readonly errorClasses: ErrorClasses;
  readonly limits: Limits;
  /** The peer for the host of that name. */
  peer(
    name: string,
  ): { attach(values: readonly Attached[], terms: StreamTerms | undefined): void };
}

/** A function of this process that has come back: the sender need not keep what it has lent. */
const comeBack: Received = {
  news: null,
  attach: (source, id) => {
    source.drop(id);
    source.detach(id);
  },
};

/** The hooks of an end for the message that it reads. */
export class Reads implements ReadHooks {
  readonly errorClasses: ErrorClasses;
  readonly maxTreeBytes: number;
  readonly #side: ReadingSide;
  #received: Received[] = [];

  constructor(side: ReadingSide) {
    this.#side = side;
    this.maxTreeBytes = side.limits.maxTreeBytes;
    this.errorClasses = side.errorClasses;
  }

  openStream(kind: StreamKind, index: number): object {
    const stream = new InStream(kind);
    this.#add(index, stream);
    return kind === readableKind ? readableOf(stream) : stream;
  }

  openSignal(index: number): AbortSignal {
    const signal = new InSignal();
    this.#add(index, signal);
    return signal.toSignal();
  }

  openFunction(index: number, isKept: boolean, key: number, origin: number | null): object {
    const own = origin === null ? null : ownFunction(origin);
    if (own) {
      this.#add(index, comeBack);
      return own;
    }
    const callback = new InCallback(isKept, key, this.errorClasses.isPassing);
    this.#add(index, callback);
    return callback.toFunction();
  }

  #add(index: number, value: Received): void {
    if (index !== this.#received.length) throw corrupt("a lent value has another number");
    this.#received.push(value);
  }

  /**
   * Ends the read of a message, and connects its lent values to their host.
   *
   * @throws {TandemError} `CORRUPT` when bytes are left over or missing
   */
  finish({ flags, decoder }: Reading, terms: StreamTerms | undefined): void {
    const received = this.#received;
    if (received.length === 0 && !(flags & hasHost)) return decoder.finish();
    this.#received = [];
    const name = decoder.text();
    const attached = received.map((value) => ({ id: decoder.unsigned(), value }));
    decoder.finish();
    if (received.length > 0) this.#side.peer(name).attach(attached, terms);
  }

  forget(): void {
    if (this.#received.length > 0) this.#received = [];
  }
}
