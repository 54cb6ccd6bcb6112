/**
 * Runs `around` of a connection, and in it the call.
 *
 * @module
 */
import { checkTimeout, describe } from "../base/checks.ts";
import { isThenable } from "../base/guard.ts";
import { now } from "../runtime/timers.ts";
import type { Around, ClientCall } from "./around.ts";
import { CallPromise } from "./call_promise.ts";
import { fail } from "./raising.ts";
import { checkMetadata, mergeMetadata, type Metadata, noMetadata } from "./metadata.ts";
import type { CallTerms } from "./terms.ts";

/** A connection, as far as `around` needs it. */
export interface CallMaker {
  readonly target: string;
  make(method: string, args: readonly unknown[], terms: CallTerms): CallPromise<unknown>;
}

/** Handles a rejection. Quicker than `catch`, which looks up the class of the promise that it makes. */
async function ignore(call: CallPromise<unknown>): Promise<void> {
  try {
    await call;
  } catch {
    // It is the business of `around`.
  }
}

class SentCall implements ClientCall {
  readonly side: "client" = "client" as const;
  readonly target: string;
  readonly method: string;
  args: readonly unknown[];
  timeout: number;
  signal: AbortSignal | undefined;
  readonly #terms: CallTerms;
  readonly #maker: CallMaker;
  readonly #startedAt: number;
  #metadata: Metadata;
  /** `around` has returned, without the promise of the last `next()`. */
  #isLate = false;
  #hasEnded = false;
  /** What the last `next()` has returned, while `around` has not returned yet. */
  #last: CallPromise<unknown> | null = null;

  constructor(maker: CallMaker, method: string, args: readonly unknown[], terms: CallTerms) {
    this.target = maker.target;
    this.method = method;
    this.args = args;
    this.timeout = terms.timeout;
    this.signal = terms.signal;
    this.#terms = terms;
    this.#maker = maker;
    this.#metadata = terms.metadata ?? noMetadata;
    this.#startedAt = terms.timeout === Infinity ? 0 : now();
  }

  get metadata(): Metadata {
    return this.#metadata;
  }

  set metadata(values: Metadata) {
    checkMetadata(values);
    this.#metadata = Object.freeze({ ...values });
  }

  run(around: Around<ClientCall>): CallPromise<unknown> {
    let result: unknown;
    let isLater: boolean;
    try {
      result = around(this, () => this.#next());
      // The promise of the call itself; it also can be iterated.
      if (result === this.#last && this.#last) return this.#last;
      isLater = isThenable(result);
    } catch (error) {
      this.#leave();
      return rejected(error);
    }
    this.#leave();
    if (!isLater) this.#hasEnded = true;
    return this.#outcome(result);
  }

  /** From now on the promises of `next()` are the business of `around`: their rejections may be ignored. */
  #leave(): void {
    this.#isLate = true;
    if (this.#last) void ignore(this.#last);
    this.#last = null;
  }

  #outcome(result: unknown): CallPromise<unknown> {
    const opened = CallPromise.open();
    const { promise, resolve } = opened;
    Promise.resolve(result).then((value) => {
      this.#hasEnded = true;
      promise.settle(resolve, value);
    }, (error) => {
      this.#hasEnded = true;
      fail(opened, error);
    });
    return promise;
  }

  #next(): CallPromise<unknown> {
    const call = this.#send();
    if (this.#isLate) void ignore(call);
    else {
      if (this.#last) void ignore(this.#last);
      this.#last = call;
    }
    return call;
  }

  #send(): CallPromise<unknown> {
    const { method, args } = this;
    try {
      if (this.#hasEnded) {
        const what = method === "" ? "the service itself" : JSON.stringify(method);
        throw new TypeError(
          `Cannot call ${what} any more: the call has ended; await next() in around`,
        );
      }
      if (!Array.isArray(args)) {
        throw new TypeError(`Cannot use ${describe(args)} as call.args: assign an array`);
      }
      return this.#maker.make(method, args, this.#termsNow());
    } catch (error) {
      return rejected(error);
    }
  }

  /** The terms of the call as `around` has changed them, with the time that is left. */
  #termsNow(): CallTerms {
    const terms = this.#terms;
    const { timeout, signal } = this;
    const metadata = this.#metadata === noMetadata ? undefined : this.#metadata;
    const isFirst = !this.#isLate && this.#last === null;
    const isSame = timeout === terms.timeout && signal === terms.signal &&
      metadata === terms.metadata;
    if (isFirst && isSame) return terms;
    checkTimeout(timeout, "call.timeout");
    const left = terms.timeout === Infinity
      ? Infinity
      : Math.max(0, this.#startedAt + terms.timeout - now());
    return {
      ...terms,
      timeout: Math.min(timeout, left),
      signal: bothSignals(terms.signal, signal),
      metadata: metadata === terms.metadata ? metadata : mergeMetadata(undefined, metadata),
    };
  }
}

function bothSignals(
  own: AbortSignal | undefined,
  other: AbortSignal | undefined,
): AbortSignal | undefined {
  if (other === own || other === undefined) return own;
  if (!(other instanceof AbortSignal)) {
    throw new TypeError(`Cannot use ${describe(other)} as call.signal: assign an AbortSignal`);
  }
  return own ? AbortSignal.any([own, other]) : other;
}

function rejected(error: unknown): CallPromise<unknown> {
  const opened = CallPromise.open();
  fail(opened, error);
  return opened.promise;
}

/**
 * Makes a call through `around`.
 *
 * @param maker sends the call
 */
export function callThrough(
  around: Around<ClientCall>,
  maker: CallMaker,
  method: string,
  args: readonly unknown[],
  terms: CallTerms,
): CallPromise<unknown> {
  return new SentCall(maker, method, args, terms).run(around);
}
