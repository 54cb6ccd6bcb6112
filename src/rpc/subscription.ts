/**
 * Subscriptions to topics.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { codeOf } from "../base/guard.ts";
import type { Inbox } from "../transport/transport.ts";
import type { TopicCodec } from "./topic_codec.ts";

/**
 * A subscription to a topic: the values, in the order of each publisher. Leaving the loop closes it, and so
 * does an error.
 */
export interface Subscription<T> extends AsyncIterableIterator<T>, Disposable, AsyncDisposable {
  /**
   * How many values were dropped because there was no room for them. Values that one process publishes
   * while another one does may be counted a moment later.
   */
  readonly dropped: number;
  /**
   * Resolves when every process that publishes a value reaches this subscriber. That is so when `subscribe` returns, but
   * over NATS it takes a while. Rejects with `CLOSED` if the subscription is closed before, and over NATS with the reason
   * why it cannot be.
   */
  readonly ready: Promise<void>;
  /** The oldest value that waits, or the next one. Several pending calls get values in their order. */
  next(): Promise<IteratorResult<T, undefined>>;
  /** Closes the subscription. Values that wait are dropped. */
  return(): Promise<IteratorResult<T, undefined>>;
  /** Closes the subscription: pending waits end the iteration. Twice is fine. */
  close(): void;
}

/** Closes subscriptions that the program has forgotten. */
const forgotten: FinalizationRegistry<Inbox> = new FinalizationRegistry((inbox) => inbox.close());

const done = { done: true, value: undefined } as const;

export class SubscriptionCore<T> implements Subscription<T> {
  readonly ready: Promise<void>;
  readonly #inbox: Inbox;
  readonly #codec: TopicCodec;
  readonly #stopListening: (() => void) | undefined;
  #hasEnded = false;
  /** The error that the next call throws. */
  #failure: { readonly reason: unknown } | null = null;

  constructor(inbox: Inbox, codec: TopicCodec, signal: AbortSignal | undefined) {
    this.#inbox = inbox;
    this.#codec = codec;
    this.ready = inbox.ready ?? Promise.resolve();
    forgotten.register(this, inbox, this);
    this.#stopListening = signal && onAbort(signal, () => {
      if (this.#hasEnded) return;
      this.#failure = { reason: reasonOf(signal) };
      this.close();
    });
  }

  get dropped(): number {
    return this.#inbox.dropped;
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    try {
      if (!this.#hasEnded) {
        const bytes = await this.#inbox.next();
        return { done: false, value: this.#codec.decode(bytes) as T };
      }
    } catch (error) {
      // After a close, here or because newer code runs now, this is only the end of the wait.
      if (codeOf(error) !== "CLOSED") this.#failure = { reason: error };
      this.close();
    }
    return this.#end();
  }

  /** Only one of several pending calls throws. */
  #end(): IteratorResult<T, undefined> {
    const failure = this.#failure;
    this.#failure = null;
    if (failure) throw failure.reason;
    return done;
  }

  // deno-lint-ignore require-await -- as iterators have it
  async return(): Promise<IteratorResult<T, undefined>> {
    this.close();
    return done;
  }

  close(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#stopListening?.();
    forgotten.unregister(this);
    this.#inbox.close();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  // deno-lint-ignore require-await -- AsyncDisposable needs a promise
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
