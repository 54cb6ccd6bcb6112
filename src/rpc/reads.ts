/**
 * Reads messages, with the streams to which they refer.
 *
 * @module
 */
import { corrupt } from "../codec/reader.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import { readableKind, type StreamKind } from "../codec/stream_kinds.ts";
import { type Attached, InStream, type StreamTerms } from "./in_stream.ts";
import { hasHost, type ReadHooks, type Reading } from "./message.ts";
import type { Limits } from "./terms.ts";

/** The end that reads a message. */
export interface ReadingSide {
  readonly errorClasses: ErrorClasses;
  readonly limits: Limits;
  /** The peer for the host of that name. */
  peer(
    name: string,
  ): { attach(streams: readonly Attached[], terms: StreamTerms | undefined): void };
}

/** The hooks of an end for the message that it reads. */
export class Reads implements ReadHooks {
  readonly errorClasses: ErrorClasses;
  readonly maxTreeBytes: number;
  readonly #side: ReadingSide;
  readonly #makesReadable: boolean;
  #streams: InStream[] = [];

  constructor(side: ReadingSide, makesReadable: boolean) {
    this.#side = side;
    this.#makesReadable = makesReadable;
    this.maxTreeBytes = side.limits.maxTreeBytes;
    this.errorClasses = side.errorClasses;
  }

  openStream(kind: StreamKind, index: number): object {
    if (index !== this.#streams.length) throw corrupt("a stream has another number");
    const stream = new InStream();
    this.#streams.push(stream);
    return kind === readableKind && this.#makesReadable ? stream.toReadable() : stream;
  }

  /**
   * Ends the read of a message, and connects its streams to their host.
   *
   * @throws {TandemError} `CORRUPT` when bytes are left over or missing
   */
  finish({ flags, decoder }: Reading, terms: StreamTerms | undefined): void {
    const streams = this.#streams;
    if (streams.length === 0 && !(flags & hasHost)) return decoder.finish();
    this.#streams = [];
    const name = decoder.text();
    const attached = streams.map((stream) => ({ id: decoder.unsigned(), stream }));
    decoder.finish();
    if (streams.length > 0) this.#side.peer(name).attach(attached, terms);
  }

  forget(): void {
    if (this.#streams.length > 0) this.#streams = [];
  }
}
