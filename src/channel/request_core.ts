/**
 * The work of a {@linkcode ServerRequest}.
 *
 * @module
 */
import { checkWhole } from "../base/checks.ts";
import { type Origin, type Peer, unknownPeer } from "../base/peer.ts";
import { TandemError } from "../errors.ts";
import {
  AnswerKind,
  Control,
  errorBytesMin,
  Held,
  requestForwarded,
  requestOneWay,
  requestText,
  responseInlineBytes,
  Status,
} from "../ffi/layout.ts";
import { type Channel, checkOpen, idOf } from "./channel.ts";
import { encode, type Encoded } from "./encoding.ts";
import { encodeError } from "./error_wire.ts";
import { callFailure } from "./failure.ts";
import { noteBytesIn, readNote } from "./forwarding.ts";
import type { Payload } from "./payload.ts";
import { type Place, senderOf, senderPlace } from "./roster.ts";
import type { SlotTable } from "./slot_table.ts";
import type { Bytes } from "./waiter.ts";

/** The server of a request, as its requests see it. */
export interface RequestHome {
  readonly channel: Channel;
  readonly encoded: Encoded;
  /** By slot: the last request that this handle has held there. */
  readonly held: SlotTable<RequestCore>;
  /** Runs when the handler uses the signal of a request. */
  watch(request: RequestCore): void;
}

/** A request in a server's hands. */
export class RequestCore {
  readonly #home: RequestHome;
  readonly #slot: number;
  readonly #low: number;
  readonly #high: number;
  /** Without the note. */
  readonly #length: number;
  /** The note about the peer for which the request was sent, behind the payload. */
  readonly #noteBytes: number;
  readonly #flags: number;
  /** 1 at the first delivery, one more after each death of a server. */
  readonly deliveries: number;
  /** Whether this handle has answered it. */
  isAnswered: boolean;
  #bytes: Bytes | null;
  #abort: AbortController | null;
  #peer: Peer | null;

