/**
 * The side that calls.
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
} from "../base/channel_options.ts";
import type { Payload } from "./payload.ts";

const CallMaker = Call as unknown as Maker<CallCore, Call>;
const DraftMaker = Draft as unknown as Maker<DraftCore, Draft>;
const makeCall = (core: CallCore): Call => new CallMaker(core);

/**
 * Calls the servers of a channel. A client belongs to its thread: a Worker opens its own.
 *
 * Methods that can wait have three forms: `request` returns a promise and leaves the event loop free,
 * `requestSync` blocks the thread, and `trySend` never waits.
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
  static {
    // Runtimes print it, and bundlers change it.
    Object.defineProperty(this, "name", { value: "Client" });
  }

  readonly #core: ClientCore;

  private constructor(core: ClientCore) {
    super(core as never, "Client");
    this.#core = core;
  }

  /**
   * Attaches to a channel.
   *
   * @example Open a client before its server
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
   * @param target a name of letters, digits, dots, underscores and hyphens for a channel in
   * `$TANDEM_DIR` or `/dev/shm/tandem-<uid>`; or a path, which contains a slash
   * @param options `create`: make the channel with these sizes when there is none
   * @throws {TandemError} `NOT_FOUND` at once when there is no channel, unless `create` is given;
   * `MISMATCH` when the channel is for integers or a size differs; `INCOMPATIBLE` when it has another
   * version; `CORRUPT` when the file is no channel; `PERMISSION`; `NO_SPACE`; `BUSY` when 1,024 handles
   * are open on it; `TOO_LARGE` when the sizes are too large together; `UNSUPPORTED`
   * @throws {TypeError} when `target` is no valid name or path
   * @throws {RangeError} when a size is out of range
   */
  static open(target: string, options: { readonly create?: ChannelOptions } = {}): Client {
    return new Client(ClientCore.open(target, options.create));
  }

  /**
   * Attaches to a channel. When there is none, waits until a process makes it.
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
   * @param target as for {@linkcode open}
   * @param options `timeout`: milliseconds, 0 tries once; `signal`: an abort rejects with its reason
   * @throws {TandemError} `TIMEOUT` when no process makes it in time, and as {@linkcode open}
   */
  static connect(target: string, options: WaitOptions = {}): Promise<Client> {
    return connectTo(target, options, () => Client.open(target));
  }

  /**
   * Attaches to the channel behind a descriptor, which the handle duplicates: the caller keeps its own.
   *
   * @param fd a descriptor of a channel, such as {@linkcode Server.fd}, or an inherited one
   * @throws {TandemError} `CORRUPT` when `fd` is no channel, and as {@linkcode open}
   * @throws {RangeError} when `fd` cannot be a descriptor
   */
  static fromFd(fd: number): Client {
    return new Client(ClientCore.fromFd(fd));
  }

  /**
   * The number of this handle's calls in flight, without drafts.
   *
   * @throws {TandemError} `CLOSED`
   */
  get pending(): number {
    return this.#core.pending;
  }

  /**
   * The number of server handles that are open on the channel, even if they do not receive.
   *
   * @throws {TandemError} `CLOSED`
   */
  get servers(): number {
    return this.#core.servers;
  }

  /**
   * Sends a request and waits for its answer. The event loop keeps running.
   *
   * @example Give up after a second, or on an abort
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
   * @param payload bytes, or a string to send as UTF-8
   * @param options `timeout`: milliseconds, one deadline for the slot (`BUSY`) and the answer (`TIMEOUT`),
   * across redeliveries; `signal`: an abort cancels the request and rejects with its reason; `into`: the
   * array for the answer; `maxDeliveries`: as in {@linkcode ChannelOptions}
   * @returns the answer's bytes: a copy, or a view of `into`
   * @throws {TandemError} `TIMEOUT` and `BUSY` at the deadline; `TOO_LARGE` when the request is longer
   * than the channel allows, or the answer longer than `into`; `SERVER_DIED` when no delivery is left;
   * `CANCELLED`; `NO_SPACE` when memory is full and nothing was sent; `NOT_FOUND` when the channel was
   * unlinked; `CLOSED`
   * @throws {RemoteError} when the handler failed
   * @throws {TypeError} when `payload` is no payload
   * @throws {RangeError} for a negative or NaN `timeout`, or more deliveries than the channel allows
   */
  request(payload: Payload, options?: RequestOptions): Promise<Uint8Array<ArrayBuffer>> {
    // Not async: that would cost another promise and three turns of the microtask queue.
    try {
      return this.#core.request(payload, this.#core.settings(options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Sends a request and blocks the thread until its answer is there. This is the fastest form. Signal
   * handlers of the runtime do not run meanwhile.
   *
   * @example
   * ```ts
   * import { Client, Server, TandemError } from "@tandem/ipc";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * // The server belongs to this thread, which is blocked, so no server answers.
   * const error = assertThrows(() => client.requestSync("hello", { timeout: 10 }), TandemError);
   * assertEquals(error.code, "TIMEOUT");
   * ```
   *
   * @param payload bytes, or a string to send as UTF-8
   * @param options as for {@linkcode request}, without `signal`
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
   * Sends a request if a slot is free. Never waits. The call holds the slot until its answer is taken or
   * the call is released, so calls that your code never looks at can come to hold all slots.
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
   * @param payload bytes, or a string to send as UTF-8
   * @param options `timeout`: the life of the call in milliseconds
   * @returns the call, to get its answer; null: no slot is free
   * @throws {TandemError} `TOO_LARGE`; `NO_SPACE`; `NOT_FOUND` when the channel was unlinked; `CLOSED`
   * @throws {TypeError} when `payload` is no payload
   */
  trySend(payload: Payload, options?: SendSyncOptions): Call | null {
    const call = this.#core.trySend(payload, this.#core.syncSettings(options));
    return call && new CallMaker(call);
  }

  /**
   * Sends a request. Blocks the thread while no slot is free.
   *
   * @param payload bytes, or a string to send as UTF-8
   * @param options `timeout`: milliseconds, one deadline for the slot and the life of the call
   * @returns the call, to get its answer
   * @throws {TandemError} `BUSY`, and as {@linkcode trySend}
   */
  sendSync(payload: Payload, options?: SendSyncOptions): Call {
    return new CallMaker(this.#core.sendSync(payload, this.#core.syncSettings(options)));
  }

  /**
   * Sends a request. Waits while no slot is free; the event loop keeps running.
   *
   * The call holds its slot until its answer is taken or the call is released. Once calls that your code
   * never looks at hold all slots, this waits for ever, unless it has a `timeout`. If your code waits for
   * the answer anyway, use {@linkcode request}; if it needs no answer, use {@linkcode post}.
   *
   * @param payload bytes, or a string to send as UTF-8
   * @param options `timeout`: milliseconds, one deadline for the slot and the life of the call;
   * `signal`: an abort ends the wait for a slot
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
   * Sends a request whose answer is discarded. Never waits. The request outlives this process.
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
   * @param payload bytes, or a string to send as UTF-8
   * @returns false: no slot is free
   * @throws {TandemError} `TOO_LARGE`; `NO_SPACE`; `NOT_FOUND` when the channel was unlinked; `CLOSED`
   * @throws {TypeError} when `payload` is no payload
   */
  post(payload: Payload): boolean {
    return this.#core.post(payload);
  }

  /**
   * Allocates request memory to fill in place, so that sending copies nothing. See {@linkcode Draft} for
   * an example.
   *
   * @param byteLength the length of the request in bytes
   * @returns a draft, which holds a slot until it is sent or discarded
   * @throws {TandemError} `BUSY` when no slot is free; `TOO_LARGE`; `NO_SPACE`; `NOT_FOUND` when the
   * channel was unlinked; `CLOSED`
   * @throws {RangeError} when `byteLength` is no length
   */
  allocate(byteLength: number): Draft {
    return new DraftMaker(this.#core.allocate(byteLength));
  }

  /**
   * Cancels a call of the channel that is not answered yet, also of another process.
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
   * @param id the {@linkcode Call.id} or {@linkcode ServerRequest.id}
   * @returns true: its client gets `CANCELLED`; false: there is no such call in flight
   * @throws {TandemError} `CLOSED`
   * @throws {TypeError} when `id` is no bigint
   */
  cancel(id: bigint): boolean {
    return this.#core.cancel(id);
  }

  /**
   * Cancels this handle's calls in flight and leaves the channel. Pending promises reject with `CLOSED`.
   * Posted requests stay. Calling it twice is fine.
   */
  override close(): void {
    this.#core.close();
  }
}
