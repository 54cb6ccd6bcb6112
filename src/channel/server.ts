/**
 * The side that answers.
 *
 * @module
 */
import { checkTimeout, checkWhole, timeoutOf } from "../base/checks.ts";
import type { Maker } from "../base/maker.ts";
import { waitSettings } from "./call_settings.ts";
import { unlinkChannel } from "./channel.ts";
import { ChannelHandle } from "./handle.ts";
import type {
  ChannelOptions,
  ServeOptions,
  ServeSyncOptions,
  WaitOptions,
  WaitSyncOptions,
} from "../base/channel_options.ts";
import type { Payload } from "./payload.ts";
import { ServerRequest } from "./request.ts";
import type { RequestCore } from "./request_core.ts";
import type { Result } from "./result.ts";
import { ServerCore } from "./server_core.ts";

const RequestMaker = ServerRequest as unknown as Maker<RequestCore, ServerRequest>;
const makeRequest = (core: RequestCore): ServerRequest => new RequestMaker(core);
const makeFirst = ([core]: RequestCore[]): ServerRequest | null =>
  core ? new RequestMaker(core) : null;
const makeAll = (cores: RequestCore[]): ServerRequest[] => cores.map(makeRequest);

/**
 * Takes requests of a channel and answers them. Any number of servers can be open on one channel, in any
 * processes. Each request goes to exactly one of them.
 *
 * @example
 * ```ts
 * import { Client, Server } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using server = Server.anonymous({ slots: 8 });
 * using client = Client.fromFd(server.fd);
 * using call = client.sendSync("hello");
 *
 * const request = server.receiveSync();
 * request?.reply(request.bytes);
 * assertEquals(new TextDecoder().decode(call.getSync()), "hello");
 * ```
 */
export class Server extends ChannelHandle implements AsyncIterable<ServerRequest>, AsyncDisposable {
  static {
    // Runtimes print it, and bundlers change it.
    Object.defineProperty(this, "name", { value: "Server" });
  }

  readonly #core: ServerCore;

  private constructor(core: ServerCore) {
    super(core as never, "Server");
    this.#core = core;
  }

  /**
   * Attaches to a channel, or makes it if there is none.
   *
   * @example
   * ```ts
   * import { Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.open("parcels", { slots: 16, maxRequestBytes: 64 * 1024 });
   * using another = Server.open("parcels");
   * assertEquals([another.slots, another.maxRequestBytes], [16, 65_536]);
   * assertEquals(server.path?.endsWith("/parcels.tandem"), true);
   * server.unlink();
   * ```
   *
   * @param target a name of letters, digits, dots, underscores and hyphens for a channel in
   * `$TANDEM_DIR` or `/dev/shm/tandem-<uid>`; or a path, which contains a slash
   * @param options the sizes of a new channel; given sizes have to agree with an existing channel
   * @throws {TandemError} `MISMATCH` when an option differs from the existing channel, or that channel is
   * for integers; `INCOMPATIBLE` when it has another version; `CORRUPT` when the file is no channel;
   * `PERMISSION`; `NO_SPACE`; `BUSY` when 1,024 handles are open on it; `TOO_LARGE` when the sizes are
   * too large together; `UNSUPPORTED`
   * @throws {TypeError} when `target` is no valid name or path
   * @throws {RangeError} when a size is out of range
   */
  static open(target: string, options?: ChannelOptions): Server {
    return new Server(ServerCore.open(target, options));
  }

  /**
   * Makes a channel.
   *
   * @example
   * ```ts
   * import { Server, TandemError } from "@tandem/ipc";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * using server = Server.create("only-one");
   * const error = assertThrows(() => Server.create("only-one"), TandemError);
   * assertEquals(error.code, "EXISTS");
   * server.unlink();
   * ```
   *
   * @param target as for {@linkcode open}
   * @param options the sizes of the channel
   * @throws {TandemError} `EXISTS` when the channel exists, and as {@linkcode open}
   */
  static create(target: string, options?: ChannelOptions): Server {
    return new Server(ServerCore.create(target, options));
  }

