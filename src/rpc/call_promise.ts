/**
 * The value that a remote method returns.
 *
 * @module
 */

import { InStream } from "./in_stream.ts";
import { fail, openRaising, type Raising } from "./raising.ts";
import { readableOf, streamIn } from "./readable.ts";

type Stream = AsyncGenerator<unknown, unknown, unknown>;
type Step = IteratorResult<unknown, unknown>;

// Not every set of declarations has a name for it.
type PipeOptions = Parameters<ReadableStream<unknown>["pipeTo"]>[1];

interface Opened extends Raising<unknown> {
  readonly promise: CallPromise<unknown>;
}

/**
 * A promise of the result that can also be read: if the result is a stream, callers iterate without
 * awaiting it first, or use it as a ReadableStream. Only the other side knows whether it is one.
 */
export class CallPromise<T> extends Promise<T> implements Stream {
  // Only declared, not set: promises whose results are no streams stay cheaper without them.
  /** The result, if it is a stream. */
  declare stream?: Stream;
  /** A loop reads the stream. */
  declare isIterated?: boolean;
  /** Steps that wait for the result, and are taken before later ones. */
  declare waiting?: number;
  /** Resolves when the last of these steps has settled: a rejection takes longer than a result. */
  declare taken?: Promise<void>;
  /** The result as a ReadableStream, once a method of one was called. */
  declare readable?: ReadableStream<unknown>;

  /** A promise and the function that resolves it. */
  static open(): Opened {
    return openRaising<unknown>(CallPromise) as Opened;
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
    return take(this, (stream) => stream.next(...value));
  }

  return(value?: unknown): Promise<Step> {
    return take(this, (stream) => stream.return(value));
  }

  throw(error: unknown): Promise<Step> {
    return take(this, (stream) => stream.throw(error));
  }

  [Symbol.asyncIterator](): this {
    this.isIterated = true;
    return this;
  }

  get locked(): boolean {
    return this.readable?.locked ?? false;
  }

  cancel(reason?: unknown): Promise<void> {
    return asReadable(this).cancel(reason);
  }

  // deno-lint-ignore no-explicit-any -- each runtime declares other overloads
  getReader(options?: any): any {
    return asReadable(this).getReader(options);
  }

  pipeThrough<R>(
    transform: { readonly readable: ReadableStream<R>; readonly writable: WritableStream<unknown> },
    options?: PipeOptions,
  ): ReadableStream<R> {
    return asReadable(this).pipeThrough(transform, options);
  }

  pipeTo(destination: WritableStream<unknown>, options?: PipeOptions): Promise<void> {
    return asReadable(this).pipeTo(destination, options);
  }

  tee(): [ReadableStream<unknown>, ReadableStream<unknown>] {
    return asReadable(this).tee();
  }

  values(options?: { readonly preventCancel?: boolean }): AsyncIterableIterator<unknown> {
    return asReadable(this).values(options as { preventCancel?: boolean });
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

// Functions, because a promise that was made by an async function has no private methods.

function take<T>(
  call: CallPromise<T>,
  step: (stream: Stream) => Promise<Step>,
): Promise<Step> {
  if (call.stream && !call.waiting) return step(call.stream);
  call.waiting = (call.waiting ?? 0) + 1;
  const taken = call.then((result) => {
    call.waiting! -= 1;
    call.stream ??= streamOf(result);
    // A stream that a loop reads may be fetched ahead.
    if (call.isIterated && call.stream instanceof InStream) call.stream[Symbol.asyncIterator]();
    return step(call.stream);
  });
  const taking = openRaising<Step>();
  const before = call.taken;
  const { promise: settled, resolve: goOn } = Promise.withResolvers<void>();
  call.taken = settled;
  taken.then(async (result) => {
    await before;
    taking.resolve(result);
    goOn();
  }, async (error) => {
    await before;
    fail(taking, error, goOn);
  });
  return taking.promise;
}

function asReadable<T>(call: CallPromise<T>): ReadableStream<unknown> {
  // Users of the ReadableStream get the error of the call from there.
  if (!call.readable) call.catch(() => {});
  return call.readable ??= readableOf(call);
}
