/**
 * The side that offers methods.
 *
 * @module
 */
import { codeOf, isTandemError, isThenable, textOf } from "../base/guard.ts";
import { replacedGrace } from "../channel/reload.ts";
import type { RequestCore } from "../channel/request_core.ts";
import { later, laterForSure, now, timerMax } from "../runtime/timers.ts";
import { captureContext } from "../runtime/context.ts";
import { type Admission, Gate } from "../base/gate.ts";
import { ServerCore } from "../channel/server_core.ts";
import type { Stats } from "../channel/stats.ts";
import { onAbort } from "../base/abort.ts";
import { checkTimeout, checkWhole } from "../base/checks.ts";
import { TandemError } from "../errors.ts";
import { corrupt } from "../codec/decoder.ts";
import { type Encoder, UserCodeError } from "../codec/encoder.ts";
import { ErrorClasses } from "../codec/error_classes.ts";
import { prepareContexts, RequestContext, runInContext } from "./context.ts";
import { Endpoint } from "./endpoint.ts";
import { type CallRecord, tell } from "./hooks.ts";
import { nobodyWaits } from "./host.ts";
import type { StreamTerms } from "./in_stream.ts";
import { type Offered, offeredMethods } from "./interface.ts";
import {
  endReading,
  hasExtras,
  hasHost,
  isRepeatable as isRepeatableFlag,
  Kind,
  type Reading,
  readInPlace,
  readMessage,
  readParcel,
  withMessage,
} from "./message.ts";
import {
  channelOptions,
  checkEndOptions,
  checkIdempotent,
  type CloseOptions,
  type Limits,
  type ServiceOptions,
} from "./options.ts";
import { type Announcement, type Parcel, readAnnouncement } from "./peer.ts";
import { refuse, replyMessage } from "./replies.ts";
import { isRepeatable } from "./retry.ts";
import { hasTelemetry, type Span, startServiceSpan } from "./telemetry.ts";

/**
 * How long a service that is closed waits for calls that are still being fetched, in milliseconds:
 * their senders may be stopped. Then they go to another service, as calls do whose service has died.
 */
const fetchGrace = 2_000;

/**
 * How long a stream that was lent goes on when its call has ended, in milliseconds. When the caller has
 * died, its streams say so themselves by then, which tells more than that the call is over.
 */
const lentGrace = 100;

/** A call that has been read. */
interface Called {
  readonly method: Offered;
  readonly args: unknown[];
  readonly context: RequestContext;
  /** It may be run again by another service when this one dies. */
  readonly isRepeatable: boolean;
}

/**
 * A running service: what {@linkcode serve} returns. It keeps its process alive until it is closed.
 *
 * @example
 * ```ts
 * import { connect, serve } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const service = serve("greeter", (name: string) => `Hello, ${name}!`);
 * using greet = connect<(name: string) => string>("greeter", { timeout: 1_000 });
 * assertEquals(await greet("you"), "Hello, you!");
 *
 * service.unlink();
 * await service.close();
 * await service.finished;
 * ```
 */
export class Service implements AsyncDisposable {
  /**
   * Resolves when the service is closed and its calls have ended; rejects when its channel is
   * damaged, and with `NOT_FOUND` when others have unlinked it or removed its file: serve it again then.
   */
  readonly finished: Promise<void>;
  readonly #server: ServerCore;
  readonly #endpoint: Endpoint;
  readonly #methods: ReadonlyMap<string, Offered>;
  readonly #version: string | undefined;
  readonly #onCall: ((call: CallRecord) => void) | undefined;
  readonly #idempotent: boolean | readonly string[] | undefined;
  readonly #gate: Gate;
  readonly #stopping: AbortController = new AbortController();
  /** Of the calls that are being fetched. */
  readonly #fetches: Set<AbortController> = new Set();

