/**
 * An integer in a server's hands.
 *
 * @module
 */
import { notConstructible } from "../base/maker.ts";
import type { Peer } from "../base/peer.ts";
import { RequestCore } from "../channel/request_core.ts";
import { decodeInt, encodeInt } from "./int64.ts";
import type { IntValue } from "./value.ts";

/**
 * An integer request in a server's hands: {@linkcode ServerRequest} with a `bigint` instead of bytes.
 *
 * @example
 * ```ts
 * import { IntClient, IntServer } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using server = IntServer.anonymous();
 * using client = IntClient.fromFd(server.fd);
 * using call = client.sendSync(-5n);
 *
 * const request = server.tryReceive()!;
 * assertEquals(request.value, -5n);
 * assertEquals(request.reply(5), true);
 * assertEquals(call.getSync(), 5n);
 * ```
 */
export class IntServerRequest {
  readonly #core: RequestCore;
  readonly #value: bigint;

  private constructor(core: RequestCore) {
    if (!(core instanceof RequestCore)) {
      const instead = "server.receive() or another method that takes requests";
      throw notConstructible("IntServerRequest", instead);
    }
    this.#core = core;
    // Read at once: after the reply the slot may hold another value.
    this.#value = decodeInt(core.bytes);
  }

  /** Unique in the channel's life; the client's call has the same. */
  get id(): bigint {
    return this.#core.id;
  }

  /** The value that the client sent. */
  get value(): bigint {
    return this.#value;
  }

  /** 1 at the first delivery, one more after each death of a server. */
  get deliveries(): number {
    return this.#core.deliveries;
  }

  /** Whether it was posted: an answer is discarded. */
  get oneWay(): boolean {
    return this.#core.oneWay;
  }

  /** Whether the client no longer waits for the answer. */
  get cancelled(): boolean {
    return this.#core.cancelled;
  }

  /**
   * The process that sent the request, as it describes itself; see {@linkcode Peer}. Read it before you
   * reply: afterwards it is unknown, unless you have read it before.
   */
  get peer(): Peer {
    return this.#core.peer;
  }

  /** Milliseconds left of the client's deadline; Infinity if it has none. */
  get timeRemaining(): number {
    return this.#core.timeRemaining;
  }

  /** Aborts when the client cancels, times out or dies. Its reason is a {@linkcode TandemError}. */
  get signal(): AbortSignal {
    return this.#core.signal;
  }

  /**
   * Replies to the request; without a value, with 0.
   *
   * @returns false: as {@linkcode ServerRequest.reply}
   * @throws {TandemError} `CLOSED`
   * @throws {TypeError} when `value` is no integer
   * @throws {RangeError} when `value` has more than 64 bits
   */
  reply(value: IntValue = 0n): boolean {
    return this.#core.reply(encodeInt(value));
  }

  /**
   * Fails the call: the client gets a {@linkcode RemoteError}.
   *
   * @returns false: as {@linkcode ServerRequest.reply}
   * @throws {TandemError} `CLOSED`
   */
  fail(error: unknown): boolean {
    return this.#core.fail(error);
  }
}
