/**
 * What a remote method returns.
 *
 * @module
 */

import { mapResult, same } from "../base/closing.ts";
import { InStream } from "./in_stream.ts";

type Stream = AsyncGenerator<unknown, unknown, unknown>;
type Step = IteratorResult<unknown, unknown>;

/**
 * A promise of the result; where the result is a stream, that stream as well, so that nobody has to
 * wait for it before iterating. Which of the two it is only the other side knows.
 */
export class CallPromise<T> extends Promise<T> implements Stream {
  // Declared alone: a promise whose result is no stream has none of them, which makes it cheaper.
  /** The result, if it is a stream. @ignore */
  declare stream?: InStream;
  /** Steps that wait for the result, and come before others. @ignore */
  declare waiting?: number;

  /** Resolves it. @ignore */
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
      return step(streamOf(result));
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

// To `await` it is a promise like any other, which spares it another promise around it; and so are
// the promises that `then` makes.
Object.defineProperty(CallPromise.prototype, "constructor", { value: Promise });

function streamOf(result: unknown): Stream {
  if (typeof result === "object" && result !== null && Symbol.asyncIterator in result) {
    return result as Stream;
  }
  throw new TypeError(
    "Cannot iterate over the result: the method has returned no stream; await it",
  );
}
