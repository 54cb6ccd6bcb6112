/**
 * The work of a {@linkcode Client}.
 *
 * @module
 */
import { checkWhole, deadlineAfter } from "../base/checks.ts";
import { mapResult, same } from "../base/closing.ts";
import { codeOf } from "../base/guard.ts";
import { Retry } from "../base/retry.ts";
import type { TandemError } from "../errors.ts";
import {
  AnswerKind,
  cancelKeepAnswer,
  Control,
  sendBlock,
  sendOneWay,
  sendText,
  sendWatched,
  Status,
} from "../ffi/layout.ts";
import { now } from "../runtime/timers.ts";
import { answerFailed } from "./answers.ts";
import { CallCore, type CallHome } from "./call_core.ts";
import {
  type CallSettings,
  callSettings,
  defaultSettings,
  readingSettings,
  type ReadingTerms,
  syncCallSettings,
} from "./call_settings.ts";
import { CallWaits } from "./call_waits.ts";
import {
  type Channel,
  checkOpen,
  closeChannel,
  openChannel,
  openChannelFromFd,
  OpenMode,
  partsOf,
} from "./channel.ts";
import { connectTo } from "./connect.ts";
import { DraftCore, type DraftSender } from "./draft_core.ts";
import { encode, type Encoded, newEncoded } from "./encoding.ts";
import { busyFailure, callFailure, requestTooLarge } from "./failure.ts";
import { FreshArrays } from "./fresh.ts";
import { HandleCore } from "./handle_core.ts";
import { Loop } from "./loop.ts";
import type {
  ChannelOptions,
  RequestOptions,
  RequestSyncOptions,
  WaitOptions,
} from "../base/channel_options.ts";
import type { Payload } from "./payload.ts";
import {
  type AnswerReader,
  type Bytes,
  type CallRef,
  endsCall,
  isBackground,
  ownsCall,
} from "./waiter.ts";

const nothing: Bytes = new Uint8Array(0);

/** Bytes to send: the first `length` of them. */
interface SentBytes {
  readonly bytes: Uint8Array;
  readonly length: number;
}

export class ClientCore extends HandleCore implements DraftSender {
  readonly #waits: CallWaits;
  readonly #loop: Loop;
  readonly #home: CallHome;
  /** The last attempt to send a request has found no memory. */
  #memoryFailure: unknown = null;
  readonly #retry: Retry = new Retry();
  readonly #encoded: Encoded = newEncoded();
  readonly #fresh: FreshArrays;
  /** The last `into` that an answer was shorter than, and the view of its front. */
  #lastInto: Bytes = nothing;
  #lastView: Bytes = nothing;
  /** The settings of calls without options. */
  readonly #defaults: CallSettings;

  constructor(channel: Channel) {
    super(channel, "client");
    this.#fresh = new FreshArrays(channel.backend);
    this.#waits = new CallWaits(channel);
    this.#loop = new Loop(channel, this.#waits);
    this.#waits.onSettled = () => this.#loop.settle();
    this.#home = { channel, waits: this.#waits, loop: this.#loop };
    this.#defaults = defaultSettings(channel.maxDeliveries);
  }

  /**
   * @param create sizes of a channel to be made when there is none; undefined: it has to be there
   * @param kind 0, or `openKindInt`
   */
  static open(target: string, create?: ChannelOptions, kind: number = 0): ClientCore {
    const mode = create ? OpenMode.openOrCreate : OpenMode.attach;
    return new ClientCore(openChannel("client", target, mode | kind, create));
  }

  /** A handle that only posts to a channel that is there, as `connectPrivateQuietly` makes them. */
  static openQuietly(target: string): ClientCore {
    return new ClientCore(openChannel("client", target, OpenMode.attach | OpenMode.quiet));
  }

  /** Waits for a channel to be made. */
  static connect(target: string, options: WaitOptions): Promise<ClientCore> {
    return connectTo(target, options, () => ClientCore.open(target));
  }

  static fromFd(fd: number, kind: number = 0): ClientCore {
    return new ClientCore(openChannelFromFd("client", fd, kind));
  }

  /** This handle's calls in flight, drafts not counted. */
  get pending(): number {
    checkOpen(this.channel, "client");
    return this.channel.native.tandem_pending(this.channel.address);
  }

