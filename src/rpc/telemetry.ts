/**
 * Spans of OpenTelemetry, where a program has set it up, and W3C trace context.
 *
 * `@opentelemetry/api` keeps what is registered under a symbol of the global registry, and so does
 * Deno's built-in exporter: it is found there, and nothing is imported. Without it nothing here does
 * anything.
 *
 * @module
 */

/** A span of this call. */
export interface Span {
  readonly traceparent: string;
  readonly tracestate: string | undefined;
  /** @param outcome `"ok"`, or what else became of the call */
  end(outcome: string, error: unknown): void;
  /** Runs `body` with this span as the active one. */
  run<T>(body: () => T): T;
}

// The parts of the API that are used; its types are a package of their own.
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
/** Where contexts have their span. */
const spanKey = Symbol.for("OpenTelemetry Context Key SPAN");
const spanKinds = { service: 1, client: 2 } as const;
const statusError = 2;

function api(): Api | undefined {
  return (globalThis as { [apiKey]?: Api })[apiKey];
}

/** Whether somebody records spans. */
export function hasTelemetry(): boolean {
  return api()?.trace !== undefined;
}

/** What contexts are where nobody manages them. */
class PlainContext implements Context {
  readonly #values: ReadonlyMap<symbol, unknown>;

  constructor(values: ReadonlyMap<symbol, unknown> = new Map()) {
    this.#values = values;
  }

  getValue(key: symbol): unknown {
    return this.#values.get(key);
  }

  setValue(key: symbol, value: unknown): Context {
    return new PlainContext(new Map(this.#values).set(key, value));
  }

  deleteValue(key: symbol): Context {
    const values = new Map(this.#values);
    values.delete(key);
    return new PlainContext(values);
  }
}

const noContext: Context = new PlainContext();

/** A span in another process: all that is known of it is where it is. */
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

/** Begins the span of a call that this process makes; undefined: nobody records. */
export function startClientSpan(
  target: string,
  method: string,
  traceparent: string | undefined,
): Span | undefined {
  const found = api();
  if (!found?.trace) return undefined;
  const active = found.context?.active() ?? noContext;
  const parent = traceparent === undefined ? active : withRemote(active, traceparent, undefined);
  return startSpan(found, "client", parent, method, { "server.address": target });
}

/** Begins the span of a call that this process works on; undefined: nobody records. */
export function startServiceSpan(
  method: string,
  traceparent: string | undefined,
  tracestate: string | undefined,
): Span | undefined {
  const found = api();
  if (!found?.trace) return undefined;
  const active = found.context?.active() ?? noContext;
  const parent = traceparent === undefined ? active : withRemote(active, traceparent, tracestate);
  return startSpan(found, "service", parent, method, {});
}

function startSpan(
  found: Api,
  side: "client" | "service",
  parent: Context,
  method: string,
  attributes: Record<string, string>,
): Span {
  const name = method === "" ? "(function)" : method;
  const span = found.trace!.getTracer("@tandem/ipc").startSpan(name, {
    kind: spanKinds[side],
    attributes: { "rpc.system": "tandem", "rpc.method": name, ...attributes },
  }, parent);
  const context = parent.setValue(spanKey, span);
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  return {
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`,
    tracestate: traceState?.serialize(),
    end: (outcome, error) => {
      if (outcome !== "ok") {
        span.setAttribute("error.type", outcome);
        if (error !== undefined) span.recordException(error);
        span.setStatus({ code: statusError, message: outcome });
      }
      span.end();
    },
    run: (body) => found.context ? found.context.with(context, body) : body(),
  };
}

const traceparentForm = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/;

/** The context with a span of another process in it; as it is where that makes no sense. */
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

/** Handed on as it came. */
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
