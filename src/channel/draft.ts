/**
 * A request that is filled in place.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { cancelDraft } from "../ffi/layout.ts";
import type { AnswerReader, CallPlace } from "./waiter.ts";
import type { Call, CallHome } from "./call.ts";
import { checkOpen } from "./channel.ts";
import type {
  RequestOptions,
  RequestSyncOptions,
  SendOptions,
  SendSyncOptions,
} from "./options.ts";

/** What a client does with a draft that is ready. */
export interface DraftSender {
  /** Throws for wrong options, before the draft is used up by them. */
  check(options: RequestOptions | undefined): void;
  send(place: CallPlace, length: number, options: SendSyncOptions | undefined): Call;
  post(place: CallPlace, length: number): void;
  request(
    place: CallPlace,
    length: number,
    options: RequestOptions | undefined,
  ): Promise<Uint8Array<ArrayBuffer>>;
  requestReading(
    place: CallPlace,
    length: number,
    options: SendOptions | undefined,
    reader: AnswerReader,
  ): void;
  requestSync(
    place: CallPlace,
    length: number,
    options: RequestSyncOptions | undefined,
  ): Uint8Array<ArrayBuffer>;
}

/** Drafts that nobody knows any more give their slots back. */
const forgotten = new FinalizationRegistry<{ home: CallHome; place: CallPlace }>(
  ({ home: { channel }, place: { slot, low, high } }) => {
    if (!channel.isOpen) return;
    channel.native.tandem_cancel(channel.address, slot, low, high, cancelDraft);
  },
);

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
  readonly #home: CallHome;
  readonly #sender: DraftSender;
  readonly #place: CallPlace;
  readonly #length: number;
  #bytes: Uint8Array<ArrayBuffer>;
  #isUsed = false;

  /** @ignore Made by clients. */
  constructor(
    home: CallHome,
    sender: DraftSender,
    place: CallPlace,
    bytes: Uint8Array<ArrayBuffer>,
  ) {
    this.#home = home;
    this.#sender = sender;
    this.#place = place;
    this.#bytes = bytes;
    this.#length = bytes.byteLength;
    forgotten.register(this, { home, place }, this);
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
    const { channel } = this.#home;
    // Its buffer was transferred.
    if (this.#bytes.byteLength !== this.#length && !this.#isUsed && channel.isOpen) {
      this.#bytes = channel.memory.request(this.#place.slot, this.#length);
    }
    return this.#bytes;
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
    this.#sender.check(options);
    return this.#sender.send(this.#use(), this.#length, options);
  }

  /**
   * Sends it one way: an answer goes nowhere.
   *
   * @throws {TandemError} as {@linkcode send}
   */
  post(): void {
    this.#sender.post(this.#use(), this.#length);
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
      this.#sender.check(options);
      return this.#sender.request(this.#use(), this.#length, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * As {@linkcode request}; `reader` gets the answer where it lies.
   *
   * @ignore For the typed layer.
   */
  requestReading(options: SendOptions | undefined, reader: AnswerReader): void {
    this.#sender.check(options);
    this.#sender.requestReading(this.#use(), this.#length, options, reader);
  }

  /**
   * Sends it and blocks the thread until the answer is there.
   *
   * @param options as of {@linkcode Client.requestSync}
   * @returns the answer's bytes, a copy
   * @throws {TandemError} as {@linkcode send}, and as {@linkcode Client.requestSync}
   */
  requestSync(options?: RequestSyncOptions): Uint8Array<ArrayBuffer> {
    this.#sender.check(options);
    return this.#sender.requestSync(this.#use(), this.#length, options);
  }

  /** Gives the slot back. Twice is fine. */
  discard(): void {
    if (this.#isUsed) return;
    this.#isUsed = true;
    forgotten.unregister(this);
    const { channel } = this.#home;
    if (!channel.isOpen) return;
    const { slot, low, high } = this.#place;
    channel.native.tandem_cancel(channel.address, slot, low, high, cancelDraft);
  }

  #use(): CallPlace {
    checkOpen(this.#home.channel, "draft");
    if (this.#isUsed) {
      throw new TandemError(
        "CLOSED",
        "Cannot use this draft: it was sent or discarded; allocate another one",
      );
    }
    this.#isUsed = true;
    forgotten.unregister(this);
    return this.#place;
  }

  /** Does what {@linkcode discard} does. */
  [Symbol.dispose](): void {
    this.discard();
  }
}