  /** Checks the options of a call. */
  settings(options: RequestOptions | undefined): CallSettings {
    return options === undefined
      ? this.#defaults
      : callSettings(options, this.channel.maxDeliveries);
  }

  /** As {@linkcode settings}, of a request whose answer is read where it lies. */
  readingSettings(terms: ReadingTerms | undefined): CallSettings {
    return terms === undefined
      ? this.#defaults
      : readingSettings(terms, this.channel.maxDeliveries);
  }

  /** As {@linkcode settings}, of a blocking form. */
  syncSettings(options: RequestSyncOptions | undefined): CallSettings {
    return options === undefined
      ? this.#defaults
      : syncCallSettings(options, this.channel.maxDeliveries);
  }

  request(payload: Payload, settings: CallSettings): Promise<Bytes> {
    const flags = this.#encode(payload, settings.deliveries) | sendWatched;
    return this.#trySend(this.#encoded, flags, settings.timeout)
      ? this.#answer(this.#lastCall(), settings)
      : this.#requestLater(flags, settings);
  }

  /** Apart from {@linkcode request}, whose variables no closure may hold: that would slow it down. */
  #requestLater(flags: number, settings: CallSettings): Promise<Bytes> {
    if (settings.timeout === 0) throw this.#busy("send a request");
    const room = this.#whenRoom(flags, settings.deadline, settings.signal);
    return mapResult(room.then((call) => this.#answer(call, settings)), same);
  }

  /**
   * As {@linkcode request}; `reader` gets the answer where it lies, before this handle does anything
   * else. With `isInBackground` the process does not stay alive for it. `roomTimeout`: how long it
   * waits for a slot at most, in milliseconds.
   */
  requestReading(
    payload: Payload,
    terms: ReadingTerms | undefined,
    reader: AnswerReader,
    isInBackground: boolean = false,
    roomTimeout: number = Infinity,
  ): void {
    checkOpen(this.channel, "client");
    const settings = this.readingSettings(terms);
    const { timeout } = settings;
    const flags = this.#encode(payload, settings.deliveries) | sendWatched;
    // In their order: a later message may depend on an earlier one.
    if (!this.#waits.hasRoomWaiters && this.#trySendInMemory(this.#encoded, flags, timeout)) {
      this.#read(this.#lastCall(), settings, isInBackground, reader);
    } else {
      this.#readLater(flags, settings, reader, isInBackground, roomTimeout);
    }
  }

  /** Apart from {@linkcode requestReading}, for the reason of {@linkcode #requestLater}. */
  #readLater(
    flags: number,
    settings: CallSettings,
    reader: AnswerReader,
    isInBackground: boolean,
    roomTimeout: number,
  ): void {
    const { timeout, deadline, signal } = settings;
    if (timeout === 0) throw this.#refusal();
    this.#whenRoom(flags, deadline, signal, deadlineAfter(roomTimeout), true).then(
      (call) => this.#read(call, settings, isInBackground, reader),
    ).catch((error) => reader.fail(error));
  }

  /** Whether requests of this handle wait for a slot, and come before others. */
  get hasRoomWaiters(): boolean {
    return this.#waits.hasRoomWaiters;
  }

  /**
   * From now on the death watch covers only the channel's servers, and not up to 64 other participants:
   * for channels whose servers wait in event loops, and so notice the deaths of clients themselves.
   */
  watchServersOnly(): void {
    checkOpen(this.channel, "client");
    this.channel.native.tandem_watch_servers_only(this.channel.address);
  }

  /**
   * Runs `listener` when there may be fewer participants than before, as long as a request of this
   * handle waits: a request that no server has taken yet does not end with the last server.
   */
  onDeath(listener: () => void): void {
    this.#loop.onDeath = listener;
  }

  /**
   * From now on this handle watches others, as one on whom the others rely: of many such handles, each watches only
   * the next ones of the table. `listener` runs whenever {@linkcode joins} or {@linkcode departures} may have
   * changed, until the handle is closed. None of this keeps the process alive.
   */
  watchMembers(listener: () => void): void {
    checkOpen(this.channel, "client");
    this.#loop.onDeath = listener;
    this.#loop.keepWatch();
  }

  /** The numbers are as the native side takes them. */
  requestSync(
    payload: Payload,
    timeout: number,
    deliveries: number,
    into: Bytes | undefined,
  ): Bytes {
    const encoded = this.#encoded;
    const { channel } = this;
    // After the options were read, which may have closed the handle.
    checkOpen(channel, "client");
    encode(payload, encoded);
    const flags = deliveries | (encoded.isText ? sendText : 0);
    const { native, address, words } = channel;
    const { bytes, length } = encoded;
    if (into === undefined && this.#fresh.isLengthKnown) {
      const sent = native.tandem_send(address, bytes, length, flags | sendBlock, timeout, words);
      return sent < 0 ? this.#requested(sent, nothing, false) : this.#getFresh();
    }
    const target = into ?? this.#fresh.next();
    const room = target.byteLength;
    const status = native.tandem_request(
      address,
      bytes,
      length,
      flags,
      timeout,
      target,
      room,
      words,
    );
    return this.#requested(status, target, into !== undefined);
  }

  /** Waits for the answer to the request that was just sent. Its array is made while a server works. */
  #getFresh(): Bytes {
    const { native, address, words } = this.channel;
    const slot = words[Control.slot]!;
    const low = words[Control.generationLow]!;
    const high = words[Control.generationHigh]!;
    const target = this.#fresh.next();
    const room = target.byteLength;
    const status = native.tandem_get(address, slot, low, high, NaN, target, room, words);
    return this.#requested(status, target, false);
  }

  /** The end of a blocking request. */
  #requested(status: number, target: Bytes, isInto: boolean): Bytes {
    this.#loop.restore();
    if (this.#waits.isWaiting) this.#lastCall();
    if (status >= 0) {
      return isInto ? this.#viewOf(target, status) : this.#fresh.answerIn(target, status);
    }
    const isAnswered = status === -Status.longer || status === -Status.remote;
    if (status === -Status.tooLarge) throw this.#tooLarge(this.#encoded.length);
    if (status === -Status.busy) throw this.#busy("finish a request");
    if (!isAnswered) throw callFailure(status, "finish a request");
    const answer = answerFailed(this.channel, this.#lastCall(), status, target, isInto, true)!;
    this.#fresh.note(answer.byteLength);
    return answer;
  }

  /** A view of the answer at the front of `into`: the same object as long as its length is the same. */
  #viewOf(into: Bytes, length: number): Bytes {
    if (length === into.byteLength) return into;
    if (this.#lastInto !== into || this.#lastView.byteLength !== length) {
      this.#lastInto = into;
      this.#lastView = into.subarray(0, length);
    }
    return this.#lastView;
  }

  /** Null: no slot is free. */
  trySend(payload: Payload, settings: CallSettings): CallCore | null {
    const flags = this.#encode(payload, settings.deliveries);
    if (!this.#trySend(this.#encoded, flags, settings.timeout)) return null;
    return this.#makeCall(settings.deadline);
  }

  /** Blocks the thread while no slot is free. */
  sendSync(payload: Payload, settings: CallSettings): CallCore {
    const flags = this.#encode(payload, settings.deliveries) | sendBlock;
    try {
      this.#trySend(this.#encoded, flags, settings.timeout);
      return this.#makeCall(settings.deadline);
    } finally {
      this.#loop.restore();
    }
  }

  /** Resolves to `make` of the call, as soon as a slot is free. */
  send<T>(payload: Payload, settings: CallSettings, make: (call: CallCore) => T): Promise<T> {
    const { timeout, deadline, signal } = settings;
    const flags = this.#encode(payload, settings.deliveries);
    if (this.#trySend(this.#encoded, flags, timeout)) {
      return Promise.resolve(make(this.#makeCall(deadline)));
    }
    if (timeout === 0) throw this.#busy("send a request");
    return mapResult(
      this.#whenRoom(flags, deadline, signal),
      ({ slot, low, high }) => make(new CallCore(this.#home, slot, low, high, deadline)),
    );
  }

  /** False: no slot is free. */
  post(payload: Payload): boolean {
    const flags = this.#encode(payload, this.#defaults.deliveries) | sendOneWay;
    const isSent = this.#trySend(this.#encoded, flags, NaN);
    // The native side no longer reports a call whose slot the request has taken.
    if (isSent && this.#waits.isWaiting) this.#lastCall();
    return isSent;
  }

  /** Whether fewer than `limit` requests of all clients wait for a server. If not, `stats` counts one `busy`. */
  hasRoom(limit: number): boolean {
    checkOpen(this.channel, "client");
    return this.channel.native.tandem_has_room(this.channel.address, limit) === 1;
  }

  /** Takes the oldest waiting request, as a server would, and drops it. False: there is none. */
  dropOldest(): boolean {
    checkOpen(this.channel, "client");
    const { native, address, words } = this.channel;
    const status = native.tandem_receive(address, 0, words);
    if (status < 0) throw callFailure(status, "drop a request");
    if (status === 0) return false;
    const slot = words[Control.slot]!;
    const low = words[Control.generationLow]!;
    const high = words[Control.generationHigh]!;
    native.tandem_reply(address, slot, low, high, nothing, 0, AnswerKind.bytes);
    return true;
  }

  allocate(byteLength: number): DraftCore {
    checkOpen(this.channel, "client");
    checkWhole(byteLength, "byteLength", 0, Number.MAX_SAFE_INTEGER);
    const { native, address, words, maxRequestBytes } = this.channel;
    const tried = `allocate a request of ${byteLength} bytes`;
    if (byteLength > maxRequestBytes) throw this.#tooLarge(byteLength);
    const status = native.tandem_allocate(address, byteLength, words);
    if (status === 0) throw this.#busy(tried);
    if (status < 0) throw callFailure(status, tried);
    return new DraftCore(this, this.#lastCall(), byteLength);
  }

  /** Cancels a call of any process. True: its client gets no answer. */
  cancel(id: bigint): boolean {
    checkOpen(this.channel, "client");
    const ref = partsOf(id);
    if (!ref) return false;
    const { native, address } = this.channel;
    const { slot, low, high } = ref;
    const isCancelled = native.tandem_cancel(address, slot, low, high, cancelKeepAnswer) === 1;
    if (isCancelled) {
      this.#waits.settleOwn(ref);
      this.#loop.settle();
    }
    return isCancelled;
  }

  /** Cancels this handle's calls in flight and leaves the channel. Twice is fine. */
  close(): void {
    if (!this.channel.isOpen) return;
    this.#loop.close();
    this.#retry.reset();
    closeChannel(this.channel);
    this.#waits.close();
  }

  sendDraft(ref: CallRef, length: number, settings: CallSettings): CallCore {
    this.#publish(ref, length, settings, 0);
    return new CallCore(this.#home, ref.slot, ref.low, ref.high, settings.deadline);
  }

  postDraft(ref: CallRef, length: number): void {
    this.#publish(ref, length, this.#defaults, sendOneWay);
  }

  requestDraft(ref: CallRef, length: number, settings: CallSettings): Promise<Bytes> {
    this.#publish(ref, length, settings, sendWatched);
    return this.#answer(ref, settings);
  }

  readDraft(ref: CallRef, length: number, settings: CallSettings, reader: AnswerReader): void {
    this.#publish(ref, length, settings, sendWatched);
    this.#read(ref, settings, false, reader);
  }

  #publish(
    { slot, low, high }: CallRef,
    length: number,
    settings: CallSettings,
    flags: number,
  ): void {
    const { native, address } = this.channel;
    const { deliveries, timeout } = settings;
    const all = flags | deliveries;
    const status = native.tandem_publish(address, slot, low, high, length, all, timeout);
    if (status === 0) throw callFailure(-Status.busy, "send a draft");
    if (status < 0) throw callFailure(status, "send a draft");
    if (status === 2) this.#loop.nudge((flags & sendWatched) !== 0);
  }

  /** Encodes a payload. Returns the flags of its call. */
  #encode(payload: Payload, deliveries: number): number {
    // After the options were read, which may have closed the handle.
    checkOpen(this.channel, "client");
    encode(payload, this.#encoded);
    return this.#encoded.isText ? deliveries | sendText : deliveries;
  }

  /** False: no slot is free. */
  #trySend({ bytes, length }: SentBytes, flags: number, timeout: number): boolean {
    const { native, address, words } = this.channel;
    const status = native.tandem_send(address, bytes, length, flags, timeout, words);
    if (status === 0) return false;
    if (status === -Status.tooLarge) throw this.#tooLarge(length);
    if (status === -Status.busy) throw this.#busy("send a request");
    if (status < 0) throw callFailure(status, "send a request");
    if (status === 2) this.#loop.nudge((flags & sendWatched) !== 0);
    return true;
  }

  /** As {@linkcode #trySend}. False also when there is no memory for the message. */
  #trySendInMemory(sent: SentBytes, flags: number, timeout: number): boolean {
    this.#memoryFailure = null;
    try {
      const isSent = this.#trySend(sent, flags, timeout);
      if (isSent) this.#retry.reset();
      return isSent;
    } catch (error) {
      if (codeOf(error) !== "NO_SPACE") throw error;
      this.#memoryFailure = error;
      return false;
    }
  }

  /** Why the last request was not sent: no memory, or no slot. */
  #refusal(): unknown {
    return this.#memoryFailure ?? this.#busy("send a request");
  }

  /** The call that the native side has just made. Waits for an earlier call in its slot end. */
  #lastCall(): CallRef {
    const { words } = this.channel;
    const ref: CallRef = {
      slot: words[Control.slot]!,
      low: words[Control.generationLow]!,
      high: words[Control.generationHigh]!,
    };
    if (this.#waits.isWaiting) this.#waits.displace(ref);
    return ref;
  }

  /** As {@linkcode #lastCall}, for a call that the program waits for by itself. */
  #makeCall(deadline: number): CallCore {
    const { words } = this.channel;
    const slot = words[Control.slot]!;
    const low = words[Control.generationLow]!;
    const high = words[Control.generationHigh]!;
    const call = new CallCore(this.#home, slot, low, high, deadline);
    if (this.#waits.isWaiting) this.#waits.displace(call);
    return call;
  }

  #busy(tried: string): TandemError {
    return busyFailure(tried, this.channel, this.#waits.outstanding);
  }

  #tooLarge(length: number): TandemError {
    return requestTooLarge(length, this.maxRequestBytes);
  }

  #answer(ref: CallRef, { into, deadline, signal }: CallSettings): Promise<Bytes> {
    // A handle that was closed since there was a slot has no loop to look for the answer.
    checkOpen(this.channel, "client");
    const promise = this.#waits.add(ref, ownsCall | endsCall, deadline, into, signal);
    this.#loop.start(deadline);
    return promise;
  }

  #read(
    ref: CallRef,
    { deadline, signal }: CallSettings,
    isInBackground: boolean,
    reader: AnswerReader,
  ): void {
    checkOpen(this.channel, "client");
    const flags = ownsCall | endsCall | (isInBackground ? isBackground : 0);
    this.#waits.addReader(ref, flags, deadline, signal, reader);
    this.#loop.start(deadline);
  }

  /** Sends a copy of the encoded payload as soon as a slot is free. */
  #whenRoom(
    flags: number,
    deadline: number,
    signal: AbortSignal | undefined,
    roomDeadline: number = deadline,
    waitsForMemory: boolean = false,
  ): Promise<CallRef> {
    const { bytes, length } = this.#encoded;
    const copy = { bytes: bytes.slice(0, length), length };
    const waitsUntil = Math.min(deadline, roomDeadline);
    const promise = this.#waits.addRoom(waitsUntil, signal, () => {
      checkOpen(this.channel, "client");
      const left = deadline === Infinity ? NaN : Math.max(0, deadline - now());
      if (!waitsForMemory) return this.#trySend(copy, flags, left) ? this.#lastCall() : null;
      if (this.#retry.isPausing) return null;
      if (this.#trySendInMemory(copy, flags, left)) return this.#lastCall();
      if (this.#memoryFailure) this.#retry.pause(() => this.#loop.start(waitsUntil));
      return null;
    }, waitsForMemory ? () => this.#refusal() : undefined);
    this.#loop.start(waitsUntil);
    return promise;
  }
}
