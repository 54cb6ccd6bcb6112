/**
 * Options of channels and waits.
 *
 * @module
 */

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
