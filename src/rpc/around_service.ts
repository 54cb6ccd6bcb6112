/**
 * Runs `around` of a service, and in it the method.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import { isThenable } from "../base/guard.ts";
import type { Around, ServiceCall } from "./around.ts";
import { RequestContext } from "./call_contexts.ts";
import { type Callee, calleeOf, type Offered } from "./interface.ts";
import { checkMetadata, copyMetadata, type Metadata } from "./metadata.ts";

const nothing = (): void => {};

/** The context of a call that `around` sees. */
export class ServedCall extends RequestContext implements ServiceCall {
  readonly side: "service" = "service" as const;
  args: readonly unknown[] = [];
  #assigned: Metadata | undefined;
  #hasBegun = false;
  #hasEnded = false;
  /** Resolves when the method has ended; undefined: it does not run. */
  #running: Promise<void> | undefined;

  override get metadata(): Metadata {
    return this.#assigned ?? super.metadata;
  }

  override set metadata(values: Metadata) {
    checkMetadata(values);
    this.#assigned = copyMetadata(values);
  }

  /** Runs `around`, whose `next` runs the method. */
  runThrough(
    around: Around<ServiceCall>,
    method: Offered,
    rawCallee: Callee | undefined,
    args: readonly unknown[],
  ): unknown {
    this.args = args;
    return around(this, () => this.#next(method, rawCallee));
  }

  #next(method: Offered, rawCallee: Callee | undefined): Promise<unknown> {
    try {
      if (this.#hasEnded || this.#hasBegun) throw unusable(method.name, this.#hasEnded);
      const { args } = this;
      if (!Array.isArray(args)) {
        throw new TypeError(`Cannot use ${describe(args)} as call.args: assign an array`);
      }
      this.#hasBegun = true;
      const result: unknown = Reflect.apply(rawCallee ?? calleeOf(method), method.self, args);
      return isThenable(result) ? this.#later(Promise.resolve(result)) : Promise.resolve(result);
    } catch (error) {
      const failed = Promise.reject(error);
      // `around` may ignore it, which must not end the process.
      failed.catch(nothing);
      return failed;
    }
  }

  #later(result: Promise<unknown>): Promise<unknown> {
    const end = () => {
      this.#running = undefined;
    };
    this.#running = result.then(end, end);
    return result;
  }

  override end(): Promise<void> | undefined {
    this.#hasEnded = true;
    return this.#running;
  }
}

function unusable(name: string, hasEnded: boolean): TypeError {
  const what = name === "" ? "the method" : JSON.stringify(name);
  return hasEnded
    ? new TypeError(`Cannot run ${what} any more: the call has ended; await next() in around`)
    : new TypeError(`Cannot run ${what} twice: around of a service can call next() once`);
}
