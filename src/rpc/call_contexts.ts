/**
 * The contexts of calls: see {@linkcode callContext}.
 *
 * @module
 */
import type { Peer } from "../base/peer.ts";
import type { Delivery } from "../transport/transport.ts";
import type { CallContext } from "./context.ts";
import { copyMetadata, type Metadata, noMetadata } from "./metadata.ts";

/** The request behind a context, also in the bodies of generators. Users cannot reach it. */
export let deliveryOf: (context: CallContext) => Delivery | undefined;

/** The context of a call. */
export class RequestContext implements CallContext {
  static {
    deliveryOf = (context) => {
      if (#delivery in context) return context.#delivery;
      return context instanceof StreamContext ? requestOf(context) : undefined;
    };
  }

  readonly method: string;
  /** The method reads its arguments in the request. */
  isInPlace: boolean = false;
  /** What {@linkcode CallWatch.begin} has returned. */
  watchToken: number = -1;
  hasFailed: boolean = false;
  readonly #delivery: Delivery;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly #sent: Metadata | undefined;
  /** Copied for users when they first look. */
  #metadata: Metadata | undefined;

  /** @param metadata as the caller sent it; undefined: it sent none */
  constructor(
    method: string,
    delivery: Delivery,
    traceparent: string | undefined,
    tracestate: string | undefined,
    metadata: Metadata | undefined,
  ) {
    this.method = method;
    this.#delivery = delivery;
    this.traceparent = traceparent;
    this.tracestate = tracestate;
    this.#sent = metadata;
  }

  get metadata(): Metadata {
    return this.#metadata ??= this.#sent ? copyMetadata(this.#sent) : noMetadata;
  }

  /** The call was answered. Returns a promise if its method still runs. */
  end(): Promise<void> | undefined {
    return undefined;
  }

  get signal(): AbortSignal {
    return this.#delivery.signal;
  }

  get timeRemaining(): number {
    return this.#delivery.isAnswered ? Infinity : this.#delivery.timeRemaining;
  }

  get deliveries(): number {
    return this.#delivery.deliveries;
  }

  get peer(): Peer {
    return this.#delivery.peer;
  }
}

let requestOf: (context: StreamContext) => Delivery | undefined;

/** The context of a generator's body, whose call was answered when the stream began. */
export class StreamContext implements CallContext {
  static {
    requestOf = (context) => context.#delivery;
  }

  readonly #delivery: Delivery | undefined;
  readonly method: string;
  readonly signal: AbortSignal;
  readonly timeRemaining: number = Infinity;
  readonly deliveries: number;
  readonly peer: Peer;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly metadata: Metadata;

  constructor(call: CallContext, signal: AbortSignal) {
    this.#delivery = deliveryOf(call);
    this.method = call.method;
    this.metadata = call.metadata;
    this.deliveries = call.deliveries;
    // The call is answered as soon as its stream begins.
    this.peer = call.peer;
    this.traceparent = call.traceparent;
    this.tracestate = call.tracestate;
    this.signal = signal;
  }
}
