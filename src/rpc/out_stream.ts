/**
 * A stream that this process sends, item by item, when the other side asks.
 *
 * @module
 */
import { readableKind, type StreamKind } from "../codec/stream_kinds.ts";
import { captureContext, type ContextRunner } from "../runtime/context.ts";
import { type CallContext, runInContext } from "./context.ts";
import { StreamContext } from "./call_contexts.ts";
import { TandemError } from "../errors.ts";
import { type Lent, Lot, type LotOwner } from "./lent.ts";

/**
 * The steps that a reader takes. `ahead` is a `next` that its reader asks for before it needs the item: it begins
 * when the steps before it have ended, and not at all once the reader has stopped.
 */
export const Step = { next: 0, return: 1, throw: 2, ahead: 3 } as const;

interface Source {
  next(...value: [] | [unknown]): unknown;
  return?(value?: unknown): unknown;
  throw?(error: unknown): unknown;
}

type Result = IteratorResult<unknown, unknown>;

/** A generator, any other iterable or iterator, or a ReadableStream. */
export class OutStream implements Lent, LotOwner {
  readonly endsWithOwner = false;
  readonly isKept = false;
  readonly #stream: object;
  readonly #kind: StreamKind;
  readonly #context: StreamContext | null;
  readonly #abort: AbortController | null;
  /** Runs each step in the context in which the stream was made, not in the one of the step before it. */
  readonly #run: ContextRunner = captureContext();
  #source: Source | null = null;
  #hasEnded = false;
  /** The last step; settles when it has ended. */
  #last: Promise<unknown> = Promise.resolve();
  /** The reader has taken a step that ends the stream. */
  #isStopping = false;
  /** The resolve functions of pending steps, in their order. */
  #pending: ((result: Result) => void)[] = [];
  #lot: Lot | null = null;

  /** @param call the call whose method made the stream; the stream's body runs in its context */
  constructor(kind: StreamKind, stream: object, call: CallContext | undefined) {
    this.#kind = kind;
    this.#stream = stream;
    this.#abort = call ? new AbortController() : null;
    this.#context = call ? new StreamContext(call, this.#abort!.signal) : null;
  }

  /** No step was taken yet, so the stream can still be sent from its beginning. */
  get isFresh(): boolean {
    return this.#source === null && !this.#hasEnded;
  }

  get lot(): Lot {
    return this.#lot ??= new Lot();
  }

  /** The context of the call whose method made the stream. */
  get call(): CallContext | undefined {
    return this.#context ?? undefined;
  }

  /** No reader can take a step any more, so the values end that were lent in its items. */
  leave(): void {
    this.#lot?.end(streamEnded());
  }

  /** Takes one step, as the iterator's own methods do, in the order of the calls. */
  step(step: number, hasValue: boolean, value: unknown): Promise<Result> {
    const taken = step === Step.ahead ? this.#stepAhead() : this.#step(step, hasValue, value);
    this.#last = taken.then(() => {}, () => {});
    return taken;
  }

  async #stepAhead(): Promise<Result> {
    await this.#last;
    if (this.#isStopping || this.#hasEnded) return { done: true, value: undefined };
    return await this.#step(Step.next, false, undefined);
  }

