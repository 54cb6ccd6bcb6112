/**
 * Spans of OpenTelemetry, if the program has set it up, and W3C trace context.
 *
 * `@opentelemetry/api` and Deno's built-in exporter register themselves under a global symbol, so this
 * file finds them there and imports nothing. Without a registered API it does nothing.
 *
 * @module
 */

import { report } from "../base/guard.ts";

/** A span of this call. */
export interface Span {
  readonly traceparent: string;
  readonly tracestate: string | undefined;
  /** @param outcome as in {@linkcode CallRecord.outcome} */
  end(outcome: string, error: unknown): void;
  /** Runs `body` with this span as the active one. */
  run<T>(body: () => T): T;
}

// The parts of the API that this file uses; its own types would need another package.
interface SpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  readonly isRemote?: boolean;
  readonly traceState?: { serialize(): string };
}

interface ApiSpan {
  spanContext(): SpanContext;
  setStatus(status: { code: number; message?: string }): unknown;
  setAttribute(name: string, value: string | number): unknown;
  recordException(error: unknown): void;
  end(): void;
}

interface Context {
  getValue(key: symbol): unknown;
  setValue(key: symbol, value: unknown): Context;
  deleteValue(key: symbol): Context;
}

interface Api {
  readonly trace?: {
    getTracer(name: string): {
      startSpan(name: string, options: object, context: Context): ApiSpan;
    };
  };
  readonly context?: {
    active(): Context;
    with<T>(context: Context, body: () => T): T;
  };
}

const apiKey = Symbol.for("opentelemetry.js.api.1");
/** The key of the span in a context. */
const spanKey = Symbol.for("OpenTelemetry Context Key SPAN");
const spanKinds = { service: 1, client: 2 } as const;
const statusError = 2;

function api(): Api | undefined {
  return (globalThis as { [apiKey]?: Api })[apiKey];
}

/** Whether a tracer records spans. Never throws. */
export function hasTelemetry(): boolean {
  try {
    return api()?.trace !== undefined;
  } catch {
    return false;
  }
}

/** A context for programs without a context manager. */
class UnmanagedContext implements Context {
  readonly #values: ReadonlyMap<symbol, unknown>;

  constructor(values: ReadonlyMap<symbol, unknown> = new Map()) {
    this.#values = values;
  }

  getValue(key: symbol): unknown {
    return this.#values.get(key);
  }

