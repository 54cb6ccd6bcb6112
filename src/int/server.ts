/**
 * The side that answers with integers.
 *
 * @module
 */
import { isThenable } from "../base/guard.ts";
import { openKindInt } from "../ffi/layout.ts";
import {
  type Channel,
  How,
  openChannel,
  openChannelFromFd,
  unlinkChannel,
} from "../channel/channel.ts";
import { ChannelHandle } from "../channel/handle.ts";
import { IntServerRequest } from "./request.ts";
import { forUsers } from "../base/closing.ts";
import { encodeInt, type IntValue } from "./value.ts";
import type {
  IntChannelOptions,
  ServeOptions,
  ServeSyncOptions,
  WaitOptions,
  WaitSyncOptions,
} from "../channel/options.ts";
import type { ServerRequest } from "../channel/request.ts";
import type { Result } from "../channel/serve.ts";
import { Server } from "../channel/server.ts";

/**
 * What a handler of integers may return: the answer. `null`, `undefined` and a boolean stand for 0, or,
 * when the handler has answered by itself, for nothing.
 */
export type IntResult = IntValue | boolean | null | void;

/**
 * Takes requests of one signed 64-bit value and answers with one: {@linkcode Server} without
 * payloads.
 *
 * @example
 * ```ts
 * import { IntClient, IntServer } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using server = IntServer.anonymous({ slots: 8 });
 * using client = IntClient.fromFd(server.fd);
 * using call = client.sendSync(7n);
 *
 * const request = server.receiveSync();
 * request?.reply(request.value ** 2n);
 * assertEquals(call.getSync(), 49n);
 * ```
 */
