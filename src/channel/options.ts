/**
 * Options of channels and waits, and the checks that they are what they should be.
 *
 * @module
 */
import { bytesOfView, typedArrayName } from "../base/brands.ts";
import { checkWhole, describe } from "../base/checks.ts";
import { deliveriesMax, optionsCount, payloadBytesMax, slotsMax } from "../ffi/layout.ts";

/**
 * The sizes of a channel. They are fixed when it is made; on a channel that exists they have to agree
 * with what is there, else it is `MISMATCH`.
 *
 * @example
 * ```ts
 * import { type ChannelOptions, Server } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const options: ChannelOptions = { slots: 64, maxResponseBytes: 16 * 2 ** 20, maxDeliveries: 3 };
 * using server = Server.anonymous(options);
 * assertEquals(server.maxResponseBytes, 16_777_216);
 * assertEquals(server.maxRequestBytes, 1_048_576);
 * ```
 */
export interface ChannelOptions {
  /**
   * Calls in flight at once, of all clients together: 1 to 65,536.
   *
   * @default {256}
   */
  slots?: number;
  /**
   * The longest request in bytes, up to 1 GiB. Memory is used only as far as a message needs it.
   *
   * @default {1048576}
   */
  maxRequestBytes?: number;
  /**
   * The longest response in bytes, up to 1 GiB.
   *
   * @default {1048576}
   */
  maxResponseBytes?: number;
  /**
   * How many servers may be handed one request, one after another, when they die holding it: 1 to
   * 31. Also the default of each call.
   *
   * @default {1}
   */
  maxDeliveries?: number;
  /**
   * Mode of the channel's file, exact: the umask is ignored.
   *
   * @default {0o600}
   */
  mode?: number;
}

/** The sizes of a channel of integers. */
export type IntChannelOptions = Omit<ChannelOptions, "maxRequestBytes" | "maxResponseBytes">;

/** How long to wait, where nothing but time ends the wait. */
export interface WaitSyncOptions {
  /**
   * Milliseconds, fractions allowed; 0 tries once.
   *
   * @default {Infinity}
   */
  timeout?: number;
}

/** How long to wait, and what else ends it. */
export interface WaitOptions extends WaitSyncOptions {
  /** Its abort rejects with its reason. */
  signal?: AbortSignal;
}

/** Options of a call that is sent without waiting for its answer, in the blocking forms. */
export interface SendSyncOptions extends WaitSyncOptions {
  /**
   * How many servers may be handed this request; at most the channel's `maxDeliveries`, which is
   * also the default.
   */
  maxDeliveries?: number;
}

/** Options of a call that is sent without waiting for its answer. */
export interface SendOptions extends SendSyncOptions, WaitOptions {}

/** Where an answer goes. */
export interface IntoOption {
  /**
   * The answer is written here and a view of it is returned; nothing is allocated. `TOO_LARGE` if it
   * does not fit. Of a `SharedArrayBuffer`, so is that view.
   */
  into?: Uint8Array;
}

/** Options of `requestSync`. */
export interface RequestSyncOptions extends SendSyncOptions, IntoOption {}

/** Options of `request`. */
export interface RequestOptions extends SendOptions, IntoOption {}

/** Options of `getSync`. */
export interface GetSyncOptions extends WaitSyncOptions, IntoOption {}

/** Options of `get`. */
export interface GetOptions extends WaitOptions, IntoOption {}

/** Options of `serve`. */
export interface ServeOptions {
  /**
   * Handlers in progress at once.
   *
   * @default the channel's `slots`
   */
  concurrency?: number;
  /** Its abort ends serving once the handlers in progress have ended. */
  signal?: AbortSignal;
}

/** Options of `serveSync`. */
export interface ServeSyncOptions {
  /**
   * Milliseconds without a request after which serving ends.
   *
   * @default {Infinity}
   */
  idleTimeout?: number;
}

/** @throws {TypeError} for what is no place for an answer */
export function checkInto(into: Uint8Array | undefined): Uint8Array<ArrayBuffer> | undefined {
  if (into === undefined) return undefined;
  if (ArrayBuffer.isView(into)) {
    // The native side writes to the memory of any.
    if (into instanceof Uint8Array && into.byteLength > 0) return into as Uint8Array<ArrayBuffer>;
    // Of another realm; without bytes it may be that there are none any more.
    const view = typedArrayName(into) === "Uint8Array" ? bytesOfView(into) : null;
    if (view) return into instanceof Uint8Array ? into as Uint8Array<ArrayBuffer> : view;
  }
  throw new TypeError(
    `Cannot write an answer into ${describe(into)}: give a Uint8Array, or leave the option out`,
  );
}

/** What the native side reads: NaN where an option was not given. */
export function encodeOptions(options: ChannelOptions, fd: number, main: number): Float64Array {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot use ${describe(options)} as options: give an object`);
  }
  const whole = (name: keyof ChannelOptions, min: number, max: number): number => {
    const value = options[name];
    return value === undefined ? NaN : checkWhole(value, name, min, max);
  };
  const encoded = new Float64Array(optionsCount);
  encoded.set([
    whole("slots", 1, slotsMax),
    whole("maxRequestBytes", 0, payloadBytesMax),
    whole("maxResponseBytes", 0, payloadBytesMax),
    whole("maxDeliveries", 1, deliveriesMax),
    whole("mode", 0, 0o777),
    fd,
    main,
  ]);
  return encoded;
}
