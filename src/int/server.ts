/**
 * The side that answers with integers.
 *
 * @module
 */
import { checkTimeout, checkWhole, timeoutOf } from "../base/checks.ts";
import { isThenable } from "../base/guard.ts";
import type { Maker } from "../base/maker.ts";
import { waitSettings } from "../channel/call_settings.ts";
import { unlinkChannel } from "../channel/channel.ts";
import { ChannelHandle } from "../channel/handle.ts";
import type {
  IntChannelOptions,
  ServeOptions,
  ServeSyncOptions,
  WaitOptions,
  WaitSyncOptions,
} from "../base/channel_options.ts";
import type { RequestCore } from "../channel/request_core.ts";
import type { Result } from "../channel/result.ts";
import { ServerCore } from "../channel/server_core.ts";
import { openKindInt } from "../ffi/layout.ts";
import { encodeInt } from "./int64.ts";
import { IntServerRequest } from "./request.ts";
import type { IntValue } from "./value.ts";

const RequestMaker = IntServerRequest as unknown as Maker<RequestCore, IntServerRequest>;
const makeRequest = (core: RequestCore): IntServerRequest => new RequestMaker(core);
const makeFirst = ([core]: RequestCore[]): IntServerRequest | null =>
  core ? new RequestMaker(core) : null;
const makeAll = (cores: RequestCore[]): IntServerRequest[] => cores.map(makeRequest);

