/**
 * An integer in a server's hands.
 *
 * @module
 */
import { decodeInt, encodeInt, type IntValue } from "./value.ts";
import type { ServerRequest } from "../channel/request.ts";

/**
 * A request of an integer in a server's hands: {@linkcode ServerRequest} with a `bigint` for bytes.
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
  readonly #request: ServerRequest;
  readonly #value: bigint;

  /** @ignore Made by servers. */
  constructor(request: ServerRequest) {
    this.#request = request;
    // Taken at once: the slot may have another value once this is answered.
    this.#value = decodeInt(request.bytes);
  }

  /** Unique in the channel's life; the client's call has the same. */
  get id(): bigint {
    return this.#request.id;
  }

  /** What the client sent. */
  get value(): bigint {
    return this.#value;
  }

  /** 1 the first time that it is handed to a server, one more after each death of one. */
  get deliveries(): number {
    return this.#request.deliveries;
  }

  /** Whether it was posted: an answer goes nowhere. */
  get oneWay(): boolean {
    return this.#request.oneWay;
  }

  /** Whether nobody waits for the answer any more. */
  get cancelled(): boolean {
    return this.#request.cancelled;
  }

  /** Milliseconds left of the client's deadline; Infinity if it has none. */
  get timeRemaining(): number {
    return this.#request.timeRemaining;
  }

  /** Aborts when the client cancels, times out or dies. Its reason is a {@linkcode TandemError}. */
  get signal(): AbortSignal {
    return this.#request.signal;
  }

  /**
   * Answers; without a value with 0.
   *
   * @returns false: as {@linkcode ServerRequest.reply}
   * @throws {TandemError} `CLOSED`
   * @throws {TypeError} for what is no integer
   * @throws {RangeError} for what has more than 64 bits
   */
  reply(value: IntValue = 0n): boolean {
    return this.#request.reply(encodeInt(value));
  }

  /**
   * Fails the call: the client gets a {@linkcode RemoteError}.
   *
   * @returns false: as {@linkcode ServerRequest.reply}
   * @throws {TandemError} `CLOSED`
   */
  fail(error: unknown): boolean {
    return this.#request.fail(error);
  }
}
