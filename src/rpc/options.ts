/**
 * Options of services, connections and calls.
 *
 * @module
 */
import type { ChannelOptions, WaitOptions } from "../base/channel_options.ts";
import type { NatsOptions } from "../base/nats_options.ts";
import type { RegisteredErrors } from "../codec/error_classes.ts";
import type { Around, ClientCall, ServiceCall } from "./around.ts";
import type { CallRecord } from "./hooks.ts";
import type { Metadata } from "./metadata.ts";

/** Options of both sides of a connection. */
export interface EndOptions {
  /**
   * Version of the interface. If both sides give one and they differ, calls fail with `MISMATCH`.
   */
  version?: string;
  /**
   * Error classes that errors keep on their way, so that `instanceof` works on the other side. Both sides
   * have to give them, by the same names: `{ NotFound, QuotaError }`. The names are the keys, because
   * minifiers rename classes; a list of classes goes by the classes' own names. An error of a subclass
   * arrives as an error of its nearest class that is registered. Constructors are not run.
   */
  errors?: RegisteredErrors;
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
  /** For `nats://` targets; other targets need none. */
  nats?: NatsOptions;
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
   * it began with the call; otherwise the call fails with `SERVER_DIED`. With a `nats://` target this needs
   * JetStream on the server, and all services of the target give the same number.
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
  /**
   * Runs around every call that reaches a method, for example to check a token in the metadata, to write
   * logs or to measure: see {@linkcode Around}. It may refuse the call by throwing; the caller gets the
   * error as if the method had thrown it. Calls that reach no method (unknown methods, arguments that
   * cannot be read, another `version`) are refused before. `onCall` and spans include it.
   */
  around?: Around<ServiceCall>;
  /**
   * Closes the service when it aborts, as {@linkcode Service.close} does without a timeout: the service
   * takes no more calls, and ends when those in progress have ended. If the signal has aborted already,
   * the service closes at once and takes no call.
   */
  signal?: AbortSignal;
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
   * The most attempts, including the first one; 1: a call is never made again. Attempts that find the link
   * of a `nats://` target down send nothing and are not counted: they go on until the time of the call is
   * over.
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
   * Milliseconds for a call: for a service to be there, for a slot, and for the result, together. If the
   * result is a stream, it also bounds the stream's first item. When it runs out, the call fails with
   * `TIMEOUT`; with `BUSY` if no slot became free; with `NO_SERVER` if no service was open meanwhile.
   * `Infinity`: the call waits for ever.
   *
   * @default {30000}
   */
  timeout?: number;
  /**
   * Milliseconds for each further item of a stream, and for the end of a stream that is left early. There
   * is no limit by default, because the death or the end of the other side ends a stream anyway.
   *
   * @default {Infinity}
   */
  itemTimeout?: number;
  /**
   * Whether each call notes where the program makes it, for the `stack` of its error. Without the option, a
   * stack has the code that awaits the call, as far as the runtime can follow it: not through `then()`, for
   * example. The option takes a few microseconds for each call.
   *
   * @default {false}
   */
  callSites?: boolean;
  /**
   * What a call does while no service of the target is open: it waits for one within its `timeout`
   * (`"wait"`), or fails with `NO_SERVER` at once, and sends nothing (`"fail"`).
   *
   * @default "wait"
   */
  whenAbsent?: "wait" | "fail";
  /**
   * What a call does while all slots of the channel are in use: it waits for one within its `timeout`
   * (`"wait"`), or fails with `BUSY` at once (`"fail"`).
   *
   * @default "wait"
   */
  whenFull?: "wait" | "fail";
  /**
   * How many services, one after another, may get a call of an idempotent method, if each dies while it
   * holds the call; at most the channel's `maxDeliveries`, which is also the default. If a service dies
   * after it began with another call, that call fails with `SERVER_DIED`.
   */
  maxDeliveries?: number;
  /**
   * The methods that may run twice without harm; `true`: all. Their calls go to other services according
   * to `maxDeliveries`. If that was not enough, or the channel was created again, they are tried again
   * according to `retry`, also after `BUSY` (with `whenFull: "fail"`), `UNKNOWN_OUTCOME` and `DISCONNECTED`,
   * within the call's `timeout`. If nobody knows what one of the attempts has done, and the others did
   * nothing, the call fails with `UNKNOWN_OUTCOME`. Arguments are encoded once, when the method is called; a
   * call with streams is not tried again.
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
  /**
   * Values to send beside the arguments, by key: a token, a tenant, the id of a request. The service finds
   * them in {@linkcode CallContext.metadata}. All values are allowed that arguments may have, except those
   * that stay in this process, such as streams and signals; a value that cannot be sent rejects the call
   * with `NOT_SERIALIZABLE`. The object's properties are read once, when it is given.
   *
   * {@linkcode withOptions} adds its metadata to those of the remote, key by key; the value undefined
   * removes a key.
   */
  metadata?: Metadata;
}

/** Options of {@linkcode connect}: the defaults of its calls, and what both sides have. */
export interface ConnectOptions extends CallOptions, EndOptions {
  /**
   * Runs around every call of the connection, for example to add metadata, to measure, or to make a failed
   * call again: see {@linkcode Around}. `onCall` and spans see what it sends, each `next()` by itself.
   */
  around?: Around<ClientCall>;
}
