/**
 * The side that asks.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import {
  cancelKeepAnswer,
  Control,
  sendBlock,
  sendDeliveriesShift,
  sendOneWay,
  sendText,
  sendWatched,
  Status,
} from "../ffi/layout.ts";
import { Call, type CallHome } from "./call.ts";
import { answerFailed, CallWaits } from "./call_waits.ts";
import { type AnswerReader, type CallPlace, endsCall, isBackground, ownsCall } from "./waiter.ts";
import {
  type Channel,
  checkOpen,
  closeChannel,
  How,
  openChannel,
  openChannelFromFd,
  partsOf,
} from "./channel.ts";
import { forUsers, same } from "../base/closing.ts";
import { connectTo } from "./connect.ts";
import { Draft, type DraftSender } from "./draft.ts";
import { busyFailure, callFailure } from "./failure.ts";
import { FreshArrays } from "./fresh.ts";
import { ChannelHandle } from "./handle.ts";
import { Loop } from "./loop.ts";
import { checkWhole, deadlineAfter, timeoutOf } from "../base/checks.ts";
import {
  type ChannelOptions,
  checkInto,
  type RequestOptions,
  type RequestSyncOptions,
  type SendOptions,
  type SendSyncOptions,
  type WaitOptions,
} from "./options.ts";
import { now } from "../runtime/timers.ts";
import { copyEncoded, encode, encoded, type Payload } from "./payload.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const nothing: Bytes = new Uint8Array(0);

/**
 * Asks servers of a channel and gets their answers. It belongs to its thread: a Worker opens its own.
 *
 * Every form of waiting has three names: `request` returns a promise and leaves the event loop free,
 * `requestSync` blocks the thread, `trySend` never waits.
 *
 * @example
 * ```ts
 * import { Client, Server } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Server.anonymous();
 * const serving = server.serve((request) => request.text().toUpperCase());
 *
 * using client = Client.fromFd(server.fd);
 * const answer = await client.request("hello");
 * assertEquals(new TextDecoder().decode(answer), "HELLO");
 * server.close();
 * await serving;
 * ```
 */
export class Client extends ChannelHandle {
  readonly #channel: Channel;
  readonly #waits: CallWaits;
  readonly #loop: Loop;
  readonly #home: CallHome;
  readonly #sender: DraftSender;
  readonly #fresh: FreshArrays = new FreshArrays();
  /** The view of the last `into` that an answer was shorter than. */
  #lastInto: Bytes = nothing;
  #lastView: Bytes = nothing;

