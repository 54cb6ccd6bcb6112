/**
 * A request in a server's hands.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import {
  AnswerKind,
  Control,
  errorBytesMin,
  Held,
  requestOneWay,
  requestText,
  responseInlineBytes,
  Status,
} from "../ffi/layout.ts";
import { type Channel, checkOpen, idOf } from "./channel.ts";
import { callFailure } from "./failure.ts";
import { checkWhole } from "../base/checks.ts";
import { decodeText, encode, encoded, type Payload } from "./payload.ts";
import { encodeError } from "./error_wire.ts";
import type { SlotTable } from "./slot_table.ts";

/** What a server gives its requests. */
export interface RequestHome {
  readonly channel: Channel;
  /** By slot: the requests that this handle holds, and has not answered, or was the last to hold. */
  readonly held: SlotTable<ServerRequest>;
  /** Told of a request whose signal somebody uses. */
  watch(request: ServerRequest): void;
}

/**
 * A request in a server's hands, until it replies or fails.
 *
 * @example
 * ```ts
 * import { Client, Server } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using server = Server.anonymous();
 * using client = Client.fromFd(server.fd);
 * using call = client.sendSync("2");
 *
 * const request = server.tryReceive()!;
 * assertEquals(request.text(), "2");
 * assertEquals(request.reply("4"), true);
 * assertEquals(request.reply("5"), false);
 * assertEquals(new TextDecoder().decode(call.getSync()), "4");
 * ```
 */
export class ServerRequest {
  readonly #home: RequestHome;
  readonly #slot: number;
  readonly #low: number;
  readonly #high: number;
  readonly #length: number;
  readonly #flags: number;
  readonly #deliveries: number;
  #bytes: Uint8Array<ArrayBuffer> | null = null;
  #isAnswered = false;
  #abort: AbortController | null = null;

