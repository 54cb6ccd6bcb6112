/**
 * The side that calls with integers.
 *
 * @module
 */
import { mapResult } from "../base/closing.ts";
import type { Maker } from "../base/maker.ts";
import type { CallCore } from "../channel/call_core.ts";
import { ClientCore } from "../channel/client_core.ts";
import { connectTo } from "../channel/connect.ts";
import { ChannelHandle } from "../channel/handle.ts";
import type {
  IntChannelOptions,
  SendOptions,
  SendSyncOptions,
  WaitOptions,
} from "../base/channel_options.ts";
import { openKindInt } from "../ffi/layout.ts";
import { IntCall } from "./call.ts";
import { decodeInt, encodeInt, intBytes } from "./int64.ts";
import type { IntValue } from "./value.ts";

const CallMaker = IntCall as unknown as Maker<CallCore, IntCall>;
const makeCall = (core: CallCore): IntCall => new CallMaker(core);

/**
 * Sends one signed 64-bit value and gets one back: {@linkcode Client} without payloads.
 *
 * @example
 * ```ts
 * import { IntClient, IntServer } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = IntServer.anonymous();
 * const serving = server.serve((request) => request.value * 2n);
 *
 * using client = IntClient.fromFd(server.fd);
 * assertEquals(await client.request(21), 42n);
 * server.close();
 * await serving;
 * ```
 */
export class IntClient extends ChannelHandle {
  static {
    // Runtimes print it, and bundlers change it.
    Object.defineProperty(this, "name", { value: "IntClient" });
  }

  readonly #core: ClientCore;

  private constructor(core: ClientCore) {
    super(core as never, "IntClient");
    this.#core = core;
  }

  /**
   * Attaches to a channel of integers.
   *
   * @throws {TandemError} as {@linkcode Client.open}; `MISMATCH` when the channel is for bytes
   */
  static open(target: string, options: { readonly create?: IntChannelOptions } = {}): IntClient {
    return new IntClient(ClientCore.open(target, options.create, openKindInt));
  }

  /**
   * Attaches to a channel of integers. When there is none, waits until a process makes it.
   *
   * @throws {TandemError} `TIMEOUT` when no process makes it in time, and as {@linkcode open}
   */
  static connect(target: string, options: WaitOptions = {}): Promise<IntClient> {
    return connectTo(target, options, () => IntClient.open(target));
  }

  /**
   * Attaches to the channel behind a descriptor, which is duplicated.
   *
   * @throws {TandemError} as {@linkcode Client.fromFd}
   */
  static fromFd(fd: number): IntClient {
    return new IntClient(ClientCore.fromFd(fd, openKindInt));
  }

  /**
   * The number of this handle's calls in flight.
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
   * Sends a value and waits for the answer. The event loop keeps running.
   *
   * @throws {TandemError} as {@linkcode Client.request}
   * @throws {TypeError} when `value` is no integer
   * @throws {RangeError} when `value` has more than 64 bits
   */
  request(value: IntValue, options?: SendOptions): Promise<bigint> {
    try {
      const settings = this.#core.settings(options);
      return mapResult(this.#core.request(encodeInt(value), settings), decodeInt);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Sends a value and blocks the thread until the answer is there. Signal handlers of the runtime do
   * not run meanwhile.
   *
   * @throws {TandemError} as {@linkcode Client.requestSync}
   */
  requestSync(value: IntValue, options?: SendSyncOptions): bigint {
    const { timeout, deliveries } = this.#core.syncSettings(options);
    return decodeInt(this.#core.requestSync(encodeInt(value), timeout, deliveries, intBytes));
  }

  /**
   * Sends a value if a slot is free.
   *
   * @returns null: no slot is free
   * @throws {TandemError} as {@linkcode Client.trySend}
   */
  trySend(value: IntValue, options?: SendSyncOptions): IntCall | null {
    const settings = this.#core.syncSettings(options);
    const call = this.#core.trySend(encodeInt(value), settings);
    return call && new CallMaker(call);
  }

  /**
   * Sends a value. Blocks the thread while no slot is free.
   *
   * @throws {TandemError} as {@linkcode Client.sendSync}
   */
  sendSync(value: IntValue, options?: SendSyncOptions): IntCall {
    const settings = this.#core.syncSettings(options);
    return new CallMaker(this.#core.sendSync(encodeInt(value), settings));
  }

  /**
   * Sends a value. Waits while no slot is free; the event loop keeps running.
   *
   * @throws {TandemError} as {@linkcode Client.send}
   */
  send(value: IntValue, options?: SendOptions): Promise<IntCall> {
    try {
      const settings = this.#core.settings(options);
      return this.#core.send(encodeInt(value), settings, makeCall);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Sends a value whose answer is discarded. Never waits. The request outlives this process.
   *
   * @returns false: no slot is free
   * @throws {TandemError} as {@linkcode Client.post}
   */
  post(value: IntValue): boolean {
    return this.#core.post(encodeInt(value));
  }

  /**
   * Cancels a call of the channel that is not answered yet, also of another process.
   *
   * @returns true: its client gets `CANCELLED`; false: there is no such call in flight
   * @throws {TandemError} `CLOSED`
   */
  cancel(id: bigint): boolean {
    return this.#core.cancel(id);
  }

  /** Cancels this handle's calls in flight and leaves the channel. Calling it twice is fine. */
  override close(): void {
    this.#core.close();
  }
}
