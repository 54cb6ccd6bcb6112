/**
 * A stream that another process sends.
 *
 * @module
 */
import { rejectAs } from "../base/closing.ts";
import { isThenable } from "../base/guard.ts";
import { Step } from "./out_stream.ts";

/** How long an item may take, and what ends the stream. */
export interface StreamTerms {
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What must not be collected as long as the stream is known. */
  readonly owner?: object;
}

type Result = IteratorResult<unknown, unknown>;

/** The process that sends a stream, as the stream sees it. */
export interface Source {
  /** Keeps the connection until the caller calls the returned function. */
  hold(): () => void;
  /** Takes a step of the stream `id`. Never throws. */
  step(
    id: number,
    step: number,
    hasValue: boolean,
    value: unknown,
    terms: StreamTerms | undefined,
    outcome: StepOutcome,
  ): void;
  /** The reader does not want the stream `id` any longer. */
  drop(id: number): void;
  /** A stream that was attached has ended, or the program has forgotten it. */
  detach(): void;
}

/** A stream that has arrived in a message, and its number at its host. */
export interface Attached {
  readonly id: number;
  readonly stream: InStream;
}

/** Where a stream comes from. */
interface Origin {
  readonly source: Source;
  readonly id: number;
  readonly terms: StreamTerms | undefined;
}

/** A stream that the program has forgotten ends at its host. */
const forgotten = new FinalizationRegistry<Origin>(({ source, id }) => {
  source.drop(id);
  source.detach();
});

/** What the other side makes of a step. */
export interface StepOutcome {
  /** The iterator's result. */
  returned(result: Result): void;
  /** What the iterator has thrown. */
  threw(error: unknown): void;
  /** The step's value cannot be sent, and the other side knows nothing of the step. */
  refused(error: unknown): void;
  /** There is no answer: the other side, or the way to it, has failed. */
  failed(error: unknown): void;
}

/**
 * A generator of another process: each step is taken there when it is asked for here, so that nothing
 * is made before it is wanted. Steps are sent, and answered, in the order in which they are asked for.
 */
export class InStream implements AsyncGenerator<unknown, unknown, unknown> {
  #origin: Origin | null = null;
  /** No further step is sent. */
  #hasEnded = false;
  /** The other side has ended by itself: steps behind its last one find a generator that is complete. */
  #isComplete = false;
  /** Steps without an answer, or with one that came before that of an earlier step. */
  readonly #steps: StepUnderWay[] = [];
  /** A step waits for its value to be sent, and later steps for that. */
  #sending: Promise<void> | null = null;
  /** Told when nothing more will come. */
  onEnd: (() => void) | null = null;

  /** Says where the stream comes from, before the program gets it. */
  attach(source: Source, id: number, terms: StreamTerms | undefined): void {
    const origin = { source, id, terms };
    this.#origin = origin;
    forgotten.register(this, origin, this);
  }

  next(...value: [] | [unknown]): Promise<Result> {
    return this.#step(Step.next, value.length > 0, value[0]);
  }

  return(value?: unknown): Promise<Result> {
    return this.#step(Step.return, true, value);
  }

  throw(error: unknown): Promise<Result> {
    return this.#step(Step.throw, true, error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** As a ReadableStream, which asks for an item whenever its reader does. */
  toReadable(): ReadableStream<unknown> {
    return new ReadableStream<unknown>({
      pull: async (controller) => {
        const { done, value } = await this.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: async () => {
        await this.return();
      },
    }, { highWaterMark: 0 });
  }

  #step(kind: number, hasValue: boolean, value: unknown): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const step = new StepUnderWay(this, kind, hasValue, value, promise, resolve, reject);
    this.#steps.push(step);
    // A generator awaits what it is given to return.
    const awaitsValue = kind === Step.return && isThenable(value);
    if (awaitsValue || this.#sending) this.#sendLater(step, awaitsValue);
    else this.#send(step);
    return promise;
  }

  #sendLater(step: StepUnderWay, awaitsValue: boolean): void {
    const before = this.#sending;
    const sending = this.#sending = this.#whenReady(step, before, awaitsValue).then(() => {
      if (this.#sending === sending) this.#sending = null;
      this.#send(step);
    });
  }

  /** Never rejects. */
  async #whenReady(
    step: StepUnderWay,
    before: Promise<void> | null,
    awaitsValue: boolean,
  ): Promise<void> {
    await before;
    if (!awaitsValue) return;
    try {
      step.value = await step.value;
    } catch (error) {
      // The generator gets it where it has yielded.
      step.kind = Step.throw;
      step.value = error;
    }
  }

  #send(step: StepUnderWay): void {
    const origin = this.#origin;
    if (this.#hasEnded || !origin) {
      step.outcome = { how: "complete", value: undefined };
      return this.settle();
    }
    const { source, id, terms } = origin;
    try {
      // Another step may end the stream while this one is under way.
      step.release = source.hold();
    } catch (error) {
      return step.failed(error);
    }
    source.step(id, step.kind, step.hasValue, step.value, terms, step);
  }

  /** Hands out what has come, in the order of the steps. */
  settle(): void {
    for (let step = this.#steps[0]; step?.outcome; step = this.#steps[0]) {
      this.#steps.shift();
      this.#settleOne(step, step.outcome);
      step.release?.();
    }
  }

  #settleOne(step: StepUnderWay, { how, value }: Outcome): void {
    switch (how) {
      case "returned": {
        const result = value as Result;
        if (result.done) this.#complete();
        return step.resolve(result);
      }
      case "threw":
        this.#complete();
        return step.reject(value);
      case "refused":
        return step.reject(value);
      case "complete":
        return step.settleAsComplete();
      case "failed":
        if (this.#isComplete) return step.settleAsComplete();
        // How far the other side has come is not known.
        if (!this.#hasEnded) this.#origin?.source.drop(this.#origin.id);
        this.#end();
        return rejectAs(step.promise, step.reject, value);
    }
  }

  #complete(): void {
    this.#isComplete = true;
    this.#end();
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    forgotten.unregister(this);
    this.#origin?.source.detach();
    this.onEnd?.();
    this.onEnd = null;
  }
}

interface Outcome {
  readonly how: "returned" | "threw" | "refused" | "failed" | "complete";
  readonly value: unknown;
}

/** A step that was asked for. */
class StepUnderWay implements StepOutcome {
  readonly #stream: InStream;
  kind: number;
  readonly hasValue: boolean;
  value: unknown;
  readonly promise: Promise<Result>;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
  outcome: Outcome | null = null;
  /** Gives up its hold of the connection. */
  release: (() => void) | null = null;

  constructor(
    stream: InStream,
    kind: number,
    hasValue: boolean,
    value: unknown,
    promise: Promise<Result>,
    resolve: (result: Result) => void,
    reject: (error: unknown) => void,
  ) {
    this.#stream = stream;
    this.kind = kind;
    this.hasValue = hasValue;
    this.value = value;
    this.promise = promise;
    this.resolve = resolve;
    this.reject = reject;
  }

  returned(result: Result): void {
    this.#end("returned", result);
  }

  threw(error: unknown): void {
    this.#end("threw", error);
  }

  refused(error: unknown): void {
    this.#end("refused", error);
  }

  failed(error: unknown): void {
    this.#end("failed", error);
  }

  #end(how: Outcome["how"], value: unknown): void {
    this.outcome = { how, value };
    this.#stream.settle();
  }

  /** As a generator does that has come to its end. */
  settleAsComplete(): void {
    if (this.kind === Step.throw) return this.reject(this.value);
    const value = this.kind === Step.return ? this.value : undefined;
    this.resolve({ done: true, value });
  }
}