  setValue(key: symbol, value: unknown): Context {
    return new UnmanagedContext(new Map(this.#values).set(key, value));
  }

  deleteValue(key: symbol): Context {
    const values = new Map(this.#values);
    values.delete(key);
    return new UnmanagedContext(values);
  }
}

const noContext: Context = new UnmanagedContext();

/** A span in another process, of which only the ids are known. */
class RemoteSpan implements ApiSpan {
  readonly #context: SpanContext;

  constructor(context: SpanContext) {
    this.#context = context;
  }

  spanContext(): SpanContext {
    return this.#context;
  }

  isRecording(): boolean {
    return false;
  }

  setStatus(): this {
    return this;
  }

  setAttribute(): this {
    return this;
  }

  setAttributes(): this {
    return this;
  }

  addEvent(): this {
    return this;
  }

  addLink(): this {
    return this;
  }

  addLinks(): this {
    return this;
  }

  updateName(): this {
    return this;
  }

  recordException(): void {}

  end(): void {}
}

/**
 * Begins the span of a call that this process makes; undefined: no tracer records, or the tracer fails.
 * Never throws.
 */
export function startClientSpan(
  target: string,
  method: string,
  traceparent: string | undefined,
): Span | undefined {
  return startSpan("client", method, traceparent, undefined, { "server.address": target });
}

/**
 * Begins the span of a call that this process handles; undefined: no tracer records, or the tracer fails.
 * Never throws.
 */
export function startServiceSpan(
  method: string,
  traceparent: string | undefined,
  tracestate: string | undefined,
): Span | undefined {
  return startSpan("service", method, traceparent, tracestate, {});
}

function startSpan(
  side: "client" | "service",
  method: string,
  traceparent: string | undefined,
  tracestate: string | undefined,
  attributes: Record<string, string>,
): Span | undefined {
  return attempt(() => {
    const found = api();
    if (!found?.trace) return undefined;
    const active = found.context?.active() ?? noContext;
    const parent = traceparent === undefined ? active : withRemote(active, traceparent, tracestate);
    return new RecordedSpan(found, side, parent, method, attributes);
  });
}

/** A tracer is user code: its errors are reported once, and the call goes on without a span. */
function attempt<T>(body: () => T): T | undefined {
  try {
    return body();
  } catch (error) {
    report(RecordedSpan, "the OpenTelemetry tracer", error);
    return undefined;
  }
}

/** A span of a tracer that may fail at each step. */
class RecordedSpan implements Span {
  readonly traceparent: string;
  readonly tracestate: string | undefined;
  readonly #found: Api;
  readonly #span: ApiSpan;
  readonly #context: Context;

  constructor(
    found: Api,
    side: "client" | "service",
    parent: Context,
    method: string,
    attributes: Record<string, string>,
  ) {
    const name = method === "" ? "(function)" : method;
    this.#found = found;
    this.#span = found.trace!.getTracer("@tandem/ipc").startSpan(name, {
      kind: spanKinds[side],
      attributes: { "rpc.system": "tandem", "rpc.method": name, ...attributes },
    }, parent);
    this.#context = parent.setValue(spanKey, this.#span);
    const { traceId, spanId, traceFlags, traceState } = this.#span.spanContext();
    this.traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
    this.tracestate = traceState?.serialize();
  }

  end(outcome: string, error: unknown): void {
    if (outcome !== "ok") {
      attempt(() => this.#span.setAttribute("error.type", outcome));
      if (error !== undefined) attempt(() => this.#span.recordException(error));
      attempt(() => this.#span.setStatus({ code: statusError, message: outcome }));
    }
    attempt(() => this.#span.end());
  }

  /** Runs `body` exactly once, even if the context manager fails or runs it twice. */
  run<T>(body: () => T): T {
    let ended: { readonly value: T } | { readonly error: unknown } | null = null;
    const once = (): void => {
      if (ended) return;
      try {
        ended = { value: body() };
      } catch (error) {
        ended = { error };
      }
    };
    attempt(() => this.#found.context?.with(this.#context, once));
    if (!ended) once();
    const result = ended! as { readonly value: T } | { readonly error: unknown };
    if ("error" in result) throw result.error;
    return result.value;
  }
}

const traceparentForm = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/;

/** The context with a span of another process in it; unchanged if `traceparent` is invalid. */
function withRemote(
  context: Context,
  traceparent: string,
  tracestate: string | undefined,
): Context {
  const [, traceId, spanId, flags] = traceparentForm.exec(traceparent) ?? [];
  if (!traceId || !spanId || !flags || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return context;
  return context.setValue(
    spanKey,
    new RemoteSpan({
      traceId,
      spanId,
      traceFlags: parseInt(flags, 16),
      isRemote: true,
      ...(tracestate && { traceState: new TraceState(tracestate) }),
    }),
  );
}

/** A `tracestate` that is passed on as it came. */
class TraceState {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  serialize(): string {
    return this.#text;
  }

  get(key: string): string | undefined {
    const entry = this.#text.split(",").find((entry) => entry.trim().startsWith(`${key}=`));
    return entry?.slice(entry.indexOf("=") + 1).trim();
  }

  set(key: string, value: string): TraceState {
    const rest = this.unset(key).serialize();
    return new TraceState(rest === "" ? `${key}=${value}` : `${key}=${value},${rest}`);
  }

  unset(key: string): TraceState {
    const entries = this.#text.split(",").filter((entry) => !entry.trim().startsWith(`${key}=`));
    return new TraceState(entries.join(","));
  }
}
