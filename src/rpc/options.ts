/**
 * Options of services, connections and calls.
 *
 * @module
 */
import type { ChannelOptions, WaitOptions } from "../channel/options.ts";
import { checkTimeout, checkWhole, describe } from "../base/checks.ts";
import { TandemError } from "../errors.ts";
import { type ErrorClass, ErrorClasses } from "../codec/error_classes.ts";
import { treeBytesDefault } from "../codec/tree_budget.ts";
import type { CallHook, CallRecord } from "./hooks.ts";

/** Options that both sides of a connection have. */
export interface EndOptions {
  /**
   * Version of the interface. Where both sides give one and they differ, calls fail with `MISMATCH`.
   */
  version?: string;
  /**
   * Classes of errors that keep their class on the way, so that `instanceof` works on the other
   * side. Both sides have to give them; they are known by their names, and their constructors are
   * not run.
   */
  errors?: readonly ErrorClass[];
  /**
   * The longest message in bytes, up to 1 GiB. One that is longer than the channel's
   * `maxRequestBytes` or `maxResponseBytes` travels in parts; a limit below those forbids that.
   *
   * @default {1073741824}
   */
  maxMessageBytes?: number;
  /**
   * What the values of one message may take, in bytes, up to 1 GiB. Byte arrays of 1 KiB or more and
   * strings of 64 KiB or more of UTF-8 are not counted; each object, array, date and so on counts 16 bytes beside its own, an error 128 and a stream
   * 1 KiB. Decoding 16 MiB takes up to a second and 0.5 GB of memory; more takes more in proportion.
   * Senders and receivers both check it, so raise it on both sides.
   *
   * Whatever it is, values may be nested 1,000 deep at most: a list of nodes that refer to each other by
   * number has no such limit.
   *
   * @default {16777216}
   */
  maxTreeBytes?: number;
  /**
   * Told of every call when it has ended, for logs and metrics. What it throws, or rejects with, is
   * written to the console, each error once, and changes nothing about the call.
   */
  onCall?: (call: CallRecord) => void;
}

/** Options of {@linkcode serve}. Sizes are those of a channel that has to be made. */
export interface ServiceOptions extends ChannelOptions, EndOptions {
  /**
   * Calls in progress at once. Streams are not counted once they have begun.
   *
   * @default the channel's `slots`
   */
  concurrency?: number;
  /**
   * How many services, in turn, may be given one call of a method that is `idempotent`, as each dies
   * while it holds it. A call of any other method is given to another service only if the first has died
   * before it began with it; otherwise the call ends `SERVER_DIED`.
   *
   * @default {1}
   */
  maxDeliveries?: number;
  /**
   * The methods that may be run twice without harm, `true` for all. A call that a service held when it
   * died is given to another service, up to `maxDeliveries` in all, if the service or the client has said
   * so of its method. Calls with streams are not: what has been read of a stream is gone.
   */
  idempotent?: boolean | readonly string[];
}

/** Options of {@linkcode Service.close}. */
export interface CloseOptions {
  /**
   * How long calls in progress may take to end, in milliseconds.
   *
   * @default {Infinity}
   */
  timeout?: number;
}

/** When a call that failed is tried again. */
export interface RetryOptions {
  /**
   * Attempts at most, the first one included.
   *
   * @default {3}
   */
  attempts?: number;
  /**
   * Milliseconds before the second attempt; each further pause is twice as long, up to
   * `maxDelay`, and a random part of up to a half is taken off.
   *
   * @default {20}
   */
  delay?: number;
  /**
   * The longest pause in milliseconds.
   *
   * @default {1000}
   */
  maxDelay?: number;
}

/** Options of a call. */
export interface CallOptions extends WaitOptions {
  /**
   * How many services may be given a call of an idempotent method, one after another, when they die
   * while they hold it; at most the channel's `maxDeliveries`, which is also the default. Other calls
   * end `SERVER_DIED` once a service has begun with them.
   */
  maxDeliveries?: number;
  /**
   * Which methods may be run twice without harm; `true`: all. Their calls are given to another service as
   * `maxDeliveries` says, and tried again as `retry` says when that was not enough or the channel was made
   * anew. Arguments are encoded once, when the method is called; a call with streams is not tried again.
   */
  idempotent?: boolean | readonly string[];
  /** How often, and after which pauses. */
  retry?: RetryOptions;
  /**
   * Whether a call made by a method of a service ends with the deadline of the call that it works on.
   *
   * @default {true}
   */
  inheritDeadline?: boolean;
  /** W3C trace context to send. Default: that of the active OpenTelemetry span, if there is one. */
  traceparent?: string;
}

/** Options of {@linkcode connect}. `timeout` is one deadline of each call, for the channel to be
 * there, for a slot and for the answer; of a stream, for each of its items. */
export interface ConnectOptions extends CallOptions, EndOptions {}

const messageBytesMax = 2 ** 30;
/** For messages that every connection needs, such as errors. */
const treeBytesMin = 2 ** 12;

