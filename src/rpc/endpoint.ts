/**
 * One end of typed calls: what it sends that does not fit into a message, and what it fetches of that
 * kind from others.
 *
 * A channel may have several services, and a message goes to any of them. What belongs to one process,
 * a stream or the parts of a long message, is therefore fetched from it through a channel that it
 * alone serves: see `host.ts` and `peer.ts`.
 *
 * @module
 */
import type { HandleCore } from "../channel/handle_core.ts";
import { codeOf } from "../base/guard.ts";
import type { SendOptions } from "../channel/options.ts";
import { connectPrivate } from "../channel/private.ts";
import type { TandemError } from "../errors.ts";
import { corrupt, type DecodeHooks } from "../codec/decoder.ts";
import type { EncodedValues, Encoder } from "../codec/encoder.ts";
import { readableKind, type StreamKind } from "../codec/stream_kinds.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import type { CallContext } from "./context.ts";
import { EncodedMessage } from "./encoded_message.ts";
import { Host } from "./host.ts";
import { InStream, type StreamTerms } from "./in_stream.ts";
import {
  hasHost,
  headerBytes,
  Kind,
  messageBytes,
  type MessageHooks,
  type Reading,
  sealMessage,
} from "./message.ts";
import { checkLength, type Limits } from "./options.ts";
import { OutStream } from "./out_stream.ts";
import { type Announcement, type Parcel, Peer } from "./peer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** For streams and parcels, until their receiver has said that it is there. */
export type Claim = "call" | "receiver";

export class Endpoint {
  readonly errorClasses: ErrorClasses;
  /** Of messages that are sent or taken. */
  readonly limits: Limits;
  readonly #main: HandleCore;
  #host: Host | null = null;
  #hostCount = 0;
  #lastEntry = 0;
  readonly #peers: Map<string, Peer> = new Map();
  /** For reading, which happens one message after the other. */
  readonly #reads: Reads;
  isClosed = false;

  /**
   * @param readableAs how streams that are ReadableStreams over there arrive
   */
  constructor(
    main: HandleCore,
    errorClasses: ErrorClasses,
    limits: Limits,
    readableAs: "readable" | "generator",
  ) {
    this.#main = main;
    this.errorClasses = errorClasses;
    this.limits = limits;
    this.#reads = new Reads(this, readableAs === "readable");
  }

