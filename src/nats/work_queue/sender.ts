/**
 * The part of a requester that sends calls through the queue of its target, if that has one. Its services say so.
 *
 * @module
 */
import { later, now } from "../../runtime/timers.ts";
import type { NatsCall } from "../call.ts";
import { allowedDeliveries } from "../frames.ts";
import { JetStream } from "../jetstream.ts";
import type { Link } from "../link.ts";
import { QueuedCall, type QueuedCallOwner } from "./queued_call.ts";

/** Milliseconds until a call without an answer asks whether there are services. */
const askAfter = 50;

/** The requester, as its sender sees it. */
export interface SenderOwner {
  full(call: NatsCall): void;
  /** The target has no queue any more. */
  withoutQueue(call: NatsCall): void;
  /** Asks who is there; the answer comes to {@linkcode QueueSender.seen}. */
  ask(): void;
}

export class QueueSender implements QueuedCallOwner {
  readonly link: Link;
  readonly jetStream: JetStream;
  readonly subject: string;
  readonly #owner: SenderOwner;
  /** Those whose storing is not over. */
  readonly #storing: Set<QueuedCall> = new Set();
  /** How many services may get a call, one after another, as services have said; 1: there is no queue. */
  #maxDeliveries = 1;
  /** When there was a sign of a service. */
  #seenAt = -Infinity;
  #sentAt = 0;
  #cancelAsk: (() => void) | null = null;

  constructor(link: Link, subject: string, owner: SenderOwner) {
    this.link = link;
    this.jetStream = new JetStream(link);
    this.subject = subject;
    this.#owner = owner;
  }

  get maxDeliveries(): number {
    return this.#maxDeliveries;
  }

  /** A service has said how many deliveries the target allows. */
  learned(maxDeliveries: number): void {
    this.#maxDeliveries = Math.max(1, maxDeliveries);
    this.seen();
  }

  seen(): void {
    this.#seenAt = now();
  }

  /** Whether a service has shown itself since the call was sent. */
  hasSeenService(call: NatsCall): boolean {
    const { queued } = call;
    return queued === null || this.#seenAt >= queued.beganAt;
  }

  /** Whether the call goes through the queue. Calls that must find a service at once ask for one first. */
  takes({ frame, waitsForReceiver }: NatsCall): boolean {
    return this.#maxDeliveries > 1 && waitsForReceiver && allowedDeliveries(frame) !== 1;
  }

  /** @param call has its number */
  send(call: NatsCall): void {
    const queued = new QueuedCall(this, call);
    call.queued = queued;
    this.#storing.add(queued);
    this.#sentAt = queued.beganAt;
    this.#cancelAsk ??= later(askAfter, () => {
      this.#cancelAsk = null;
      if (this.#seenAt < this.#sentAt) this.#owner.ask();
    });
  }

  full(call: NatsCall): void {
    this.#owner.full(call);
  }

  absent(call: NatsCall): void {
    this.#maxDeliveries = 1;
    this.#owner.withoutQueue(call);
  }

  settled(queued: QueuedCall): void {
    this.#storing.delete(queued);
  }

  close(): void {
    this.#cancelAsk?.();
    for (const queued of this.#storing) queued.close();
    this.#storing.clear();
  }
}
