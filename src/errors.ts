/**
 * The errors of this package.
 *
 * Wrong argument types and ranges are `TypeError` and `RangeError`; all other failures are
 * {@linkcode TandemError}s with a {@linkcode ErrorCode code} to branch on.
 *
 * @module
 */

/**
 * Why something failed.
 *
 * | code | when |
 * | --- | --- |
 * | `TIMEOUT` | the deadline ran out and the request is cancelled; if only a wait ran out, the call stays open |
 * | `BUSY` | no slot became free in time, or a queue or table is full |
 * | `TOO_LARGE` | over `maxRequestBytes` or `maxResponseBytes`; nothing was sent |
 * | `SERVER_DIED` | the server that held the request died and no delivery is left |
 * | `CANCELLED` | the call was cancelled or cleared, or its answer was already taken |
 * | `CLOSED` | the handle is closed |
 * | `NOT_FOUND` | there is no channel |
 * | `EXISTS` | the channel already exists |
 * | `MISMATCH` | kind or options differ from the existing channel |
 * | `INCOMPATIBLE` | another version of the layout or of the native library; the message names both |
 * | `CORRUPT` | not a channel, truncated, or the shared memory is damaged |
 * | `PERMISSION` | the operating system or the runtime refused access |
 * | `NO_SPACE` | the file system or memory is full; nothing was sent |
 * | `REMOTE` | the handler threw: a {@linkcode RemoteError} |
 * | `PORT_DIED` | the port called has ended |
 * | `NO_SERVER` | a typed call: no service is open, and none was seen before the call's time ran out |
 * | `DISCONNECTED` | the link to the other machine is down |
 * | `UNKNOWN_OUTCOME` | the request may or may not have been done |
 * | `UNSUPPORTED` | the platform, kernel, runtime or this version cannot do it; the message says which |
 * | `UNKNOWN_METHOD` | the typed service does not offer this method |
 * | `INVALID_ARGUMENTS` | the arguments of a typed call were refused by the method's schema |
 * | `NOT_SERIALIZABLE` | a value of a typed call cannot be sent; nothing was sent |
 */
export type ErrorCode =
  | "TIMEOUT"
  | "BUSY"
  | "TOO_LARGE"
  | "SERVER_DIED"
  | "CANCELLED"
  | "CLOSED"
  | "NOT_FOUND"
  | "EXISTS"
  | "MISMATCH"
  | "INCOMPATIBLE"
  | "CORRUPT"
  | "PERMISSION"
  | "NO_SPACE"
  | "REMOTE"
  | "PORT_DIED"
  | "NO_SERVER"
  | "DISCONNECTED"
  | "UNKNOWN_OUTCOME"
  | "UNSUPPORTED"
  | "UNKNOWN_METHOD"
  | "INVALID_ARGUMENTS"
  | "NOT_SERIALIZABLE";

/**
 * Why a port of a node has ended. `normal` and `shutdown` are normal, all others are not.
 *
 * | kind | when |
 * | --- | --- |
 * | `normal` | it was killed without a reason, or disposed |
 * | `shutdown` | its node was closed |
 * | `die` | code that ran in it has thrown: see `error` |
 * | `kill` | it was killed with a reason |
 * | `no_such_port` | there is no port with this id |
 * | `unhandled_message` | it got a message that it has no handler for |
 * | `not_offered` | the node that was to spawn it does not offer this |
 * | `overflow` | more messages waited than it, or the link to its node, may hold |
 * | `transport_error` | its node has died, or the link to it was cut: the port itself may live on |
 */
export type ReasonKind =
  | "normal"
  | "die"
  | "kill"
  | "no_such_port"
  | "unhandled_message"
  | "not_offered"
  | "overflow"
  | "transport_error"
  | "shutdown";

