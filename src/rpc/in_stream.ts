/**
 * A stream that another process sends.
 *
 * @module
 */
import { isThenable } from "../base/guard.ts";
import { generatorKind, type StreamKind } from "../codec/stream_kinds.ts";
import { TandemError } from "../errors.ts";
import { backend } from "../runtime/current.ts";
import { keepAlive, now } from "../runtime/timers.ts";
import { errorOfCall } from "./call_errors.ts";
import { Lot, type LotOwner } from "./lent.ts";
import { Step } from "./out_stream.ts";
import { fail, openRaising, type Raising } from "./raising.ts";
import type { Received, Source, StepLimits, StepOutcome, StreamTerms } from "./received.ts";

type Result = IteratorResult<unknown, unknown>;

/** The host of a stream, and the stream's number there. */
interface Origin {
  readonly source: Source;
  readonly id: number;
  readonly terms: StreamTerms | undefined;
}

/** Ends a stream at its host when the program has forgotten it. */
const forgotten = new FinalizationRegistry<Origin>(({ source, id }) => {
  source.drop(id);
  source.detach(id);
});

/**
 * A generator of another process. Each step that the program asks for here is taken there, so no item is
 * made before it is needed. Steps are sent and answered in the order of the program's calls.
 */
export class InStream implements AsyncGenerator<unknown, unknown, unknown>, Received, LotOwner {
  readonly news = null;
  #origin: Origin | null = null;
  /** No further step is sent. */
  #hasEnded = false;
  /** The generator has ended by itself: later steps find a generator that is complete. */
  #isComplete = false;
  /** Steps without an answer, and steps that wait for the answer of an earlier one. */
  readonly #steps: PendingStep[] = [];
  #isRejecting = false;
  /** Resolves when the steps that wait for their values have been sent; later steps wait for it. */
  #sending: Promise<void> | null = null;
  readonly #kind: StreamKind;
  /** A loop reads it, which passes no values in. */
  #isIterated = false;
  /** Steps that were sent before the program has asked for their items. */
  #ahead: PendingStep[] = [];
  /** The time limit of the first item, if it began before the first step, and Infinity otherwise. */
  firstDeadline: number = Infinity;
  #hasBegun = false;
  /** Runs when the stream has ended. */
  onEnd: (() => void) | null = null;
  #lot: Lot | null = null;

  get lot(): Lot {
    return this.#lot ??= new Lot();
  }

  constructor(kind: StreamKind) {
    this.#kind = kind;
  }

  /** Sets the stream's host, before the program gets the stream. */
  attach(source: Source, id: number, terms: StreamTerms | undefined): void {
    const origin = { source, id, terms };
    this.#origin = origin;
    forgotten.register(this, origin, this);
  }

  next(...value: [] | [unknown]): Promise<Result> {
    const hasValue = value.length > 0 && this.#kind === generatorKind &&
      !backend().isSink(value[0]);
    if (hasValue) this.#isIterated = false;
    // A generator that was taken ahead has missed the value.
    if (this.#ahead.length > 0 || this.#mayFetchAhead) return this.#nextAhead();
    return this.#step(Step.next, hasValue, hasValue ? value[0] : undefined);
  }

  return(value?: unknown): Promise<Result> {
    return this.#step(Step.return, true, value);
  }

  throw(error: unknown): Promise<Result> {
    return this.#step(Step.throw, true, error);
  }

  [Symbol.asyncIterator](): this {
    this.#isIterated = true;
    return this;
  }

  /** Whether items may be asked for before the program needs them. */
  get #mayFetchAhead(): boolean {
    // Each item would have a time limit of its own, but they wait for each other.
    const { source, terms } = this.#origin ?? {};
    return source !== undefined && source.prefetch > 0 && this.#isIterated && !this.#sending &&
      (terms?.itemTimeout ?? Infinity) === Infinity;
  }

  /** The next item, of which the host may know already; then asks for more. */
  #nextAhead(): Promise<Result> {
    const known = this.#ahead.shift();
    const raising = openRaising<Result>();
    const step = known ?? new PendingStep(this, Step.next, false, undefined);
    step.raising = raising;
    this.#steps.push(step);
    if (!known) void this.#send(step);
    else if (known.outcome) this.settle();
    else {
      // From now on the program waits for it.
      const [release, end] = [known.release, keepAlive()];
      known.release = () => {
        end();
        release?.();
      };
    }
    if (this.#mayFetchAhead) this.#fetchAhead();
    return raising.promise;
  }

