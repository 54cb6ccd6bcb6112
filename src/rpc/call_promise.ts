/**
 * What a remote method returns.
 *
 * @module
 */
import { forUsers, same } from "../channel/closing.ts";

/**
 * A promise of the result; where the result is a stream, that stream as well, so that nobody has to
 * wait for it before iterating. Which of the two it is only the other side knows.
 */
export class CallPromise<T> extends Promise<T>
  implements AsyncGenerator<unknown, unknown, unknown> {
  next(...value: [] | [unknown]): Promise<IteratorResult<unknown, unknown>> {
    return forUsers(this.then((result) => streamOf(result).next(...value)), same);
  }

  return(value?: unknown): Promise<IteratorResult<unknown, unknown>> {
    return forUsers(this.then((result) => streamOf(result).return(value)), same);
  }

  throw(error: unknown): Promise<IteratorResult<unknown, unknown>> {
    return forUsers(this.then((result) => streamOf(result).throw(error)), same);
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

function streamOf(result: unknown): AsyncGenerator<unknown, unknown, unknown> {
  if (typeof result === "object" && result !== null && Symbol.asyncIterator in result) {
    return result as AsyncGenerator<unknown, unknown, unknown>;
  }
  throw new TypeError(
    "Cannot iterate over the result: the method has returned no stream; await it",
  );
}