  /** What others fetch from here. */
  get host(): Host {
    if (this.#host?.isLost) this.#host = null;
    if (this.#host) return this.#host;
    const host = new Host(this, this.#main, this.#hostCount);
    this.#hostCount += 1;
    return this.#host = host;
  }

  /** A number for something that others fetch, unique among all hosts of this end. */
  nextEntry(): number {
    return this.#lastEntry += 1;
  }

  /** The process that hosts under that name. */
  peer(name: string): Peer {
    const known = this.#peers.get(name);
    if (known) return known;
    const open = () => connectPrivate(this.#main, name);
    const peer = new Peer(this, open, () => this.#peers.delete(name));
    this.#peers.set(name, peer);
    return peer;
  }

  /**
   * Fetches a long message.
   *
   * @throws {TandemError} `TOO_LARGE` when it is longer than this side allows; `SERVER_DIED` when its
   * sender is gone
   */
  async fetch(announcement: Announcement, options: SendOptions): Promise<Parcel> {
    const peer = this.peer(announcement.host);
    const release = peer.hold();
    try {
      return await peer.fetch(announcement, options);
    } finally {
      release();
    }
  }

  /**
   * Begins to write one message.
   *
   * @param call in whose context its streams go on
   */
  writes(claim: Claim, call?: CallContext): Writes {
    return new Writes(this, claim, call);
  }

  /** To read a message with. */
  get reads(): Reads {
    return this.#reads;
  }

  /** Ends every stream that others fetch from here, and what is fetched from them. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#host?.close();
    for (const peer of [...this.#peers.values()]) peer.close();
  }
}

/** Streams and parcels that one message refers to. */
export class Writes implements MessageHooks {
  readonly errorClasses: ErrorClasses;
  readonly maxTreeBytes: number;
  readonly #endpoint: Endpoint;
  readonly #claim: Claim;
  readonly #call: CallContext | undefined;
  #streams: OutStream[] | null = null;
  #entries: number[] | null = null;
  /** Which has all of them: it may be another one for the next message. */
  #host: Host | null = null;
  /** Its byte strings belong to the message alone, and need not be copied. */
  #ownsBlobs = false;
  /** Where the values end in the tree. */
  #valuesEnd = 0;
  /** Of a message that is too long for a slot. */
  #parcel: EncodedValues | null = null;
  /** The message, if it could not be sent since the channel is gone. */
  withdrawn: EncodedMessage | null = null;

  constructor(endpoint: Endpoint, claim: Claim, call: CallContext | undefined) {
    this.#endpoint = endpoint;
    this.#claim = claim;
    this.#call = call;
    this.errorClasses = endpoint.errorClasses;
    this.maxTreeBytes = endpoint.limits.maxTreeBytes;
  }

  /** A stream is known by its number in the message; where it is, the message says at its end. */
  addStream(kind: StreamKind, stream: object): number {
    const streams = this.#streams ??= [];
    return streams.push(new OutStream(kind, stream, this.#call)) - 1;
  }

  /** Writes a message that was encoded before. */
  resume(encoder: Encoder, { values, streams }: EncodedMessage): void {
    encoder.resume(values);
    this.#ownsBlobs = true;
    if (streams.length > 0) this.#streams = [...streams];
  }

  #hostOfThis(): Host {
    return this.#host ??= this.#endpoint.host;
  }

  #add(entry: number): void {
    (this.#entries ??= []).push(entry);
  }

  /**
   * Completes a message; one that is longer than `max` is kept here to be fetched, and what is sent
   * says so.
   */
  seal(encoder: Encoder, kind: number, flags: number, max: number): void {
    this.#valuesEnd = encoder.length;
    try {
      this.#seal(encoder, kind, flags, max);
    } catch (error) {
      // Where the channel was removed, no host can be made beside it.
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
    const host = this.#hostOfThis();
    encoder.text(host.name);
    for (const stream of streams) {
      const entry = host.addStream(stream, this.#claim);
      this.#add(entry);
      encoder.unsigned(entry);
    }
  }

  #sealParcel(encoder: Encoder, total: number): void {
    checkLength(this.#endpoint.limits, total, "send");
    const tree: Bytes = encoder.bytes.slice(0, encoder.length);
    // Copies: what is sent is what it was when it was sent.
    const blobs = this.#ownsBlobs
      ? [...encoder.blobs] as Bytes[]
      : encoder.blobs.map((blob) => new Uint8Array(blob));
    const values = tree.subarray(headerBytes, this.#valuesEnd);
    this.#parcel = { tree: values, blobs, objects: encoder.objects };
    const host = this.#hostOfThis();
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
   * A message could not be sent, or sealed. One for which there is no channel any more is in
   * {@linkcode withdrawn} afterwards, to be sent another time.
   */
  failed(encoder: Encoder, flags: number, error: unknown): void {
    if (codeOf(error) === "NOT_FOUND") this.withdrawn = this.#withdraw(encoder, flags);
  }

  /** Its streams go on. */
  #withdraw(encoder: Encoder, flags: number): EncodedMessage {
    const streams = this.#streams ?? [];
    const values = this.#parcel ?? encoder.take(headerBytes, this.#valuesEnd);
    if (this.#entries) this.#host!.withdraw(this.#entries);
    this.#entries = null;
    this.#streams = null;
    return new EncodedMessage(flags, values, streams);
  }

  /** Nobody will fetch what the message refers to, or nobody should any more. */
  drop(reason: TandemError): void {
    if (this.#entries) this.#host!.drop(this.#entries, reason);
    this.#entries = null;
    // Those of a message that was never sealed have no entry.
    if (this.#streams) { for (const stream of this.#streams) stream.end(reason); }
    this.#streams = null;
  }

  get isPlain(): boolean {
    return this.#entries === null;
  }

  get hasStreams(): boolean {
    return this.#streams !== null;
  }
}

/** Streams that the message being read refers to. */
export class Reads implements DecodeHooks {
  readonly errorClasses: ErrorClasses;
  readonly maxTreeBytes: number;
  readonly #endpoint: Endpoint;
  readonly #makesReadable: boolean;
  #streams: InStream[] = [];

  constructor(endpoint: Endpoint, makesReadable: boolean) {
    this.#endpoint = endpoint;
    this.#makesReadable = makesReadable;
    this.maxTreeBytes = endpoint.limits.maxTreeBytes;
    this.errorClasses = endpoint.errorClasses;
  }

  openStream(kind: StreamKind, index: number): object {
    if (index !== this.#streams.length) throw corrupt("a stream has another number");
    const stream = new InStream();
    this.#streams.push(stream);
    return kind === readableKind && this.#makesReadable ? stream.toReadable() : stream;
  }

  /**
   * Ends the reading of a message: its streams can be pulled from now on.
   *
   * @throws {TandemError} `CORRUPT` when something is left, or missing
   */
  finish({ flags, decoder }: Reading, terms: StreamTerms | undefined): void {
    const streams = this.#streams;
    if (streams.length === 0 && !(flags & hasHost)) return decoder.finish();
    this.#streams = [];
    const name = decoder.text();
    const attached = streams.map((stream) => ({ id: decoder.unsigned(), stream }));
    decoder.finish();
    if (streams.length > 0) this.#endpoint.peer(name).attach(attached, terms);
  }

  /** The message made no sense. */
  forget(): void {
    if (this.#streams.length > 0) this.#streams = [];
  }
}
