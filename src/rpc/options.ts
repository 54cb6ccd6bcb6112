/**
 * Options of services, connections and calls.
 *
 * @module
 */
import type { ChannelOptions, WaitOptions } from "../base/channel_options.ts";
import { checkTimeout, checkWhole, describe } from "../base/checks.ts";
import { TandemError } from "../errors.ts";
import { type ErrorClass, ErrorClasses } from "../codec/error_classes.ts";
import { treeBytesDefault } from "../codec/tree_budget.ts";
import type { CallHook, CallRecord } from "./hooks.ts";

/** Options of both sides of a connection. */
export interface EndOptions {
  /**
   * Version of the interface. If both sides give one and they differ, calls fail with `MISMATCH`.
   */
  version?: string;
  /**
   * Error classes that errors keep on their way, so that `instanceof` works on the other side. Both sides
   * have to give them. Classes are matched by name; their constructors are not run.
   */
  errors?: readonly ErrorClass[];
  /**
   * The longest message in bytes, up to 1 GiB. A message that is longer than the channel's
   * `maxRequestBytes` or `maxResponseBytes` travels in parts; a limit below those sizes forbids that.
   *
   * @default {1073741824}
   */
  maxMessageBytes?: number;
  /**
   * The bytes that the values of one message may take, up to 1 GiB. Byte arrays of 1 KiB or more and
   * strings of 64 KiB or more of UTF-8 do not count. Each object, array, date and so on counts 16 bytes
   * beside its own, an error 128 and a stream 1 KiB. Decoding 16 MiB takes up to a second and 0.5 GB of
   * memory; more takes more in proportion. Both senders and receivers check the limit, so raise it on both
   * sides.
   *
   * Values may always be nested at most 1,000 deep. A list of nodes that refer to each other by number has
   * no such limit.
   *
   * @default {16777216}
   */
  maxTreeBytes?: number;
  /**
   * Runs after every call, for logs and metrics. If it throws or rejects, the console gets the error, each
   * error once, and the call is not affected.
   */
  onCall?: (call: CallRecord) => void;
}

/** Options of {@linkcode serve}. The sizes apply to a channel that has to be created. */
export interface ServiceOptions extends ChannelOptions, EndOptions {
  /**
   * Calls in progress at once. Streams do not count once they have begun.
   *
   * @default the channel's `slots`
   */
  concurrency?: number;
  /**
   * How many services, one after another, may get a call of an `idempotent` method, if each dies while it
   * holds the call. A call of any other method goes to another service only if the first one died before
   * it began with the call; otherwise the call fails with `SERVER_DIED`.
   *
   * @default {1}
   */
  maxDeliveries?: number;
  /**
   * The methods that may run twice without harm; `true`: all. If a service dies while it holds a call of
   * such a method, another service gets the call, up to `maxDeliveries` in all. It is enough that the
   * service or the client declares the method. Calls with streams never go to another service, because
   * the items that were read are gone.
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

/** When a failed call is tried again. */
export interface RetryOptions {
  /**
   * The most attempts, including the first one.
   *
   * @default {3}
   */
  attempts?: number;
  /**
   * Milliseconds before the second attempt. Each further pause is twice as long, up to `maxDelay`; each is
   * shortened by a random part of up to a half.
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
   * How many services, one after another, may get a call of an idempotent method, if each dies while it
   * holds the call; at most the channel's `maxDeliveries`, which is also the default. If a service dies
   * after it began with another call, that call fails with `SERVER_DIED`.
   */
  maxDeliveries?: number;
  /**
   * The methods that may run twice without harm; `true`: all. Their calls go to other services according
   * to `maxDeliveries`. If that was not enough, or the channel was created again, they are tried again
   * according to `retry`. Arguments are encoded once, when the method is called; a call with streams is
   * not tried again.
   */
  idempotent?: boolean | readonly string[];
  /** How often calls of idempotent methods are tried, and after which pauses. */
  retry?: RetryOptions;
  /**
   * Whether a call that a service's method makes ends no later than the call that the method handles.
   *
   * @default {true}
   */
  inheritDeadline?: boolean;
  /** The W3C trace context to send. Default: the active OpenTelemetry span's, if there is one. */
  traceparent?: string;
}

/**
 * Options of {@linkcode connect}. `timeout` is one deadline for each call: for the channel to exist, for a
 * slot and for the answer together. In a stream it applies to each item.
 */
export interface ConnectOptions extends CallOptions, EndOptions {}

const messageBytesMax = 2 ** 30;
/** Enough for messages that every connection needs, such as errors. */
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

/** Options of both ends, checked, and read once. */
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

/** @throws {RangeError} {TypeError} for an invalid option */
export function parseServiceOptions(options: ServiceOptions): ServiceTerms {
  const end = parseEndOptions(options);
  const { concurrency } = options;
  if (concurrency !== undefined) checkWhole(concurrency, "concurrency", 1, Number.MAX_SAFE_INTEGER);
  const idempotent = parseIdempotent(options.idempotent);
  return { ...end, channel: channelOptions(options), concurrency, idempotent };
}

/** @throws {RangeError} {TypeError} for an invalid option */
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

/** @throws {RangeError} {TypeError} for an invalid option */
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

/** The options that belong to the channel. */
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
