/**
 * One integer in flight.
 *
 * @module
 */
import { timeoutOf } from "../base/checks.ts";
import { mapResult } from "../base/closing.ts";
import { notConstructible } from "../base/maker.ts";
import { CallCore, forgottenCalls } from "../channel/call_core.ts";
import { waitSettings } from "../channel/call_settings.ts";
import { decodeInt, intBytes } from "./int64.ts";
import type { WaitOptions, WaitSyncOptions } from "../base/channel_options.ts";

/**
 * One integer request in flight: {@linkcode Call} with a `bigint` for an answer.
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
  readonly #core: CallCore;

  private constructor(core: CallCore) {
    if (!(core instanceof CallCore)) {
      throw notConstructible("IntCall", "client.send(), client.sendSync() or client.trySend()");
    }
    this.#core = core;
    forgottenCalls.register(this, core, this);
  }

  /** Unique in the channel's life. Any process may use it to cancel the call. */
  get id(): bigint {
    return this.#core.id;
  }

  /**
   * Takes the answer if it is there, which frees the slot.
   *
   * @returns null: not answered yet
   * @throws {TandemError} as {@linkcode Call.tryGet}
   */
  tryGet(): bigint | null {
    const bytes = this.#core.tryGet(intBytes);
    return bytes && decodeInt(bytes);
  }

  /**
   * Blocks the thread until the answer is there, and takes it.
   *
   * @throws {TandemError} as {@linkcode Call.getSync}
   */
  getSync(options?: WaitSyncOptions): bigint {
    return decodeInt(this.#core.getSync(timeoutOf(options), intBytes));
  }

  /**
   * Waits for the answer and takes it. The event loop keeps running.
   *
   * @throws {TandemError} as {@linkcode Call.get}
   */
  get(options?: WaitOptions): Promise<bigint> {
    try {
      return mapResult(this.#core.get("answer", waitSettings(options), this), decodeInt);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Blocks the thread until the answer is there, and leaves it there.
   *
   * @throws {TandemError} as {@linkcode Call.readySync}
   */
  readySync(options?: WaitSyncOptions): void {
    this.#core.readySync(timeoutOf(options));
  }

  /**
   * Waits until the answer is there, and leaves it there.
   *
   * @throws {TandemError} as {@linkcode Call.ready}
   */
  ready(options?: WaitOptions): Promise<void> {
    try {
      return mapResult(this.#core.get("readiness", waitSettings(options), this), () => {});
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Frees the slot, and cancels the call if it is still open. Calling it twice is fine. */
  release(): void {
    forgottenCalls.unregister(this);
    this.#core.release();
  }

  /**
   * Ends the call if it is not answered yet.
   *
   * @returns true: the answer had not arrived and never will
   */
  cancel(): boolean {
    return this.#core.cancel();
  }

  /** The same as {@linkcode release}. */
  [Symbol.dispose](): void {
    this.release();
  }
}