  #fetchAhead(): void {
    const prefetch = this.#origin?.source.prefetch ?? 0;
    while (!this.#hasEnded && this.#ahead.length < prefetch) {
      const step = new PendingStep(this, Step.ahead, false, undefined);
      this.#ahead.push(step);
      void this.#send(step);
      // The stream may have ended by that.
      if (step.outcome) return;
    }
  }

  /** The program does not need them any more. */
  #dropAhead(): void {
    for (const step of this.#ahead.splice(0)) {
      step.release?.();
      step.release = null;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #step(kind: number, hasValue: boolean, value: unknown): Promise<Result> {
    const raising = openRaising<Result>();
    const step = new PendingStep(this, kind, hasValue, value);
    step.raising = raising;
    if (kind !== Step.next) this.#dropAhead();
    this.#steps.push(step);
    // As a generator does with the value of `return`.
    const awaitsValue = kind === Step.return && isThenable(value);
    if (awaitsValue || this.#sending) this.#sendLater(step, awaitsValue);
    else {
      const sent = this.#send(step);
      if (sent) this.#isSending(sent);
    }
    return raising.promise;
  }

  #sendLater(step: PendingStep, awaitsValue: boolean): void {
    const before = this.#sending;
    this.#isSending(this.#whenReady(step, before, awaitsValue).then(() => this.#send(step)));
  }

  /** Later steps wait for it. */
  #isSending(sent: Promise<void>): void {
    const sending = this.#sending = sent.then(() => {
      if (this.#sending === sending) this.#sending = null;
    });
  }

  /** Never rejects. */
  async #whenReady(
    step: PendingStep,
    before: Promise<void> | null,
    awaitsValue: boolean,
  ): Promise<void> {
    await before;
    if (!awaitsValue) return;
    try {
      step.value = await step.value;
    } catch (error) {
      // The generator gets the error at its `yield`.
      step.kind = Step.throw;
      step.value = error;
    }
  }

  /** Never throws. Returns a promise when the step is sent later, which never rejects. */
  #send(step: PendingStep): Promise<void> | undefined {
    const origin = this.#origin;
    if (this.#hasEnded || !origin) {
      step.outcome = { kind: "complete", value: undefined };
      this.settle();
      return undefined;
    }
    const { source, id, terms } = origin;
    try {
      // Another step may end the stream while this one is pending.
      step.release = source.hold();
    } catch (error) {
      step.failed(error);
      return undefined;
    }
    const limits = this.#limits(terms, step.kind === Step.ahead);
    return source.step(id, step.kind, step.hasValue, step.value, terms, limits, step);
  }

  /** The limits of the step that is about to be sent. */
  #limits(terms: StreamTerms | undefined, isAhead: boolean): StepLimits {
    if (!terms) return isAhead ? { isBackground: true } : {};
    const { signal } = terms;
    if (isAhead) return { isBackground: true, ...(signal && { signal }) };
    const timeout = this.#hasBegun ? terms.itemTimeout : this.#firstTimeout(terms);
    this.#hasBegun = true;
    return { ...(timeout !== undefined && { timeout }), ...(signal && { signal }) };
  }

  #firstTimeout({ timeout }: StreamTerms): number | undefined {
    return this.firstDeadline < Infinity ? Math.max(0, this.firstDeadline - now()) : timeout;
  }

  /** Settles the steps that have an outcome, in their order. */
  settle(): void {
    while (!this.#isRejecting && this.#steps[0]?.outcome) {
      const step = this.#steps.shift()!;
      this.#settleOne(step, step.outcome!);
      step.release?.();
    }
  }

  /** A rejection takes some microtasks, in which no later step may settle. */
  #reject(step: PendingStep, error: unknown): void {
    this.#isRejecting = true;
    step.reject(error, () => {
      this.#isRejecting = false;
      this.settle();
    });
  }

  #settleOne(step: PendingStep, { kind, value }: Outcome): void {
    switch (kind) {
      case "returned": {
        const result = value as Result;
        if (result.done) this.#complete();
        return step.resolve(result);
      }
      case "threw":
        this.#complete();
        return this.#reject(step, this.#named(value));
      case "refused":
        return this.#reject(step, this.#named(value));
      case "complete":
        return this.#settleAsComplete(step);
      case "failed":
        if (this.#isComplete) return this.#settleAsComplete(step);
        // The state of the generator is unknown, so the stream ends.
        if (!this.#hasEnded) this.#origin?.source.drop(this.#origin.id);
        this.#end();
        return this.#reject(step, this.#named(value));
    }
  }

  /** Settles a step as a generator that is complete does. */
  #settleAsComplete(step: PendingStep): void {
    if (step.kind === Step.throw) return this.#reject(step, step.value);
    step.resolve({ done: true, value: step.kind === Step.return ? step.value : undefined });
  }

  /** The error of a step as an error of the call that has returned the stream. */
  #named(error: unknown): unknown {
    const { call, signal } = this.#origin?.terms ?? {};
    return call ? errorOfCall(error, call, true, signal) : error;
  }

  #complete(): void {
    this.#isComplete = true;
    this.#end();
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#dropAhead();
    forgotten.unregister(this);
    const origin = this.#origin;
    origin?.source.detach(origin.id);
    this.#lot?.end(streamEnded());
    this.onEnd?.();
    this.onEnd = null;
  }
}

interface Outcome {
  readonly kind: "returned" | "threw" | "refused" | "failed" | "complete";
  readonly value: unknown;
}

/** A step that is not settled yet. */
class PendingStep implements StepOutcome {
  readonly #stream: InStream;
  kind: number;
  readonly hasValue: boolean;
  value: unknown;
  /** Undefined as long as the program has not asked for its item. */
  raising: Raising<Result> | undefined;
  outcome: Outcome | null = null;
  /** Releases the connection: see {@linkcode Source.hold}. */
  release: (() => void) | null = null;

  constructor(stream: InStream, kind: number, hasValue: boolean, value: unknown) {
    this.#stream = stream;
    this.kind = kind;
    this.hasValue = hasValue;
    this.value = value;
  }

  resolve(result: Result): void {
    this.raising!.resolve(result);
  }

  reject(error: unknown, afterwards: () => void): void {
    fail(this.raising!, error, afterwards);
  }

  get lotOwner(): LotOwner {
    return this.#stream;
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

  #end(kind: Outcome["kind"], value: unknown): void {
    this.outcome = { kind, value };
    if (this.raising) return this.#stream.settle();
    // It needs no connection while it waits for the program.
    this.release?.();
    this.release = null;
  }
}

function streamEnded(): TandemError {
  return new TandemError("CANCELLED", "The stream that the value was passed to has ended");
}
