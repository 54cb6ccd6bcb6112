/**
 * One request in flight.
 *
 * @module
 */
import { cancelKeepAnswer, cancelRelease, Control, Status } from "../ffi/layout.ts";
import { type CallWaits, checkReady, takeAnswer } from "./call_waits.ts";
import { type CallPlace, endsCall, wantsReadiness } from "./waiter.ts";
import { type Channel, checkOpen, idOf } from "./channel.ts";
import { forUsers } from "../base/closing.ts";
import { callFailure } from "./failure.ts";
import type { Loop } from "./loop.ts";
import { deadlineAfter, timeoutOf } from "../base/checks.ts";
import {
  checkInto,
  type GetOptions,
  type GetSyncOptions,
  type WaitOptions,
  type WaitSyncOptions,
} from "./options.ts";

/** What a client gives its calls. */
export interface CallHome {
  readonly channel: Channel;
  readonly waits: CallWaits;
  readonly loop: Loop;
}

function timeoutError(): Error {
  return callFailure(-Status.timeout, "get an answer");
}

/** Calls that nobody knows any more give their slots back. */
const forgotten = new FinalizationRegistry<{ home: CallHome; place: CallPlace }>(
  ({ home: { channel }, place: { slot, low, high } }) => {
    if (!channel.isOpen) return;
    channel.native.tandem_cancel(channel.address, slot, low, high, cancelRelease);
  },
);