  /** @ignore Made by {@linkcode serve}. */
  constructor(
    server: ServerCore,
    methods: ReadonlyMap<string, Offered>,
    options: ServiceOptions,
    limits: Limits,
    errorClasses: ErrorClasses,
  ) {
    const { version, onCall, concurrency = server.slots } = options;
    this.#server = server;
    this.#methods = methods;
    this.#version = version;
    this.#onCall = onCall;
    this.#idempotent = options.idempotent;
    this.#gate = new Gate(concurrency);
    this.#endpoint = new Endpoint(server, errorClasses, limits, "readable");
    prepareContexts();
    server.onReplaced = () => void this.close({ timeout: replacedGrace });
    this.finished = this.#run();
    // Who asks is told; nobody has to.
    this.finished.catch(() => {});
  }

  /** The path of the channel's file. */
  get path(): string {
    return this.#server.path ?? "";
  }

  /**
   * Numbers about the channel.
   *
   * @throws {TandemError} `CLOSED`
   */
  stats(): Stats {
    return this.#server.stats();
  }

  /**
   * Removes the channel's name, as {@linkcode Server.unlink} does: for when the last service goes. This
   * service gets no calls any more, and goes on until it is closed; others on the channel end.
   *
   * @returns false: somebody removed it already
   */
  unlink(): boolean {
    return this.#server.unlink();
  }

