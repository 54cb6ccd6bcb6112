/**
 * A service's record of a call: for `onCall`, and as a span.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import { now } from "../runtime/timers.ts";
import type { RequestContext } from "./call_contexts.ts";
import { type CallHook, notifyHook } from "./hooks.ts";
import { type Span, startServiceSpan } from "./telemetry.ts";

export class Recorder {
  readonly #hook: CallHook | undefined;
  readonly #context: RequestContext;
  readonly #startedAt = now();
  readonly #span: Span | undefined;

  constructor(hook: CallHook | undefined, context: RequestContext) {
    this.#hook = hook;
    this.#context = context;
    const { method, traceparent, tracestate } = context;
    this.#span = startServiceSpan(method, traceparent, tracestate);
  }

  /** Runs the method within the span. */
  run<T>(body: () => T): T {
    return this.#span ? this.#span.run(body) : body();
  }

  /** Never throws: spans do not, and `notifyHook` guards the hook. */
  end(error: unknown): void {
    const outcome = error === undefined ? "ok" : codeOf(error) ?? "REMOTE";
    this.#span?.end(outcome, error);
    const startedAt = this.#startedAt;
    const duration = now() - startedAt;
    const { method, deliveries: attempts } = this.#context;
    notifyHook(this.#hook, {
      side: "service",
      method,
      outcome,
      error,
      startedAt,
      duration,
      attempts,
    });
  }
}