  /** @ignore Made by {@linkcode open}, {@linkcode connect} and {@linkcode fromFd}. */
  constructor(channel: Channel) {
    super(channel, "client");
    this.#channel = channel;
    this.#waits = new CallWaits(channel);
    this.#loop = new Loop(channel, this.#waits);
    this.#waits.onSettled = () => this.#loop.settle();
    this.#home = { channel, waits: this.#waits, loop: this.#loop };
    this.#sender = {
      check: (options) => this.#checkOptions(options),
      send: (place, length, options) => this.#sendDraft(place, length, options),
      post: (place, length) => void this.#publish(place, length, undefined, sendOneWay),
      request: (place, length, options) => this.#requestDraft(place, length, options),
      requestReading: (place, length, options, reader) => {
        const timeout = this.#publish(place, length, options, sendWatched);
        this.#read(place, deadlineAfter(timeout), options?.signal, false, reader);
      },
      requestSync: (place, length, options) => this.#requestDraftSync(place, length, options),
    };
  }

  /**
   * Attaches to a channel.
   *
   * @example A client that may be there before its server
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using client = Client.open("early-bird", { create: { slots: 8 } });
   * using call = client.sendSync("hello");
   *
   * using server = Server.open("early-bird");
   * server.receiveSync()?.reply("hello yourself");
   * assertEquals(new TextDecoder().decode(call.getSync()), "hello yourself");
   * server.unlink();
   * ```
   *
   * @param target a name of letters, digits, dots, underscores and hyphens, which lies in
   * `$TANDEM_DIR` or in `/dev/shm/tandem-<uid>`; or a path, which has a slash in it
   * @param options `create`: make the channel with these sizes when there is none
   * @throws {TandemError} `NOT_FOUND` at once when there is no channel, unless `create` is given;
   * `MISMATCH` when it is a channel for integers or a size differs; `INCOMPATIBLE` when it is of
   * another version; `CORRUPT` when it is no channel; `PERMISSION`; `NO_SPACE`; `BUSY` when 1,024
   * handles are open on it; `TOO_LARGE` when the sizes are too large together; `UNSUPPORTED`
   * @throws {TypeError} for a name that cannot be
   * @throws {RangeError} for a size that cannot be
   */
  static open(target: string, options: { readonly create?: ChannelOptions } = {}): Client {
    const { create } = options;
    const how = create ? How.openOrCreate : How.attach;
    return new Client(openChannel("client", target, how, create));
  }

  /**
   * Attaches to a channel, and waits for somebody to make it where there is none.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * const connecting = Client.connect("patience", { timeout: 5_000 });
   * using server = Server.open("patience");
   * using client = await connecting;
   * assertEquals(client.servers, 1);
   * server.unlink();
   * ```
   *
   * @param target as of {@linkcode open}
   * @param options `timeout`: milliseconds, 0 tries once; `signal`: its abort rejects with its reason
   * @throws {TandemError} `TIMEOUT` when there is none in time, and as {@linkcode open}
   */
  static connect(target: string, options: WaitOptions = {}): Promise<Client> {
    return connectTo(target, options, () => Client.open(target));
  }

  /**
   * Attaches to the channel behind a descriptor, which is duplicated: the caller keeps its own.
   *
   * @param fd a descriptor of a channel, such as {@linkcode Server.fd}, maybe inherited
   * @throws {TandemError} `CORRUPT` when it is no channel, and as {@linkcode open}
   * @throws {RangeError} for what cannot be a descriptor
   */
  static fromFd(fd: number): Client {
    return new Client(openChannelFromFd("client", fd));
  }

  /**
   * This handle's calls in flight, drafts not counted.
   *
   * @throws {TandemError} `CLOSED`
   */
  get pending(): number {
    checkOpen(this.#channel, "client");
    return this.#channel.native.tandem_pending(this.#channel.address);
  }

  /**
   * Server handles open on the channel now, whether they receive or not.
   *
   * @throws {TandemError} `CLOSED`
   */
  get servers(): number {
    checkOpen(this.#channel, "client");
    return this.#channel.native.tandem_servers(this.#channel.address);
  }

  /**
   * Sends a request and waits for its answer; the event loop goes on.
   *
   * @example Give up after a second, or when somebody loses interest
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * await using server = Server.anonymous();
   * const serving = server.serve((request) => request.text().length.toString());
   * using client = Client.fromFd(server.fd);
   *
   * const { signal } = new AbortController();
   * const answer = await client.request("hello", { timeout: 1_000, signal });
   * assertEquals(new TextDecoder().decode(answer), "5");
   * server.close();
   * await serving;
   * ```
   *
   * @param payload bytes, or a string to be sent as UTF-8
   * @param options `timeout`: milliseconds, one deadline, first for a slot (`BUSY`) and then for the
   * answer (`TIMEOUT`), across redeliveries; an abort of `signal` cancels the request and rejects with
   * its reason; `into`: where the answer is written; `maxDeliveries`: as of {@linkcode ChannelOptions}
   * @returns the answer's bytes: a copy, or a view of `into`
   * @throws {TandemError} `TIMEOUT` and `BUSY` when time is over; `TOO_LARGE` when the request is longer
   * than the channel takes, or the answer than `into`; `SERVER_DIED` when no delivery is left;
   * `CANCELLED`; `NO_SPACE` when memory is full, and nothing was sent; `NOT_FOUND` when the channel was
   * unlinked; `CLOSED`
   * @throws {RemoteError} when the handler failed
   * @throws {TypeError} for what is no payload
   * @throws {RangeError} for a negative or NaN `timeout`, or more deliveries than the channel allows
   */
  request(payload: Payload, options?: RequestOptions): Promise<Uint8Array<ArrayBuffer>> {
    // Not async: that would be one more promise, and the answer three turns later.
    try {
      return this.#request(payload, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #request(payload: Payload, options: RequestOptions | undefined): Promise<Bytes> {
    checkOpen(this.#channel, "client");
    const timeout = timeoutOf(options);
    const signal = options?.signal;
    signal?.throwIfAborted();
    const deliveries = this.#deliveries(options);
    const deadline = deadlineAfter(timeout);
    const into = checkInto(options?.into);
    // After everything that the user's own code may run in.
    encode(payload);
    const flags = deliveries | this.#textFlag() | sendWatched;
    const place = this.#trySend(encoded.bytes, encoded.length, flags, timeout);
    if (place) return this.#answer(place, into, deadline, signal);
    if (timeout === 0) throw this.#busy("send a request");
    const room = this.#whenRoom(flags, deadline, signal);
    return forUsers(room.then((later) => this.#answer(later, into, deadline, signal)), same);
  }

  /**
   * As {@linkcode request}; `reader` gets the answer where it lies, before this handle does anything
   * else. With `isInBackground` the process does not stay alive for it. `roomTimeout`: how long it
   * waits for a slot at most, in milliseconds.
   *
   * @ignore For the typed layer.
   */
  requestReading(
    payload: Payload,
    options: SendOptions | undefined,
    reader: AnswerReader,
    isInBackground: boolean = false,
    roomTimeout: number = Infinity,
  ): void {
    checkOpen(this.#channel, "client");
    const timeout = timeoutOf(options);
    const signal = options?.signal;
    signal?.throwIfAborted();
    const deliveries = this.#deliveries(options);
    const deadline = deadlineAfter(timeout);
    encode(payload);
    const flags = deliveries | this.#textFlag() | sendWatched;
    // In their order: what comes later may depend on what came before.
    const place = this.#waits.hasRoomWaiters
      ? null
      : this.#trySend(encoded.bytes, encoded.length, flags, timeout);
    if (place) return this.#read(place, deadline, signal, isInBackground, reader);
    if (timeout === 0) throw this.#busy("send a request");
    this.#whenRoom(flags, deadline, signal, deadlineAfter(roomTimeout)).then(
      (later) => this.#read(later, deadline, signal, isInBackground, reader),
    ).catch((error) => reader.fail(error));
  }

  /**
   * Whether requests of this handle wait for a slot, and come before others.
   *
   * @ignore For the typed layer.
   */
  get hasRoomWaiters(): boolean {
    return this.#waits.hasRoomWaiters;
  }

  /**
   * From now on the event loop is connected to the channel's servers alone, and not to up to 64 others:
   * for channels whose servers wait in event loops, and so notice what clients leave when they die.
   *
   * @ignore For the typed layer.
   */
  watchServersOnly(): void {
    checkOpen(this.#channel, "client");
    this.#channel.native.tandem_watch_servers_only(this.#channel.address);
  }

  /**
   * Runs `listener` when there may be fewer participants than before, as long as a request of this
   * handle waits: one that no server has taken yet does not end with the last server.
   *
   * @ignore For the typed layer.
   */
  onDeath(listener: () => void): void {
    this.#loop.onDeath = listener;
  }

  /**
   * Sends a request and blocks the thread until its answer is there: the quickest form. Signal
   * handlers of the runtime do not run meanwhile.
   *
   * @example
   * ```ts
   * import { Client, Server, TandemError } from "@tandem/ipc";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * // The server is of this thread, which is blocked, and so nobody answers.
   * const error = assertThrows(() => client.requestSync("hello", { timeout: 10 }), TandemError);
   * assertEquals(error.code, "TIMEOUT");
   * ```
   *
   * @param payload bytes, or a string to be sent as UTF-8
   * @param options as of {@linkcode request}, but for `signal`
   * @returns the answer's bytes: a copy, or a view of `into`
   * @throws {TandemError} as {@linkcode request}
   */
  requestSync(payload: Payload, options?: RequestSyncOptions): Uint8Array<ArrayBuffer> {
    const channel = this.#channel;
    const timeout = timeoutOf(options);
    const into = checkInto(options?.into);
    const deliveries = this.#deliveries(options);
    encode(payload);
    const flags = deliveries | this.#textFlag();
    // Last: what reads options may close the handle.
    checkOpen(channel, "client");
    const { native, address, words } = channel;
    if (into === undefined && this.#fresh.isLengthKnown) return this.#requestFresh(flags, timeout);
    const target = into ?? this.#fresh.next();
    const status = native.tandem_request(
      address,
      encoded.bytes,
      encoded.length,
      flags,
      timeout,
      target,
      target.byteLength,
      words,
    );
    return this.#requested(status, target, into !== undefined);
  }

  /** As `requestSync`; the array for the answer is made while a server works. */
  #requestFresh(flags: number, timeout: number): Bytes {
    const { native, address, words } = this.#channel;
    const { bytes, length } = encoded;
    const sent = native.tandem_send(address, bytes, length, flags | sendBlock, timeout, words);
    if (sent < 0) return this.#requested(sent, nothing, false);
    const { slot, low, high } = this.#placeOfLast();
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
    if (status === -Status.tooLarge) throw this.#tooLarge(encoded.length);
    if (status === -Status.busy) throw this.#busy("finish a request");
    if (!isAnswered) throw callFailure(status, "finish a request");
    const answer = answerFailed(this.#channel, this.#lastCall(), status, target, isInto, true)!;
    this.#fresh.note(answer.byteLength);
    return answer;
  }

  /** A view of the answer at the front of `into`, the same object as long as its length is. */
  #viewOf(into: Bytes, length: number): Bytes {
    if (length === into.byteLength) return into;
    if (this.#lastInto !== into || this.#lastView.byteLength !== length) {
      this.#lastInto = into;
      this.#lastView = into.subarray(0, length);
    }
    return this.#lastView;
  }

  /**
   * Sends a request if a slot is free; never waits. The call holds the slot until its answer is taken
   * or it is released, so calls that your code never looks at may come to hold all of them.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous({ slots: 1 });
   * using client = Client.fromFd(server.fd);
   * using call = client.trySend("first");
   * assertEquals(call?.tryGet(), null);
   * assertEquals(client.trySend("second"), null);
   * ```
   *
   * @param payload bytes, or a string to be sent as UTF-8
   * @param options `timeout`: the life of the call from now on, in milliseconds
   * @returns the call, to get its answer; null: no slot is free
   * @throws {TandemError} `TOO_LARGE`; `NO_SPACE`; `NOT_FOUND` when the channel was unlinked; `CLOSED`
   * @throws {TypeError} for what is no payload
   */
  trySend(payload: Payload, options?: SendSyncOptions): Call | null {
    checkOpen(this.#channel, "client");
    const timeout = timeoutOf(options);
    const deadline = deadlineAfter(timeout);
    const deliveries = this.#deliveries(options);
    encode(payload);
    const flags = deliveries | this.#textFlag();
    const place = this.#trySend(encoded.bytes, encoded.length, flags, timeout);
    return place && new Call(this.#home, place, deadline);
  }

  /**
   * Sends a request; blocks the thread while no slot is free.
   *
   * @param payload bytes, or a string to be sent as UTF-8
   * @param options `timeout`: milliseconds, one deadline, for a slot and for the life of the call
   * @returns the call, to get its answer
   * @throws {TandemError} `BUSY`, and as {@linkcode trySend}
   */
  sendSync(payload: Payload, options?: SendSyncOptions): Call {
    checkOpen(this.#channel, "client");
    const deliveries = this.#deliveries(options);
    const timeout = timeoutOf(options);
    const deadline = deadlineAfter(timeout);
    encode(payload);
    const flags = deliveries | this.#textFlag() | sendBlock;
    try {
      // Only where it may not wait does it come back without a place.
      const place = this.#trySend(encoded.bytes, encoded.length, flags, timeout)!;
      return new Call(this.#home, place, deadline);
    } finally {
      this.#loop.restore();
    }
  }

  /**
   * Sends a request; waits while no slot is free, and the event loop goes on.
   *
   * The call holds its slot until its answer is taken or it is released: once calls that your code
   * never looks at hold all slots, this waits for ever, unless it has a `timeout`. To wait for an answer
   * anyway, use {@linkcode request}; to send without wanting one, use {@linkcode post}.
   *
   * @param payload bytes, or a string to be sent as UTF-8
   * @param options `timeout`: milliseconds, one deadline, for a slot and for the life of the call;
   * `signal`: its abort ends the wait for a slot
   * @returns the call, to get its answer
   * @throws {TandemError} `BUSY`, and as {@linkcode trySend}
   */
  send(payload: Payload, options?: SendOptions): Promise<Call> {
    try {
      return this.#send(payload, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #send(payload: Payload, options: SendOptions | undefined): Promise<Call> {
    checkOpen(this.#channel, "client");
    const timeout = timeoutOf(options);
    const signal = options?.signal;
    signal?.throwIfAborted();
    const deadline = deadlineAfter(timeout);
    const deliveries = this.#deliveries(options);
    encode(payload);
    const flags = deliveries | this.#textFlag();
    const place = this.#trySend(encoded.bytes, encoded.length, flags, timeout);
    if (place) return Promise.resolve(new Call(this.#home, place, deadline));
    if (timeout === 0) throw this.#busy("send a request");
    const room = this.#whenRoom(flags, deadline, signal);
    return forUsers(room, (later) => new Call(this.#home, later, deadline));
  }

  /**
   * Sends a request whose answer goes nowhere. It never waits, and outlives this process.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * assertEquals(client.post("something happened"), true);
   * client.close();
   *
   * const request = server.tryReceive()!;
   * assertEquals([request.text(), request.oneWay], ["something happened", true]);
   * request.reply();
   * ```
   *
   * @param payload bytes, or a string to be sent as UTF-8
   * @returns false: no slot is free
   * @throws {TandemError} `TOO_LARGE`; `NO_SPACE`; `NOT_FOUND` when the channel was unlinked; `CLOSED`
   * @throws {TypeError} for what is no payload
   */
  post(payload: Payload): boolean {
    checkOpen(this.#channel, "client");
    encode(payload);
    const flags = this.#deliveries(undefined) | this.#textFlag() | sendOneWay;
    return this.#trySend(encoded.bytes, encoded.length, flags, NaN) !== null;
  }

  /**
   * Request memory to be filled in place, so that sending copies nothing. See {@linkcode Draft} for an
   * example.
   *
   * @param byteLength the length of the request in bytes
   * @returns a draft, which holds a slot until it is sent or discarded
   * @throws {TandemError} `BUSY` when no slot is free; `TOO_LARGE`; `NO_SPACE`; `NOT_FOUND` when the
   * channel was unlinked; `CLOSED`
   * @throws {RangeError} for what cannot be a length
   */
  allocate(byteLength: number): Draft {
    checkOpen(this.#channel, "client");
    checkWhole(byteLength, "byteLength", 0, Number.MAX_SAFE_INTEGER);
    const { native, address, words, memory, maxRequestBytes } = this.#channel;
    const tried = `allocate a request of ${byteLength} bytes`;
    if (byteLength > maxRequestBytes) throw this.#tooLarge(byteLength);
    const status = native.tandem_allocate(address, byteLength, words);
    if (status === 0) throw this.#busy(tried);
    if (status < 0) throw callFailure(status, tried);
    const place = this.#lastCall();
    return new Draft(this.#home, this.#sender, place, memory.request(place.slot, byteLength));
  }

  /**
   * Cancels a call of the channel that is not answered yet, whichever process made it.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * using other = Client.fromFd(server.fd);
   * using call = client.sendSync("never mind");
   * assertEquals(other.cancel(call.id), true);
   * assertEquals(server.tryReceive(), null);
   * ```
   *
   * @param id of the call: {@linkcode Call.id}, {@linkcode ServerRequest.id}
   * @returns true: its client gets `CANCELLED`; false: there is no such call any more
   * @throws {TandemError} `CLOSED`
   * @throws {TypeError} for what is no bigint
   */
  cancel(id: bigint): boolean {
    checkOpen(this.#channel, "client");
    const place = partsOf(id);
    if (!place) return false;
    const { native, address } = this.#channel;
    const { slot, low, high } = place;
    const isCancelled = native.tandem_cancel(address, slot, low, high, cancelKeepAnswer) === 1;
    if (isCancelled) {
      this.#waits.settleOwn(place);
      this.#loop.settle();
    }
    return isCancelled;
  }

  /**
   * Cancels this handle's calls in flight and leaves the channel; its pending promises reject with
   * `CLOSED`. Posted requests stay. Twice is fine.
   */
  override close(): void {
    if (!this.#channel.isOpen) return;
    this.#loop.close();
    closeChannel(this.#channel);
    this.#waits.close();
  }

  /** How many deliveries the call allows, where the native side reads it. */
  #deliveries(options: SendSyncOptions | undefined): number {
    const deliveries = options?.maxDeliveries;
    const { maxDeliveries } = this.#channel;
    const count = deliveries === undefined
      ? maxDeliveries
      : checkWhole(deliveries, "maxDeliveries", 1, maxDeliveries);
    return count << sendDeliveriesShift;
  }

  /** Of a payload that has just been encoded. */
  #textFlag(): number {
    return encoded.isText ? sendText : 0;
  }

  /** Null: no slot is free. */
  #trySend(bytes: Uint8Array, length: number, flags: number, timeout: number): CallPlace | null {
    // Here and not only at the start: what reads options may close the handle.
    checkOpen(this.#channel, "client");
    const { native, address, words } = this.#channel;
    const status = native.tandem_send(address, bytes, length, flags, timeout, words);
    if (status === 0) return null;
    if (status === -Status.tooLarge) throw this.#tooLarge(length);
    if (status === -Status.busy) throw this.#busy("send a request");
    if (status < 0) throw callFailure(status, "send a request");
    if (status === 2) this.#loop.nudge();
    return this.#lastCall();
  }

  /** Where the call is that the native side has just made. */
  #placeOfLast(): CallPlace {
    const { words } = this.#channel;
    return {
      slot: words[Control.slot]!,
      low: words[Control.generationLow]!,
      high: words[Control.generationHigh]!,
    };
  }

  /** The same, once those may be told whose call it has displaced. */
  #lastCall(): CallPlace {
    const place = this.#placeOfLast();
    if (this.#waits.isWaiting) this.#waits.displace(place);
    return place;
  }

  #busy(tried: string): TandemError {
    return busyFailure(tried, this.#channel, this.#waits.outstanding);
  }

  #tooLarge(length: number): TandemError {
    return new TandemError(
      "TOO_LARGE",
      `Cannot send a request of ${length} bytes: the channel takes ${this.maxRequestBytes}; ` +
        "make it with a larger maxRequestBytes",
    );
  }

  #answer(
    place: CallPlace,
    into: Bytes | undefined,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<Bytes> {
    // It may have been closed since there was a slot: then nobody would look for the answer.
    checkOpen(this.#channel, "client");
    const promise = this.#waits.add(place, ownsCall | endsCall, deadline, into, signal);
    this.#loop.start(deadline);
    return promise;
  }

  #read(
    place: CallPlace,
    deadline: number,
    signal: AbortSignal | undefined,
    isInBackground: boolean,
    reader: AnswerReader,
  ): void {
    checkOpen(this.#channel, "client");
    const how = ownsCall | endsCall | (isInBackground ? isBackground : 0);
    this.#waits.addReader(place, how, deadline, signal, reader);
    this.#loop.start(deadline);
  }

  /** Sends what is in `encoded` as soon as a slot is free. */
  #whenRoom(
    flags: number,
    deadline: number,
    signal: AbortSignal | undefined,
    roomDeadline: number = deadline,
  ): Promise<CallPlace> {
    const bytes = copyEncoded();
    const waitsUntil = Math.min(deadline, roomDeadline);
    const promise = this.#waits.addRoom(waitsUntil, signal, () => {
      const left = deadline === Infinity ? NaN : Math.max(0, deadline - now());
      return this.#trySend(bytes, bytes.byteLength, flags, left);
    });
    this.#loop.start(waitsUntil);
    return promise;
  }

  /** Of a draft, before it is used up. */
  #checkOptions(options: RequestOptions | undefined): void {
    timeoutOf(options);
    this.#deliveries(options);
    checkInto(options?.into);
    options?.signal?.throwIfAborted();
  }

  /** Sends a draft. Returns its time-out as the native side takes it. */
  #publish(
    { slot, low, high }: CallPlace,
    length: number,
    options: SendSyncOptions | undefined,
    flags: number,
  ): number {
    const { native, address } = this.#channel;
    const timeout = timeoutOf(options);
    encoded.isText = false;
    const all = flags | this.#deliveries(options);
    checkOpen(this.#channel, "draft");
    const status = native.tandem_publish(address, slot, low, high, length, all, timeout);
    if (status === 0) throw callFailure(-Status.busy, "send a draft");
    if (status < 0) throw callFailure(status, "send a draft");
    if (status === 2) this.#loop.nudge();
    return timeout;
  }

  #sendDraft(place: CallPlace, length: number, options: SendSyncOptions | undefined): Call {
    const deadline = deadlineAfter(timeoutOf(options));
    this.#publish(place, length, options, 0);
    return new Call(this.#home, place, deadline);
  }

  #requestDraft(
    place: CallPlace,
    length: number,
    options: RequestOptions | undefined,
  ): Promise<Bytes> {
    const timeout = this.#publish(place, length, options, sendWatched);
    const deadline = deadlineAfter(timeout);
    return this.#answer(place, checkInto(options?.into), deadline, options?.signal);
  }

  #requestDraftSync(
    place: CallPlace,
    length: number,
    options: RequestSyncOptions | undefined,
  ): Bytes {
    using call = this.#sendDraft(place, length, options);
    return call.getSync({ ...(options?.into && { into: options.into }) });
  }
}
