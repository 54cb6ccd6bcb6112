/**
 * The calls that are meant for one certain service. They arrive on its private path, and count against its
 * `concurrency` as all others do.
 *
 * @module
 */
import type { Gate } from "../base/gate.ts";
import { TandemError } from "../errors.ts";
import { captureContext } from "../runtime/context.ts";
import { later, setImmediate } from "../runtime/timers.ts";
import type { Delivery, Receiver } from "../transport/transport.ts";
import { Dispatcher, type Offer } from "./dispatcher.ts";
import type { Endpoint } from "./endpoint.ts";
import { Kind, readMessage } from "./message.ts";
import { refuse, type Reply, replyResult } from "./replies.ts";

/** What a service tells of itself. Its length is part of the protocol. */
export type SelfDescription = readonly [
  version: string | null,
  callsInProgress: number,
  /** When the oldest of them began, in milliseconds since the epoch. */
  oldest: number | null,
];

/** After how many milliseconds a private path that could not be opened is tried again, at first and at last. */
const retryMin = 100;
const retryMax = 10_000;

export class AddressedCalls {
  readonly #endpoint: Endpoint;
  readonly #offer: Offer;
  readonly #gate: Gate;
  readonly #stopping: AbortSignal;
  /** For the receiver of the private path, which may be replaced. */
  #dispatcher: Dispatcher | null = null;
  #receiver: Receiver | null = null;
  readonly #dispatch: (delivery: Delivery, receiver: Receiver) => void;
  #retryAfter = retryMin;
  #cancelRetry: (() => void) | null = null;

  /** @param stopping aborts when the service takes no more calls */
  constructor(endpoint: Endpoint, offer: Offer, gate: Gate, stopping: AbortSignal) {
    this.#endpoint = endpoint;
    this.#offer = offer;
    this.#gate = gate;
    this.#stopping = stopping;
    const run = captureContext();
    const take = ({ delivery, receiver }: Arrival) => this.#take(delivery, receiver);
    this.#dispatch = (delivery, receiver) => run(take, { delivery, receiver });
  }

  /** Opens the private path in the next turn: the program that has just started goes first. */
  start(): void {
    this.#endpoint.takeCall = this.#dispatch;
    // Not at once: whoever has removed it may do so again and again.
    this.#endpoint.onHostLost = () => this.#openAfter(retryMin);
    setImmediate(() => this.#open());
  }

  #openAfter(milliseconds: number): void {
    this.#cancelRetry?.();
    this.#cancelRetry = later(milliseconds, () => this.#open());
  }

  #open(): void {
    if (this.#stopping.aborted || this.#endpoint.isClosed) return;
    try {
      void this.#endpoint.host;
      this.#retryAfter = retryMin;
    } catch {
      // For lack of memory, handles or descriptors, or there is no folder for it beside the target. No error says that
      // it would stay so. Callers of instance() are told.
      this.#openAfter(this.#retryAfter);
      this.#retryAfter = Math.min(retryMax, this.#retryAfter * 2);
    }
  }

  /** The endpoint is closed. */
  close(): void {
    this.#cancelRetry?.();
  }

  /** See {@linkcode Dispatcher.giveUpFetches}. */
  giveUpFetches(looks: number): void {
    this.#dispatcher?.giveUpFetches(looks);
  }

  /** Never throws. */
  #take(delivery: Delivery, receiver: Receiver): void {
    const reply: Reply = { delivery, side: this.#endpoint, max: receiver.maxResponseBytes };
    if (this.#stopping.aborted) return refuse(reply, closing());
    const kind = delivery.bytes[1];
    if (kind === Kind.describe) return this.#describe(reply, receiver);
    const dispatcher = this.#dispatcherFor(receiver);
    // The gate admits a long call when it has arrived.
    if (kind !== Kind.call || !this.#gate.isFull) return dispatcher.dispatch(delivery);
    void this.#dispatchLater(dispatcher, reply);
  }

  #dispatcherFor(receiver: Receiver): Dispatcher {
    if (this.#dispatcher && this.#receiver === receiver) return this.#dispatcher;
    this.#receiver = receiver;
    return this.#dispatcher = new Dispatcher(receiver, this.#endpoint, this.#offer, this.#gate);
  }

  /** Waits for a place. Never rejects. */
  async #dispatchLater(dispatcher: Dispatcher, reply: Reply): Promise<void> {
    const { delivery } = reply;
    const visit = this.#gate.enterLobby();
    const admission = await this.#gate.admission();
    visit.leave();
    if (!delivery.signal.aborted && delivery.timeRemaining > 0) {
      return dispatcher.dispatch(delivery, admission);
    }
    admission.leave();
    refuse(reply, new TandemError("CANCELLED", "The caller no longer waits for the call"));
  }

  #describe(reply: Reply, receiver: Receiver): void {
    const { bytes } = reply.delivery;
    try {
      readMessage(this.#endpoint.reads, bytes, receiver.isPrivate, () => {}, undefined);
    } catch (error) {
      return refuse(reply, error);
    }
    const { oldest, inProgress } = this.#gate;
    const description: SelfDescription = [this.#offer.version ?? null, inProgress, oldest];
    const failure = replyResult(reply, Kind.value, description);
    // A description has no Blobs.
    if (failure && !(failure instanceof Promise)) refuse(reply, failure.error);
  }
}

interface Arrival {
  readonly delivery: Delivery;
  readonly receiver: Receiver;
}

function closing(): TandemError {
  return new TandemError(
    "NO_SERVER",
    "Cannot call this service: it is closing and takes no more calls; services() lists the others",
  );
}
