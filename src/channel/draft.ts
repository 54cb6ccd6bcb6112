/**
 * A request that is filled in place.
 *
 * @module
 */
import { type Maker, notConstructible } from "../base/maker.ts";
import { Call } from "./call.ts";
import type { CallCore } from "./call_core.ts";
import { DraftCore } from "./draft_core.ts";
import type { RequestOptions, RequestSyncOptions, SendSyncOptions } from "./options.ts";

const CallMaker = Call as unknown as Maker<CallCore, Call>;

/**
 * A request that is filled in shared memory and sent without a copy. It holds a slot, and is used
 * up by being sent or discarded.
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
   * The request's place in shared memory, of exactly the length that was asked for; what is in it at
   * first is undefined. Once the draft is used its content is undefined again.
   *
   * Write to it with your own code, `set` or `fill`. A native function that only writes, such as
   * `readSync`, may fill it. Do not pass it to a native function that reads it, such as `TextDecoder`,
   * `crypto` or `zlib`: any participant can change the bytes meanwhile, which may crash the process.
   * Pass `bytes.slice()`, or what you filled it from.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#core.bytes;
  }

  /**
   * Sends it.
   *
   * @param options as of {@linkcode Client.sendSync}
   * @returns the call, to wait for its answer
   * @throws {TandemError} `CLOSED` when it was used already or its client is closed; `NOT_FOUND` when
   * the channel was unlinked
   */
  send(options?: SendSyncOptions): Call {
    return new CallMaker(this.#core.send(this.#core.syncSettings(options)));
  }

  /**
   * Sends it one way: an answer goes nowhere.
   *
   * @throws {TandemError} as {@linkcode send}
   */
  post(): void {
    this.#core.post();
  }

  /**
   * Sends it and waits for the answer; the event loop goes on.
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
   * @param options as of {@linkcode Client.request}
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
   * Sends it and blocks the thread until the answer is there.
   *
   * @param options as of {@linkcode Client.requestSync}
   * @returns the answer's bytes, a copy
   * @throws {TandemError} as {@linkcode send}, and as {@linkcode Client.requestSync}
   */
  requestSync(options?: RequestSyncOptions): Uint8Array<ArrayBuffer> {
    return this.#core.requestSync(this.#core.syncSettings(options));
  }

  /** Gives the slot back. Twice is fine. */
  discard(): void {
    this.#core.discard();
  }

  /** Does what {@linkcode discard} does. */
  [Symbol.dispose](): void {
    this.discard();
  }
}