  /** The request that the native side has just received. */
  constructor(home: RequestHome) {
    const { words } = home.channel;
    this.#home = home;
    this.#slot = words[Control.slot]!;
    this.#low = words[Control.generationLow]!;
    this.#high = words[Control.generationHigh]!;
    const length = words[Control.length]!;
    this.#flags = words[Control.flags]!;
    this.#noteBytes = this.isForwarded
      ? noteBytesIn(home.channel.memory.request(this.#slot, length))
      : 0;
    this.#length = length - this.#noteBytes;
    this.deliveries = words[Control.deliveries]!;
    this.isAnswered = false;
    this.#bytes = null;
    this.#abort = null;
    this.#peer = null;
    home.held.set(this.#slot, this);
  }

  get id(): bigint {
    return idOf(this.#slot, this.#low, this.#high);
  }

  get isText(): boolean {
    return (this.#flags & requestText) !== 0;
  }

  get oneWay(): boolean {
    return (this.#flags & requestOneWay) !== 0;
  }

  /** Whether another process has passed it on, unchanged, for a peer of its own. */
  get isForwarded(): boolean {
    return (this.#flags & requestForwarded) !== 0;
  }

  /** The request in shared memory, valid until reply, fail or close. */
  get bytes(): Bytes {
    const { channel } = this.#home;
    const known = this.#bytes;
    // Shorter: its buffer was transferred, or the channel is closed.
    if (known !== null && (known.byteLength === this.#length || !channel.isOpen)) return known;
    checkOpen(channel, "request");
    return this.#bytes = this.#noteBytes === 0
      ? channel.memory.request(this.#slot, this.#length)
      : channel.memory.requestFront(this.#slot, this.#whole, this.#length);
  }

  /** Whether no client waits for the answer any more. */
  get cancelled(): boolean {
    if (this.isAnswered || !this.#home.channel.isOpen) return false;
    const state = this.#state();
    if (state === Held.abandoned || state === Held.lost) return true;
    // The client's time may be over before the client has looked.
    return state === Held.held && this.#home.channel.numbers[Control.timeRemaining]! <= 0;
  }

  /** Milliseconds left of the client's deadline; Infinity if it has none. */
  get timeRemaining(): number {
    if (!this.#home.channel.isOpen) return 0;
    this.#state();
    return this.#home.channel.numbers[Control.timeRemaining]!;
  }

  /** Aborts when the client cancels, times out or dies, and when the server closes. */
  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (!this.checkAbort() && !this.isAnswered) this.#home.watch(this);
    }
    return this.#abort.signal;
  }

  /** The process that sent it; unknown if it is first asked for after the answer. */
  get peer(): Peer {
    if (this.#peer) return this.#peer;
    if (this.isAnswered || !this.#home.channel.isOpen) return unknownPeer;
    const sender = senderOf(this.#home.channel, this.#slot);
    const { origin } = this;
    if (!origin) return this.#peer = sender;
    const { address, key } = origin;
    return this.#peer = Object.freeze({ ...sender, address, ...key !== undefined && { key } });
  }

  /** The place of the process that sent it, among the participants of the channel. Only before the answer. */
  get senderPlace(): Place {
    checkOpen(this.#home.channel, "request");
    return senderPlace(this.#home.channel, this.#slot);
  }

  /** For whom the sender has passed the request on, as it says; undefined: it has not, or the request is answered. */
  get origin(): Origin | undefined {
    if (this.#noteBytes === 0 || this.isAnswered || !this.#home.channel.isOpen) return undefined;
    return readNote(this.#whole.slice(this.#length));
  }

  /** The request with its note: where it lies depends on the length of both. */
  get #whole(): Bytes {
    return this.#home.channel.memory.request(this.#slot, this.#length + this.#noteBytes);
  }

  /** Response memory to fill in place. */
  allocate(byteLength: number): Bytes {
    const { channel } = this.#home;
    this.#checkAllocation(byteLength);
    const status = channel.native.tandem_reserve(channel.address, this.#slot, byteLength);
    return this.#allocated(byteLength, status);
  }

  /**
   * As {@linkcode allocate}, in the place of the request, whose bytes are lost, and with the memory that
   * free slots keep.
   */
  allocateInstead(byteLength: number): Bytes {
    const { native, address } = this.#home.channel;
    this.#checkAllocation(byteLength);
    const [slot, low, high] = [this.#slot, this.#low, this.#high];
    return this.#allocated(
      byteLength,
      native.tandem_reserve_instead(address, slot, low, high, byteLength),
    );
  }

  #allocated(byteLength: number, status: number): Bytes {
    if (status < 0) throw callFailure(status, `allocate a response of ${byteLength} bytes`);
    return this.#home.channel.memory.response(this.#slot, byteLength);
  }

  #checkAllocation(byteLength: number): void {
    const { channel } = this.#home;
    checkOpen(channel, "request");
    checkWhole(byteLength, "byteLength", 0, Number.MAX_SAFE_INTEGER);
    if (byteLength > channel.maxResponseBytes) throw this.#tooLarge(byteLength);
    if (this.isAnswered) {
      throw new TandemError(
        "CLOSED",
        "Cannot allocate a response: the request is answered already; allocate before you reply",
      );
    }
  }

  /** True: the client gets the answer. */
  reply(payload: Payload): boolean {
    const { channel, encoded } = this.#home;
    checkOpen(channel, "request");
    if (this.isAnswered) return false;
    encode(payload, encoded);
    const kind = encoded.isText ? AnswerKind.text : AnswerKind.bytes;
    return this.#answer(encoded.bytes, encoded.length, kind);
  }

  /** True: the client gets the error. */
  fail(error: unknown): boolean {
    const { channel } = this.#home;
    checkOpen(channel, "request");
    if (this.isAnswered) return false;
    try {
      return this.#fail(error, Math.max(channel.maxResponseBytes, errorBytesMin));
    } catch (failure) {
      if (!(failure instanceof TandemError) || failure.code !== "NO_SPACE") throw failure;
      // The slot's head always has room: better a cut error than a client that waits.
      return this.#fail(error, responseInlineBytes);
    }
  }

  #fail(error: unknown, limit: number): boolean {
    const bytes = encodeError(error, limit);
    return this.#answer(bytes, bytes.byteLength, AnswerKind.remoteError);
  }

  /**
   * From now on the request is not handed to another server when this one dies or closes, because its
   * work has begun and must not begin twice.
   */
  lastDelivery(): void {
    const { channel } = this.#home;
    // With one delivery there is no other anyway.
    if (channel.maxDeliveries === 1 || this.isAnswered || !channel.isOpen) return;
    channel.native.tandem_last_delivery(channel.address, this.#slot, this.#low, this.#high);
  }

  /**
   * Tells the guard of this worker process that a handler begins with the request.
   *
   * @param method the worker's number for the method
   * @returns what {@linkcode endWork} takes; below 0: no guard watches the request
   */
  beginWork(method: number): number {
    const { channel } = this.#home;
    if (!channel.isOpen) return -1;
    const { native, address } = channel;
    return native.tandem_work_begin(address, this.#slot, this.#low, this.#high, method);
  }

  /**
   * The handler has ended. If the process has been condemned because of this very request, it ends here and
   * at once.
   *
   * @param entry from {@linkcode beginWork}; given once
   */
  endWork(entry: number, hasFailed: boolean): void {
    if (entry >= 0) this.#home.channel.native.tandem_work_end(entry, hasFailed ? 1 : 0);
  }

  /** Aborts the signal if the client has gone. True: it has. */
  checkAbort(): boolean {
    if (this.isAnswered || !this.cancelled) return false;
    const isLate = this.timeRemaining <= 0;
    this.#abort?.abort(
      isLate
        ? new TandemError("TIMEOUT", "The client's deadline ran out, so it takes no answer")
        : new TandemError("CANCELLED", "The client cancelled the call or is gone"),
    );
    return true;
  }

  /** The server leaves the channel, and no client gets an answer from here. */
  abandon(): void {
    if (this.isAnswered) return;
    // Also for a handler that looks at its signal only later.
    this.#abort ??= new AbortController();
    this.#abort.abort(
      new TandemError("CANCELLED", "The server was closed, so no client gets its answer"),
    );
  }

  #state(): number {
    const { native, address, words } = this.#home.channel;
    return native.tandem_held(address, this.#slot, this.#low, this.#high, words);
  }

  #answer(bytes: Uint8Array, length: number, kind: number): boolean {
    const { native, address } = this.#home.channel;
    // Again: code of the user that runs while a payload is read may close the handle.
    checkOpen(this.#home.channel, "request");
    const status = native.tandem_reply(
      address,
      this.#slot,
      this.#low,
      this.#high,
      bytes,
      length,
      kind,
    );
    if (status === -Status.tooLarge) throw this.#tooLarge(length);
    if (status < 0) throw callFailure(status, "reply");
    this.isAnswered = true;
    return status === 1;
  }

  #tooLarge(length: number): TandemError {
    return new TandemError(
      "TOO_LARGE",
      `Cannot reply with ${length} bytes: the channel takes ${this.#home.channel.maxResponseBytes}; ` +
        "reply with fewer, or make it with a larger maxResponseBytes",
    );
  }
}
