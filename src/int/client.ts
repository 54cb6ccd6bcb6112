/**
 * The side that asks with integers.
 *
 * @module
 */
import { openKindInt } from "../ffi/layout.ts";
import { type Channel, How, openChannel, openChannelFromFd } from "../channel/channel.ts";
import { Client } from "../channel/client.ts";
import { forUsers } from "../base/closing.ts";
import { connectTo } from "../channel/connect.ts";
import { ChannelHandle } from "../channel/handle.ts";
import { IntCall } from "./call.ts";
import { decodeInt, encodeInt, intBytes, type IntValue } from "./value.ts";
import type {
  IntChannelOptions,
  SendOptions,
  SendSyncOptions,
  WaitOptions,
} from "../channel/options.ts";

/**
 * Asks with one signed 64-bit value and gets one back: {@linkcode Client} without payloads.
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
  readonly #client: Client;

  /** @ignore Made by {@linkcode open}, {@linkcode connect} and {@linkcode fromFd}. */
  constructor(channel: Channel) {
    super(channel, "client");
    this.#client = new Client(channel);
  }

  /**
   * Attaches to a channel of integers.
   *
   * @throws {TandemError} as {@linkcode Client.open}; `MISMATCH` when it is a channel for bytes
   */
  static open(target: string, options: { readonly create?: IntChannelOptions } = {}): IntClient {
    const { create } = options;
    const how = (create ? How.openOrCreate : How.attach) | openKindInt;
    return new IntClient(openChannel("client", target, how, create));
  }

  /**
   * Attaches to a channel of integers, and waits for somebody to make it where there is none.
   *
   * @throws {TandemError} `TIMEOUT` when there is none in time, and as {@linkcode open}
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
    return new IntClient(openChannelFromFd("client", fd, openKindInt));
  }

  /**
   * This handle's calls in flight.
   *
   * @throws {TandemError} `CLOSED`
   */
  get pending(): number {
    return this.#client.pending;
  }

  /**
   * Server handles open on the channel now, whether they receive or not.
   *
   * @throws {TandemError} `CLOSED`
   */
  get servers(): number {
    return this.#client.servers;
  }

  /**
   * Sends a value and waits for the answer; the event loop goes on.
   *
   * @throws {TandemError} as {@linkcode Client.request}
   * @throws {TypeError} for what is no integer
   * @throws {RangeError} for what has more than 64 bits
   */
  request(value: IntValue, options?: SendOptions): Promise<bigint> {
    try {
      return forUsers(this.#client.request(encodeInt(value), options), decodeInt);
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
    const bytes = encodeInt(value);
    const into = intBytes;
    const all = options === undefined ? intoIntBytes : { ...options, into };
    return decodeInt(this.#client.requestSync(bytes, all));
  }

  /**
   * Sends a value if a slot is free.
   *
   * @returns null: no slot is free
   * @throws {TandemError} as {@linkcode Client.trySend}
   */
  trySend(value: IntValue, options?: SendSyncOptions): IntCall | null {
    const call = this.#client.trySend(encodeInt(value), options);
    return call && new IntCall(call);
  }

  /**
   * Sends a value; blocks the thread while no slot is free.
   *
   * @throws {TandemError} as {@linkcode Client.sendSync}
   */
  sendSync(value: IntValue, options?: SendSyncOptions): IntCall {
    return new IntCall(this.#client.sendSync(encodeInt(value), options));
  }

  /**
   * Sends a value; waits while no slot is free.
   *
   * @throws {TandemError} as {@linkcode Client.send}
   */
  send(value: IntValue, options?: SendOptions): Promise<IntCall> {
    try {
      const sent = this.#client.send(encodeInt(value), options);
      return forUsers(sent, (call) => new IntCall(call));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Sends a value whose answer goes nowhere. It never waits, and outlives this process.
   *
   * @returns false: no slot is free
   * @throws {TandemError} as {@linkcode Client.post}
   */
  post(value: IntValue): boolean {
    return this.#client.post(encodeInt(value));
  }

  /**
   * Cancels a call of the channel that is not answered yet, whichever process made it.
   *
   * @returns true: its client gets `CANCELLED`; false: there is no such call any more
   * @throws {TandemError} `CLOSED`
   */
  cancel(id: bigint): boolean {
    return this.#client.cancel(id);
  }

  /** Cancels this handle's calls in flight and leaves the channel. Twice is fine. */
  override close(): void {
    this.#client.close();
  }
}

const intoIntBytes: { readonly into: Uint8Array<ArrayBuffer> } = { into: intBytes };
