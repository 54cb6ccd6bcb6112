/**
 * Writes messages, with the streams and byte strings to which they refer.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import type { EncodedValues, Encoder } from "../codec/encoder.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import type { StreamKind } from "../codec/stream_kinds.ts";
import type { TandemError } from "../errors.ts";
import type { Bytes } from "../transport/transport.ts";
import type { CallContext } from "./context.ts";
import { EncodedMessage } from "./encoded_message.ts";
import {
  hasHost,
  headerBytes,
  Kind,
  messageBytes,
  type MessageHooks,
  sealMessage,
} from "./message.ts";
import { checkLength, type Limits } from "./terms.ts";
import { OutStream } from "./out_stream.ts";

/** The owner of a stream or parcel that no receiver has claimed. */
export type Claim = "call" | "receiver";

/** A host, as the messages see it that leave streams and parcels there. */
export interface Shelf {
  /** The name by which other processes find the host. */
  readonly name: string;
  addStream(stream: OutStream, claim: Claim): number;
  addParcel(tree: Bytes, blobs: readonly Bytes[], claim: Claim): number;
  /** Removes entries; the streams among them go on. */
  withdraw(ids: Iterable<number>): void;
  /** Removes entries, and ends the streams among them. */
  drop(ids: Iterable<number>, reason: TandemError): void;
}

/** The end that writes a message. */
export interface WritingSide {
  readonly errorClasses: ErrorClasses;
  readonly limits: Limits;
  /** The host of this end, opened when it is first needed. */
  readonly host: Shelf;
}

/** The hooks for writing one message; they keep the streams and parcels to which it refers. */
export class Writes implements MessageHooks {
  readonly errorClasses: ErrorClasses;
  readonly maxTreeBytes: number;
  readonly #side: WritingSide;
  readonly #claim: Claim;
  readonly #call: CallContext | undefined;
  #streams: OutStream[] | null = null;
  #entries: number[] | null = null;
  /** The host of all these entries. The next message may have another host. */
  #host: Shelf | null = null;
  /** The message owns its byte strings, so they need no copy. */
  #ownsBlobs = false;
  /** The position in the tree at which the values end. */
  #valuesEnd = 0;
  /** The values of a message that is too long for a slot. */
  #parcel: EncodedValues | null = null;
  /** The message, if it was not sent because the target is gone. */
  withdrawn: EncodedMessage | null = null;

  constructor(side: WritingSide, claim: Claim, call: CallContext | undefined) {
    this.#side = side;
    this.#claim = claim;
    this.#call = call;
    this.errorClasses = side.errorClasses;
    this.maxTreeBytes = side.limits.maxTreeBytes;
  }

  /** The message refers to its streams by number; the host's name follows at the end of the tree. */
  addStream(kind: StreamKind, stream: object): number {
    const streams = this.#streams ??= [];
    return streams.push(new OutStream(kind, stream, this.#call)) - 1;
  }

  /** Goes on with a message that was encoded before. */
  resume(encoder: Encoder, { values, streams }: EncodedMessage): void {
    encoder.resume(values);
    this.#ownsBlobs = true;
    if (streams.length > 0) this.#streams = [...streams];
  }

  #openHost(): Shelf {
    return this.#host ??= this.#side.host;
  }

  #add(entry: number): void {
    (this.#entries ??= []).push(entry);
  }

  /**
   * Completes a message. A message that is longer than `max` stays at the host, and an announcement is
   * sent in its place.
   */
  seal(encoder: Encoder, kind: number, flags: number, max: number): void {
    this.#valuesEnd = encoder.length;
    try {
      this.#seal(encoder, kind, flags, max);
    } catch (error) {
      // Beside a target that was removed, no host can be opened.
      this.failed(encoder, flags, error);
      throw error;
    }
  }

  #seal(encoder: Encoder, kind: number, flags: number, max: number): void {
    let all = flags;
    if (this.#streams) {
      this.#writeStreams(encoder, this.#streams);
      all |= hasHost;
    }
    encoder.checkTree();
    sealMessage(encoder, kind, all);
    const total = messageBytes(encoder);
    if (total > max) this.#sealParcel(encoder, total);
  }

  #writeStreams(encoder: Encoder, streams: readonly OutStream[]): void {
    const host = this.#openHost();
    encoder.text(host.name);
    for (const stream of streams) {
      const entry = host.addStream(stream, this.#claim);
      this.#add(entry);
      encoder.unsigned(entry);
    }
  }

  #sealParcel(encoder: Encoder, total: number): void {
    checkLength(this.#side.limits, total, "send");
    const tree: Bytes = encoder.bytes.slice(0, encoder.length);
    // Copies, because the caller may change its arrays after the call.
    const blobs = this.#ownsBlobs
      ? [...encoder.blobs] as Bytes[]
      : encoder.blobs.map((blob) => new Uint8Array(blob));
    const values = tree.subarray(headerBytes, this.#valuesEnd);
    this.#parcel = { tree: values, blobs, objects: encoder.objects };
    const host = this.#openHost();
    const id = host.addParcel(tree, blobs, this.#claim);
    this.#add(id);
    encoder.end();
    encoder.begin(this, headerBytes);
    encoder.unsigned(id);
    encoder.unsigned(blobs.length);
    encoder.unsigned(tree.byteLength);
    encoder.unsigned(total);
    encoder.text(host.name);
    sealMessage(encoder, Kind.parcel, hasHost);
  }

  /**
   * A message could not be sealed or sent. If the target is gone, {@linkcode withdrawn} keeps the message,
   * to be sent another time.
   */
  failed(encoder: Encoder, flags: number, error: unknown): void {
    if (codeOf(error) === "NOT_FOUND") this.withdrawn = this.#withdraw(encoder, flags);
  }

  /** Takes the message back; its streams go on. */
  #withdraw(encoder: Encoder, flags: number): EncodedMessage {
    const streams = this.#streams ?? [];
    const values = this.#parcel ?? encoder.take(headerBytes, this.#valuesEnd);
    if (this.#entries) this.#host!.withdraw(this.#entries);
    this.#entries = null;
    this.#streams = null;
    return new EncodedMessage(flags, values, streams);
  }

  /** Drops the streams and parcels of the message: no process will fetch them. */
  drop(reason: TandemError): void {
    if (this.#entries) this.#host!.drop(this.#entries, reason);
    this.#entries = null;
    // Before the message is sealed, its streams have no entries.
    if (this.#streams) { for (const stream of this.#streams) stream.end(reason); }
    this.#streams = null;
  }

  /** The host keeps streams or parcels of the message. */
  get hasEntries(): boolean {
    return this.#entries !== null;
  }

  get hasStreams(): boolean {
    return this.#streams !== null;
  }
}
