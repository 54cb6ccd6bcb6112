/**
 * The work of a {@linkcode Server}.
 *
 * @module
 */
import { onAbort } from "../base/abort.ts";
import { Damage, pause, pauseSync } from "../base/damage.ts";
import { type Admission, Gate } from "../base/gate.ts";
import { isThenable } from "../base/guard.ts";
import { TandemError } from "../errors.ts";
import { captureContext } from "../runtime/context.ts";
import { later, now } from "../runtime/timers.ts";
import { answerWith, failWith } from "./answering.ts";
import { type WaitSettings, waitSettings } from "./call_settings.ts";
import {
  type Channel,
  checkOpen,
  closeChannel,
  openChannel,
  openChannelFromFd,
  OpenMode,
  partsOf,
  unlinkChannel,
} from "./channel.ts";
import { newEncoded } from "./encoding.ts";
import { callFailure } from "./failure.ts";
import { receiveFirst, receiveNext, receiveStoodBack } from "../ffi/layout.ts";
import { HandleCore } from "./handle_core.ts";
import { Loop } from "./loop.ts";
import type { ChannelOptions } from "../base/channel_options.ts";
import { opened, replacedGrace } from "./reload.ts";
import { RequestCore, type RequestHome } from "./request_core.ts";
import type { Result } from "./result.ts";
import { type Consumer, ServerWaits } from "./server_waits.ts";
import { SlotTable } from "./slot_table.ts";

/** After so many requests that were there at once, the event loop has a turn. */
const takenInARowMax = 64;

/** Returns the answer to a request. */
export type Handler = (request: RequestCore) => Result | Promise<Result>;

/** A `serve` that runs. */
interface Serving {
  /** Ends the taking of requests. */
  stop(): void;
  /** Makes it notice that the server is closed. */
  wake(): void;
  readonly ended: Promise<void>;
}

export class ServerCore extends HandleCore {
  readonly #waits: ServerWaits;
  readonly #loop: Loop;
  readonly #home: RequestHome;
  readonly #held: SlotTable<RequestCore> = new SlotTable();
  #takenInARow = 0;
  /** Ends the registration for code that is replaced. */
  readonly #unregister: (() => void) | null;
  readonly #serving: Set<Serving> = new Set();

  /** Set by a layer that ends in its own way when newer code serves in its place. */
  onReplaced: (() => void) | null = null;