/**
 * The result of a handler of integers: the answer. `null`, `undefined` and a boolean stand for 0. The
 * result does not matter if the handler has already replied.
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
  static {
    // Runtimes print it, and bundlers change it.
    Object.defineProperty(this, "name", { value: "IntServer" });
  }

  readonly #core: ServerCore;

  private constructor(core: ServerCore) {
    super(core as never, "IntServer");
    this.#core = core;
  }

  /**
   * Attaches to a channel of integers, or makes it if there is none.
   *
   * @throws {TandemError} as {@linkcode Server.open}; `MISMATCH` when the channel is for bytes
   */
  static open(target: string, options?: IntChannelOptions): IntServer {
    return new IntServer(ServerCore.open(target, options, openKindInt));
  }

  /**
   * Makes a channel of integers.
   *
   * @throws {TandemError} `EXISTS` when the channel exists, and as {@linkcode open}
   */
  static create(target: string, options?: IntChannelOptions): IntServer {
    return new IntServer(ServerCore.create(target, options, openKindInt));
  }

  /**
   * Makes a channel of integers without a name, in sealed memory.
   *
   * @throws {TandemError} as {@linkcode Server.anonymous}
   */
  static anonymous(options: IntChannelOptions & { readonly name?: string } = {}): IntServer {
    return new IntServer(ServerCore.anonymous(options, openKindInt));
  }

  /**
   * Attaches to the channel behind a descriptor, which is duplicated.
   *
   * @throws {TandemError} as {@linkcode Server.fromFd}
   */
  static fromFd(fd: number): IntServer {
    return new IntServer(ServerCore.fromFd(fd, openKindInt));
  }

  /**
   * Removes a channel's name, as {@linkcode Server.unlink} does.
   *
   * @returns false: there was no channel
   * @throws {TandemError} as {@linkcode Server.unlink}
   */
  static unlink(target: string): boolean {
    return unlinkChannel(target);
  }

  /**
   * Takes the oldest request. Never waits.
   *
   * @returns null: there is no request
   * @throws {TandemError} `CLOSED`
   */
  tryReceive(): IntServerRequest | null {
    const request = this.#core.tryReceive();
    return request && new RequestMaker(request);
  }

  /**
   * Takes the oldest request. Blocks the thread until there is one. Signal handlers of the runtime do not run meanwhile.
   *
   * @returns null: no request came in time
   * @throws {TandemError} as {@linkcode Server.receiveSync}
   */
  receiveSync(options?: WaitSyncOptions): IntServerRequest | null {
    const request = this.#core.receiveSync(timeoutOf(options));
    return request && new RequestMaker(request);
  }

  /**
   * Takes the oldest request. Waits until there is one; the event loop keeps running.
   *
   * @returns null: no request came in time
   * @throws {TandemError} as {@linkcode Server.receive}; the reason of the signal
   */
  receive(options?: WaitOptions): Promise<IntServerRequest | null> {
    try {
      return this.#core.receive(1, waitSettings(options), makeFirst);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Takes all queued requests, or the `max` oldest. Never waits.
   *
   * @throws {TandemError} as {@linkcode Server.tryReceiveMany}
   */
  tryReceiveMany(max: number = this.slots): IntServerRequest[] {
    return this.#core.tryReceiveMany(checkMax(max), makeRequest);
  }

  /**
   * Takes all queued requests, or the `max` oldest. Blocks the thread until there is one.
   *
   * @throws {TandemError} as {@linkcode Server.receiveManySync}
   */
  receiveManySync(max: number, options?: WaitSyncOptions): IntServerRequest[] {
    return this.#core.receiveManySync(checkMax(max), timeoutOf(options), makeRequest);
  }

  /**
   * Takes all queued requests, or the `max` oldest. Waits until there is one.
   *
   * @throws {TandemError} as {@linkcode Server.receiveMany}
   */
  receiveMany(max: number, options?: WaitOptions): Promise<IntServerRequest[]> {
    try {
      return this.#core.receive(checkMax(max), waitSettings(options), makeAll);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Answers every request with the result of `handler`. A handler without a result answers 0.
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
  async serve(
    handler: (request: IntServerRequest) => IntResult | Promise<IntResult>,
    options: ServeOptions = {},
  ): Promise<void> {
    const { concurrency = this.slots, signal } = options;
    checkWhole(concurrency, "concurrency", 1, Number.MAX_SAFE_INTEGER);
    const answer = (core: RequestCore): Result | Promise<Result> => {
      const result = handler(new RequestMaker(core));
      if (!isThenable(result)) return payloadOf(result);
      // A copy: other values may be encoded in the same bytes before it is sent.
      return Promise.resolve(result).then((value) => payloadOf(value as IntResult).slice());
    };
    await this.#core.serve(answer, concurrency, signal);
  }

  /**
   * As {@linkcode serve}, while the thread is blocked.
   *
   * @returns as {@linkcode Server.serveSync}
   */
  serveSync(
    handler: (request: IntServerRequest) => IntResult,
    options: ServeSyncOptions = {},
  ): number {
    const { idleTimeout = Infinity } = options;
    const timeout = checkTimeout(idleTimeout, "idleTimeout");
    return this.#core.serveSync((core) => payloadOf(handler(new RequestMaker(core))), timeout);
  }

  /**
   * Replies to a request that this handle holds; without a value, with 0.
   *
   * @returns false: as {@linkcode IntServerRequest.reply}, or this handle does not hold the request
   * @throws {TandemError} `CLOSED`
   * @throws {TypeError} when `value` is no integer
   * @throws {RangeError} when `value` has more than 64 bits
   */
  reply(id: bigint, value: IntValue = 0n): boolean {
    return this.#core.heldRequest(id)?.reply(encodeInt(value)) ?? false;
  }

  /**
   * Fails a request that this handle holds.
   *
   * @returns false: as {@linkcode IntServerRequest.reply}, or this handle does not hold the request
   */
  fail(id: bigint, error: unknown): boolean {
    return this.#core.heldRequest(id)?.fail(error) ?? false;
  }

  /**
   * Fails every call in flight with `CANCELLED`.
   *
   * @returns the number of these calls
   * @throws {TandemError} `CLOSED`
   */
  clear(): number {
    return this.#core.clear();
  }

  /**
   * Removes this channel's name, as {@linkcode Server.unlink} does.
   *
   * @returns false: the name was removed already
   * @throws {TandemError} `NOT_FOUND` when the channel is anonymous; `PERMISSION`
   */
  unlink(): boolean {
    return this.#core.unlink();
  }

  /** Leaves the channel, as {@linkcode Server.close} does. */
  override close(): void {
    this.#core.close();
  }

  /** Yields requests as they arrive, until the server closes. `break` leaves the server open. */
  [Symbol.asyncIterator](): AsyncIterableIterator<IntServerRequest> {
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

function payloadOf(result: IntResult): Uint8Array<ArrayBuffer> {
  const isNothing = result === undefined || result === null || typeof result === "boolean";
  return encodeInt(isNothing ? 0n : result);
}
