/**
 * Writes messages, with the lent values and byte strings to which they refer.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import type { AddedFunction, EncodedValues, Encoder } from "../codec/encoder.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import type { StreamKind } from "../codec/stream_kinds.ts";
import type { TandemError } from "../errors.ts";
import type { Bytes } from "../transport/transport.ts";
import type { CallContext } from "./context.ts";
import { addFunction } from "./add_function.ts";
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
import type { Keeper, Lent, Lot, LotOwner } from "./lent.ts";
import { OutSignal } from "./out_signal.ts";
import { OutStream } from "./out_stream.ts";

/** The owner of a lent value or parcel that no receiver has claimed. */
export type Claim = "call" | "receiver";

/** A host, as the messages see it that leave lent values and parcels there. */
export interface Shelf extends Keeper {
  /** The name by which other processes find the host. */
  readonly name: string;
  /** @param lot the values that end with the same stream */
  addLent(lent: Lent, claim: Claim, lot: Lot | null): number;
  addParcel(tree: Bytes, blobs: readonly Bytes[], claim: Claim): number;
  /** Removes entries; the lent values among them go on. */
  withdraw(ids: Iterable<number>): void;
  /** Removes entries, and ends the lent values among them. */
  drop(ids: Iterable<number>, reason: TandemError): void;
  /**
   * The call of these entries is over. Those that are to be kept belong to their receiver from now on.
   *
   * @param caller must stay reachable as long as they do
   * @returns resolves when the calls of functions have begun that were made before; null: they have
   */
  retire(ids: Iterable<number>, reason: TandemError, caller: object): Promise<void> | null;
}

/** A function at a host. */
export interface Addressee {
  readonly lease: number;
  readonly id: number;
}

/** The end that writes a message. */
export interface WritingSide {
  readonly errorClasses: ErrorClasses;
  readonly limits: Limits;
  /** The host of this end, opened when it is first needed. */
  readonly host: Shelf;
}

/** Thrown in place of sending a message whose Blobs have to be read first. */
export class Unread {
  readonly message: EncodedMessage;

  constructor(message: EncodedMessage) {
    this.message = message;
  }
}

/** The hooks for writing one message; they keep the lent values and parcels to which it refers. */
export class Writes implements MessageHooks {
  readonly errorClasses: ErrorClasses;
  readonly maxTreeBytes: number;
  readonly #side: WritingSide;
  readonly #claim: Claim;
  readonly #call: CallContext | undefined;
  readonly #owner: LotOwner | undefined;
  #lent: Lent[] | null = null;
  #entries: number[] | null = null;
  /** The host of all these entries. The next message may have another host. */
  #host: Shelf | null = null;
  /** The message owns its byte strings, so they need no copy. */
  #ownsBlobs = false;
  /** The position in the tree at which the values end. */
  #valuesEnd = 0;
  /** The values of a message that is too long for a slot. */
  #parcel: EncodedValues | null = null;
  /** For the call of a function: how its host knows it. An announcement names it as well. */
  addressee: Addressee | null = null;
  /** The message, if it was not sent because the target is gone, or because its Blobs have to be read. */
  withdrawn: EncodedMessage | null = null;

  constructor(
    side: WritingSide,
    claim: Claim,
    call: CallContext | undefined,
    owner: LotOwner | undefined,
  ) {
    this.#side = side;
    this.#claim = claim;
    this.#call = call;
    this.#owner = owner;
    this.errorClasses = side.errorClasses;
    this.maxTreeBytes = side.limits.maxTreeBytes;
  }

  /** The message refers to lent values by number; the host's name follows at the end of the tree. */
  addStream(kind: StreamKind, stream: object): number {
    return this.#lend(new OutStream(kind, stream, this.#call));
  }

  addSignal(signal: AbortSignal): number {
    return this.#lend(new OutSignal(signal));
  }

  addFunction(value: object): AddedFunction | string {
    return addFunction(value, this.#call, (lent) => this.#lend(lent));
  }

  #lend(lent: Lent): number {
    return (this.#lent ??= []).push(lent) - 1;
  }

  /** Goes on with a message that was encoded before. */
  resume(encoder: Encoder, { values, lent }: EncodedMessage): void {
    encoder.resume(values);
    this.#ownsBlobs = true;
    if (lent.length > 0) this.#lent = [...lent];
  }

  get readsBlobs(): boolean {
    return true;
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
    if (encoder.hasUnread) throw this.#unread(encoder, flags);
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
    if (this.#lent) {
      this.#writeLent(encoder, this.#lent);
      all |= hasHost;
    }
    encoder.checkTree();
    sealMessage(encoder, kind, all);
    const total = messageBytes(encoder);
    if (total > max) this.#sealParcel(encoder, total);
  }

  /** Takes a message back until its Blobs are read. */
  #unread(encoder: Encoder, flags: number): unknown {
    encoder.checkTree();
    checkLength(this.#side.limits, messageBytes(encoder) + encoder.unreadBytes, "send");
    const message = this.withdrawn = this.withdraw(encoder, flags);
    return new Unread(message);
  }

  #writeLent(encoder: Encoder, all: readonly Lent[]): void {
    const host = this.#openHost();
    encoder.text(host.name);
    for (const lent of all) {
      const lot = lent.endsWithOwner ? this.#owner?.lot ?? null : null;
      const entry = host.addLent(lent, this.#claim, lot);
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
    this.#parcel = { tree: values, blobs, objects: encoder.objects, unread: null };
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
    if (this.addressee) {
      encoder.value(this.addressee.lease);
      encoder.unsigned(this.addressee.id);
    }
    sealMessage(encoder, this.addressee ? Kind.longInvoke : Kind.parcel, hasHost);
  }

  /**
   * A message could not be sealed or sent. If the target is gone, {@linkcode withdrawn} keeps the message,
   * to be sent another time.
   */
  failed(encoder: Encoder, flags: number, error: unknown): void {
    if (codeOf(error) === "NOT_FOUND") this.withdrawn = this.withdraw(encoder, flags);
  }

  /** Takes the message back, to be sent another time; its lent values go on. */
  withdraw(encoder: Encoder, flags: number): EncodedMessage {
    const lent = this.#lent ?? [];
    const values = this.#parcel ?? encoder.take(headerBytes, this.#valuesEnd);
    if (this.#entries) this.#host!.withdraw(this.#entries);
    this.#entries = null;
    this.#lent = null;
    return new EncodedMessage(flags, values, lent);
  }

  /** Drops the lent values and parcels of the message: no process will fetch them. */
  drop(reason: TandemError): void {
    if (this.#entries) this.#host!.drop(this.#entries, reason);
    this.#entries = null;
    // Before the message is sealed, its lent values have no entries.
    if (this.#lent) { for (const lent of this.#lent) lent.end(reason); }
    this.#lent = null;
  }

  /**
   * The call of the message is over. Its lent values end, except those to be kept.
   *
   * @param caller must stay reachable as long as those are kept
   * @returns see {@linkcode Shelf.retire}
   */
  end(reason: TandemError, caller: object): Promise<void> | null {
    const entries = this.#entries;
    this.#entries = null;
    this.#lent = null;
    return entries && this.#host!.retire(entries, reason, caller);
  }

  /** The host keeps lent values or parcels of the message. */
  get hasEntries(): boolean {
    return this.#entries !== null;
  }

  get hasLent(): boolean {
    return this.#lent !== null;
  }
}