/** How long messages may be. */
export interface Limits {
  readonly maxMessageBytes: number;
  readonly maxTreeBytes: number;
}

/** @throws {TandemError} `TOO_LARGE` for a message that is longer than this side allows */
export function checkLength({ maxMessageBytes }: Limits, length: number, verb: string): void {
  if (length <= maxMessageBytes) return;
  throw new TandemError(
    "TOO_LARGE",
    `Cannot ${verb} a message of ${length} bytes: maxMessageBytes is ${maxMessageBytes}; ` +
      "raise it, or use a stream",
  );
}

/** The methods that may run twice; `true`: all of them. */
export type Idempotent = boolean | readonly string[] | undefined;

/** What both ends of typed calls need of their options. */
export interface EndTerms {
  readonly limits: Limits;
  readonly errorClasses: ErrorClasses;
  readonly version: string | undefined;
  readonly onCall: CallHook | undefined;
}

/** Options of a service, checked, and read once. */
export interface ServiceTerms extends EndTerms {
  readonly channel: ChannelOptions;
  readonly concurrency: number | undefined;
  readonly idempotent: Idempotent;
}

/** Options of a connection, checked, and read once. */
export type ConnectionTerms = EndTerms;

/** Options of calls, checked, and read once. */
export interface CallTerms {
  /** Milliseconds; Infinity: no limit. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly maxDeliveries: number | undefined;
  readonly idempotent: Idempotent;
  readonly retry: RetryOptions;
  readonly inheritsDeadline: boolean;
  readonly traceparent: string | undefined;
}

/** @throws {RangeError} {TypeError} for an option that cannot be */
export function parseServiceOptions(options: ServiceOptions): ServiceTerms {
  const end = parseEndOptions(options);
  const { concurrency } = options;
  if (concurrency !== undefined) checkWhole(concurrency, "concurrency", 1, Number.MAX_SAFE_INTEGER);
  const idempotent = parseIdempotent(options.idempotent);
  return { ...end, channel: channelOptions(options), concurrency, idempotent };
}

/** @throws {RangeError} {TypeError} for an option that cannot be */
export function parseEndOptions(options: EndOptions): EndTerms {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot use ${describe(options)} as options: give an object`);
  }
  const { maxMessageBytes = messageBytesMax, maxTreeBytes = treeBytesDefault } = options;
  const { version, onCall, errors } = options;
  if (version !== undefined && typeof version !== "string") {
    throw new TypeError(`Cannot use ${describe(version)} as version: give a string`);
  }
  if (onCall !== undefined && typeof onCall !== "function") {
    throw new TypeError(`Cannot use ${describe(onCall)} as onCall: give a function`);
  }
  const limits = {
    maxMessageBytes: checkWhole(maxMessageBytes, "maxMessageBytes", 0, messageBytesMax),
    maxTreeBytes: checkWhole(maxTreeBytes, "maxTreeBytes", treeBytesMin, messageBytesMax),
  };
  return { limits, errorClasses: new ErrorClasses(errors), version, onCall };
}

/** @throws {TypeError} unless it is a boolean or a list of names */
function parseIdempotent(idempotent: unknown): Idempotent {
  if (idempotent === undefined || typeof idempotent === "boolean") return idempotent;
  if (Array.isArray(idempotent) && idempotent.every((name) => typeof name === "string")) {
    return [...idempotent];
  }
  throw new TypeError(
    `Cannot use ${describe(idempotent)} as idempotent: give true, or an array of method names`,
  );
}

/** @throws {RangeError} {TypeError} for an option that cannot be */
export function parseCallOptions(options: CallOptions): CallTerms {
  const { timeout = Infinity, signal, retry = {}, maxDeliveries, traceparent } = options;
  const idempotent = parseIdempotent(options.idempotent);
  checkTimeout(timeout, "timeout");
  if (maxDeliveries !== undefined) checkWhole(maxDeliveries, "maxDeliveries", 1, 31);
  const { attempts, delay, maxDelay } = retry;
  if (attempts !== undefined) checkWhole(attempts, "retry.attempts", 1, 1000);
  if (delay !== undefined) checkTimeout(delay, "retry.delay");
  if (maxDelay !== undefined) checkTimeout(maxDelay, "retry.maxDelay");
  const inheritsDeadline = options.inheritDeadline !== false;
  return { timeout, signal, maxDeliveries, idempotent, retry, inheritsDeadline, traceparent };
}

/** The options that a channel has. */
function channelOptions(options: ServiceOptions): ChannelOptions {
  const { slots, maxRequestBytes, maxResponseBytes, maxDeliveries, mode } = options;
  return {
    ...(slots !== undefined && { slots }),
    ...(maxRequestBytes !== undefined && { maxRequestBytes }),
    ...(maxResponseBytes !== undefined && { maxResponseBytes }),
    ...(maxDeliveries !== undefined && { maxDeliveries }),
    ...(mode !== undefined && { mode }),
  };
}
