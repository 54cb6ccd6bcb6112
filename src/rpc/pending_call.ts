/**
 * Calls without an answer, and how an answer settles them.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import { corrupt } from "../codec/reader.ts";
import { now } from "../runtime/timers.ts";
import type { AnswerReader, Bytes } from "../transport/transport.ts";
import { type CallSite, errorOfCall } from "./call_errors.ts";
import type { CallPromise } from "./call_promise.ts";
import { fail } from "./raising.ts";
import type { EncodedMessage } from "./encoded_message.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Line, Lines } from "./lines.ts";
import { hasHost, Kind, type Reading, readMessage, readParcel } from "./message.ts";
import type { Presence } from "./presence.ts";
import type { CallTerms } from "./terms.ts";
import { type Announcement, readAnnouncement } from "./parcels.ts";
import { streamIn } from "./readable.ts";
import type { StreamTerms } from "./received.ts";
import { answerUnwanted, readRefusal, thrownError } from "./replies.ts";
import type { Span } from "./telemetry.ts";
import type { Writes } from "./writes.ts";

type Resolve = (value: unknown) => void;
type Reject = (error: unknown) => void;

const nothing = (): void => {};

/** A call that waits for its answer. */
export class PendingCall implements AnswerReader {
  /** The line must not be collected while the call waits. */
  readonly lines: Lines;
  readonly method: string;
  readonly args: readonly unknown[];
  readonly terms: CallTerms;
  readonly span: Span | undefined;
  readonly timeout: number;
  /** In the time of `performance.now()`. */
  readonly deadline: number;
  endpoint: Endpoint | null;
  /** Of the line on which the call was sent. */
  presence: Presence | null;
  /** The line's {@linkcode Presence.answers} when the call was sent. */
  answersBefore: number;
  writes: Writes | null;
  /** The encoded arguments, if they were encoded before the call could be sent. */
  message: EncodedMessage | null;
  /** The caller's promise; null while this is one of several attempts. */
  promise: CallPromise<unknown> | null;
  resolve: Resolve;
  /** Of an attempt. */
  reject: Reject;

  constructor(
    lines: Lines,
    method: string,
    args: readonly unknown[],
    terms: CallTerms,
    timeout: number,
    span: Span | undefined,
  ) {
    this.lines = lines;
    this.method = method;
    this.args = args;
    this.terms = terms;
    this.span = span;
    this.timeout = timeout;
    this.deadline = timeout === Infinity ? Infinity : now() + timeout;
    this.endpoint = null;
    this.presence = null;
    this.answersBefore = 0;
    this.writes = null;
    this.message = null;
    this.promise = null;
    this.resolve = nothing;
    this.reject = nothing;
  }

  /** Runs just before the call is sent. */
  begin({ endpoint, presence }: Line, writes: Writes): void {
    this.endpoint = endpoint;
    this.presence = presence;
    this.answersBefore = presence.answers;
    this.writes = writes;
  }

  /** The call was not sent: ends the values that were lent with it, and its parcels. */
  drop(): void {
    this.writes?.drop(answerUnwanted());
    this.writes = null;
    this.message?.drop(answerUnwanted());
    this.message = null;
  }

  /** The call is over: ends the values that were lent with it, except those to be kept. */
  #end(): Promise<void> | null {
    const { writes } = this;
    this.writes = null;
    this.message?.drop(answerUnwanted());
    this.message = null;
    return writes && writes.end(answerUnwanted(), this.lines);
  }

  read(bytes: Bytes, isPrivate: boolean): void {
    this.presence!.answers += 1;
    try {
      const { reads } = this.endpoint!;
      const outcome = readMessage(reads, bytes, isPrivate, readOutcome, this);
      if (outcome instanceof ParcelOutcome) return this.#fetch(outcome.announcement);
      this.#resolve(outcome);
    } catch (error) {
      this.#reject(error, true);
    }
  }

  /** The call was not sent, or there is no answer. */
  fail(error: unknown): void {
    this.#reject(this.#wasServed(error) ? error : this.lines.notServed(), false);
  }

  /** False: no service was there before the time ran out. */
  #wasServed(error: unknown): boolean {
    if (this.presence === null) return true;
    const code = codeOf(error);
    // It has not waited.
    if (code === "BUSY" && !this.terms.waitsForRoom) return true;
    const isOver = code === "TIMEOUT" || code === "BUSY";
    return !isOver || this.presence.wasServedSince(this.answersBefore);
  }

  #reject(error: unknown, isAnswer: boolean): void {
    this.#end();
    const added = this.lines.complete?.(error, this.deadline);
    if (added) void added.then((complete) => this.#fail(complete, isAnswer));
    else this.#fail(error, isAnswer);
  }

  #fail(error: unknown, isAnswer: boolean): void {
    const { promise, resolve, site, terms: { signal } } = this;
    const named = errorOfCall(this.lines.explain(error), site, isAnswer, signal);
    if (promise) fail({ promise, resolve }, named);
    else this.reject(named);
  }

  get site(): CallSite {
    return { target: this.lines.target, method: this.method, site: this.terms.site };
  }

  #resolve(result: unknown): void {
    // Calls of lent functions that the method has made and not awaited begin before the call resolves.
    const functionsCalled = this.#finish(result);
    if (functionsCalled) void functionsCalled.then(() => this.#settle(result));
    else this.#settle(result);
  }

  #settle(result: unknown): void {
    if (this.promise) this.promise.settle(this.resolve, result, this.deadline);
    else this.resolve(result);
  }

  /** Values that were lent with the call end with it, or with the stream that is its result. */
  #finish(result: unknown): Promise<void> | null {
    this.message = null;
    if (this.writes === null || !this.writes.hasEntries) return null;
    const stream = streamIn(result);
    if (!stream) return this.#end();
    const writes = this.writes;
    stream.onEnd = () => writes.end(answerUnwanted(), this.lines);
    this.writes = null;
    return null;
  }

  #fetch(announcement: Announcement): void {
    const endpoint = this.endpoint!;
    const { deadline } = this;
    const { signal } = this.terms;
    endpoint.fetch(announcement, { deadline, ...(signal && { signal }) }).then((parcel) => {
      this.#resolve(readParcel(endpoint.reads, parcel, readResult, this));
    }).catch((error) => this.#reject(error, true));
  }
}

/** The answer is a long message, still to be fetched. */
class ParcelOutcome {
  readonly announcement: Announcement;

  constructor(announcement: Announcement) {
    this.announcement = announcement;
  }
}

function readOutcome(reading: Reading, call: PendingCall): unknown {
  if (reading.kind === Kind.parcel) return new ParcelOutcome(readAnnouncement(reading));
  return readResult(reading, call);
}

function streamLimits({ timeout, itemTimeout, signal }: CallTerms): StreamTerms {
  return { timeout, itemTimeout, signal };
}

/** The result of a call; @throws the error of the method, or of the refusal */
function readResult(reading: Reading, call: PendingCall): unknown {
  const { kind, flags, decoder } = reading;
  const { reads } = call.endpoint!;
  const terms: StreamTerms | undefined = flags & hasHost
    ? { ...streamLimits(call.terms), owner: call.lines, call: call.site }
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
