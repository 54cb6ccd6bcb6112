/**
 * A stream that a call of a session returns. The session's next call waits until the stream has ended, was
 * left, or was forgotten.
 *
 * @module
 */
import type { InStream } from "../../rpc/in_stream.ts";
import { laterForSure, timerMax } from "../../runtime/timers.ts";

type Result = IteratorResult<unknown, unknown>;

/** The session, as the stream sees it. */
export interface StreamKeeper {
  /** The stream has failed: the error for its reader. Never rejects. */
  failed(error: unknown): Promise<unknown>;
  /** The session's next call may begin. */
  over(): void;
}

/** Frees the session of a stream that the program has forgotten. */
const forgotten: FinalizationRegistry<StreamUse> = new FinalizationRegistry((use) => use.end());

/** What the session keeps of a stream. It does not keep the stream, which may be collected. */
export class StreamUse {
  readonly keeper: StreamKeeper;
  #steps = 0;
  hasEnded = false;
  #isOver = false;
  #stream: WeakRef<SessionStream> | null = null;
  /** For the time without a step after which the stream is left; null: it is not left. */
  #patience: number | null = null;
  #cancelLeaving: (() => void) | null = null;

  constructor(keeper: StreamKeeper) {
    this.keeper = keeper;
  }

  isReadBy(stream: SessionStream): void {
    this.#stream = new WeakRef(stream);
    forgotten.register(stream, this, this);
  }

  beginStep(): void {
    this.#steps += 1;
    this.#cancelLeaving?.();
  }

  endStep(): void {
    this.#steps -= 1;
    this.#settle();
    this.#leaveLater();
  }

  /** No step can follow. The session goes on when the steps in progress have settled. */
  end(): void {
    this.hasEnded = true;
    this.#settle();
  }

  #settle(): void {
    if (!this.hasEnded || this.#steps > 0 || this.#isOver) return;
    this.#isOver = true;
    this.#cancelLeaving?.();
    forgotten.unregister(this);
    this.keeper.over();
  }

  /** Leaves the stream when its reader asks for nothing for so many milliseconds. */
  leaveAfter(patience: number): void {
    this.#patience = patience;
    this.#leaveLater();
  }

  #leaveLater(): void {
    this.#cancelLeaving?.();
    if (this.#patience === null || this.#steps > 0 || this.#isOver) return;
    const leave = () => void this.#stream?.deref()?.return(undefined).catch(() => {});
    this.#cancelLeaving = laterForSure(Math.min(this.#patience, timerMax), leave);
  }
}

export class SessionStream implements AsyncGenerator<unknown, unknown, unknown> {
  readonly #inner: InStream;
  readonly #use: StreamUse;
  /** Not to be collected before the stream: a session without an owner is released. */
  readonly owner: object;
  /** Resolves when all earlier steps have settled. */
  #last: Promise<void> = Promise.resolve();

  constructor(inner: InStream, use: StreamUse, owner: object) {
    this.#inner = inner;
    this.#use = use;
    this.owner = owner;
    const { onEnd } = inner;
    inner.onEnd = () => {
      onEnd?.();
      use.end();
    };
    use.isReadBy(this);
  }

  next(...value: [] | [unknown]): Promise<Result> {
    return this.#step(() => this.#inner.next(...value));
  }

  return(value?: unknown): Promise<Result> {
    return this.#step(() => this.#inner.return(value));
  }

  throw(error: unknown): Promise<Result> {
    return this.#step(() => this.#inner.throw(error), error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** @param thrown the reader's own error, which is not one of the session */
  async #step(take: () => Promise<Result>, thrown?: unknown): Promise<Result> {
    const before = this.#last;
    const { promise, resolve: goOn } = Promise.withResolvers<void>();
    this.#last = promise;
    this.#use.beginStep();
    const taken = take();
    // It may reject before the earlier steps have settled.
    taken.catch(() => {});
    try {
      await before;
      return await taken;
    } catch (error) {
      // The stream goes on after a step whose value cannot be sent.
      if (error === thrown || !this.#use.hasEnded) throw error;
      throw await this.#use.keeper.failed(error);
    } finally {
      this.#use.endStep();
      goOn();
    }
  }
}
