/**
 * The side that asks.
 *
 * @module
 */
import { timeoutOf } from "../base/checks.ts";
import type { Maker } from "../base/maker.ts";
import { Call } from "./call.ts";
import type { CallCore } from "./call_core.ts";
import { checkInto, deliveriesOf } from "./call_settings.ts";
import { ClientCore } from "./client_core.ts";
import { Draft } from "./draft.ts";
import type { DraftCore } from "./draft_core.ts";
import { connectTo } from "./connect.ts";
import { ChannelHandle } from "./handle.ts";
import type {
  ChannelOptions,
  RequestOptions,
  RequestSyncOptions,
  SendOptions,
  SendSyncOptions,
  WaitOptions,
} from "./options.ts";
import type { Payload } from "./payload.ts";

const CallMaker = Call as unknown as Maker<CallCore, Call>;
const DraftMaker = Draft as unknown as Maker<DraftCore, Draft>;
const makeCall = (core: CallCore): Call => new CallMaker(core);

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
  readonly #core: ClientCore;

  private constructor(core: ClientCore) {
    super(core as never);
    this.#core = core;
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
    return new Client(ClientCore.open(target, options.create));
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
    return new Client(ClientCore.fromFd(fd));
  }

  /**
   * This handle's calls in flight, drafts not counted.
   *
   * @throws {TandemError} `CLOSED`
   */
  get pending(): number {
    return this.#core.pending;
  }

  /**
   * Server handles open on the channel now, whether they receive or not.
   *
   * @throws {TandemError} `CLOSED`
   */
  get servers(): number {
    return this.#core.servers;
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
      return this.#core.request(payload, this.#core.settings(options));
    } catch (error) {
      return Promise.reject(error);
    }
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
    const core = this.#core;
    const timeout = timeoutOf(options);
    const into = checkInto(options?.into);
    const deliveries = deliveriesOf(options, core.maxDeliveries);
    return core.requestSync(payload, timeout, deliveries, into);
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
    const call = this.#core.trySend(payload, this.#core.syncSettings(options));
    return call && new CallMaker(call);
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
    return new CallMaker(this.#core.sendSync(payload, this.#core.syncSettings(options)));
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
      return this.#core.send(payload, this.#core.settings(options), makeCall);
    } catch (error) {
      return Promise.reject(error);
    }
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
    return this.#core.post(payload);
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
    return new DraftMaker(this.#core.allocate(byteLength));
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
    return this.#core.cancel(id);
  }

  /**
   * Cancels this handle's calls in flight and leaves the channel; its pending promises reject with
   * `CLOSED`. Posted requests stay. Twice is fine.
   */
  override close(): void {
    this.#core.close();
  }
}
