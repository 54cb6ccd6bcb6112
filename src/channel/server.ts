/**
 * The side that answers.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { Damage, pause, pauseSync } from "../base/damage.ts";
import {
  type Channel,
  checkOpen,
  closeChannel,
  How,
  openChannel,
  openChannelFromFd,
  partsOf,
  unlinkChannel,
} from "./channel.ts";
import { callFailure } from "./failure.ts";
import { isThenable } from "../base/guard.ts";
import { ChannelHandle } from "./handle.ts";
import { Loop } from "./loop.ts";
import { checkTimeout, checkWhole, deadlineAfter, timeoutOf } from "../base/checks.ts";
import type {
  ChannelOptions,
  ServeOptions,
  ServeSyncOptions,
  WaitOptions,
  WaitSyncOptions,
} from "./options.ts";
import { onAbort } from "../base/abort.ts";
import type { Payload } from "./payload.ts";
import { type RequestHome, ServerRequest } from "./request.ts";
import { opened } from "./reload.ts";
import { later, now } from "../runtime/timers.ts";
import { captureContext } from "../runtime/context.ts";
import { answerWith, failWith, Gate, type Place, type Result } from "./serve.ts";
import { type Consumer, ServerWaits } from "./server_waits.ts";
import { SlotTable } from "./slot_table.ts";

/** Requests that are taken without a turn of the event loop in between, so that it goes on. */
const takenInARowMax = 64;

/** How long handlers of code that was replaced may take to end, in milliseconds. */
export const replacedGrace = 1_000;

/** A `serve` that runs. */
interface Serving {
  /** No further request is taken. */
  stop(): void;
  /** Lets it see that the server is closed. */
  wake(): void;
  readonly ended: Promise<void>;
}

