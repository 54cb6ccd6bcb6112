/**
 * A request that is filled in place.
 *
 * @module
 */
import { type Maker, notConstructible } from "../base/maker.ts";
import { Call } from "./call.ts";
import type { CallCore } from "./call_core.ts";
import { DraftCore } from "./draft_core.ts";
import type {
  RequestOptions,
  RequestSyncOptions,
  SendSyncOptions,
} from "../base/channel_options.ts";

const CallMaker = Call as unknown as Maker<CallCore, Call>;

/**
 * A request that your code fills in shared memory and sends without a copy. It holds a slot until it is
 * sent or discarded.
 *
 * @example
 * ```ts
 * import { Client, Server } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using server = Server.anonymous();
 * using client = Client.fromFd(server.fd);
 *
 * using draft = client.allocate(3);
 * draft.bytes.set([1, 2, 3]);
 * const call = draft.send();
 * assertEquals([...server.tryReceive()!.bytes], [1, 2, 3]);
 * call.cancel();
 * ```
 */
export class Draft implements Disposable {
  readonly #core: DraftCore;

  private constructor(core: DraftCore) {
    if (!(core instanceof DraftCore)) throw notConstructible("Draft", "client.allocate()");
    this.#core = core;
  }

  /**
   * The request in shared memory, with exactly the requested length. Its first content is undefined, and
   * so is its content once the draft is used.
   *
   * Write to it with your own code, `set` or `fill`. A native function that only writes, such as
   * `readSync`, may fill it. Do not pass it to a native function that reads it, such as `TextDecoder`,
   * `crypto` or `zlib`: any participant can change the bytes meanwhile, which may crash the process.
   * Pass `bytes.slice()`, or the source of the bytes.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#core.bytes;
  }

  /**
   * Sends the request.
   *
   * @param options as for {@linkcode Client.sendSync}
   * @returns the call, to wait for its answer
   * @throws {TandemError} `CLOSED` when the draft was used already or its client is closed; `NOT_FOUND` when
   * the channel was unlinked
   */
  send(options?: SendSyncOptions): Call {
    return new CallMaker(this.#core.send(this.#core.syncSettings(options)));
  }

  /**
   * Sends the request one way: an answer is discarded.
   *
   * @throws {TandemError} as {@linkcode send}
   */
  post(): void {
    this.#core.post();
  }

  /**
   * Sends the request and waits for the answer. The event loop keeps running.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * await using server = Server.anonymous();
   * const serving = server.serve(({ bytes }) => bytes.map((byte) => byte + 1));
   * using client = Client.fromFd(server.fd);
   *
   * using draft = client.allocate(2);
   * draft.bytes.set([1, 2]);
   * assertEquals([...await draft.request()], [2, 3]);
   * server.close();
   * await serving;
   * ```
   *
   * @param options as for {@linkcode Client.request}
   * @returns the answer's bytes, a copy
   * @throws {TandemError} as {@linkcode send}, and as {@linkcode Client.request}
   */
  request(options?: RequestOptions): Promise<Uint8Array<ArrayBuffer>> {
    // Not async: the promise is the one that the client knows.
    try {
      return this.#core.request(this.#core.settings(options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Sends the request and blocks the thread until the answer is there.
   *
   * @param options as for {@linkcode Client.requestSync}
   * @returns the answer's bytes, a copy
   * @throws {TandemError} as {@linkcode send}, and as {@linkcode Client.requestSync}
   */
  requestSync(options?: RequestSyncOptions): Uint8Array<ArrayBuffer> {
    return this.#core.requestSync(this.#core.syncSettings(options));
  }

  /** Gives the slot back. Calling it twice is fine. */
  discard(): void {
    this.#core.discard();
  }

  /** The same as {@linkcode discard}. */
  [Symbol.dispose](): void {
    this.discard();
  }
}
