/**
 * The options of services, connections and calls once they are checked. Each option is read once.
 *
 * @module
 */
import type { ChannelOptions } from "../base/channel_options.ts";
import { checkTimeout, checkWhole, describe } from "../base/checks.ts";
import { ErrorClasses } from "../codec/error_classes.ts";
import { treeBytesDefault } from "../codec/tree_budget.ts";
import type { NatsOptions } from "../base/nats_options.ts";
import { TandemError } from "../errors.ts";
import type { CallHook } from "./hooks.ts";
import type { Around, ClientCall, ServiceCall } from "./around.ts";
import { mergeMetadata, type Metadata } from "./metadata.ts";
import type {
  CallOptions,
  ConnectOptions,
  EndOptions,
  RetryOptions,
  ServiceOptions,
} from "./options.ts";

const messageBytesMax = 2 ** 30;
/** Long enough for most work, short enough for a person who wonders what is wrong. */
const timeoutDefault = 30_000;
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
  readonly nats: NatsOptions | undefined;
}

/** Options of a service, checked, and read once. */
export interface ServiceTerms extends EndTerms {
  readonly channel: ChannelOptions;
  readonly concurrency: number | undefined;
  readonly idempotent: Idempotent;
  readonly around: Around<ServiceCall> | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Options of a connection, checked, and read once. */
export interface ConnectionTerms extends EndTerms {
  readonly around: Around<ClientCall> | undefined;
}

/** Options of calls, checked, and read once. */
export interface CallTerms {
  /** Milliseconds; Infinity: no limit. */
  readonly timeout: number;
  /** For each item of a stream but the first. */
  readonly itemTimeout: number;
  /** Whether a call waits for a service. */
  readonly waitsForService: boolean;
  /** Whether a call waits for a slot. */
  readonly waitsForRoom: boolean;
  readonly signal: AbortSignal | undefined;
  readonly maxDeliveries: number | undefined;
  readonly idempotent: Idempotent;
  readonly retry: RetryOptions;
  readonly inheritsDeadline: boolean;
  readonly traceparent: string | undefined;
  /** Of a call that is passed on. */
  readonly tracestate?: string | undefined;
  /** Whether each call notes where it was made. */
  readonly callSites: boolean;
  /** Where the call was made, for terms of a single call. */
  readonly site?: Error;
  /** Undefined if there is none. */
  readonly metadata: Metadata | undefined;
}

/** @throws {RangeError} {TypeError} for an invalid option */
export function parseServiceOptions(options: ServiceOptions): ServiceTerms {
  const end = parseEndOptions(options);
  const { concurrency } = options;
  if (concurrency !== undefined) checkWhole(concurrency, "concurrency", 1, Number.MAX_SAFE_INTEGER);
  const idempotent = parseIdempotent(options.idempotent);
  const around = parseAround(options.around);
  const { signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`Cannot use ${describe(signal)} as signal: give an AbortSignal`);
  }
  return { ...end, channel: channelOptions(options), concurrency, idempotent, around, signal };
}

/** @throws {RangeError} {TypeError} for an invalid option */
export function parseConnectOptions(options: ConnectOptions): ConnectionTerms {
  return { ...parseEndOptions(options), around: parseAround(options.around) };
}

/** @throws {TypeError} unless it is a function, or left out */
function parseAround<A>(around: A): A {
  if (around === undefined || typeof around === "function") return around;
  throw new TypeError(
    `Cannot use ${
      describe(around)
    } as around: give a function (call, next) => …; it can call others`,
  );
}

/** @throws {RangeError} {TypeError} for an invalid option */
function parseEndOptions(options: EndOptions): EndTerms {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot use ${describe(options)} as options: give an object`);
  }
  const { maxMessageBytes = messageBytesMax, maxTreeBytes = treeBytesDefault } = options;
  const { version, onCall, errors, nats } = options;
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
  return { limits, errorClasses: new ErrorClasses(errors), version, onCall, nats };
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
  const { timeout = timeoutDefault, itemTimeout = Infinity } = options;
  const { whenAbsent = "wait", whenFull = "wait" } = options;
  const { signal, retry = {}, maxDeliveries, traceparent, callSites = false } = options;
  if (typeof callSites !== "boolean") {
    throw new TypeError(`Cannot use ${describe(callSites)} as callSites: give true or false`);
  }
  const idempotent = parseIdempotent(options.idempotent);
  checkTimeout(timeout, "timeout");
  checkTimeout(itemTimeout, "itemTimeout");
  if (whenAbsent !== "wait" && whenAbsent !== "fail") {
    throw new TypeError(
      `Cannot use ${describe(whenAbsent)} as whenAbsent: give "wait" or "fail"`,
    );
  }
  if (whenFull !== "wait" && whenFull !== "fail") {
    throw new TypeError(`Cannot use ${describe(whenFull)} as whenFull: give "wait" or "fail"`);
  }
  if (maxDeliveries !== undefined) checkWhole(maxDeliveries, "maxDeliveries", 1, 31);
  const { attempts, delay, maxDelay } = retry;
  if (attempts !== undefined) checkWhole(attempts, "retry.attempts", 1, 1000);
  if (delay !== undefined) checkTimeout(delay, "retry.delay");
  if (maxDelay !== undefined) checkTimeout(maxDelay, "retry.maxDelay");
  const inheritsDeadline = options.inheritDeadline !== false;
  const metadata = mergeMetadata(undefined, options.metadata);
  return {
    timeout,
    itemTimeout,
    waitsForService: whenAbsent === "wait",
    waitsForRoom: whenFull === "wait",
    signal,
    maxDeliveries,
    idempotent,
    retry,
    inheritsDeadline,
    traceparent,
    callSites,
    metadata,
  };
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
