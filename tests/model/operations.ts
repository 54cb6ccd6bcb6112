/**
 * The operations of the property tests, as plain data: the same operations run in this process
 * or go to another one over its stdin, and their outcomes come back as plain data, too.
 *
 * The session names each object: `c1` a client, `s1` a server, `k1` a call, `d1` a draft, `w1` a
 * promise that is left pending. The actor that receives a request names it.
 *
 * @module
 */

/** The content of a message. It determines the bytes, so the model remembers only the content. */
export interface Content {
  readonly length: number;
  /** Differs from message to message. */
  readonly seed: number;
  readonly isText: boolean;
}

/** The form of an operation that has three forms. */
export type Form = "try" | "sync" | "promise";

/** Operations of clients. */
export type ClientOperation =
  | { readonly op: "openClient"; readonly client: string }
  | { readonly op: "closeClient"; readonly client: string }
  | {
    readonly op: "send";
    readonly client: string;
    readonly call: string;
    readonly content: Content;
    readonly form: Form;
    readonly timeout?: number;
    readonly maxDeliveries?: number;
  }
  /** A `send` that finds no slot and is left pending. */
  | {
    readonly op: "sendLater";
    readonly client: string;
    readonly call: string;
    readonly content: Content;
    readonly wait: string;
  }
  | { readonly op: "post"; readonly client: string; readonly content: Content }
  /** A `request` that is left pending. */
  | {
    readonly op: "ask";
    readonly client: string;
    readonly content: Content;
    readonly wait: string;
    readonly into?: number;
  }
  /** A request with a time-out of 0: no server can answer it in time. */
  | {
    readonly op: "askInVain";
    readonly client: string;
    readonly content: Content;
    readonly form: "sync" | "promise";
  }
  | {
    readonly op: "allocate";
    readonly client: string;
    readonly draft: string;
    readonly content: Content;
  }
  | {
    readonly op: "sendDraft";
    readonly draft: string;
    readonly call: string;
    readonly timeout?: number;
  }
  | { readonly op: "postDraft"; readonly draft: string }
  | { readonly op: "askDraft"; readonly draft: string; readonly wait: string }
  | { readonly op: "discardDraft"; readonly draft: string }
  | {
    readonly op: "get";
    readonly call: string;
    readonly form: Form;
    readonly timeout?: number;
    readonly into?: number;
  }
  | {
    readonly op: "ready";
    readonly call: string;
    readonly form: "sync" | "promise";
    readonly timeout?: number;
  }
  | { readonly op: "view"; readonly call: string }
  | { readonly op: "release"; readonly call: string }
  | { readonly op: "cancel"; readonly call: string }
  /** By its id, by any client: `id` belongs to some earlier call. */
  | { readonly op: "cancelById"; readonly client: string; readonly id: string }
  /** A `get` or `ready` that is left pending. */
  | {
    readonly op: "awaitCall";
    readonly call: string;
    readonly want: "get" | "ready";
    readonly wait: string;
  }
  | { readonly op: "abortClient"; readonly wait: string }
  | { readonly op: "counts"; readonly client: string }
  | { readonly op: "nextClientEvent" };

/** Operations of servers. */
export type ServerOperation =
  | { readonly op: "openServer"; readonly server: string }
  | { readonly op: "closeServer"; readonly server: string }
  | {
    readonly op: "receive";
    readonly server: string;
    readonly form: Form;
    /** For `receiveMany` and similar; absent: by `receive`. */
    readonly max?: number;
    readonly timeout?: number;
  }
  /** A `receive` or `receiveMany` that is left pending. */
  | {
    readonly op: "receiveLater";
    readonly server: string;
    readonly wait: string;
    readonly max?: number;
  }
  | {
    readonly op: "reply";
    readonly request: string;
    readonly content: Content;
    /** `allocate`: filled in place; `echo`: the request's own bytes. */
    readonly how: "reply" | "allocate" | "echo";
  }
  | { readonly op: "fail"; readonly request: string; readonly message: string }
  /** By its id, by a handle that may not hold the request. */
  | {
    readonly op: "replyById";
    readonly server: string;
    readonly id: string;
    readonly content: Content;
  }
  | {
    readonly op: "failById";
    readonly server: string;
    readonly id: string;
    readonly message: string;
  }
  | { readonly op: "look"; readonly request: string }
  | { readonly op: "clear"; readonly server: string }
  | { readonly op: "abortServer"; readonly wait: string }
  | { readonly op: "nextServerEvent" };

export type Operation = ClientOperation | ServerOperation;

/** The outcome of an operation. */
export type Outcome =
  | { readonly value: unknown }
  /** The code of a `TandemError`, else the name of the error. */
  | { readonly error: string; readonly message: string };

/** A pending promise that has settled. */
export interface Event {
  readonly wait: string;
  readonly outcome: Outcome;
}

/** A request that a server got. */
export interface Received {
  readonly request: string;
  readonly id: string;
  readonly bytes: string;
  readonly isText: boolean;
  readonly oneWay: boolean;
  readonly deliveries: number;
  readonly cancelled: boolean;
}

/** The state of a channel as seen from outside. */
export interface Counts {
  readonly inFlight: number;
  readonly queued: number;
  readonly clients: number;
  readonly servers: number;
  readonly requests: number;
  readonly replies: number;
  readonly redelivered: number;
  /** Of the observing handle. */
  readonly pending: number;
  readonly serversOpen: number;
}

/** The sizes of the channel. */
export interface Sizes {
  readonly slots: number;
  readonly maxRequestBytes: number;
  readonly maxResponseBytes: number;
  readonly maxDeliveries: number;
}

/** Carries out operations, in this process or in one or two others. */
export interface Actor {
  perform(operation: Operation): Promise<Outcome>;
}

const clientOperations: ReadonlySet<string> = new Set<ClientOperation["op"]>([
  "openClient",
  "closeClient",
  "send",
  "sendLater",
  "post",
  "ask",
  "askInVain",
  "allocate",
  "sendDraft",
  "postDraft",
  "askDraft",
  "discardDraft",
  "get",
  "ready",
  "view",
  "release",
  "cancel",
  "cancelById",
  "awaitCall",
  "abortClient",
  "counts",
  "nextClientEvent",
]);

/** The process that runs it, of two. */
export function isOfClient(operation: Operation): operation is ClientOperation {
  return clientOperations.has(operation.op);
}