/**
 * One request in flight. Made by the client's `send`, `sendSync` and `trySend`. It holds a slot of
 * the channel until its answer is taken or it is released; a forgotten one is released when it is
 * collected as garbage.
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
  readonly #home: CallHome;
  readonly #place: CallPlace;
  /** When the call's own time is over, of `performance.now()`. */
  readonly #deadline: number;

  /** @ignore Made by clients. */
  constructor(home: CallHome, place: CallPlace, deadline: number) {
    this.#home = home;
    this.#place = place;
    this.#deadline = deadline;
    forgotten.register(this, { home, place }, this);
  }

  /** Unique in the channel's life. Any process may cancel by it. */
  get id(): bigint {
    const { slot, low, high } = this.#place;
    return idOf(slot, low, high);
  }

  /**
   * The answer, if it is there; the slot is free then. Never waits.
   *
   * @param options `into`: where the answer is written
   * @returns the answer's bytes, a copy; null: not answered yet
   * @throws {TandemError} what {@linkcode get} throws
   */
  tryGet(options?: { readonly into?: Uint8Array }): Uint8Array<ArrayBuffer> | null {
    checkOpen(this.#home.channel, "call");
    return takeAnswer(this.#home.channel, this.#place, 0, checkInto(options?.into), false);
  }

  /**
   * Blocks the thread until the answer is there; the slot is free then. Signal handlers of the runtime
   * do not run meanwhile.
   *
   * @param options `timeout`: milliseconds for this wait alone; `into`: where the answer is written
   * @returns the answer's bytes, a copy
   * @throws {TandemError} `TIMEOUT`: this wait is over and the call stays open, or the call's own time
   * is over; `SERVER_DIED`; `CANCELLED`; `TOO_LARGE`: longer than `into`, the call stays open;
   * `CLOSED`
   * @throws {RemoteError} when the handler failed
   * @throws {RangeError} for a negative or NaN `timeout`
   */
  getSync(options?: GetSyncOptions): Uint8Array<ArrayBuffer> {
    const { channel, loop } = this.#home;
    checkOpen(channel, "call");
    const timeout = timeoutOf(options);
    try {
      const answer = takeAnswer(channel, this.#place, timeout, checkInto(options?.into), false);
      // With a time-out of 0 there may be none.
      if (answer === null) throw timeoutError();
      return answer;
    } finally {
      loop.restore();
    }
  }

  /**
   * Waits until the answer is there; the event loop goes on, and the slot is free then.
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
   * @param options `timeout`: milliseconds for this wait alone; `signal`: its abort ends this wait, and
   * the call stays open; `into`: where the answer is written
   * @returns the answer's bytes, a copy
   * @throws {TandemError} as {@linkcode getSync}; the reason of the signal
   */
  get(options?: GetOptions): Promise<Uint8Array<ArrayBuffer>> {
    return this.#wait("answer", options, options?.into);
  }

  /**
   * Blocks the thread until the answer is there, and leaves it in its place, for {@linkcode view} or
   * {@linkcode tryGet}.
   *
   * @param options `timeout`: milliseconds for this wait alone
   * @throws {TandemError} as {@linkcode getSync}
   */
  readySync(options?: WaitSyncOptions): void {
    const { channel, loop } = this.#home;
    checkOpen(channel, "call");
    try {
      if (!checkReady(channel, this.#place, timeoutOf(options))) throw timeoutError();
    } finally {
      loop.restore();
    }
  }

  /**
   * Waits until the answer is there, and leaves it in its place, for {@linkcode view} or
   * {@linkcode tryGet}; the event loop goes on.
   *
   * @param options `timeout`: milliseconds for this wait alone; `signal`: its abort ends this wait
   * @throws {TandemError} as {@linkcode get}
   */
  ready(options?: WaitOptions): Promise<void> {
    return forUsers(this.#wait("readiness", options, undefined), () => {});
  }

  /**
   * The answer in shared memory, again and again until {@linkcode release}. Nothing is copied.
   *
   * Your own code may read the view: indexing, `for of`, `DataView`, `set`, `slice`. Do not pass it to a
   * native function of the runtime, such as `TextDecoder`, `JSON`, `Blob`, `Response`, `crypto`, `zlib`
   * or `WebAssembly`. Any participant can change the bytes while such a function reads them, which may
   * crash the process. Use {@linkcode get}, {@linkcode getSync} or {@linkcode tryGet} instead, whose
   * bytes are a private copy, or `view().slice()`.
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
   * @throws {TandemError} what {@linkcode get} throws
   */
  view(): Uint8Array<ArrayBuffer> | null {
    const { channel } = this.#home;
    checkOpen(channel, "call");
    if (!checkReady(channel, this.#place, 0)) return null;
    return channel.memory.response(this.#place.slot, channel.words[Control.length]!);
  }

  /** Frees the slot; a call that is still open is cancelled by it. Twice is fine. */
  release(): void {
    this.#end(cancelRelease);
    forgotten.unregister(this);
  }

  /**
   * Ends the call if it is not answered yet. Its server sees that nobody waits any more.
   *
   * @returns true: the answer had not arrived and never will; false: it is there, or was taken
   * @throws {TandemError} `CLOSED` when the client is closed
   */
  cancel(): boolean {
    checkOpen(this.#home.channel, "call");
    return this.#end(cancelKeepAnswer);
  }

  #end(how: number): boolean {
    const { channel, waits, loop } = this.#home;
    if (!channel.isOpen) return false;
    const { slot, low, high } = this.#place;
    const isCancelled = channel.native.tandem_cancel(channel.address, slot, low, high, how) === 1;
    if (isCancelled || how === cancelRelease) {
      waits.settleOwn(this.#place);
      loop.settle();
    }
    return isCancelled;
  }

  #wait(
    want: "answer" | "readiness",
    options: WaitOptions | undefined,
    target: Uint8Array | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    // Not async: the promise is the one that the client knows.
    try {
      return this.#tryWait(want, options, target);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #tryWait(
    want: "answer" | "readiness",
    options: WaitOptions | undefined,
    target: Uint8Array | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { channel, waits, loop } = this.#home;
    checkOpen(channel, "call");
    const timeout = timeoutOf(options);
    const into = checkInto(target);
    options?.signal?.throwIfAborted();
    // Again: what reads options may close the handle.
    checkOpen(channel, "call");
    const { slot, low, high } = this.#place;
    const isWaiting = channel.native.tandem_watch_call(channel.address, slot, low, high) === 1;
    // What has ended will not be reported; its slot may have another call by now.
    if (!isWaiting) return Promise.resolve(this.#now(want, into));
    const deadline = Math.min(deadlineAfter(timeout), this.#deadline);
    const how = (deadline === this.#deadline ? endsCall : 0) |
      (want === "readiness" ? wantsReadiness : 0);
    const promise = waits.add(this.#place, how, deadline, into, options?.signal, this);
    loop.start(deadline);
    return promise;
  }

  #now(
    want: "answer" | "readiness",
    into: Uint8Array<ArrayBuffer> | undefined,
  ): Uint8Array<ArrayBuffer> {
    const { channel } = this.#home;
    const answer = want === "answer"
      ? takeAnswer(channel, this.#place, 0, into, false)
      : checkReady(channel, this.#place, 0) && new Uint8Array(0);
    if (!answer) throw callFailure(-Status.cancelled, "get an answer");
    return answer;
  }

  /** Does what {@linkcode release} does. */
  [Symbol.dispose](): void {
    this.release();
  }
}
