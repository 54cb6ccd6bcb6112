/**
 * A function that another process sends: see {@linkcode proxy}.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { CallPromise } from "./call_promise.ts";
import { type LotOwner, noLot } from "./lent.ts";
import { functionEnded } from "./lent_function.ts";
import { streamIn } from "./readable.ts";
import type {
  InvocationOutcome,
  LentWithCall,
  NewsTaker,
  Received,
  Source,
  StreamTerms,
} from "./received.ts";

/** The host of a function, and the function's number there. */
interface Origin {
  readonly source: Source;
  readonly id: number;
  readonly terms: StreamTerms | undefined;
}

const known: WeakMap<object, InCallback> = new WeakMap();

/** Ends a function at its host when the program has forgotten it. */
const forgotten = new FinalizationRegistry<InCallback>((callback) => callback.dispose());

const ignore = (): void => {};

/** The state of a received function. It does not refer to the function, which may be collected. */
export class InCallback implements Received, NewsTaker {
  readonly news: NewsTaker = this;
  readonly key: number;
  /** It outlives its call. */
  readonly #isKept: boolean;
  /** This process only passes it on, so whoever gets it from here may keep it, too. */
  readonly isKeptByNext: boolean;
  #origin: Origin | null = null;
  /** Why it cannot be called; null while it can. */
  #error: TandemError | null = null;

  /**
   * @param key by which its owner knows it
   * @param isPassing this process passes it on between others
   */
  constructor(isKept: boolean, key: number, isPassing: boolean) {
    this.#isKept = isKept;
    this.isKeptByNext = isKept && isPassing;
    this.key = key;
  }

  /** Undefined: the function was not received. */
  static of(value: object): InCallback | undefined {
    return known.get(value);
  }

  /** Makes the function for the program. */
  toFunction(): (...args: unknown[]) => Promise<unknown> {
    const value = (...args: unknown[]) => this.#invoke(value, args);
    Object.defineProperty(value, Symbol.dispose, { value: () => this.dispose() });
    known.set(value, this);
    forgotten.register(value, this, this);
    return value;
  }

  attach(source: Source, id: number, terms: StreamTerms | undefined): void {
    const owner = terms?.owner;
    const kept = owner && { owner };
    this.#origin = { source, id, terms: this.#isKept ? kept : terms };
  }

  #invoke(value: object, args: readonly unknown[]): Promise<unknown> {
    const origin = this.#origin;
    const invocation = new Invocation(value, origin?.terms?.owner);
    if (!origin) invocation.failed(this.#error ?? functionEnded());
    else origin.source.invoke(origin.id, args, origin.terms, invocation);
    return invocation.promise;
  }

  aborted(): void {}

  ended(): void {
    this.#end(functionEnded());
  }

  lost(): void {
    // A call says why.
  }

  /** The program no longer needs the function. May be called twice. */
  dispose(): void {
    const origin = this.#origin;
    if (this.#end(disposed())) origin!.source.drop(origin!.id);
  }

  #end(error: TandemError): boolean {
    const origin = this.#origin;
    if (!origin) return false;
    this.#origin = null;
    this.#error = error;
    forgotten.unregister(this);
    origin.source.detach(origin.id);
    return true;
  }
}

/** A call of a received function. */
class Invocation implements InvocationOutcome {
  readonly promise: CallPromise<unknown>;
  /** The function must not be collected before the call has ended. */
  readonly value: object;
  readonly lotOwner: LotOwner = noLot;
  #resolve: (result: unknown) => void = ignore;
  #reject: (error: unknown) => void = ignore;
  /** Stays reachable as long as the values that the other side keeps of this call. */
  readonly #owner: object;
  #lent: LentWithCall | null = null;
  /** Runs when the call has ended. */
  onEnd: (() => void) | null = null;

  constructor(value: object, owner: object = {}) {
    this.value = value;
    this.#owner = owner;
    this.promise = new CallPromise<unknown>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // The owner may be gone when the program no longer cares: that must not end this process.
    this.promise.catch(ignore);
  }

  begin(lent: LentWithCall): void {
    this.#lent = lent;
  }

  returned({ value }: IteratorResult<unknown, unknown>): void {
    this.#end(value);
    this.promise.settle(this.#resolve, value);
  }

  threw(error: unknown): void {
    this.failed(error);
  }

  refused(error: unknown): void {
    this.failed(error);
  }

  failed(error: unknown): void {
    this.#end(undefined);
    this.#reject(error);
  }

  /** Values that were lent with the call end with it, or with the stream that is its result. */
  #end(result: unknown): void {
    const lent = this.#lent;
    this.#lent = null;
    if (lent?.hasEntries) {
      const end = () => lent.end(callOver(), this.#owner);
      const stream = streamIn(result);
      if (stream) stream.onEnd = end;
      else end();
    }
    const { onEnd } = this;
    this.onEnd = null;
    onEnd?.();
  }
}

function callOver(): TandemError {
  return new TandemError("CANCELLED", "The call of the function that the value came with is over");
}

function disposed(): TandemError {
  return new TandemError("CLOSED", "Cannot call the function: it was disposed here");
}
