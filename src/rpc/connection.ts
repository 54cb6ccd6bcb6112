/**
 * A client of a typed service: its channel, opened when it is needed, and the calls on it.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { endedByClosing, rejectAs } from "../base/closing.ts";
import { laterForSure, now, timerMax } from "../runtime/timers.ts";
import { codeOf, isTandemError } from "../base/guard.ts";
import type { AnswerReader } from "../channel/waiter.ts";
import { ClientCore } from "../channel/client_core.ts";
import { checkTimeout, deadlineAfter, timeoutOf } from "../base/checks.ts";
import type { SendOptions } from "../channel/options.ts";
import { TandemError } from "../errors.ts";
import { CallPromise } from "./call_promise.ts";
import { corrupt } from "../codec/decoder.ts";
import type { Encoder } from "../codec/encoder.ts";
import { ErrorClasses } from "../codec/error_classes.ts";
import { callContext } from "./context.ts";
import { type EncodedMessage, encodeMessage } from "./encoded_message.ts";
import { Endpoint, type Writes } from "./endpoint.ts";
import { tell } from "./hooks.ts";
import { nobodyWaits } from "./host.ts";
import { InStream, type StreamTerms } from "./in_stream.ts";
import {
  endReading,
  hasExtras,
  hasHost,
  isRepeatable as isRepeatableFlag,
  Kind,
  type Reading,
  readMessage,
  readParcel,
  withMessage,
} from "./message.ts";
import { type CallOptions, checkEndOptions, type ConnectOptions, type Limits } from "./options.ts";
import { readAnnouncement } from "./peer.ts";
import { readRefusal, thrownError } from "./replies.ts";
import { isRepeatable, retried } from "./retry.ts";
import { sendMessage } from "./sending.ts";
import { hasTelemetry, type Span, startClientSpan } from "./telemetry.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A channel that is open, and what belongs to it. */
interface Line {
  readonly client: ClientCore;
  readonly endpoint: Endpoint;
}

/** What a connection has open. It does not keep the connection alive. */
interface Held {
  line: Line | null;
}

/** Connections that the program has forgotten: no remote, no call, no stream is left. */
const forgotten: FinalizationRegistry<Held> = new FinalizationRegistry(({ line }) => {
  line?.endpoint.close();
  line?.client.close();
});

/** A channel that calls wait for. */
interface Opening {
  readonly line: Promise<Line>;
  readonly stop: AbortController;
  waiting: number;
}

/** What a call carries beside its arguments. */
interface Extras {
  readonly version: string | undefined;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

type Resolve = (value: unknown) => void;
type Reject = (error: unknown) => void;

/** Of the promise that is being made: an executor of its own for each would be one more object. */
const made: { resolve: Resolve | null; reject: Reject | null } = { resolve: null, reject: null };
const capture = (resolve: Resolve, reject: Reject): void => {
  made.resolve = resolve;
  made.reject = reject;
};

export class Connection {
  readonly #target: string;
  readonly #options: ConnectOptions;
  readonly #errorClasses: ErrorClasses;
  readonly #limits: Limits;
  readonly #held: Held = { line: null };
  #opening: Opening | null = null;
  readonly #closing: AbortController = new AbortController();

  constructor(target: string, options: ConnectOptions) {
    this.#target = target;
    this.#options = options;
    this.#limits = checkEndOptions(options);
    this.#errorClasses = new ErrorClasses(options.errors);
    forgotten.register(this, this.#held);
  }

  /** Calls a method. What is wrong with the options or the arguments rejects. */
  call(method: string, args: readonly unknown[], options: CallOptions): CallPromise<unknown> {
    const needsMore = this.#options.onCall !== undefined || options.idempotent !== undefined ||
      hasTelemetry();
    const promise = new CallPromise<unknown>(capture);
    const resolve = made.resolve!;
    const reject = made.reject!;
    // Or the last promise would stay, and its result with it.
    made.resolve = null;
    made.reject = null;
    if (needsMore) {
      this.#callWithMore(method, args, options).then(
        (result) => promise.settle(resolve, result),
        (error) => rejectAs(promise, reject, error),
      );
      return promise;
    }
    try {
      const timeout = this.#timeoutOf(options);
      const call = new PendingCall(this, method, args, options, timeout, undefined);
      call.promise = promise;
      call.resolve = resolve;
      call.reject = reject;
      this.#start(call);
    } catch (error) {
      reject(error);
    }
    return promise;
  }

