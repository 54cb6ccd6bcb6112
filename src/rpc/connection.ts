/**
 * The calling end of typed calls: from a method and its arguments to a message, and to its answer.
 *
 * @module
 */
import { endedByClosing } from "../base/closing.ts";
import { reasonOf } from "../base/abort.ts";
import { codeOf } from "../base/guard.ts";
import type { Encoder } from "../codec/encoder.ts";
import { now } from "../runtime/timers.ts";
import { type ConnectTarget, targetName, transportOf } from "../transport/targets.ts";
import type { RequestTerms } from "../transport/transport.ts";
import { whenRead } from "./blob_reading.ts";
import { errorOfCall } from "./call_errors.ts";
import { CallPromise } from "./call_promise.ts";
import { fail } from "./raising.ts";
import { type CallMaker, callThrough } from "./around_client.ts";
import { callContext } from "./context.ts";
import { type EncodedMessage, encodeMessage } from "./encoded_message.ts";
import { notifyHook } from "./hooks.ts";
import { LineKeeper } from "./line.ts";
import type { Line, Lines } from "./lines.ts";
import {
  hasExtras,
  hasMetadata,
  isRepeatable as isRepeatableFlag,
  Kind,
  type OutgoingMessage,
  withMessage,
} from "./message.ts";
import type { Metadata } from "./metadata.ts";
import type { CallTerms, ConnectionTerms } from "./terms.ts";
import { PendingCall } from "./pending_call.ts";
import { answerUnwanted } from "./replies.ts";
import { isRepeatable, retried } from "./retry.ts";
import { hasTelemetry, type Span, startClientSpan } from "./telemetry.ts";

/** Sent with a call, beside its arguments. */
interface Extras {
  readonly version: string | undefined;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

export class Connection implements CallMaker {
  readonly #terms: ConnectionTerms;
  readonly #lines: Lines;

  /**
   * @param lines where the calls go; default: to any service of the target
   * @throws {TandemError} `MISMATCH` for a handle of integers
   */
  constructor(
    target: ConnectTarget,
    terms: ConnectionTerms,
    lines: Lines = keepLines(target, terms),
  ) {
    this.#terms = terms;
    this.#lines = lines;
  }

  get lines(): Lines {
    return this.#lines;
  }

  get terms(): ConnectionTerms {
    return this.#terms;
  }

