/**
 * One integer in flight.
 *
 * @module
 */
import type { Call } from "../channel/call.ts";
import { forUsers } from "../base/closing.ts";
import { decodeInt, intBytes } from "./value.ts";
import type { WaitOptions, WaitSyncOptions } from "../channel/options.ts";

/**
 * One request of an integer in flight: {@linkcode Call} with a `bigint` for an answer.
 *
 * @example
 * ```ts
 * import { IntClient, IntServer } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using server = IntServer.anonymous();
 * using client = IntClient.fromFd(server.fd);
 *
 * using call = client.sendSync(20n);
 * const request = server.tryReceive()!;
 * request.reply(request.value + 1n);
 * assertEquals(call.getSync(), 21n);
 * ```
 */
export class IntCall implements Disposable {
  readonly #call: Call;

  /** @ignore Made by clients. */
  constructor(call: Call) {
    this.#call = call;
  }

  /** Unique in the channel's life. Any process may cancel by it. */
  get id(): bigint {
    return this.#call.id;
  }

  /**
   * The answer, if it is there; the slot is free then.
   *
   * @returns null: not answered yet
   * @throws {TandemError} as {@linkcode Call.tryGet}
   */
  tryGet(): bigint | null {
    const bytes = this.#call.tryGet({ into: intBytes });
    return bytes && decodeInt(bytes);
  }

  /**
   * Blocks the thread until the answer is there.
   *
   * @throws {TandemError} as {@linkcode Call.getSync}
   */
  getSync(options?: WaitSyncOptions): bigint {
    return decodeInt(this.#call.getSync({ ...options, into: intBytes }));
  }

  /**
   * Waits until the answer is there; the event loop goes on.
   *
   * @throws {TandemError} as {@linkcode Call.get}
   */
  get(options?: WaitOptions): Promise<bigint> {
    return forUsers(this.#call.get(options), decodeInt);
  }

  /**
   * Blocks the thread until the answer is there, and leaves it in its place.
   *
   * @throws {TandemError} as {@linkcode Call.readySync}
   */
  readySync(options?: WaitSyncOptions): void {
    this.#call.readySync(options);
  }

  /**
   * Waits until the answer is there, and leaves it in its place.
   *
   * @throws {TandemError} as {@linkcode Call.ready}
   */
  ready(options?: WaitOptions): Promise<void> {
    return this.#call.ready(options);
  }

  /** Frees the slot; a call that is still open is cancelled by it. Twice is fine. */
  release(): void {
    this.#call.release();
  }

  /**
   * Ends the call if it is not answered yet.
   *
   * @returns true: the answer had not arrived and never will
   */
  cancel(): boolean {
    return this.#call.cancel();
  }

  /** Does what {@linkcode release} does. */
  [Symbol.dispose](): void {
    this.release();
  }
}