  constructor(channel: Channel) {
    super(channel, "server");
    this.#waits = new ServerWaits({
      takeMany: (max, isFirst) => this.#takeInTurn(max, isFirst),
      takeOne: (isFirst) => this.#receiveInTurn(isFirst),
      rest: () => {
        if (channel.isOpen) channel.native.tandem_rest(channel.address);
      },
    });
    this.#loop = new Loop(channel, this.#waits);
    this.#waits.onSettled = () => this.#loop.settle();
    this.#home = {
      channel,
      encoded: newEncoded(),
      held: this.#held,
      watch: (request) => {
        const left = request.timeRemaining;
        // After it: a deadline that is too late does no harm.
        const deadline = now() + left;
        this.#waits.watch(request, deadline);
        this.#loop.start(deadline);
      },
    };
    this.#unregister = channel.path === null ? null : opened(channel.path, this);
  }

  /** @param kind 0, or `openKindInt` */
  static open(target: string, options?: ChannelOptions, kind: number = 0): ServerCore {
    return new ServerCore(openChannel("server", target, OpenMode.openOrCreate | kind, options));
  }

  static create(target: string, options?: ChannelOptions, kind: number = 0): ServerCore {
    return new ServerCore(openChannel("server", target, OpenMode.createNew | kind, options));
  }

  static anonymous(
    { name = "tandem", ...sizes }: ChannelOptions & { readonly name?: string },
    kind: number = 0,
  ): ServerCore {
    return new ServerCore(openChannel("server", name, OpenMode.anonymous | kind, sizes));
  }

  static fromFd(fd: number, kind: number = 0): ServerCore {
    return new ServerCore(openChannelFromFd("server", fd, kind));
  }

  /** Newer code serves in its place: lets the handlers in progress end, for a moment. */
  replace(): void {
    if (this.onReplaced) return this.onReplaced();
    const cancel = later(replacedGrace, () => this.close());
    // Never rejects: it only waits for handlers, and closes.
    void this.drain().then(cancel);
  }

  /** Null: there is no request. */
  tryReceive(): RequestCore | null {
    checkOpen(this.channel, "server");
    return this.#receive(0);
  }

  /** Blocks the thread. @param timeout as the native side takes it: NaN is for ever */
  receiveSync(timeout: number): RequestCore | null {
    checkOpen(this.channel, "server");
    try {
      return this.#receive(timeout);
    } finally {
      this.#loop.restore();
    }
  }

  /** `make` of the requests that are there, up to `max`. */
  tryReceiveMany<T>(max: number, make: (request: RequestCore) => T): T[] {
    checkOpen(this.channel, "server");
    return this.#take(max, make, []);
  }

  receiveManySync<T>(max: number, timeout: number, make: (request: RequestCore) => T): T[] {
    const first = this.receiveSync(timeout);
    return first ? this.#take(max, make, [make(first)]) : [];
  }

  /**
   * Waits for up to `max` requests. Resolves to `pick` of them, or of none when the time is over.
   * Not async: the promise is the one that `close` rejects.
   */
  receive<T>(
    max: number,
    { timeout, deadline, signal }: WaitSettings,
    pick: (requests: RequestCore[]) => T,
  ): Promise<T> {
    checkOpen(this.channel, "server");
    // Earlier waits come first, and the event loop's other work comes in between.
    const mayTake = timeout === 0 || this.#takenInARow < takenInARowMax;
    if (!this.#waits.hasTakers && mayTake) {
      const requests = timeout === 0 ? this.#take(max, itself, []) : this.#takeInTurn(max, true);
      if (requests.length > 0) {
        this.#takenInARow += 1;
        return Promise.resolve(pick(requests));
      }
    }
    this.#takenInARow = 0;
    if (timeout === 0) return Promise.resolve(pick([]));
    const promise = this.#waits.add(max, deadline, signal, pick);
    this.#loop.start(deadline);
    return promise;
  }

  /** Answers every request with the result of `handler`. */
  async serve(
    handler: Handler,
    concurrency: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    checkOpen(this.channel, "server");
    const gate = new Gate(concurrency);
    const stopping = new AbortController();
    const stop = () => stopping.abort();
    const stopListening = signal && onAbort(signal, stop);
    if (signal?.aborted) stop();
    const ended = Promise.withResolvers<void>();
    const serving = { stop, wake: () => gate.wake(), ended: ended.promise };
    this.#serving.add(serving);
    try {
      // Each handler starts in the context of this call, even if the handler before it has changed it.
      const run = captureContext();
      const handle = (request: RequestCore) => this.#handle(request, handler, gate);
      const take = (request: RequestCore) => run(handle, request);
      await this.serveThrough(gate, take, stopping.signal);
    } finally {
      stopListening?.();
      this.#serving.delete(serving);
      ended.resolve();
    }
  }

  #handle(request: RequestCore, handler: Handler, gate: Gate): void {
    try {
      const result = handler(request);
      if (isThenable(result)) void this.#finish(request, result, gate.enter());
      else answerWith(request, result);
    } catch (error) {
      failWith(request, error);
    }
  }

  /** Never rejects. */
  async #finish(
    request: RequestCore,
    result: PromiseLike<Result>,
    admission: Admission,
  ): Promise<void> {
    try {
      answerWith(request, await result);
    } catch (error) {
      failWith(request, error);
    } finally {
      admission.leave();
    }
  }

  /** As {@linkcode serve}, blocking the thread. Returns how many calls it has served. */
  serveSync(handler: (request: RequestCore) => Result, idleTimeout: number): number {
    checkOpen(this.channel, "server");
    let served = 0;
    const damage = new Damage();
    while (this.channel.isOpen) {
      let request: RequestCore | null;
      try {
        request = this.#receive(idleTimeout);
      } catch (error) {
        pauseSync(damage.pauseAfter(error));
        continue;
      }
      if (!request) break;
      damage.isOver();
      served += 1;
      try {
        answerWith(request, handler(request));
      } catch (error) {
        failWith(request, error);
      }
    }
    if (this.channel.isOpen) this.#loop.restore();
    return served;
  }

  /** Yields `make` of each request, until the server is closed. */
  async *requests<T>(make: (request: RequestCore) => T): AsyncIterableIterator<T> {
    const damage = new Damage();
    const first = ([request]: RequestCore[]) => request ? make(request) : null;
    while (this.channel.isOpen) {
      let request: T | null;
      try {
        request = await this.receive(1, waitSettings(undefined), first);
        damage.isOver();
      } catch (error) {
        if (!this.channel.isOpen) return;
        await pause(damage.pauseAfter(error));
        continue;
      }
      if (request) yield request;
    }
  }

  /** Null: this handle does not hold such a request. */
  heldRequest(id: bigint): RequestCore | null {
    checkOpen(this.channel, "server");
    const request = this.#held.get(partsOf(id)?.slot ?? -1);
    return request?.id === id ? request : null;
  }

  /** Fails every call in flight. Returns how many there were. */
  clear(): number {
    checkOpen(this.channel, "server");
    return this.channel.native.tandem_clear(this.channel.address);
  }

  /** Removes the channel's name. False: it was removed already. */
  unlink(): boolean {
    const { path } = this.channel;
    if (path === null) {
      throw new TandemError(
        "NOT_FOUND",
        "Cannot unlink an anonymous channel: it has no name; close it, and it goes with its last handle",
      );
    }
    const isRemoved = unlinkChannel(path);
    // Other handles learn of the removal; this one has made it.
    if (this.channel.isOpen) this.channel.native.tandem_expect_removal(this.channel.address);
    return isRemoved;
  }

  /** Leaves the channel at once. Twice is fine. */
  close(): void {
    if (!this.channel.isOpen) return;
    this.#unregister?.();
    this.#loop.close();
    const held = [...this.#held.values()];
    this.#held.clear();
    closeChannel(this.channel);
    this.#waits.close();
    for (const serving of this.#serving) serving.wake();
    // Last: it runs code of users.
    for (const request of held) request?.abandon();
  }

  /** Lets the handlers in progress end, then closes. */
  async drain(): Promise<void> {
    const serving = [...this.#serving];
    for (const { stop } of serving) stop();
    await Promise.all(serving.map(({ ended }) => ended));
    this.close();
  }

  /**
   * Hands requests to `consumer` as soon as this server sees them, without a promise for each. Resolves
   * when it has no room, when `signal` aborts, and when the server is closed.
   */
  // deno-lint-ignore require-await -- so that a closed server rejects
  async consume(consumer: Consumer, signal?: AbortSignal): Promise<void> {
    checkOpen(this.channel, "server");
    const consumed = this.#waits.consume(consumer, signal);
    this.#loop.start(Infinity);
    return consumed;
  }

  /**
   * Hands requests to `take` as long as `gate` has room, until `signal` aborts or the server is closed;
   * resolves when the handlers in progress have ended, too.
   */
  async serveThrough(
    gate: Gate,
    take: (request: RequestCore) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const damage = new Damage();
    const consumer: Consumer = {
      get hasRoom() {
        return !gate.isFull;
      },
      take: (request) => {
        damage.isOver();
        try {
          take(request);
        } catch (error) {
          // One request fails, and not the wait for all others.
          failWith(request, error);
        }
      },
    };
    while (!signal.aborted && this.channel.isOpen) {
      if (gate.isFull) {
        await gate.change();
        continue;
      }
      try {
        await this.consume(consumer, signal);
      } catch (error) {
        await pause(damage.pauseAfter(error));
      }
    }
    while (!gate.isEmpty && this.channel.isOpen) await gate.change();
  }

  /**
   * From now on this handle watches others, as one on whom the others rely: of many such handles, each watches only
   * the next ones of the table. `listener` runs whenever {@linkcode joins} or {@linkcode departures} may have
   * changed, until the handle is closed. None of this keeps the process alive.
   */
  watchMembers(listener: () => void): void {
    checkOpen(this.channel, "server");
    this.#loop.onDeath = listener;
    this.#loop.keepWatch();
  }

  /** The clients wait among the participants of another channel, and not of this one, as this process does. */
  waitAmong(crowd: Channel): void {
    this.#loop.crowd = crowd;
  }

  /** No requests come here, although this handle takes them. So a wake-up is not followed by polling. */
  expectNothing(): void {
    this.#loop.isQuiet = true;
  }

  /** A request is likely to come soon. A handle that sleeps wakes up, and looks as if it had just sent a request itself. */
  expectSoon(): void {
    if (this.channel.isOpen) this.#loop.start(Infinity);
  }

  /** From now on a pending `receive` or `serve` does not keep the process alive. */
  unref(): void {
    checkOpen(this.channel, "server");
    this.#waits.isReferenced = false;
    this.#loop.settle();
  }

  #receive(timeout: number): RequestCore | null {
    checkOpen(this.channel, "server");
    const { native, address, words } = this.channel;
    const status = native.tandem_receive(address, timeout, words);
    if (timeout < 0) this.#waits.looked(status === receiveStoodBack);
    if (status === 1) return new RequestCore(this.#home);
    if (status < 0) throw callFailure(status, "receive a request");
    return null;
  }

  /** For a server that takes requests as they come: a less busy one may get this request. */
  #receiveInTurn(isFirst: boolean): RequestCore | null {
    return this.#receive(isFirst ? receiveFirst : receiveNext);
  }

  #takeInTurn(max: number, isFirst: boolean): RequestCore[] {
    const first = this.#receiveInTurn(isFirst);
    return first ? this.#take(max, itself, [first]) : [];
  }

  /** Takes requests until `made` has `max` items. */
  #take<T>(max: number, make: (request: RequestCore) => T, made: T[]): T[] {
    while (made.length < max) {
      let request: RequestCore | null;
      try {
        request = this.#receive(0);
      } catch (error) {
        // The caller gets the requests taken so far; if the failure lasts, the next call throws it.
        if (made.length === 0) throw error;
        break;
      }
      if (!request) break;
      made.push(make(request));
    }
    return made;
  }
}

function itself(request: RequestCore): RequestCore {
  return request;
}