/** Why a port of a node has ended. */
export interface Reason {
  /** To branch on. */
  readonly kind: ReasonKind;
  /** In words; empty if there is nothing to say. */
  readonly message: string;
  /** The id of the node on which the port lived. */
  readonly node: string;
  /** What the one who has killed it gave beside the message. */
  readonly details: readonly unknown[];
  /** What was thrown, if the kind is `die`. */
  readonly error?: RemoteError;
}

/**
 * An operation of this package failed.
 *
 * @example Handle one code
 * ```ts
 * import { Client, Server, TandemError } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using server = Server.anonymous({ slots: 1 });
 * using client = Client.fromFd(server.fd);
 * client.post("takes the only slot");
 *
 * let advice = "";
 * try {
 *   await client.request("hello", { timeout: 10 });
 * } catch (error) {
 *   if (!(error instanceof TandemError && error.code === "BUSY")) throw error;
 *   advice = "all slots are taken: try again later";
 * }
 * assertEquals(advice, "all slots are taken: try again later");
 * ```
 */
export class TandemError extends Error {
  static {
    // Runtimes print it, and minifiers change it.
    Object.defineProperty(this, "name", { value: "TandemError" });
  }

  /** Why the operation failed. */
  readonly code: ErrorCode;
  /** The target of the typed call that failed; undefined for other operations. */
  declare target?: string;
  /** The method of the typed call that failed; empty when the service is a bare function. */
  declare method?: string;
  /** With `PORT_DIED`: why the port has ended. */
  declare reason?: Reason;

  /**
   * Makes an error.
   *
   * @param code why the operation failed
   * @param message what was tried, what was found and what to do
   * @param options `cause`: the error underneath, if there is one
   */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TandemError";
    this.code = code;
  }
}

/** The known parts of an error that was thrown in another process. */
export interface RemoteErrorDetails {
  /** Its `name`, such as `"TypeError"`. */
  readonly name: string;
  /** Its `message`. */
  readonly message: string;
  /** Its `stack`, as text of the other process. */
  readonly stack?: string | undefined;
  /** Its own properties other than name, message, stack and cause. */
  readonly properties?: Readonly<Record<string, unknown>> | undefined;
  /** Its `cause`. */
  readonly cause?: unknown;
}

/**
 * The handler in the other process threw. The properties with `remote` in their names describe the thrown
 * error, and `cause` is its cause. `stack` has the frames of the code that awaits the typed call, then those
 * of the handler.
 *
 * @example Handle one kind of failure
 * ```ts
 * import { Client, RemoteError, Server } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Server.anonymous();
 * const serving = server.serve(() => {
 *   throw new RangeError("too wide");
 * });
 *
 * using client = Client.fromFd(server.fd);
 * let refused = "";
 * try {
 *   await client.request("resize");
 * } catch (error) {
 *   if (!(error instanceof RemoteError && error.remoteName === "RangeError")) throw error;
 *   refused = error.remoteMessage;
 * }
 * assertEquals(refused, "too wide");
 * server.close();
 * await serving;
 * ```
 */
export class RemoteError extends TandemError {
  static {
    // Runtimes print it, and minifiers change it.
    Object.defineProperty(this, "name", { value: "RemoteError" });
  }

  /** The `name` of the error that the handler threw, such as `"TypeError"`. */
  readonly remoteName: string;
  /** The `message` of the error that the handler threw. */
  readonly remoteMessage: string;
  /** The `stack` of the error that the handler threw; empty when it had none. */
  readonly remoteStack: string;
  /** Further own properties of the error that the handler threw. */
  readonly remoteProperties: Readonly<Record<string, unknown>>;

  /**
   * Makes an error from the details of another one.
   *
   * @param details the known parts of the error that was thrown in the other process
   */
  constructor(details: RemoteErrorDetails) {
    const { name, message, stack = "", properties = {}, cause } = details;
    super("REMOTE", `${name}: ${message}`, cause === undefined ? undefined : { cause });
    this.name = "RemoteError";
    this.remoteName = name;
    this.remoteMessage = message;
    this.remoteStack = stack;
    this.remoteProperties = properties;
  }
}
