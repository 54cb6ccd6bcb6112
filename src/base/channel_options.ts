/**
 * Options of channels and waits.
 *
 * @module
 */

/**
 * The sizes of a channel. They are fixed when the channel is made. Options that differ from an existing
 * channel's are a `MISMATCH`.
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
   * The calls of all clients together that can be in flight at once: 1 to 65,536.
   *
   * @default {256}
   */
  slots?: number;
  /**
   * The longest request in bytes, up to 1 GiB. Memory is committed only when a message needs it.
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
   * How many servers, in turn, may receive one request if each dies while it holds the request: 1 to 31.
   * Also the default of each call.
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

/** Options of a blocking wait. */
export interface WaitSyncOptions {
  /**
   * The longest wait in milliseconds, fractions allowed; 0 tries once.
   *
   * @default {Infinity}
   */
  timeout?: number;
}

/** Options of a wait. */
export interface WaitOptions extends WaitSyncOptions {
  /** An abort ends the wait: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Options of `sendSync` and `trySend`. */
export interface SendSyncOptions extends WaitSyncOptions {
  /**
   * How many servers, in turn, may receive this request; at most the channel's `maxDeliveries`, which is
   * also the default.
   */
  maxDeliveries?: number;
}

/** Options of `send`. */
export interface SendOptions extends SendSyncOptions, WaitOptions {}

/** The memory for an answer. */
export interface IntoOption {
  /**
   * The array for the answer, of which the call returns a view; nothing is allocated. `TOO_LARGE` if the
   * answer does not fit. The view of an array over a `SharedArrayBuffer` is shared, too.
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
   * The handlers that can be in progress at once.
   *
   * @default the channel's `slots`
   */
  concurrency?: number;
  /** An abort ends serving once the handlers in progress have ended. */
  signal?: AbortSignal;
}

/** Options of `serveSync`. */
export interface ServeSyncOptions {
  /**
   * Serving ends after this many milliseconds without a request.
   *
   * @default {Infinity}
   */
  idleTimeout?: number;
}
