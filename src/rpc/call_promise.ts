/**
 * The value that a remote method returns.
 *
 * @module
 */

import { mapResult, same } from "../base/closing.ts";
import { InStream } from "./in_stream.ts";

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
 * A promise of the result that can also be iterated: if the result is a stream, callers iterate without
 * awaiting it first. Only the other side knows whether it is one.
 */
export class CallPromise<T> extends Promise<T> implements Stream {
  // Only declared, not set: promises whose results are no streams stay cheaper without them.
  /** The result, if it is a stream. */
  declare stream?: Stream;
  /** Steps that wait for the result, and are taken before later ones. */
  declare waiting?: number;

  /** A promise and the functions that settle it. */
  static open(): Opened {
    const promise = new CallPromise<unknown>(capture);
    const opened = { promise, resolve: captured.resolve!, reject: captured.reject! };
    // Otherwise the promise would stay reachable, and its result with it.
    captured.resolve = null;
    captured.reject = null;
    return opened;
  }

  settle(resolve: (result: T) => void, result: T): void {
    if (result instanceof InStream) this.stream = result;
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