  /**
   * Makes a channel without a name, in sealed memory. Give its {@linkcode fd} to a child process:
   * `spawn(…, { stdio: [0, 1, 2, server.fd] })`. The channel ends when its last handle closes.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous({ slots: 4 });
   * // A child would open it with the number that it has there: Client.fromFd(3).
   * using client = Client.fromFd(server.fd);
   * assertEquals([server.path, client.slots], [null, 4]);
   * ```
   *
   * @param options the sizes of the channel; `name`: shown in /proc
   * @throws {TandemError} `NO_SPACE`, `TOO_LARGE`, `UNSUPPORTED`
   * @throws {RangeError} when a size is out of range
   */
  static anonymous(options: ChannelOptions & { readonly name?: string } = {}): Server {
    return new Server(ServerCore.anonymous(options));
  }

  /**
   * Attaches to the channel behind a descriptor, which the handle duplicates: the caller keeps its own.
   *
   * @param fd a descriptor of a channel, such as {@linkcode fd} of another handle, or an inherited one
   * @throws {TandemError} `CORRUPT` when `fd` is no channel, and as {@linkcode open}
   */
  static fromFd(fd: number): Server {
    return new Server(ServerCore.fromFd(fd));
  }

  /**
   * Removes a channel's name and ends its calls in flight. Attached clients get `CANCELLED` for these
   * calls, and `NOT_FOUND` for further ones. Waiting servers get `NOT_FOUND`, so that they can open the
   * channel again. The same happens when another program removes the channel's file: a participant
   * notices that when it next goes to sleep on the channel, or cannot ring another one.
   *
   * @example
   * ```ts
   * import { Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * Server.open("short-lived").close();
   * assertEquals(Server.unlink("short-lived"), true);
   * assertEquals(Server.unlink("short-lived"), false);
   * ```
   *
   * @param target as for {@linkcode open}
   * @returns false: there was no channel
   * @throws {TandemError} `CORRUPT` when the file is no channel, which stays; `PERMISSION`
   * @throws {TypeError} when `target` is no valid name or path
   */
  static unlink(target: string): boolean {
    return unlinkChannel(target);
  }

  /**
   * Takes the oldest request. Never waits.
   *
   * @returns null: there is no request
   * @throws {TandemError} `CLOSED`; `NOT_FOUND` when the channel was unlinked
   */
  tryReceive(): ServerRequest | null {
    const request = this.#core.tryReceive();
    return request && new RequestMaker(request);
  }

  /**
   * Takes the oldest request. Blocks the thread until there is one. Signal handlers of the runtime do not
   * run meanwhile.
   *
   * @param options `timeout`: milliseconds
   * @returns null: no request came in time
   * @throws {TandemError} `CLOSED`; `NOT_FOUND` when the channel was or is unlinked
   * @throws {RangeError} for a negative or NaN `timeout`
   */
  receiveSync(options?: WaitSyncOptions): ServerRequest | null {
    const request = this.#core.receiveSync(timeoutOf(options));
    return request && new RequestMaker(request);
  }