export class IntServer extends ChannelHandle
  implements AsyncIterable<IntServerRequest>, AsyncDisposable {
  readonly #server: Server;

  /** @ignore Made by {@linkcode open}, {@linkcode create} and their like. */
  constructor(channel: Channel) {
    super(channel, "server");
    this.#server = new Server(channel);
  }

  /**
   * Attaches to a channel of integers, or makes it when there is none.
   *
   * @throws {TandemError} as {@linkcode Server.open}; `MISMATCH` when it is a channel for bytes
   */
  static open(target: string, options?: IntChannelOptions): IntServer {
    return new IntServer(openChannel("server", target, How.openOrCreate | openKindInt, options));
  }

  /**
   * Makes a channel of integers.
   *
   * @throws {TandemError} `EXISTS` when there is one, and as {@linkcode open}
   */
  static create(target: string, options?: IntChannelOptions): IntServer {
    return new IntServer(openChannel("server", target, How.createNew | openKindInt, options));
  }

  /**
   * Makes a channel of integers without a name, in sealed memory.
   *
   * @throws {TandemError} as {@linkcode Server.anonymous}
   */
  static anonymous(options: IntChannelOptions & { readonly name?: string } = {}): IntServer {
    const { name = "tandem", ...sizes } = options;
    return new IntServer(openChannel("server", name, How.anonymous | openKindInt, sizes));
  }

  /**
   * Attaches to the channel behind a descriptor, which is duplicated.
   *
   * @throws {TandemError} as {@linkcode Server.fromFd}
   */
  static fromFd(fd: number): IntServer {
    return new IntServer(openChannelFromFd("server", fd, openKindInt));
  }

  /**
   * Removes a channel's name, as {@linkcode Server.unlink} does.
   *
   * @returns false: there was none
   * @throws {TandemError} as {@linkcode Server.unlink}
   */
  static unlink(target: string): boolean {
    return unlinkChannel(target);
  }

  /**
   * Takes the oldest request; never waits.
   *
   * @returns null: there is none
   * @throws {TandemError} `CLOSED`
   */
  tryReceive(): IntServerRequest | null {
    return wrap(this.#server.tryReceive());
  }

  /**
   * Blocks the thread until there is a request. Signal handlers of the runtime do not run meanwhile.
   *
   * @returns null: none in time
   * @throws {TandemError} as {@linkcode Server.receiveSync}
   */
  receiveSync(options?: WaitSyncOptions): IntServerRequest | null {
    return wrap(this.#server.receiveSync(options));
  }

  /**
   * Waits until there is a request; the event loop goes on.
   *
   * @returns null: none in time
   * @throws {TandemError} as {@linkcode Server.receive}; the reason of the signal
   */
  receive(options?: WaitOptions): Promise<IntServerRequest | null> {
    return forUsers(this.#server.receive(options), wrap);
  }

  /**
   * All requests that are there, or `max` of them; never waits.
   *
   * @throws {TandemError} as {@linkcode Server.tryReceiveMany}
   */
  tryReceiveMany(max: number = this.slots): IntServerRequest[] {
    return this.#server.tryReceiveMany(max).map(wrapOne);
  }

  /**
   * Blocks the thread until there is a request, and takes those that are there then, up to `max`.
   *
   * @throws {TandemError} as {@linkcode Server.receiveManySync}
   */
  receiveManySync(max: number, options?: WaitSyncOptions): IntServerRequest[] {
    return this.#server.receiveManySync(max, options).map(wrapOne);
  }

  /**
   * Waits until there is a request, and takes those that are there then, up to `max`.
   *
   * @throws {TandemError} as {@linkcode Server.receiveMany}
   */
  receiveMany(max: number, options?: WaitOptions): Promise<IntServerRequest[]> {
    const received = this.#server.receiveMany(max, options);
    return forUsers(received, (requests) => requests.map(wrapOne));
  }

  /**
   * Answers every request with what `handler` returns; nothing stands for 0.
   *
   * @example
   * ```ts
   * import { IntClient, IntServer } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * await using server = IntServer.anonymous();
   * let total = 0n;
   * const serving = server.serve((request) => total += request.value);
   * using client = IntClient.fromFd(server.fd);
   * assertEquals([await client.request(5), await client.request(-2)], [5n, 3n]);
   * server.close();
   * await serving;
   * ```
   *
   * @returns as {@linkcode Server.serve}
   * @throws {TandemError} as {@linkcode Server.serve}
   */
  serve(
    handler: (request: IntServerRequest) => IntResult | Promise<IntResult>,
    options?: ServeOptions,
  ): Promise<void> {
    return this.#server.serve((request) => {
      const result = handler(wrapOne(request));
      if (!isThenable(result)) return payloadOf(result);
      // A copy: what it is encoded in may be used again before it is sent.
      return Promise.resolve(result).then((value) => copyOf(payloadOf(value as IntResult)));
    }, options);
  }

  /**
   * As {@linkcode serve}, blocking the thread.
   *
   * @returns as {@linkcode Server.serveSync}
   */
  serveSync(
    handler: (request: IntServerRequest) => IntResult,
    options?: ServeSyncOptions,
  ): number {
    return this.#server.serveSync((request) => payloadOf(handler(wrapOne(request))), options);
  }

  /**
   * Answers a request that this handle holds; without a value with 0.
   *
   * @returns false: as {@linkcode IntServerRequest.reply}, or this handle does not hold it
   * @throws {TandemError} `CLOSED`
   * @throws {TypeError} for what is no integer
   * @throws {RangeError} for what has more than 64 bits
   */
  reply(id: bigint, value: IntValue = 0n): boolean {
    return this.#server.reply(id, encodeInt(value));
  }

  /**
   * Fails a request that this handle holds.
   *
   * @returns false: as {@linkcode IntServerRequest.reply}, or this handle does not hold it
   */
  fail(id: bigint, error: unknown): boolean {
    return this.#server.fail(id, error);
  }

  /**
   * Fails every call in flight with `CANCELLED`.
   *
   * @returns how many there were
   * @throws {TandemError} `CLOSED`
   */
  clear(): number {
    return this.#server.clear();
  }

  /**
   * Removes this channel's name, as {@linkcode Server.unlink} does.
   *
   * @returns false: somebody removed it already
   * @throws {TandemError} `NOT_FOUND` when the channel is anonymous; `PERMISSION`
   */
  unlink(): boolean {
    return this.#server.unlink();
  }

  /** Leaves the channel, as {@linkcode Server.close} does. */
  override close(): void {
    this.#server.close();
  }

  /** The requests as they come, until the server is closed. `break` leaves it open. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<IntServerRequest> {
    for await (const request of this.#server) yield wrapOne(request);
  }

  /** Lets the handlers in progress end, then closes. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]();
  }
}

function wrap(request: ServerRequest | null): IntServerRequest | null {
  return request && new IntServerRequest(request);
}

function wrapOne(request: ServerRequest): IntServerRequest {
  return new IntServerRequest(request);
}

function payloadOf(result: IntResult): Result {
  const isNothing = result === undefined || result === null || typeof result === "boolean";
  return encodeInt(isNothing ? 0n : result);
}

function copyOf(payload: Result): Result {
  return payload instanceof Uint8Array ? payload.slice() : payload;
}