  #step(step: number, hasValue: boolean, value: unknown): Promise<Result> {
    if (step !== Step.next) this.#isStopping = true;
    // The body may be waiting for its signal.
    if (step === Step.return) this.#abort?.abort(stopped());
    return new Promise((resolve, reject) => {
      this.#pending.push(resolve);
      this.#settle(step, hasValue, value).then((result) => {
        if (step !== Step.next && result.done) this.#endBefore(resolve);
        else this.#forget(resolve);
        resolve(result);
      }, (error) => {
        if (step !== Step.next) this.#endBefore(resolve);
        else this.#forget(resolve);
        reject(error);
      });
    });
  }

  /**
   * A step has ended the stream. A generator has answered all earlier steps by then, but other iterators
   * may leave some unanswered.
   */
  #endBefore(answer: (result: Result) => void): void {
    const index = this.#pending.indexOf(answer);
    for (const earlier of this.#pending.splice(0, index + 1)) {
      if (earlier !== answer) earlier({ done: true, value: undefined });
    }
  }

  #forget(answer: (result: Result) => void): void {
    const index = this.#pending.indexOf(answer);
    if (index >= 0) this.#pending.splice(index, 1);
  }

  async #settle(step: number, hasValue: boolean, value: unknown): Promise<Result> {
    try {
      const taken = this.#inContext(() => this.#take(step, hasValue, value));
      const result = await taken as Result;
      if (typeof result !== "object" || result === null) {
        throw new TypeError("Cannot go on: the iterator returned a result that is not an object");
      }
      // Read only once, because both may be getters of the user.
      const done = Boolean(result.done);
      if (done) this.#hasEnded = true;
      return { done, value: result.value };
    } catch (error) {
      this.#hasEnded = true;
      throw error;
    }
  }

  #inContext(body: () => unknown): unknown {
    const context = this.#context;
    return this.#run(context ? () => runInContext(context, body) : body, undefined);
  }

  #take(step: number, hasValue: boolean, value: unknown): unknown {
    const source = this.#source ??= sourceOf(this.#kind, this.#stream);
    if (step === Step.next) return hasValue ? source.next(value) : source.next();
    if (step === Step.return) {
      return source.return ? source.return(value) : { done: true, value };
    }
    if (source.throw) return source.throw(value);
    // As `yield*` does with an iterator that has no `throw`.
    return Promise.resolve(source.return?.()).then(() => Promise.reject(value));
  }

  /** The reader is gone: `finally` blocks run, and the signal of the stream's context aborts. */
  end(reason: TandemError): void {
    this.#abort?.abort(reason);
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    void this.#return();
  }

  /** Never rejects: no caller is left for an error. */
  async #return(): Promise<void> {
    try {
      await this.#inContext(() => this.#take(Step.return, true, undefined));
    } catch {
      // No reader is left for it.
    }
  }
}

function sourceOf(kind: StreamKind, stream: object): Source {
  if (kind === readableKind) return readableSource(stream as ReadableStream<unknown>);
  if (Symbol.asyncIterator in stream) {
    return (stream as AsyncIterable<unknown>)[Symbol.asyncIterator]() as Source;
  }
  return syncSource((stream as Iterable<unknown>)[Symbol.iterator]());
}

/**
 * Awaits promises that a sync generator yields, as `for await` does. Each step waits for the one before
 * it, as with an async generator.
 */
function syncSource(iterator: Iterator<unknown, unknown, unknown>): Source {
  let last: Promise<unknown> = Promise.resolve();
  const settle = async (result: Result): Promise<Result> => ({
    done: result.done ?? false,
    value: await result.value,
  });
  const inOrder = (take: () => Result): Promise<Result> => {
    const taken = async () => await settle(take());
    const result = last.then(taken, taken);
    last = result;
    return result;
  };
  return {
    next: (...value) => inOrder(() => iterator.next(...value)),
    return: (value) => inOrder(() => iterator.return?.(value) ?? { done: true, value }),
    ...(iterator.throw && {
      throw: (error: unknown) => inOrder(() => iterator.throw!(error)),
    }),
  };
}

function readableSource(stream: ReadableStream<unknown>): Source {
  const reader = stream.getReader();
  return {
    next: () => reader.read(),
    return: async (value) => {
      await reader.cancel(value);
      return { done: true, value: undefined };
    },
    throw: async (error) => {
      await reader.cancel(error);
      throw error;
    },
  };
}

function streamEnded(): TandemError {
  return new TandemError("CANCELLED", "The stream that the value came with has ended");
}

function stopped(): TandemError {
  return new TandemError("CANCELLED", "The reader of the stream has stopped");
}
