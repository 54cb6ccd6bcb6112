/**
 * The options of calls and waits, checked once and copied into records. Reading options runs code of the
 * user, which may return something else the next time and may close the handle.
 *
 * @module
 */
import { bytesOfView, typedArrayName } from "../base/brands.ts";
import { checkWhole, deadlineAfter, describe, timeoutOf } from "../base/checks.ts";
import { sendDeliveriesShift } from "../ffi/layout.ts";
import type {
  GetOptions,
  GetSyncOptions,
  RequestOptions,
  RequestSyncOptions,
  SendOptions,
  SendSyncOptions,
} from "../base/channel_options.ts";
import type { Bytes } from "./waiter.ts";

/** How long to wait for an answer, and where it goes. */
export interface WaitSettings {
  /** As the native side takes it, in milliseconds; NaN: for ever. */
  readonly timeout: number;
  /** When the time-out is over, in the time of `performance.now()`. */
  readonly deadline: number;
  /** Undefined also in the blocking forms, which no signal can end. */
  readonly signal: AbortSignal | undefined;
  readonly into: Bytes | undefined;
}

/** How a request is sent and waited for. */
export interface CallSettings extends WaitSettings {
  /** How many deliveries the call allows, as flags for the native side. */
  readonly deliveries: number;
}

const withoutLimit: WaitSettings = {
  timeout: NaN,
  deadline: Infinity,
  signal: undefined,
  into: undefined,
};

/** The settings of a call without options. */
export function defaultSettings(maxDeliveries: number): CallSettings {
  return { ...withoutLimit, deliveries: maxDeliveries << sendDeliveriesShift };
}

/**
 * @throws the reason of a signal that has aborted already; @throws {RangeError} for a wrong time-out, and
 * for more deliveries than `maxDeliveries`; @throws {TypeError} for an `into` that is no Uint8Array
 */
export function callSettings(options: RequestOptions, maxDeliveries: number): CallSettings {
  const { signal } = options;
  signal?.throwIfAborted();
  return checkedCall(options, signal, maxDeliveries);
}

/** The limits of a request whose sender reads the answer where it lies. */
export interface ReadingTerms extends SendOptions {
  /** When `timeout` is over, in the time of `performance.now()`; default: it is looked up. */
  readonly deadline?: number;
}

/** As {@linkcode callSettings}, for a sender whose time-out was checked before. */
export function readingSettings(terms: ReadingTerms, maxDeliveries: number): CallSettings {
  const { timeout = Infinity, deadline, signal } = terms;
  if (deadline === undefined || signal || terms.maxDeliveries !== undefined) {
    return callSettings(terms, maxDeliveries);
  }
  const deliveries = maxDeliveries << sendDeliveriesShift;
  return { timeout, deadline, signal, into: undefined, deliveries };
}

/** As {@linkcode callSettings}, of a blocking form. */
export function syncCallSettings(options: RequestSyncOptions, maxDeliveries: number): CallSettings {
  return checkedCall(options, undefined, maxDeliveries);
}

function checkedCall(
  options: RequestSyncOptions,
  signal: AbortSignal | undefined,
  maxDeliveries: number,
): CallSettings {
  const timeout = timeoutOf(options);
  const deliveries = deliveriesOf(options, maxDeliveries);
  const into = checkInto(options.into);
  return { timeout, deadline: deadlineAfter(timeout), signal, into, deliveries };
}

/** @throws {RangeError} for more deliveries than `maxDeliveries` */
export function deliveriesOf(options: SendSyncOptions | undefined, maxDeliveries: number): number {
  const wanted = options?.maxDeliveries;
  const count = wanted === undefined
    ? maxDeliveries
    : checkWhole(wanted, "maxDeliveries", 1, maxDeliveries);
  return count << sendDeliveriesShift;
}

/** As {@linkcode callSettings}, of a wait. */
export function waitSettings(options: GetOptions | undefined): WaitSettings {
  if (options === undefined) return withoutLimit;
  const { signal } = options;
  signal?.throwIfAborted();
  return checkedWait(options, signal);
}

/** As {@linkcode waitSettings}, of a blocking form. */
export function syncWaitSettings(options: GetSyncOptions | undefined): WaitSettings {
  return options === undefined ? withoutLimit : checkedWait(options, undefined);
}

function checkedWait(options: GetSyncOptions, signal: AbortSignal | undefined): WaitSettings {
  const timeout = timeoutOf(options);
  const into = checkInto(options.into);
  return { timeout, deadline: deadlineAfter(timeout), signal, into };
}

/** @throws {TypeError} when `into` is no Uint8Array */
export function checkInto(into: Uint8Array | undefined): Bytes | undefined {
  if (into === undefined) return undefined;
  if (ArrayBuffer.isView(into)) {
    // The native side writes to the memory of any.
    if (into instanceof Uint8Array && into.byteLength > 0) return into as Bytes;
    // An array of another realm, or one without bytes, which may have lost its buffer.
    const view = typedArrayName(into) === "Uint8Array" ? bytesOfView(into) : null;
    if (view) return into instanceof Uint8Array ? into as Bytes : view;
  }
  throw new TypeError(
    `Cannot write an answer into ${describe(into)}: give a Uint8Array, or leave the option out`,
  );
}