  /** With spans, records and further attempts. */
  async #callWithMore(
    method: string,
    args: readonly unknown[],
    options: CallOptions,
  ): Promise<unknown> {
    const { onCall } = this.#options;
    const wasOpen = !this.#closing.signal.aborted;
    const startedAt = now();
    const deadline = deadlineAfter(timeoutOf(options));
    const span = startClientSpan(this.#target, method, options.traceparent);
    let attempts = 0;
    let message: EncodedMessage | null = null;
    const attempt = () => {
      attempts += 1;
      const left = deadline - now();
      const terms = deadline === Infinity ? options : { ...options, timeout: Math.max(0, left) };
      return new Promise<unknown>((resolve, reject) => {
        const call = new PendingCall(this, method, args, terms, this.#timeoutOf(terms), span);
        call.resolve = resolve;
        call.reject = reject;
        call.message = message;
        this.#start(call);
      });
    };
    const end = (outcome: string, error: unknown) => {
      span?.end(outcome, error);
      const duration = now() - startedAt;
      tell(onCall, { side: "client", method, outcome, error, startedAt, duration, attempts });
    };
    try {
      let result: unknown;
      if (isRepeatable(method, options.idempotent)) {
        options.signal?.throwIfAborted();
        // For all attempts: by the second one the arguments may be others.
        message = this.#encode(method, args, options, span);
        const { streams } = message;
        // Streams that the first attempt has begun or ended cannot be sent again.
        const mayRepeat = () => streams.every(({ isFresh }) => isFresh);
        const stops = [this.#closing.signal, ...(options.signal ? [options.signal] : [])];
        result = await retried(attempt, mayRepeat, options.retry ?? {}, deadline, stops);
      } else result = await attempt();
      end("ok", undefined);
      return result;
    } catch (error) {
      message?.drop(nobodyWaits());
      end(outcomeOf(error, options.signal), error);
      const isClosed = isTandemError(error) && error.code === "CLOSED";
      throw wasOpen && isClosed && this.#closing.signal.aborted ? endedByClosing(error) : error;
    }
  }

  /** Sends the call, at once where that is possible; otherwise its arguments are encoded at once. */
  #start(call: PendingCall): void {
    call.options.signal?.throwIfAborted();
    const line = this.#openLine();
    if (line) return this.#send(line, call, call.timeout);
    const { method, args, options, span } = call;
    call.message ??= this.#encode(method, args, options, span);
    this.#sendLater(call);
  }

  /** Milliseconds, the rest of the deadline of the call that is being worked on included. */
  #timeoutOf({ timeout, inheritDeadline }: CallOptions): number {
    const own = timeout === undefined ? Infinity : checkTimeout(timeout, "timeout");
    const milliseconds = Number.isNaN(own) ? Infinity : own;
    if (inheritDeadline === false) return milliseconds;
    const context = callContext();
    return context ? Math.max(0, Math.min(milliseconds, context.timeRemaining)) : milliseconds;
  }

  /** For a channel that is not there yet, or for more than one attempt. */
  #encode(
    method: string,
    args: readonly unknown[],
    options: CallOptions,
    span: Span | undefined,
  ): EncodedMessage {
    const extras = this.#extras(options, span);
    const flags = callFlags(method, options, extras);
    const write = (encoder: Encoder) => writeCall(encoder, method, args, extras);
    return encodeMessage(this.#errorClasses, this.#limits, Kind.call, flags, write);
  }

  #send(line: Line, call: PendingCall, timeout: number): void {
    try {
      this.#write(line, call, timeout);
    } catch (error) {
      // The channel was unlinked, and nothing was sent: it may be there again.
      const message = call.writes?.withdrawn;
      if (!message) {
        call.drop();
        throw error;
      }
      call.message = message;
      this.#hangUp(line);
      this.#sendLater(call);
    }
  }