  /**
   * Takes the oldest request. Waits until there is one; the event loop keeps running. Several waits get
   * requests in the order of their calls.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * assertEquals(await server.receive({ timeout: 5 }), null);
   *
   * const answer = client.request("2 + 2");
   * const request = await server.receive();
   * request?.reply("4");
   * assertEquals(new TextDecoder().decode(await answer), "4");
   * ```
   *
   * @param options `timeout`: milliseconds; `signal`: an abort rejects with its reason, and the wait has
   * taken no request
   * @returns null: no request came in time
   * @throws {TandemError} `CLOSED` when the server closes meanwhile; `NOT_FOUND` when the channel was or
   * is unlinked; the reason of the signal
   */
  receive(options?: WaitOptions): Promise<ServerRequest | null> {
    try {
      return this.#core.receive(1, waitSettings(options), makeFirst);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Takes all queued requests, or the `max` oldest. Never waits.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * for (const text of ["a", "b", "c"]) client.post(text);
   * assertEquals(server.tryReceiveMany(2).map((request) => request.text()), ["a", "b"]);
   * assertEquals(server.tryReceiveMany().map((request) => request.text()), ["c"]);
   * assertEquals(server.tryReceiveMany(), []);
   * ```
   *
   * @param max how many requests at most; default: the channel's slots
   * @throws {TandemError} as {@linkcode tryReceive}
   * @throws {RangeError} when `max` is not positive
   */
  tryReceiveMany(max: number = this.slots): ServerRequest[] {
    return this.#core.tryReceiveMany(checkMax(max), makeRequest);
  }

  /**
   * Takes all queued requests, or the `max` oldest. Blocks the thread until there is one.
   *
   * @param max how many requests at most
   * @param options `timeout`: milliseconds for the first request
   * @returns an empty array: no request came in time
   * @throws {TandemError} as {@linkcode receiveSync}
   * @throws {RangeError} when `max` is not positive, or `timeout` is negative or NaN
   */
  receiveManySync(max: number, options?: WaitSyncOptions): ServerRequest[] {
    return this.#core.receiveManySync(checkMax(max), timeoutOf(options), makeRequest);
  }

  /**
   * Takes all queued requests, or the `max` oldest. Waits until there is one; the event loop keeps
   * running.
   *
   * @param max how many requests at most
   * @param options `timeout`: milliseconds for the first request; `signal`: an abort rejects
   * @returns an empty array: no request came in time
   * @throws {TandemError} as {@linkcode receive}; the reason of the signal
   * @throws {RangeError} when `max` is not positive, or `timeout` is negative or NaN
   */
  receiveMany(max: number, options?: WaitOptions): Promise<ServerRequest[]> {
    try {
      return this.#core.receive(checkMax(max), waitSettings(options), makeAll);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Answers every request with the result of `handler`. A handler that throws, or returns a value that
   * cannot be sent, fails only that call (`REMOTE`). A handler that has replied itself may return anything.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * await using server = Server.anonymous();
   * const stopping = new AbortController();
   * const serving = server.serve(async (request) => {
   *   await Promise.resolve();
   *   return request.text().toUpperCase();
   * }, { concurrency: 4, signal: stopping.signal });
   *
   * using client = Client.fromFd(server.fd);
   * const answers = await Promise.all(["a", "b"].map((text) => client.request(text)));
   * assertEquals(answers.map((answer) => new TextDecoder().decode(answer)), ["A", "B"]);
   * stopping.abort();
   * await serving;
   * ```
   *
   * @param handler called for each request, in the order of the queue
   * @param options `concurrency`: how many handlers can be in progress; `signal`: an abort ends serving
   * @throws {TandemError} `CLOSED` when the server is closed already; `NOT_FOUND` when the channel was
   * or is unlinked, except by this handle: handlers in progress go on, and no client gets their answers
   * @throws {RangeError} when `concurrency` is not positive
   * @returns a promise that resolves when the server closes, or when `signal` has aborted and the
   * handlers in progress have ended
   */
  async serve(
    handler: (request: ServerRequest) => Result | Promise<Result>,
    options: ServeOptions = {},
  ): Promise<void> {
    const { concurrency = this.slots, signal } = options;
    checkWhole(concurrency, "concurrency", 1, Number.MAX_SAFE_INTEGER);
    await this.#core.serve((core) => handler(new RequestMaker(core)), concurrency, signal);
  }

  /**
   * As {@linkcode serve}, one request after the other, while the thread is blocked. Signal handlers of
   * the runtime do not run meanwhile.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * using call = client.sendSync("hello");
   * client.post("unheard");
   * const served = server.serveSync((request) => request.bytes, { idleTimeout: 10 });
   * assertEquals(served, 2);
   * assertEquals(new TextDecoder().decode(call.getSync()), "hello");
   * ```
   *
   * @param handler called for each request; it cannot be asynchronous
   * @param options `idleTimeout`: the method returns after this many milliseconds without a request
   * @throws {TandemError} `CLOSED` when the server is closed already; `NOT_FOUND` as {@linkcode serve}
   * @throws {RangeError} for a negative or NaN `idleTimeout`
   * @returns the number of calls served, after `idleTimeout` or when the handler has closed the server
   */
  serveSync(
    handler: (request: ServerRequest) => Result,
    options: ServeSyncOptions = {},
  ): number {
    const { idleTimeout = Infinity } = options;
    const timeout = checkTimeout(idleTimeout, "idleTimeout");
    return this.#core.serveSync((core) => handler(new RequestMaker(core)), timeout);
  }

  /**
   * Replies to a request that this handle holds, by its id.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * using call = client.sendSync("?");
   * const { id } = server.tryReceive()!;
   * assertEquals([server.reply(id, "!"), server.reply(id, "again")], [true, false]);
   * assertEquals(new TextDecoder().decode(call.getSync()), "!");
   * ```
   *
   * @param id the {@linkcode ServerRequest.id}
   * @param payload bytes, or a string to send as UTF-8; default: an empty string
   * @returns false: as {@linkcode ServerRequest.reply}, or this handle does not hold the request
   * @throws {TandemError} as {@linkcode ServerRequest.reply}
   */
  reply(id: bigint, payload: Payload = ""): boolean {
    return this.#core.heldRequest(id)?.reply(payload) ?? false;
  }

  /**
   * Fails a request that this handle holds, by its id.
   *
   * @param id the {@linkcode ServerRequest.id}
   * @param error the client gets it as a {@linkcode RemoteError}
   * @returns false: as {@linkcode ServerRequest.reply}, or this handle does not hold the request
   * @throws {TandemError} `CLOSED`
   */
  fail(id: bigint, error: unknown): boolean {
    return this.#core.heldRequest(id)?.fail(error) ?? false;
  }

  /**
   * Fails every call in flight of all clients with `CANCELLED`. Drafts stay.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * for (let count = 0; count < 3; count++) client.post("x");
   * assertEquals(server.clear(), 3);
   * assertEquals(server.tryReceive(), null);
   * ```
   *
   * @returns the number of these calls
   * @throws {TandemError} `CLOSED`
   */
  clear(): number {
    return this.#core.clear();
  }

  /**
   * Removes this channel's name, as the static {@linkcode Server.unlink} does. This handle stays open, but
   * gets no further requests: its waits end when it closes.
   *
   * @returns false: the name was removed already
   * @throws {TandemError} `NOT_FOUND` when the channel is anonymous; `PERMISSION`
   */
  unlink(): boolean {
    return this.#core.unlink();
  }

  /**
   * Leaves the channel at once. The requests that this handle holds go to another server if a delivery is
   * left, or fail with `SERVER_DIED`; the signals of their handlers abort. `await using` lets the handlers
   * in progress end first. Calling it twice is fine.
   */
  override close(): void {
    this.#core.close();
  }

  /**
   * Yields requests as they arrive, until the server closes. Throws `NOT_FOUND` when the channel is
   * unlinked, except by this handle. `break` leaves the server open.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   * for (const text of ["a", "b", "end"]) client.post(text);
   *
   * const texts: string[] = [];
   * for await (const request of server) {
   *   texts.push(request.text());
   *   request.reply();
   *   if (texts.at(-1) === "end") break;
   * }
   * assertEquals(texts, ["a", "b", "end"]);
   * ```
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<ServerRequest> {
    return this.#core.requests(makeRequest);
  }

  /** Lets the handlers in progress end, then closes. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#core.drain();
  }
}

function checkMax(max: number): number {
  return checkWhole(max, "max", 1, Number.MAX_SAFE_INTEGER);
}