  /** A connection like this one, whose calls go elsewhere. */
  through(lines: Lines): Connection {
    return new Connection(lines.target, this.#terms, lines);
  }

  get target(): string {
    return this.#lines.target;
  }

  /** Calls a method, through `around` if there is one. */
  call(method: string, args: readonly unknown[], terms: CallTerms): CallPromise<unknown> {
    const { around } = this.#terms;
    if (around === undefined) return this.make(method, args, terms);
    return callThrough(around, this, method, args, terms);
  }

  /** Makes a call. Arguments that cannot be sent make the promise reject. */
  make(method: string, args: readonly unknown[], terms: CallTerms): CallPromise<unknown> {
    const needsMore = this.#terms.onCall !== undefined || terms.idempotent !== undefined ||
      hasTelemetry();
    const opened = CallPromise.open();
    const { promise, resolve } = opened;
    const timeout = timeoutHere(terms);
    if (needsMore) {
      const deadline = now() + timeout;
      this.#callWithMore(method, args, terms, deadline).then(
        (result) => promise.settle(resolve, result, deadline),
        (error) => fail(opened, error),
      );
      return promise;
    }
    const call = new PendingCall(this.#lines, method, args, terms, timeout, undefined);
    call.promise = promise;
    call.resolve = resolve;
    this.#start(call);
    return promise;
  }

  /** With spans, records and further attempts. */
  async #callWithMore(
    method: string,
    args: readonly unknown[],
    terms: CallTerms,
    deadline: number,
  ): Promise<unknown> {
    const { onCall } = this.#terms;
    const { closing } = this.#lines;
    const wasOpen = !closing.aborted;
    const startedAt = now();
    const span = startClientSpan(this.#lines.target, method, terms.traceparent);
    let attempts = 0;
    let message: EncodedMessage | null = null;
    const attempt = () => {
      attempts += 1;
      const left = deadline - now();
      const rest = deadline === Infinity ? terms : { ...terms, timeout: Math.max(0, left) };
      return new Promise<unknown>((resolve, reject) => {
        const call = new PendingCall(this.#lines, method, args, rest, timeoutHere(rest), span);
        call.resolve = resolve;
        call.reject = reject;
        call.message = message;
        this.#start(call);
      });
    };
    const end = (outcome: string, error: unknown) => {
      span?.end(outcome, error);
      const duration = now() - startedAt;
      notifyHook(onCall, { side: "client", method, outcome, error, startedAt, duration, attempts });
    };
    try {
      let result: unknown;
      if (isRepeatable(method, terms.idempotent)) {
        terms.signal?.throwIfAborted();
        // Once for all attempts, because the caller may change its arguments meanwhile.
        message = this.#encodeFor(method, args, terms, span);
        const { lent } = message;
        // Values that the first attempt has used or ended cannot be sent again.
        const mayRepeat = () => lent.every(({ isFresh }) => isFresh);
        const stops = terms.signal ? [closing, terms.signal] : [closing];
        result = await retried(attempt, mayRepeat, terms.retry, deadline, stops);
      } else result = await attempt();
      end("ok", undefined);
      return result;
    } catch (error) {
      message?.drop(answerUnwanted());
      end(outcomeOf(error, terms.signal), error);
      const isClosed = codeOf(error) === "CLOSED" && closing.aborted;
      throw wasOpen && isClosed ? endedByClosing(error as Error) : error;
    }
  }

  /** Begins with the call. Never throws. */
  #start(call: PendingCall): void {
    try {
      this.#sendOrWait(call);
    } catch (error) {
      // Another attempt may send the message.
      if (call.promise === null && call.writes === null) call.message = null;
      call.fail(error);
    }
  }

  /** Sends the call now if there is a target. Otherwise encodes its arguments now, and sends it later. */
  #sendOrWait(call: PendingCall): void {
    const { method, args, terms, span } = call;
    terms.signal?.throwIfAborted();
    // An attempt before this one has begun to read its Blobs.
    if (call.message?.isUnread) return this.#sendLater(call);
    const line = this.#lines.openNow();
    // Where nobody knows whether there is a service, the request finds out.
    const isKnown = !this.#lines.isRemote;
    if (isKnown && !terms.waitsForService && !line?.presence.isServed) {
      throw this.#lines.notServed();
    }
    if (line) return this.#send(line, call, call.timeout);
    call.message ??= this.#encode(method, args, terms, span);
    this.#sendLater(call);
  }

  /** As {@linkcode #encode}; its errors name the call. */
  #encodeFor(
    method: string,
    args: readonly unknown[],
    terms: CallTerms,
    span: Span | undefined,
  ): EncodedMessage {
    try {
      return this.#encode(method, args, terms, span);
    } catch (error) {
      throw errorOfCall(
        error,
        { target: this.target, method, site: terms.site },
        false,
        terms.signal,
      );
    }
  }