  #write({ client, endpoint }: Line, call: PendingCall, timeout: number): void {
    const { method, args, options, span, message } = call;
    const extras = message ? null : this.#extras(options, span);
    const flags = message ? message.flags : callFlags(method, options, extras);
    const writes = endpoint.writes("call");
    call.begin(endpoint, writes);
    withMessage(
      writes,
      Kind.call,
      flags,
      client.maxRequestBytes,
      (encoder) => {
        if (message) writes.resume(encoder, message);
        else writeCall(encoder, method, args, extras);
      },
      (encoder) => {
        // What was lent cannot be lent to another service.
        const terms = sendOptions(timeout, options, writes.hasStreams);
        try {
          sendMessage(client, encoder, terms, call, false);
        } catch (error) {
          writes.failed(encoder, flags, error);
          throw error;
        }
      },
    );
    // Sent, it is told by `writes` what becomes of its streams.
    call.message = null;
  }

  #extras({ traceparent }: CallOptions, span: Span | undefined): Extras | null {
    const { version } = this.#options;
    if (version === undefined && traceparent === undefined && !span) return null;
    return {
      version,
      traceparent: span?.traceparent ?? traceparent,
      tracestate: span?.tracestate,
    };
  }

  /** Null: there is no channel yet. */
  #openLine(): Line | null {
    // Closed, it has none.
    if (this.#held.line) return this.#held.line;
    if (this.#closing.signal.aborted) throw this.#closed();
    try {
      return this.#take(ClientCore.open(this.#target));
    } catch (error) {
      if (error instanceof TandemError && error.code === "NOT_FOUND") return null;
      throw error;
    }
  }

  #take(client: ClientCore): Line {
    client.watchServersOnly();
    const endpoint = new Endpoint(client, this.#errorClasses, this.#limits, "generator");
    return this.#held.line = { client, endpoint };
  }

  #hangUp(line: Line): void {
    if (this.#held.line !== line) return;
    this.#held.line = null;
    line.endpoint.close();
    line.client.close();
  }

  /** As soon as there is a channel. */
  #sendLater(call: PendingCall): void {
    const { deadline, options } = call;
    this.#whenOpen(deadline, options.signal).then((line) => {
      this.#send(line, call, Math.max(0, deadline - now()));
    }).catch((error) => call.fail(error));
  }

  /** All calls wait for one opening, each as long as it may. */
  async #whenOpen(deadline: number, signal: AbortSignal | undefined): Promise<Line> {
    if (this.#closing.signal.aborted) throw endedByClosing(this.#closed());
    if (this.#held.line) return this.#held.line;
    const opening = this.#opening ??= this.#open();
    opening.waiting += 1;
    const over = Promise.withResolvers<never>();
    // Longer than a timer can count is for ever here.
    const left = Math.min(Math.max(0, deadline - now()), timerMax);
    const stopTimer = laterForSure(left, () => over.reject(this.#nobodyThere()));
    const stopListening = signal && onAbort(signal, () => over.reject(reasonOf(signal)));
    try {
      return await Promise.race([opening.line, over.promise]);
    } finally {
      stopTimer();
      stopListening?.();
      opening.waiting -= 1;
      // Nobody wants it any more, and looking for it would keep the process.
      if (opening.waiting === 0) opening.stop.abort();
      if (opening.waiting === 0 && this.#opening === opening) this.#opening = null;
    }
  }

  #open(): Opening {
    const stop = new AbortController();
    const { signal: closing } = this.#closing;
    const line = ClientCore.connect(this.#target, {
      signal: AbortSignal.any([stop.signal, closing]),
    })
      .then((client) => {
        if (!closing.aborted && !this.#held.line) return this.#take(client);
        client.close();
        if (this.#held.line) return this.#held.line;
        throw endedByClosing(this.#closed());
      }, (error) => {
        throw closing.aborted ? endedByClosing(this.#closed()) : error;
      });
    // All that still wait are told.
    line.catch(() => {});
    return { line, stop, waiting: 0 };
  }

  #nobodyThere(): TandemError {
    return new TandemError(
      "TIMEOUT",
      `Cannot call a method of ${JSON.stringify(this.#target)}: nobody made the channel in time; ` +
        "is its service running, with the same TANDEM_DIR and user?",
    );
  }

  #closed(): TandemError {
    return new TandemError(
      "CLOSED",
      `Cannot call a method of ${JSON.stringify(this.#target)}: the connection is closed; ` +
        "make another one",
    );
  }

  /** What ended a call, in words that fit: the channel may be closed where the connection is not. */
  explain(error: unknown): unknown {
    const isClosed = isTandemError(error) && error.code === "CLOSED";
    if (!isClosed || this.#closing.signal.aborted) return error;
    return new TandemError(
      "CANCELLED",
      `The call of a method of ${
        JSON.stringify(this.#target)
      } was ended: its channel was removed ` +
        "and made anew; make the call again",
    );
  }

  /** Calls in flight are cancelled, and streams end. Twice is fine. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    if (this.#held.line) this.#hangUp(this.#held.line);
  }
}

function writeCall(
  encoder: Encoder,
  method: string,
  args: readonly unknown[],
  extras: Extras | null,
): void {
  if (extras) {
    encoder.list("extras", [extras.version, extras.traceparent, extras.tracestate]);
  }
  encoder.text(method);
  encoder.list("arguments", args);
}

/** Whether the call may be handed on is said where it is known; the service may know better. */
function callFlags(method: string, { idempotent }: CallOptions, extras: Extras | null): number {
  const flags = extras ? hasExtras : 0;
  return isRepeatable(method, idempotent) ? flags | isRepeatableFlag : flags;
}

function sendOptions(
  timeout: number,
  options: CallOptions,
  isOnce: boolean,
): SendOptions | undefined {
  const { signal } = options;
  const maxDeliveries = isOnce ? 1 : options.maxDeliveries;
  if (timeout === Infinity && !signal && maxDeliveries === undefined) return undefined;
  return {
    timeout,
    ...(signal && { signal }),
    ...(maxDeliveries !== undefined && { maxDeliveries }),
  };
}

/** For records and spans. */
function outcomeOf(error: unknown, signal: AbortSignal | undefined): string {
  if (signal?.aborted && error === reasonOf(signal)) return "ABORTED";
  // An error of a registered class was thrown by the method as well.
  return codeOf(error) ?? "REMOTE";
}

const nothing = (): void => {};

/** A call that waits for its answer. */
class PendingCall implements AnswerReader {
  /** Which must not be collected meanwhile. */
  readonly owner: Connection;
  readonly method: string;
  readonly args: readonly unknown[];
  readonly options: CallOptions;
  readonly span: Span | undefined;
  readonly timeout: number;
  readonly startedAt: number;
  endpoint: Endpoint | null;
  writes: Writes | null;
  /** Its arguments, where they had to be encoded before it was sent. */
  message: EncodedMessage | null;
  /** What the caller has; null where something else waits for the outcome. */
  promise: CallPromise<unknown> | null;
  resolve: Resolve;
  reject: Reject;

  constructor(
    owner: Connection,
    method: string,
    args: readonly unknown[],
    options: CallOptions,
    timeout: number,
    span: Span | undefined,
  ) {
    this.owner = owner;
    this.method = method;
    this.args = args;
    this.options = options;
    this.span = span;
    this.timeout = timeout;
    this.startedAt = timeout === Infinity ? 0 : now();
    this.endpoint = null;
    this.writes = null;
    this.message = null;
    this.promise = null;
    this.resolve = nothing;
    this.reject = nothing;
  }

  get deadline(): number {
    return this.startedAt + this.timeout;
  }

  /** It is about to be sent. */
  begin(endpoint: Endpoint, writes: Writes): void {
    this.endpoint = endpoint;
    this.writes = writes;
  }

  /** What was sent with it goes with it. */
  drop(): void {
    this.writes?.drop(nobodyWaits());
    this.writes = null;
    this.message?.drop(nobodyWaits());
    this.message = null;
  }

  read(bytes: Bytes, isPrivate: boolean): void {
    this.#settle(bytes, isPrivate, null);
  }

  fail(error: unknown): void {
    this.drop();
    rejectAs(this.promise, this.reject, this.owner.explain(error));
  }

  /** @param blobs of a parcel: its byte strings, which came one by one */
  #settle(message: Bytes, isPrivate: boolean, blobs: readonly Bytes[] | null): void {
    const { reads } = this.endpoint!;
    try {
      const reading = blobs
        ? readParcel(reads, message, blobs)
        : readMessage(reads, message, isPrivate);
      if (reading.kind === Kind.parcel) return this.#fetch(reading);
      const result = this.#result(reading);
      this.#finish(result);
      if (this.promise) this.promise.settle(this.resolve, result);
      else this.resolve(result);
    } catch (error) {
      this.fail(error);
    } finally {
      reads.forget();
      endReading();
    }
  }

  /** Streams that were sent end with the call, or with the stream that it has answered with. */
  #finish(result: unknown): void {
    this.message = null;
    if (this.writes === null || this.writes.isPlain) return;
    if (!(result instanceof InStream)) return this.drop();
    const writes = this.writes;
    result.onEnd = () => writes.drop(nobodyWaits());
    this.writes = null;
  }

  #result(reading: Reading): unknown {
    const { kind, flags, decoder } = reading;
    const { reads } = this.endpoint!;
    const { timeout, signal } = this.options;
    const terms: StreamTerms | undefined = flags & hasHost
      ? { timeout, signal, owner: this.owner }
      : undefined;
    switch (kind) {
      case Kind.value: {
        const value = decoder.value();
        reads.finish(reading, terms);
        return value;
      }
      case Kind.thrown: {
        const thrown = decoder.thrown();
        reads.finish(reading, terms);
        throw thrownError(thrown, reads.errorClasses);
      }
      case Kind.refused:
        throw readRefusal(decoder);
    }
    throw corrupt(`an answer has kind ${kind}`);
  }

  #fetch(reading: Reading): void {
    const endpoint = this.endpoint!;
    const announcement = readAnnouncement(reading);
    const left = this.deadline - now();
    const options = sendOptions(Math.max(0, left), this.options, false) ?? {};
    endpoint.fetch(announcement, options).then(
      ({ tree, blobs }) => this.#settle(tree, true, blobs),
      (error) => this.fail(error),
    );
  }
}