  /**
   * Takes no further calls, lets those in progress end, ends the streams that clients still read, and
   * leaves the channel. Twice is fine, also with another `timeout`.
   *
   * @example A method that hangs does not keep the service open
   * ```ts
   * import { connect, serve, TandemError } from "@tandem/ipc";
   * import { assertEquals, assertRejects } from "@std/assert";
   *
   * const api = { hang: (): Promise<void> => new Promise(() => {}), ping: () => "pong" };
   * const service = serve("hanging", api);
   * using remote = connect<typeof api>("hanging", { timeout: 5_000 });
   * const hanging = assertRejects(() => remote.hang(), TandemError);
   * assertEquals(await remote.ping(), "pong");
   *
   * service.unlink();
   * await service.close({ timeout: 10 });
   * await hanging;
   * ```
   *
   * @param options `timeout`: how long calls in progress may take to end, in milliseconds; default:
   * Infinity. What is left then ends `SERVER_DIED` for its caller, as if this process had died, or goes to
   * another service if its method may run again; the signals of its handlers abort
   * @throws {TypeError} {RangeError} for a negative or NaN `timeout`
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const timeout = checkTimeout(options.timeout ?? Infinity, "timeout");
    this.#stopping.abort();
    // NaN is for ever.
    const cancelEnd = Number.isNaN(timeout)
      ? () => {}
      : laterForSure(Math.min(timeout, timerMax), () => this.#end());
    const cancelTimer = laterForSure(fetchGrace, () => {
      for (const fetching of this.#fetches) fetching.abort(givenUp);
    });
    await this.finished.catch(() => {});
    cancelTimer();
    cancelEnd();
  }

  /** Leaves the channel, whatever is in progress. */
  #end(): void {
    this.#endpoint.close();
    this.#server.close();
    this.#gate.wake();
  }

  /** Does what {@linkcode close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    // Each call starts from the context of `serve`, whatever the one before it has changed.
    const run = captureContext();
    const handle = (request: RequestCore) => this.#handle(request);
    const take = (request: RequestCore) => run(handle, request);
    try {
      await this.#server.serveThrough(this.#gate, take, this.#stopping.signal);
    } finally {
      this.#end();
    }
  }

  /** Never throws. */
  #handle(request: RequestCore): void {
    const { reads } = this.#endpoint;
    try {
      let called: Called;
      try {
        const reading = readMessage(reads, request.bytes, false);
        if (reading.kind === Kind.parcel) {
          return void this.#fetch(request, readAnnouncement(reading));
        }
        called = this.#read(request, reading);
      } finally {
        reads.forget();
        endReading();
      }
      this.#call(request, called, null);
    } catch (error) {
      this.#refuse(request, error);
    }
  }

  /** @throws {TandemError} for what cannot be called */
  #read(request: RequestCore, reading: Reading): Called {
    const { kind, flags, decoder } = reading;
    if (kind !== Kind.call) throw corrupt(`a service takes no message of kind ${kind}`);
    const [version, traceparent, tracestate] = flags & hasExtras
      ? decoder.list().map(textOrNone)
      : [];
    if (version !== undefined && this.#version !== undefined && version !== this.#version) {
      throw this.#otherVersion(version);
    }
    const name = decoder.text();
    const method = this.#methods.get(name);
    if (!method) throw this.#unknownMethod(name);
    if (method.isRaw) readInPlace(reading);
    const args = decoder.list();
    const context = new RequestContext(name, request, traceparent, tracestate);
    const terms = flags & hasHost ? new LentTerms(request) : undefined;
    this.#endpoint.reads.finish(reading, terms);
    const isDeclared = (flags & isRepeatableFlag) !== 0;
    return {
      method,
      args,
      context,
      isRepeatable: isDeclared || isRepeatable(name, this.#idempotent),
    };
  }

  #otherVersion(found: string): TandemError {
    return new TandemError(
      "MISMATCH",
      `Cannot call a method: the caller has version ${JSON.stringify(found)} of the interface, ` +
        `this service has ${JSON.stringify(this.#version)}; let both sides run the same version`,
    );
  }

  #unknownMethod(name: string): TandemError {
    const names = [...this.#methods.keys()].filter((name) => name !== "");
    const offered = names.length === 0
      ? "the service is a bare function"
      : `there are ${names.join(", ")}`;
    return new TandemError(
      "UNKNOWN_METHOD",
      `Cannot call ${name === "" ? "the service itself" : JSON.stringify(name)}: ` +
        `it is not offered; ${offered}`,
    );
  }

  /**
   * A call that is too long for the channel. It takes a place when all of it is there: until then it
   * is up to the sender, which may be stopped, and no other call waits for that. Never rejects.
   */
  async #fetch(request: RequestCore, announcement: Announcement): Promise<void> {
    const visit = this.#gate.enterLobby();
    const fetching = new AbortController();
    this.#fetches.add(fetching);
    let stopListening: (() => void) | null = null;
    let place: Admission | null = null;
    try {
      const { signal: ended, timeRemaining: timeout } = request;
      const stop = () => fetching.abort(ended.reason);
      if (ended.aborted) stop();
      else stopListening = onAbort(ended, stop);
      const { signal } = fetching;
      const parcel = await this.#endpoint.fetch(announcement, { timeout, signal });
      place = await this.#gate.admission();
      signal.throwIfAborted();
      this.#call(request, this.#readFetched(request, parcel), place);
    } catch (error) {
      place?.leave();
      // Given up, it is left to the next service.
      if (error !== givenUp) this.#refuse(request, error);
    } finally {
      stopListening?.();
      this.#fetches.delete(fetching);
      visit.leave();
    }
  }

  #readFetched(request: RequestCore, { tree, blobs }: Parcel): Called {
    const { reads } = this.#endpoint;
    try {
      return this.#read(request, readParcel(reads, tree, blobs));
    } finally {
      reads.forget();
      endReading();
    }
  }

  /** @param place that it has already, and which is left when it ends; null: it takes one if it needs one */
  #call(
    request: RequestCore,
    { method, args, context, isRepeatable }: Called,
    place: Admission | null,
  ): void {
    // What has been begun twice may have been done twice.
    if (!isRepeatable) request.lastDelivery();
    let record: Recorder | undefined;
    if (this.#onCall || hasTelemetry()) record = new Recorder(this.#onCall, context);
    const body = (): unknown => Reflect.apply(method.call, method.self, args);
    const start = (): unknown => runInContext(context, body);
    let result: unknown;
    try {
      result = record ? record.run(start) : start();
      if (isThenable(result)) {
        return void this.#finish(request, context, result, record, place ?? this.#gate.enter());
      }
    } catch (error) {
      this.#throw(request, context, error, record);
      return place?.leave();
    }
    this.#answer(request, context, result, record);
    place?.leave();
  }

  /** Waits for what a method has promised. Never rejects. */
  async #finish(
    request: RequestCore,
    context: RequestContext,
    result: PromiseLike<unknown>,
    record: Recorder | undefined,
    place: Admission,
  ): Promise<void> {
    try {
      const value = await result;
      this.#answer(request, context, value, record);
    } catch (error) {
      this.#throw(request, context, error, record);
    } finally {
      place.leave();
    }
  }

  #answer(
    request: RequestCore,
    context: RequestContext,
    result: unknown,
    record: Recorder | undefined,
  ): void {
    const error = this.#reply(request, context, Kind.value, (encoder) => encoder.result(result));
    // A getter of the result that throws is as good as the method.
    if (error instanceof UserCodeError) return this.#throw(request, context, error.thrown, record);
    if (error !== undefined) this.#refuse(request, error);
    record?.end(error);
  }

  #throw(
    request: RequestCore,
    context: RequestContext,
    error: unknown,
    record: Recorder | undefined,
  ): void {
    // What was refused on purpose, by a schema for one, is no failure of the method.
    const isRefusal = codeOf(error) === "INVALID_ARGUMENTS";
    if (isRefusal) this.#refuse(request, error);
    else {
      let failed = this.#reply(request, context, Kind.thrown, (encoder) => encoder.thrown(error));
      if (failed !== undefined && !isTandemError(failed)) {
        // What was thrown cannot be looked at; that is all there is to tell.
        const shown = new Error(textOf(error));
        failed = this.#reply(request, context, Kind.thrown, (encoder) => encoder.thrown(shown));
      }
      if (failed !== undefined) this.#refuse(request, failed);
    }
    record?.end(error ?? new Error("The method threw nothing"));
  }

  /** Undefined: it has been sent, or no caller waits for it. */
  #reply(
    request: RequestCore,
    context: RequestContext,
    kind: number,
    write: (encoder: Encoder) => void,
  ): unknown {
    if (this.#endpoint.isClosed) return undefined;
    const writes = this.#endpoint.writes("receiver", context);
    try {
      const isHeard = withMessage(
        writes,
        kind,
        0,
        this.#server.maxResponseBytes,
        write,
        (encoder) => replyMessage(request, encoder),
      );
      if (!isHeard) writes.drop(nobodyWaits());
      return undefined;
    } catch (error) {
      writes.drop(nobodyWaits());
      return error ?? new Error("Nothing was thrown");
    }
  }

  /** Never throws. */
  #refuse(request: RequestCore, error: unknown): void {
    if (this.#endpoint.isClosed || request.isAnswered) return;
    refuse(request, this.#endpoint, error, this.#server.maxResponseBytes);
  }
}

/** Why a call is not fetched any further. */
const givenUp = new TandemError("CANCELLED", "The service is closed");

/** Of streams that came with a call: they end with it, also where the caller is stopped. */
class LentTerms implements StreamTerms {
  readonly #request: RequestCore;
  #ending: AbortController | null = null;

  constructor(request: RequestCore) {
    this.#request = request;
  }

  get signal(): AbortSignal {
    if (this.#ending) return this.#ending.signal;
    const ending = this.#ending = new AbortController();
    const { signal } = this.#request;
    const end = () => void later(lentGrace, () => ending.abort(signal.reason));
    if (signal.aborted) end();
    else onAbort(signal, end);
    return ending.signal;
  }
}

/** Says how a call went. */
class Recorder {
  readonly #hook: ((call: CallRecord) => void) | undefined;
  readonly #context: RequestContext;
  readonly #startedAt = now();
  readonly #span: Span | undefined;

  constructor(hook: ((call: CallRecord) => void) | undefined, context: RequestContext) {
    this.#hook = hook;
    this.#context = context;
    const { method, traceparent, tracestate } = context;
    this.#span = startServiceSpan(method, traceparent, tracestate);
  }

  run<T>(body: () => T): T {
    return this.#span ? this.#span.run(body) : body();
  }

  /** Never throws: neither does a span, nor what tells the hook. */
  end(error: unknown): void {
    const outcome = error === undefined ? "ok" : codeOf(error) ?? "REMOTE";
    this.#span?.end(outcome, error);
    const startedAt = this.#startedAt;
    const duration = now() - startedAt;
    const { method, deliveries: attempts } = this.#context;
    tell(this.#hook, { side: "service", method, outcome, error, startedAt, duration, attempts });
  }
}

function textOrNone(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/**
 * Offers the methods of an object to every process that can open the channel. Any number of services
 * may be on one channel; each call goes to exactly one of them.
 *
 * Offered are the object's own methods and those of its classes, nothing of `Object.prototype`, no
 * symbols, no getters, and nothing called `then`, `toJSON`, `inspect` or `asymmetricMatch`, which
 * `await`, `JSON.stringify`, printers and matchers look for: such methods are left out. A bare function
 * is an interface of its own. Arguments and results are everything that `structuredClone` takes, except
 * functions, nested up to 1,000 deep; of a view only the bytes that it shows are sent. What cannot be
 * sent, such as a Proxy, a `URL`, a `Temporal` value or a Promise (a call that is under way, for
 * example: await it first), is refused by name and path (`NOT_SERIALIZABLE`); what a getter throws while
 * a result is read reaches the caller as `REMOTE`. Generators, async generators, other async iterables
 * and `ReadableStream`s are streams, as results and as arguments: each item is made when the other side
 * asks for it. An argument
 * that is a stream ends with its call, or with the stream that the call returns.
 *
 * Where a runtime replaces code in the running process (`deno run --watch`, `--watch-hmr`, `bun --hot`),
 * the services of the code before are closed when the new code serves the same target, and in Deno
 * when it first uses this package; their calls in progress have a second to end in Bun.
 *
 * @example
 * ```ts
 * import { connect, RemoteError, serve } from "@tandem/ipc";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * class Counter {
 *   #count = 0;
 *   add(step: number): number {
 *     if (step < 0) throw new RangeError("only upwards", { cause: { step } });
 *     return this.#count += step;
 *   }
 * }
 *
 * await using service = serve("counter", new Counter(), { concurrency: 8 });
 * using counter = connect<Counter>("counter", { timeout: 1_000 });
 * assertEquals(await counter.add(2), 2);
 * const error = await assertRejects(() => counter.add(-1), RemoteError);
 * assertEquals([error.remoteName, error.cause], ["RangeError", { step: -1 }]);
 * service.unlink();
 * ```
 *
 * @typeParam Api the interface, which {@linkcode connect} is given as well
 * @param target as of {@linkcode Server.open}
 * @param api the methods
 * @param options sizes of the channel, `concurrency`, `version`, `errors`, `onCall` and others
 * @throws {TandemError} as {@linkcode Server.open}
 * @throws {TypeError} {RangeError} for wrong options, and for what has no methods
 */
export function serve<Api extends object>(
  target: string,
  api: Api,
  options: ServiceOptions = {},
): Service {
  const limits = checkEndOptions(options);
  checkIdempotent(options.idempotent);
  const methods = offeredMethods(api);
  const errorClasses = new ErrorClasses(options.errors);
  const { concurrency } = options;
  if (concurrency !== undefined) {
    checkWhole(concurrency, "concurrency", 1, Number.MAX_SAFE_INTEGER);
  }
  const server = ServerCore.open(target, channelOptions(options));
  return new Service(server, methods, options, limits, errorClasses);
}