  /** @ignore Made by servers from what was just received. */
  constructor(home: RequestHome) {
    const { words } = home.channel;
    this.#home = home;
    this.#slot = words[Control.slot]!;
    this.#low = words[Control.generationLow]!;
    this.#high = words[Control.generationHigh]!;
    this.#length = words[Control.length]!;
    this.#flags = words[Control.flags]!;
    this.#deliveries = words[Control.deliveries]!;
    home.held.set(this.#slot, this);
  }

  /** Unique in the channel's life; the client's call has the same. */
  get id(): bigint {
    return idOf(this.#slot, this.#low, this.#high);
  }

  /**
   * The request in shared memory, valid until reply, fail or close. Views share one `ArrayBuffer`:
   * respect `byteOffset`, and do not transfer `buffer`, as `controller.enqueue` of a byte stream,
   * `postMessage` and `structuredClone` can. A transfer empties the views of other requests that your
   * code holds; read this property again to get a new view.
   *
   * Your own code may read the view: indexing, `for of`, `DataView`, typed arrays, `set`, `slice`. Do
   * not pass it to a native function of the runtime, such as `TextDecoder`, `JSON`, `Blob`,
   * `Response`, `Buffer.toString`, `crypto`, `zlib` or `WebAssembly`. Any participant can change the
   * bytes while such a function reads them, which may crash the process, and functions that work in
   * another thread may still read when the view is no longer valid. Use {@linkcode copy},
   * {@linkcode text} or {@linkcode json} instead.
   *
   * @throws {TandemError} `CLOSED`
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    const { channel } = this.#home;
    const known = this.#bytes;
    // Shorter: its buffer was transferred, or the channel is closed.
    if (known !== null && (known.byteLength === this.#length || !channel.isOpen)) return known;
    checkOpen(channel, "request");
    return this.#bytes = channel.memory.request(this.#slot, this.#length);
  }

  /**
   * A private copy of the request, which stays valid and which no other process can change. It may be
   * passed to any function of the runtime.
   *
   * @example Hash a request
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * using call = client.sendSync(new Uint8Array(1_000));
   *
   * const request = server.tryReceive()!;
   * request.reply(await crypto.subtle.digest("SHA-256", request.copy()));
   * assertEquals(call.getSync().byteLength, 32);
   * ```
   *
   * @throws {TandemError} `CLOSED`
   */
  copy(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice();
  }

  /** Whether the client sent a string. */
  get isText(): boolean {
    return (this.#flags & requestText) !== 0;
  }

  /**
   * The request as text, its bytes being UTF-8. It is decoded from a private copy.
   *
   * @throws {TandemError} `CLOSED`
   */
  text(): string {
    return decodeText(this.bytes);
  }

  /**
   * The request parsed as JSON, from a private copy.
   *
   * @throws {SyntaxError} when it is none
   * @throws {TandemError} `CLOSED`
   */
  json(): unknown {
    return JSON.parse(this.text());
  }

  /** 1 the first time that it is handed to a server, one more after each death of one. */
  get deliveries(): number {
    return this.#deliveries;
  }

  /** Whether it was posted: an answer goes nowhere. */
  get oneWay(): boolean {
    return (this.#flags & requestOneWay) !== 0;
  }

  /** Whether nobody waits for the answer any more. */
  get cancelled(): boolean {
    if (this.#isAnswered || !this.#home.channel.isOpen) return false;
    const state = this.#state();
    if (state === Held.abandoned || state === Held.lost) return true;
    // Its client's time may be over without its having looked.
    return state === Held.held && this.#home.channel.numbers[Control.timeRemaining]! <= 0;
  }

  /** Milliseconds left of the client's deadline; Infinity if it has none. */
  get timeRemaining(): number {
    if (!this.#home.channel.isOpen) return 0;
    this.#state();
    return this.#home.channel.numbers[Control.timeRemaining]!;
  }

  /**
   * Aborts when the client cancels, times out or dies. Its reason is a {@linkcode TandemError} with the
   * code `CANCELLED` or `TIMEOUT`.
   *
   * @example Stop working when nobody waits any more
   * ```ts
   * import { Client, Server, TandemError } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * using call = client.sendSync("a lot of work");
   * const { signal } = server.tryReceive()!;
   *
   * const stopped = new Promise((resolve) => signal.addEventListener("abort", resolve));
   * call.cancel();
   * await stopped;
   * assertEquals((signal.reason as TandemError).code, "CANCELLED");
   * ```
   */
  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (!this.checkAbort() && !this.#isAnswered) this.#home.watch(this);
    }
    return this.#abort.signal;
  }

  /**
   * Response memory, to be filled in place and handed to {@linkcode reply}, which then copies
   * nothing. It is shared as {@linkcode bytes} is: write to it with your own code, `set` or `fill`. A
   * native function that only writes, such as `readSync`, may fill it. Do not pass it to one that reads
   * it back.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * using call = client.sendSync("three bytes, please");
   *
   * const request = server.tryReceive()!;
   * const response = request.allocate(3);
   * response.set([1, 2, 3]);
   * request.reply(response);
   * assertEquals([...call.getSync()], [1, 2, 3]);
   * ```
   *
   * @param byteLength the length of the answer in bytes
   * @throws {TandemError} `TOO_LARGE` when it is over `maxResponseBytes`; `NO_SPACE` when memory is
   * full; `CLOSED` when it is answered already or the server is closed
   * @throws {RangeError} for what cannot be a length
   */
  allocate(byteLength: number): Uint8Array<ArrayBuffer> {
    const { channel } = this.#home;
    checkOpen(channel, "request");
    checkWhole(byteLength, "byteLength", 0, Number.MAX_SAFE_INTEGER);
    if (byteLength > channel.maxResponseBytes) throw this.#tooLarge(byteLength);
    if (this.#isAnswered) {
      throw new TandemError(
        "CLOSED",
        "Cannot allocate a response: the request is answered already; allocate before you reply",
      );
    }
    const status = channel.native.tandem_reserve(channel.address, this.#slot, byteLength);
    if (status < 0) throw callFailure(status, `allocate a response of ${byteLength} bytes`);
    return channel.memory.response(this.#slot, byteLength);
  }

  /**
   * Answers.
   *
   * @param payload bytes, or a string to be sent as UTF-8; nothing is an empty string
   * @returns true: the client gets it; false: cancelled, timed out, cleared, taken for dead, or answered
   * already
   * @throws {TandemError} `TOO_LARGE`, `NO_SPACE`: the request stays open for a shorter answer; `CLOSED`
   * @throws {TypeError} for what is no payload
   */
  reply(payload: Payload = ""): boolean {
    const { channel } = this.#home;
    checkOpen(channel, "request");
    if (this.#isAnswered) return false;
    encode(payload);
    const kind = encoded.isText ? AnswerKind.text : AnswerKind.bytes;
    return this.#answer(encoded.bytes, encoded.length, kind);
  }

  /**
   * Fails the call: the client gets a {@linkcode RemoteError}.
   *
   * @example
   * ```ts
   * import { Client, RemoteError, Server } from "@tandem/ipc";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * using call = client.sendSync("half a picture");
   * server.tryReceive()?.fail(new SyntaxError("no picture", { cause: "the end is missing" }));
   *
   * const error = assertThrows(() => call.getSync(), RemoteError);
   * assertEquals([error.remoteName, error.remoteMessage], ["SyntaxError", "no picture"]);
   * assertEquals(error.cause, "the end is missing");
   * ```
   *
   * @param error anything; of an `Error` the client gets name, message, stack, cause and own
   * properties, cut if they are longer than there is room
   * @returns false: as {@linkcode reply}
   * @throws {TandemError} `CLOSED`
   */
  fail(error: unknown): boolean {
    const { channel } = this.#home;
    checkOpen(channel, "request");
    if (this.#isAnswered) return false;
    try {
      return this.#fail(error, Math.max(channel.maxResponseBytes, errorBytesMin));
    } catch (failure) {
      if (!(failure instanceof TandemError) || failure.code !== "NO_SPACE") throw failure;
      // There is always room in the slot's head: better a cut error than a client that waits.
      return this.#fail(error, responseInlineBytes);
    }
  }

  #fail(error: unknown, limit: number): boolean {
    const bytes = encodeError(error, limit);
    return this.#answer(bytes, bytes.byteLength, AnswerKind.remoteError);
  }

  /**
   * From now on it is not handed on to another server when this one dies or closes: what has been begun
   * must not be begun twice.
   *
   * @ignore For the typed layer.
   */
  lastDelivery(): void {
    const { channel } = this.#home;
    // With one delivery there is no other anyway.
    if (channel.maxDeliveries === 1 || this.#isAnswered || !channel.isOpen) return;
    channel.native.tandem_last_delivery(channel.address, this.#slot, this.#low, this.#high);
  }

  /** Whether this handle has answered it. @ignore */
  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** Aborts the signal if the client has gone. True: it has. @ignore */
  checkAbort(): boolean {
    if (this.#isAnswered || !this.cancelled) return false;
    const isLate = this.timeRemaining <= 0;
    this.#abort?.abort(
      isLate
        ? new TandemError("TIMEOUT", "The client's deadline ran out: nobody waits for the answer")
        : new TandemError("CANCELLED", "The client cancelled the call or is gone"),
    );
    return true;
  }

  /** The server leaves the channel, and no client gets an answer from here. @ignore */
  abandon(): void {
    if (this.#isAnswered || !this.#abort) return;
    this.#abort.abort(
      new TandemError(
        "CANCELLED",
        "The server was closed: no client gets an answer from it any more",
      ),
    );
  }

  #state(): number {
    const { native, address, words } = this.#home.channel;
    return native.tandem_held(address, this.#slot, this.#low, this.#high, words);
  }

  #answer(bytes: Uint8Array, length: number, kind: number): boolean {
    const { native, address } = this.#home.channel;
    // Again: what reads a payload may close the handle.
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
    this.#isAnswered = true;
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
