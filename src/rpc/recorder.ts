/**
 * What a service tells of a call: the record for `onCall`, and a span.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import { now } from "../runtime/timers.ts";
import type { RequestContext } from "./context.ts";
import { type CallHook, tell } from "./hooks.ts";
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

  /** Never throws: a span does not, and `tell` guards the hook. */
  end(error: unknown): void {
    const outcome = error === undefined ? "ok" : codeOf(error) ?? "REMOTE";
    this.#span?.end(outcome, error);
    const startedAt = this.#startedAt;
    const duration = now() - startedAt;
    const { method, deliveries: attempts } = this.#context;
    tell(this.#hook, { side: "service", method, outcome, error, startedAt, duration, attempts });
  }
}
