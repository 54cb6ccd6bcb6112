/**
 * A function that this process sends: see {@linkcode proxy}.
 *
 * @module
 */
import type { TandemError } from "../errors.ts";
import { captureContext, type ContextRunner } from "../runtime/context.ts";
import { StreamContext } from "./call_contexts.ts";
import { type CallContext, runInContext } from "./context.ts";
import { InCallback } from "./in_callback.ts";
import type { Lent } from "./lent.ts";
import { LentFunction, type Loan } from "./lent_function.ts";
import { forgetFunction, keepFunction } from "./own_functions.ts";

type AnyFunction = (...args: unknown[]) => unknown;

/** A function in one message: one of `proxy`, or one that another process has sent to this one. */
export class OutCallback implements Lent, Loan {
  /** The function itself, which its owner gets back. */
  readonly value: object;
  readonly isKept: boolean;
  /** Only receivers of the function know this number. */
  readonly key: number;
  readonly #source: LentFunction | undefined;
  readonly #context: StreamContext | null;
  readonly #abort: AbortController | null;
  /** Each call of the function runs in the context in which the function was sent. */
  readonly #run: ContextRunner = captureContext();
  #hasEnded = false;
  /** Set by the host that keeps it. */
  onDisposed: ((reason: TandemError) => void) | null = null;

  private constructor(
    value: object,
    source: LentFunction | undefined,
    call: CallContext | undefined,
  ) {
    this.value = value;
    this.isKept = source?.isKept ?? InCallback.of(value)?.isKeptByNext ?? false;
    this.key = keepFunction(value);
    this.#source = source;
    this.#abort = call ? new AbortController() : null;
    this.#context = call ? new StreamContext(call, this.#abort!.signal) : null;
    source?.add(this);
  }

  /**
   * For a function in a message.
   *
   * @param call the call whose method returns it; it runs in its context
   * @returns a text: why the function cannot be sent
   */
  static from(value: object, call: CallContext | undefined): OutCallback | string {
    const source = LentFunction.of(value);
    if (source?.isDisposed) return "it is a function that was disposed";
    if (!source && !InCallback.of(value)) return "it is a function";
    return new OutCallback(value, source, call);
  }

  get endsWithOwner(): boolean {
    return !this.isKept;
  }

  get isFresh(): boolean {
    return !this.#hasEnded;
  }

  /** The context of the call whose method has returned the function. */
  get call(): CallContext | undefined {
    return this.#context ?? undefined;
  }

  /** Calls the function. */
  invoke(args: unknown[]): unknown {
    return this.inContext(() => Reflect.apply(this.value as AnyFunction, undefined, args));
  }

  /** Runs `body` where the function runs. */
  inContext<T>(body: () => T): T {
    const context = this.#context;
    return this.#run(context ? () => runInContext(context, body) : body, undefined) as T;
  }

  dispose(reason: TandemError): void {
    if (this.onDisposed) this.onDisposed(reason);
    else this.end(reason);
  }

  end(reason: TandemError): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.onDisposed = null;
    forgetFunction(this.key);
    this.#source?.delete(this);
    this.#abort?.abort(reason);
  }
}