  /** For a target that does not exist yet, or for several attempts. */
  #encode(
    method: string,
    args: readonly unknown[],
    terms: CallTerms,
    span: Span | undefined,
  ): EncodedMessage {
    const extras = this.#extras(terms, span);
    const flags = callFlags(method, terms, extras);
    const write = (encoder: Encoder) => writeCall(encoder, method, args, extras, terms.metadata);
    return encodeMessage(this.#terms.errorClasses, this.#terms.limits, Kind.call, flags, write);
  }

  #send(line: Line, call: PendingCall, timeout: number): void {
    try {
      this.#write(line, call, timeout);
    } catch (error) {
      // Nothing was sent. The channel was unlinked, and may be there again; or there are Blobs to read.
      const message = call.writes?.withdrawn;
      if (!message) {
        call.drop();
        throw error;
      }
      call.message = message;
      if (!message.isUnread) {
        this.#lines.hangUp(line);
        if (!call.terms.waitsForService) throw this.#lines.notServed();
      }
      this.#sendLater(call);
    }
  }

  #write(line: Line, call: PendingCall, timeout: number): void {
    const { requester, endpoint } = line;
    const { method, args, terms, span, message } = call;
    const extras = message ? null : this.#extras(terms, span);
    const flags = message ? message.flags : callFlags(method, terms, extras);
    const writes = endpoint.writes("call");
    call.begin(line, writes);
    const write = (encoder: Encoder) => {
      if (message) writes.resume(encoder, message);
      else writeCall(encoder, method, args, extras, terms.metadata);
    };
    const send = (outgoing: OutgoingMessage) => {
      // Lending takes time: the first value opens a channel.
      const left = writes.hasEntries ? Math.max(0, call.deadline - now()) : timeout;
      try {
        requester.request(outgoing, requestTerms(call, left, writes.hasLent), call);
      } catch (error) {
        writes.failed(outgoing.encoder, flags, error);
        throw error;
      }
    };
    withMessage(writes, Kind.call, flags, requester.maxRequestBytes, write, send);
    // From now on `writes` ends the lent values of the call.
    call.message = null;
  }

  #extras({ traceparent, tracestate }: CallTerms, span: Span | undefined): Extras | null {
    const { version } = this.#terms;
    if (version === undefined && traceparent === undefined && !span) return null;
    return {
      version,
      traceparent: span?.traceparent ?? traceparent,
      tracestate: span?.tracestate ?? tracestate,
    };
  }

  /** Sends the call when its Blobs are read, and there is a target. */
  #sendLater(call: PendingCall): void {
    const { deadline, terms: { signal }, message } = call;
    const open = () => this.#lines.whenOpen(deadline, signal);
    const opened = message?.isUnread
      ? whenRead(message.reading!, { deadline, signal, closing: this.#lines.closing }).then(open)
      : open();
    opened.then((line) => {
      this.#send(line, call, Math.max(0, deadline - now()));
    }).catch((error) => call.fail(error));
  }

  /** Cancels calls in flight, and ends streams. May be called twice. */
  close(): void {
    this.#lines.close();
  }
}

function keepLines(target: ConnectTarget, terms: ConnectionTerms): LineKeeper {
  const transport = transportOf(target, "connect to", terms.nats);
  const name = typeof target === "string" ? target : targetName(target);
  return new LineKeeper(targetName(target), transport, terms.errorClasses, terms.limits, name);
}

/** Milliseconds for a call. It ends no later than the call in which this code runs. */
function timeoutHere({ timeout, inheritsDeadline }: CallTerms): number {
  if (!inheritsDeadline) return timeout;
  const context = callContext();
  return context ? Math.max(0, Math.min(timeout, context.timeRemaining)) : timeout;
}

function writeCall(
  encoder: Encoder,
  method: string,
  args: readonly unknown[],
  extras: Extras | null,
  metadata: Metadata | undefined,
): void {
  if (extras) {
    encoder.list("extras", [extras.version, extras.traceparent, extras.tracestate]);
  }
  if (metadata) encoder.named("metadata", metadata);
  encoder.text(method);
  encoder.list("arguments", args);
}

/** Flags of a call. A service may also declare its methods repeatable itself. */
function callFlags(
  method: string,
  { idempotent, metadata }: CallTerms,
  extras: Extras | null,
): number {
  const flags = (extras ? hasExtras : 0) | (metadata ? hasMetadata : 0);
  return isRepeatable(method, idempotent) ? flags | isRepeatableFlag : flags;
}

/** @param isOnce the call lends values, which cannot be given to a second service */
function requestTerms(
  { deadline, terms: { signal, maxDeliveries, waitsForRoom, waitsForService } }: PendingCall,
  timeout: number,
  isOnce: boolean,
): RequestTerms | undefined {
  const deliveries = isOnce ? 1 : maxDeliveries;
  if (!signal && deliveries === undefined && waitsForRoom && waitsForService) {
    return timeout === Infinity ? undefined : { timeout, deadline };
  }
  return {
    timeout,
    deadline,
    ...(signal && { signal }),
    ...(deliveries !== undefined && { maxDeliveries: deliveries }),
    ...(!waitsForRoom && { roomTimeout: 0 }),
    ...(!waitsForService && { waitsForReceiver: false }),
  };
}

/** For records and spans. */
function outcomeOf(error: unknown, signal: AbortSignal | undefined): string {
  if (signal?.aborted && error === reasonOf(signal)) return "ABORTED";
  // The method threw it: registered classes come here without a code.
  return codeOf(error) ?? "REMOTE";
}
