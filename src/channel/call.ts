/**
 * One request in flight.
 *
 * @module
 */
import { timeoutOf } from "../base/checks.ts";
import { mapResult } from "../base/closing.ts";
import { notConstructible } from "../base/maker.ts";
import { CallCore, forgottenCalls } from "./call_core.ts";
import { checkInto, syncWaitSettings, waitSettings } from "./call_settings.ts";
import type {
  GetOptions,
  GetSyncOptions,
  WaitOptions,
  WaitSyncOptions,
} from "../base/channel_options.ts";

/**
 * One request in flight, made by the client's `send`, `sendSync` and `trySend`. It holds a slot of the
 * channel until its answer is taken or it is released. Garbage collection releases a forgotten call.
 *
 * @example Ask now, look later
 * ```ts
 * import { Client, Server } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using server = Server.anonymous();
 * using client = Client.fromFd(server.fd);
 *
 * using call = client.sendSync("ping");
 * assertEquals(call.tryGet(), null);
 * server.tryReceive()?.reply("pong");
 * assertEquals(new TextDecoder().decode(call.getSync()), "pong");
 * ```
 */
export class Call implements Disposable {
  readonly #core: CallCore;

  private constructor(core: CallCore) {
    if (!(core instanceof CallCore)) {
      throw notConstructible("Call", "client.send(), client.sendSync() or client.trySend()");
    }
    this.#core = core;
    forgottenCalls.register(this, core, this);
  }

  /** Unique in the channel's life. Any process may use it to cancel the call. */
  get id(): bigint {
    return this.#core.id;
  }

  /**
   * Takes the answer if it is there, which frees the slot. Never waits.
   *
   * @param options `into`: where the answer is written
   * @returns the answer's bytes, a copy; null: not answered yet
   * @throws {TandemError} as {@linkcode get}
   */
  tryGet(options?: { readonly into?: Uint8Array }): Uint8Array<ArrayBuffer> | null {
    return this.#core.tryGet(checkInto(options?.into));
  }

  /**
   * Blocks the thread until the answer is there, and takes it, which frees the slot. Signal handlers of
   * the runtime do not run meanwhile.
   *
   * @param options `timeout`: milliseconds for this wait only; `into`: where the answer is written
   * @returns the answer's bytes, a copy
   * @throws {TandemError} `TIMEOUT`: this wait has expired and the call stays open, or the call's own
   * deadline has expired; `SERVER_DIED`; `CANCELLED`; `TOO_LARGE`: longer than `into`, and the call stays
   * open; `CLOSED`
   * @throws {RemoteError} when the handler failed
   * @throws {RangeError} for a negative or NaN `timeout`
   */
  getSync(options?: GetSyncOptions): Uint8Array<ArrayBuffer> {
    const { timeout, into } = syncWaitSettings(options);
    return this.#core.getSync(timeout, into);
  }

  /**
   * Waits for the answer and takes it, which frees the slot. The event loop keeps running.
   *
   * @example Ask several servers at once
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   *
   * const calls = ["1", "2", "3"].map((text) => client.sendSync(text));
   * const answers = Promise.all(calls.map((call) => call.get({ timeout: 1_000 })));
   * for (const request of server.tryReceiveMany()) request.reply(request.text() + "!");
   * const texts = (await answers).map((answer) => new TextDecoder().decode(answer));
   * assertEquals(texts, ["1!", "2!", "3!"]);
   * ```
   *
   * @param options `timeout`: milliseconds for this wait only; `signal`: its abort ends this wait, and
   * the call stays open; `into`: where the answer is written
   * @returns the answer's bytes, a copy
   * @throws {TandemError} as {@linkcode getSync}; the reason of the signal
   */
  get(options?: GetOptions): Promise<Uint8Array<ArrayBuffer>> {
    // Not async: the promise is the one that the client knows.
    try {
      return this.#core.get("answer", waitSettings(options), this);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Blocks the thread until the answer is there, and leaves it there for {@linkcode view} or
   * {@linkcode tryGet}.
   *
   * @param options `timeout`: milliseconds for this wait only
   * @throws {TandemError} as {@linkcode getSync}
   */
  readySync(options?: WaitSyncOptions): void {
    this.#core.readySync(timeoutOf(options));
  }

  /**
   * Waits until the answer is there, and leaves it there for {@linkcode view} or {@linkcode tryGet}. The
   * event loop keeps running.
   *
   * @param options `timeout`: milliseconds for this wait only; `signal`: its abort ends this wait
   * @throws {TandemError} as {@linkcode get}
   */
  ready(options?: WaitOptions): Promise<void> {
    try {
      return mapResult(this.#core.get("readiness", waitSettings(options), this), () => {});
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * The answer in shared memory, without a copy; any number of times until {@linkcode release}.
   *
   * Your own code may read the view: indexing, `for of`, `DataView`, `set`, `slice`. Do not pass it to a
   * native function of the runtime, such as `TextDecoder`, `JSON`, `Blob`, `Response`, `crypto`, `zlib`
   * or `WebAssembly`. Any participant can change the bytes while such a function reads them, which may
   * crash the process. Use {@linkcode get}, {@linkcode getSync} or {@linkcode tryGet} instead, which
   * return a private copy, or `view().slice()`.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous();
   * using client = Client.fromFd(server.fd);
   *
   * using call = client.sendSync("picture");
   * assertEquals(call.view(), null);
   * server.tryReceive()?.reply(new Uint8Array(100_000));
   * await call.ready();
   * assertEquals(call.view()?.byteLength, 100_000);
   * ```
   *
   * @returns a view that is valid until {@linkcode release}; null: not answered yet
   * @throws {TandemError} as {@linkcode get}
   */
  view(): Uint8Array<ArrayBuffer> | null {
    return this.#core.view();
  }

  /** Frees the slot, and cancels the call if it is still open. Calling it twice is fine. */
  release(): void {
    forgottenCalls.unregister(this);
    this.#core.release();
  }

  /**
   * Ends the call if it is not answered yet. Its server sees that the client no longer waits.
   *
   * @returns true: the answer had not arrived and never will; false: it has arrived, or was taken
   * @throws {TandemError} `CLOSED` when the client is closed
   */
  cancel(): boolean {
    return this.#core.cancel();
  }

  /** The same as {@linkcode release}. */
  [Symbol.dispose](): void {
    this.release();
  }
}