/**
 * Takes requests of a channel and answers them. Any number of servers may be open on one channel, in
 * any processes; each request goes to exactly one of them.
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
  readonly #channel: Channel;
  readonly #waits: ServerWaits;
  readonly #loop: Loop;
  readonly #home: RequestHome;
  readonly #held: SlotTable<ServerRequest> = new SlotTable();
  #takenInARow = 0;
  #unregister: (() => void) | null = null;
  /** Settles when the running `serve`s have ended their handlers. */
  readonly #serving: Set<Serving> = new Set();

  /** @ignore Made by {@linkcode open}, {@linkcode create} and their like. */
  constructor(channel: Channel) {
    super(channel, "server");
    this.#channel = channel;
    this.#waits = new ServerWaits((max) => this.#take(max), () => this.#receive(0));
    this.#loop = new Loop(channel, this.#waits);
    this.#waits.onSettled = () => this.#loop.settle();
    this.#home = {
      channel,
      held: this.#held,
      watch: (request) => {
        const deadline = now() + request.timeRemaining;
        this.#waits.watch(request, deadline);
        this.#loop.start(deadline);
      },
    };
    if (channel.path !== null) {
      this.#unregister = opened(channel.path, this);
    }
  }

  /** Set by the typed layer, which ends in its own way. @ignore */
  onReplaced: (() => void) | null = null;

  /** Newer code serves in its place: lets the handlers in progress end, for a moment. @ignore */
  replace(): void {
    if (this.onReplaced) return this.onReplaced();
    const cancel = later(replacedGrace, () => this.close());
    // Never rejects: it only waits for handlers, and closes.
    void this[Symbol.asyncDispose]().then(cancel);
  }

  /**
   * Attaches to a channel, or makes it when there is none.
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
   * @param target a name of letters, digits, dots, underscores and hyphens, which lies in
   * `$TANDEM_DIR` or in `/dev/shm/tandem-<uid>`; or a path, which has a slash in it
   * @param options sizes of a channel that has to be made; one that is given must be that of a channel
   * that is there
   * @throws {TandemError} `MISMATCH` when an option differs from the channel that is there, or it is
   * one for integers; `INCOMPATIBLE` when it is of another version; `CORRUPT` when it is no channel;
   * `PERMISSION`; `NO_SPACE`; `BUSY` when 1,024 handles are open on it; `TOO_LARGE` when the sizes are
   * too large together; `UNSUPPORTED`
   * @throws {TypeError} for a name that cannot be
   * @throws {RangeError} for a size that cannot be
   */
  static open(target: string, options?: ChannelOptions): Server {
    return new Server(openChannel("server", target, How.openOrCreate, options));
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
   * @param target as of {@linkcode open}
   * @param options the sizes of the channel
   * @throws {TandemError} `EXISTS` when there is one, and as {@linkcode open}
   */
  static create(target: string, options?: ChannelOptions): Server {
    return new Server(openChannel("server", target, How.createNew, options));
  }

  /**
   * Makes a channel without a name, in sealed memory. Give its {@linkcode fd} to a child:
   * `spawn(…, { stdio: [0, 1, 2, server.fd] })`. It goes when its last handle is closed.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous({ slots: 4 });
   * // A child would open it with its number there: Client.fromFd(3).
   * using client = Client.fromFd(server.fd);
   * assertEquals([server.path, client.slots], [null, 4]);
   * ```
   *
   * @param options the sizes of the channel; `name`: for display alone, in /proc
   * @throws {TandemError} `NO_SPACE`, `TOO_LARGE`, `UNSUPPORTED`
   * @throws {RangeError} for a size that cannot be
   */
  static anonymous(options: ChannelOptions & { readonly name?: string } = {}): Server {
    const { name = "tandem", ...sizes } = options;
    return new Server(openChannel("server", name, How.anonymous, sizes));
  }

  /**
   * Attaches to the channel behind a descriptor, which is duplicated: the caller keeps its own.
   *
   * @param fd a descriptor of a channel, such as {@linkcode fd} of another handle, maybe inherited
   * @throws {TandemError} `CORRUPT` when it is no channel, and as {@linkcode open}
   */
  static fromFd(fd: number): Server {
    return new Server(openChannelFromFd("server", fd));
  }

  /**
   * Removes a channel's name and ends what is in flight on it; attached clients get `CANCELLED`, and
   * `NOT_FOUND` from then on. Servers get `NOT_FOUND` where they wait for requests, so that they can
   * open the channel again. The same happens when others remove the channel's file: it is noticed when
   * a process next goes to sleep on the channel, or cannot ring another one.
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
   * @param target as of {@linkcode open}
   * @returns false: there was none
   * @throws {TandemError} `CORRUPT` when it is no channel, and stays; `PERMISSION`
   * @throws {TypeError} for a name that cannot be
   */
  static unlink(target: string): boolean {
    return unlinkChannel(target);
  }

  /**
   * Takes the oldest request; never waits.
   *
   * @returns null: there is none
   * @throws {TandemError} `CLOSED`; `NOT_FOUND` when the channel was unlinked
   */
  tryReceive(): ServerRequest | null {
    checkOpen(this.#channel, "server");
    return this.#receive(0);
  }

  /**
   * Blocks the thread until there is a request, the oldest. Signal handlers of the runtime do not run
   * meanwhile.
   *
   * @param options `timeout`: milliseconds
   * @returns null: none in time
   * @throws {TandemError} `CLOSED`; `NOT_FOUND` when the channel was or is unlinked
   * @throws {RangeError} for a negative or NaN `timeout`
   */
  receiveSync(options?: WaitSyncOptions): ServerRequest | null {
    checkOpen(this.#channel, "server");
    const timeout = timeoutOf(options);
    try {
      return this.#receive(timeout);
    } finally {
      this.#loop.restore();
    }
  }

  /**
   * Waits until there is a request, the oldest; the event loop goes on. Several waits get requests in
   * the order of their calls.
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
   * @param options `timeout`: milliseconds; `signal`: its abort rejects with its reason, and nothing
   * was taken
   * @returns null: none in time
   * @throws {TandemError} `CLOSED` when the server is closed meanwhile; `NOT_FOUND` when the channel was
   * or is unlinked; the reason of the signal
   */
  receive(options?: WaitOptions): Promise<ServerRequest | null> {
    return this.#wait(() => 1, options, firstOrNull);
  }

  /**
   * All requests that are there, or `max` of them, the oldest first; never waits.
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
   * @param max at most so many; default: the channel's slots
   * @throws {TandemError} as {@linkcode tryReceive}
   * @throws {RangeError} for what is no number of requests
   */
  tryReceiveMany(max: number = this.slots): ServerRequest[] {
    checkOpen(this.#channel, "server");
    return this.#take(checkWhole(max, "max", 1, Number.MAX_SAFE_INTEGER));
  }

  /**
   * Blocks the thread until there is a request, and takes those that are there then, up to `max`.
   *
   * @param max at most so many
   * @param options `timeout`: milliseconds for the first of them
   * @returns none: none in time
   * @throws {TandemError} as {@linkcode receiveSync}
   * @throws {RangeError} for what is no number of requests or no time-out
   */
  receiveManySync(max: number, options?: WaitSyncOptions): ServerRequest[] {
    checkWhole(max, "max", 1, Number.MAX_SAFE_INTEGER);
    const first = this.receiveSync(options);
    return first ? this.#take(max, [first]) : [];
  }

  /**
   * Waits until there is a request, and takes those that are there then, up to `max`; the event loop
   * goes on.
   *
   * @param max at most so many
   * @param options `timeout`: milliseconds for the first of them; `signal`: its abort rejects
   * @returns none: none in time
   * @throws {TandemError} as {@linkcode receive}; the reason of the signal
   * @throws {RangeError} for what is no number of requests or no time-out
   */
  receiveMany(max: number, options?: WaitOptions): Promise<ServerRequest[]> {
    const checked = () => checkWhole(max, "max", 1, Number.MAX_SAFE_INTEGER);
    return this.#wait(checked, options, (requests) => requests);
  }

  /**
   * Answers every request with what `handler` returns. A handler that throws, or returns what cannot
   * be sent, fails that call (`REMOTE`) and nothing else; one that replies by itself may return
   * anything.
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
   * @param handler called for each request, in the order in which they were queued
   * @param options `concurrency`: handlers in progress at once; `signal`: its abort ends serving
   * @throws {TandemError} `CLOSED` when the server is closed already; `NOT_FOUND` when the channel was
   * or is unlinked, except by this handle: handlers in progress go on, and no client gets their answers
   * @throws {RangeError} for what is no number of handlers
   * @returns when the server is closed, or when `signal` has aborted and the handlers in progress
   * have ended
   */
  async serve(
    handler: (request: ServerRequest) => Result | Promise<Result>,
    options: ServeOptions = {},
  ): Promise<void> {
    checkOpen(this.#channel, "server");
    const { concurrency = this.slots, signal } = options;
    const gate = new Gate(checkWhole(concurrency, "concurrency", 1, Number.MAX_SAFE_INTEGER));
    const stopping = new AbortController();
    const stop = () => stopping.abort();
    const stopListening = signal && onAbort(signal, stop);
    if (signal?.aborted) stop();
    const ended = Promise.withResolvers<void>();
    const serving = { stop, wake: () => gate.wake(), ended: ended.promise };
    this.#serving.add(serving);
    try {
      // Each handler starts from the context of this call, whatever the one before it has changed.
      const run = captureContext();
      const handle = (request: ServerRequest) => this.#handle(request, handler, gate);
      const take = (request: ServerRequest) => run(handle, request);
      await this.serveThrough(gate, take, stopping.signal);
    } finally {
      stopListening?.();
      this.#serving.delete(serving);
      ended.resolve();
    }
  }

  #handle(
    request: ServerRequest,
    handler: (request: ServerRequest) => Result | Promise<Result>,
    gate: Gate,
  ): void {
    try {
      const result = handler(request);
      if (isThenable(result)) void this.#finish(request, result, gate.enter());
      else answerWith(request, result);
    } catch (error) {
      failWith(request, error);
    }
  }

  /** Never rejects. */
  async #finish(request: ServerRequest, result: PromiseLike<Result>, place: Place): Promise<void> {
    try {
      answerWith(request, await result);
    } catch (error) {
      failWith(request, error);
    } finally {
      place.leave();
    }
  }

  /**
   * As {@linkcode serve}, blocking the thread: one request after the other. Signal handlers of the
   * runtime do not run meanwhile.
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
   * @param options `idleTimeout`: milliseconds without a request after which it returns
   * @throws {TandemError} `CLOSED` when the server is closed already; `NOT_FOUND` as {@linkcode serve}
   * @throws {RangeError} for a negative or NaN `idleTimeout`
   * @returns how many calls were served, once no request has come for `idleTimeout` or the handler
   * has closed the server
   */
  serveSync(
    handler: (request: ServerRequest) => Result,
    options: ServeSyncOptions = {},
  ): number {
    checkOpen(this.#channel, "server");
    const { idleTimeout = Infinity } = options;
    const timeout = checkTimeout(idleTimeout, "idleTimeout");
    let served = 0;
    const damage = new Damage();
    while (this.#channel.isOpen) {
      let request: ServerRequest | null;
      try {
        request = this.#receive(timeout);
      } catch (error) {
        pauseSync(damage.pauseAfter(error));
        continue;
      }
      if (!request) break;
      damage.isOver();
      served += 1;
      try {
        answerWith(request, handler(request));
      } catch (error) {
        failWith(request, error);
      }
    }
    if (this.#channel.isOpen) this.#loop.restore();
    return served;
  }

  /**
   * Answers a request that this handle holds, by its id.
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
   * @param id of the request: {@linkcode ServerRequest.id}
   * @param payload bytes, or a string; nothing is an empty string
   * @returns false: as {@linkcode ServerRequest.reply}, or this handle does not hold it
   * @throws {TandemError} as {@linkcode ServerRequest.reply}
   */
  reply(id: bigint, payload: Payload = ""): boolean {
    return this.#heldRequest(id)?.reply(payload) ?? false;
  }

  /**
   * Fails a request that this handle holds, by its id.
   *
   * @param id of the request: {@linkcode ServerRequest.id}
   * @param error what the client gets as a {@linkcode RemoteError}
   * @returns false: as {@linkcode ServerRequest.reply}, or this handle does not hold it
   * @throws {TandemError} `CLOSED`
   */
  fail(id: bigint, error: unknown): boolean {
    return this.#heldRequest(id)?.fail(error) ?? false;
  }

  /**
   * Fails every call in flight with `CANCELLED`, of all clients; drafts are left alone.
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
   * @returns how many there were
   * @throws {TandemError} `CLOSED`
   */
  clear(): number {
    checkOpen(this.#channel, "server");
    return this.#channel.native.tandem_clear(this.#channel.address);
  }

  /**
   * Removes this channel's name, as the static {@linkcode Server.unlink} does. This handle itself goes
   * on as before: it gets no requests any more, and its waits end when it is closed.
   *
   * @returns false: somebody removed it already
   * @throws {TandemError} `NOT_FOUND` when the channel is anonymous; `PERMISSION`
   */
  unlink(): boolean {
    const { path } = this.#channel;
    if (path === null) {
      throw new TandemError(
        "NOT_FOUND",
        "Cannot unlink an anonymous channel: it has no name; close it, and it goes with its last handle",
      );
    }
    const isRemoved = unlinkChannel(path);
    // A handle that removes a channel on purpose is not told of it.
    if (this.#channel.isOpen) this.#channel.native.tandem_expect_removal(this.#channel.address);
    return isRemoved;
  }

  /**
   * Leaves the channel at once. Requests that are held go to another server if they may, or fail with
   * `SERVER_DIED`, and the signals of their handlers abort. `await using` lets the handlers in progress
   * end first. Twice is fine.
   */
  override close(): void {
    if (!this.#channel.isOpen) return;
    this.#unregister?.();
    this.#loop.close();
    const held = [...this.#held.values()];
    this.#held.clear();
    closeChannel(this.#channel);
    this.#waits.close();
    for (const serving of this.#serving) serving.wake();
    // Last: it runs code of users.
    for (const request of held) request?.abandon();
  }

  /**
   * The requests as they come, until the server is closed; it throws `NOT_FOUND` when the channel is
   * unlinked, except by this handle. `break` leaves it open.
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
  async *[Symbol.asyncIterator](): AsyncIterableIterator<ServerRequest> {
    const damage = new Damage();
    while (this.#channel.isOpen) {
      let request: ServerRequest | null;
      try {
        request = await this.receive();
        damage.isOver();
      } catch (error) {
        if (!this.#channel.isOpen) return;
        await pause(damage.pauseAfter(error));
        continue;
      }
      if (request) yield request;
    }
  }

  /** Lets the handlers in progress end, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    const serving = [...this.#serving];
    for (const { stop } of serving) stop();
    await Promise.all(serving.map(({ ended }) => ended));
    this.close();
  }

  /**
   * Hands requests to `consumer` the moment that they are seen, without a promise for each. Resolves
   * when it has no room, when `signal` aborts, and when the server is closed.
   *
   * @ignore For the typed layer.
   */
  // deno-lint-ignore require-await -- so that a closed server rejects
  async consume(consumer: Consumer, signal?: AbortSignal): Promise<void> {
    checkOpen(this.#channel, "server");
    const consumed = this.#waits.consume(consumer, signal);
    this.#loop.start(Infinity);
    return consumed;
  }

  /**
   * Hands requests to `take` as long as `gate` has room, until `signal` aborts or the server is closed;
   * resolves when what has entered by then has left again.
   *
   * @ignore For the typed layer.
   */
  async serveThrough(
    gate: Gate,
    take: (request: ServerRequest) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const damage = new Damage();
    const consumer: Consumer = {
      get hasRoom() {
        return !gate.isFull;
      },
      take: (request) => {
        damage.isOver();
        try {
          take(request);
        } catch (error) {
          // One request, and not the wait for all others.
          failWith(request, error);
        }
      },
    };
    while (!signal.aborted && this.#channel.isOpen) {
      if (gate.isFull) {
        await gate.change();
        continue;
      }
      try {
        await this.consume(consumer, signal);
      } catch (error) {
        await pause(damage.pauseAfter(error));
      }
    }
    while (!gate.isEmpty && this.#channel.isOpen) await gate.change();
  }

  /**
   * From now on a pending `receive` or `serve` does not keep the process alive.
   *
   * @ignore For the typed layer.
   */
  unref(): void {
    checkOpen(this.#channel, "server");
    this.#waits.isReferenced = false;
    this.#loop.settle();
  }

  #heldRequest(id: bigint): ServerRequest | null {
    checkOpen(this.#channel, "server");
    const request = this.#held.get(partsOf(id)?.slot ?? -1);
    return request?.id === id ? request : null;
  }

  #receive(timeout: number): ServerRequest | null {
    checkOpen(this.#channel, "server");
    const { native, address, words } = this.#channel;
    const status = native.tandem_receive(address, timeout, words);
    if (status === 1) return new ServerRequest(this.#home);
    if (status < 0) throw callFailure(status, "receive a request");
    return null;
  }

  /** Up to `max` requests, `requests` included. */
  #take(max: number, requests: ServerRequest[] = []): ServerRequest[] {
    while (requests.length < max) {
      let request: ServerRequest | null;
      try {
        request = this.#receive(0);
      } catch (error) {
        // What was taken before goes to its handler; if something is wrong still, the next call says so.
        if (requests.length === 0) throw error;
        break;
      }
      if (!request) break;
      requests.push(request);
    }
    return requests;
  }

  /** Not async: the promise is the one that `close` rejects. */
  #wait<T>(
    max: () => number,
    options: WaitOptions | undefined,
    pick: (requests: ServerRequest[]) => T,
  ): Promise<T> {
    try {
      return this.#tryWait(max(), options, pick);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #tryWait<T>(
    max: number,
    options: WaitOptions | undefined,
    pick: (requests: ServerRequest[]) => T,
  ): Promise<T> {
    checkOpen(this.#channel, "server");
    const timeout = timeoutOf(options);
    options?.signal?.throwIfAborted();
    // Who waits already comes first, and the event loop's other work comes in between.
    const mayTake = timeout === 0 || this.#takenInARow < takenInARowMax;
    if (!this.#waits.hasTakers && mayTake) {
      const requests = this.#take(max);
      if (requests.length > 0) {
        this.#takenInARow += 1;
        return Promise.resolve(pick(requests));
      }
    }
    this.#takenInARow = 0;
    if (timeout === 0) return Promise.resolve(pick([]));
    const deadline = deadlineAfter(timeout);
    const signal = options?.signal;
    checkOpen(this.#channel, "server");
    const promise = this.#waits.add(max, deadline, signal, pick);
    this.#loop.start(deadline);
    return promise;
  }
}

function firstOrNull(requests: readonly ServerRequest[]): ServerRequest | null {
  return requests[0] ?? null;
}
