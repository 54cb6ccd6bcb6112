/**
 * The value that a remote method returns.
 *
 * @module
 */

import { mapResult, same } from "../base/closing.ts";
import { readableOf, streamIn } from "./readable.ts";

type Stream = AsyncGenerator<unknown, unknown, unknown>;
type Step = IteratorResult<unknown, unknown>;

interface Opened {
  readonly promise: CallPromise<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** The functions of the promise under construction. An executor per promise would be one more object. */
const captured: {
  resolve: ((result: unknown) => void) | null;
  reject: ((error: unknown) => void) | null;
} = { resolve: null, reject: null };
const capture = (
  resolve: (result: unknown) => void,
  reject: (error: unknown) => void,
): void => {
  captured.resolve = resolve;
  captured.reject = reject;
};

/**
 * A promise of the result that can also be read: if the result is a stream, callers iterate without
 * awaiting it first, or use it as a ReadableStream. Only the other side knows whether it is one.
 */
export class CallPromise<T> extends Promise<T> implements Stream {
  // Only declared, not set: promises whose results are no streams stay cheaper without them.
  /** The result, if it is a stream. */
  declare stream?: Stream;
  /** Steps that wait for the result, and are taken before later ones. */
  declare waiting?: number;
  /** The result as a ReadableStream, once a method of one was called. */
  declare readable?: ReadableStream<unknown>;

  /** A promise and the functions that settle it. */
  static open(): Opened {
    const promise = new CallPromise<unknown>(capture);
    const opened = { promise, resolve: captured.resolve!, reject: captured.reject! };
    // Otherwise the promise would stay reachable, and its result with it.
    captured.resolve = null;
    captured.reject = null;
    return opened;
  }

  /** @param deadline of the call, in the time of `performance.now()` */
  settle(resolve: (result: T) => void, result: T, deadline: number = Infinity): void {
    const stream = streamIn(result);
    if (stream) {
      this.stream = stream;
      // The call's time runs out for a step that has waited for the call.
      if (this.waiting) stream.firstDeadline = deadline;
    }
    resolve(result);
  }

  next(...value: [] | [unknown]): Promise<Step> {
    return this.#take((stream) => stream.next(...value));
  }

  return(value?: unknown): Promise<Step> {
    return this.#take((stream) => stream.return(value));
  }

  throw(error: unknown): Promise<Step> {
    return this.#take((stream) => stream.throw(error));
  }

  #take(step: (stream: Stream) => Promise<Step>): Promise<Step> {
    if (this.stream && !this.waiting) return step(this.stream);
    this.waiting = (this.waiting ?? 0) + 1;
    const taken = this.then((result) => {
      this.waiting! -= 1;
      return step(this.stream ??= streamOf(result));
    });
    return mapResult(taken, same);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #asReadable(): ReadableStream<unknown> {
    // Users of the ReadableStream get the error of the call from there.
    if (!this.readable) this.catch(() => {});
    return this.readable ??= readableOf(this);
  }

  get locked(): boolean {
    return this.readable?.locked ?? false;
  }

  cancel(reason?: unknown): Promise<void> {
    return this.#asReadable().cancel(reason);
  }

  // deno-lint-ignore no-explicit-any -- each runtime declares other overloads
  getReader(options?: any): any {
    return this.#asReadable().getReader(options);
  }

  pipeThrough<R>(
    transform: { readonly readable: ReadableStream<R>; readonly writable: WritableStream<unknown> },
    options?: StreamPipeOptions,
  ): ReadableStream<R> {
    return this.#asReadable().pipeThrough(transform, options);
  }

  pipeTo(destination: WritableStream<unknown>, options?: StreamPipeOptions): Promise<void> {
    return this.#asReadable().pipeTo(destination, options);
  }

  tee(): [ReadableStream<unknown>, ReadableStream<unknown>] {
    return this.#asReadable().tee();
  }

  values(options?: { readonly preventCancel?: boolean }): AsyncIterableIterator<unknown> {
    return this.#asReadable().values(options as { preventCancel?: boolean });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

// With this constructor `await` takes it as it is, without another promise around it, and `then` makes
// plain promises.
Object.defineProperty(CallPromise.prototype, "constructor", { value: Promise });

/** `around` may return any iterable. `yield*` also ends those whose iterators have no `return`. */
async function* steps(iterable: AsyncIterable<unknown>): Stream {
  return yield* iterable as Stream;
}

function streamOf(result: unknown): Stream {
  if (typeof result === "object" && result !== null && Symbol.asyncIterator in result) {
    if ("next" in result && typeof result.next === "function") return result as Stream;
    return steps(result as AsyncIterable<unknown>);
  }
  throw new TypeError(
    "Cannot iterate over the result: the method has returned no stream; await it",
  );
}
