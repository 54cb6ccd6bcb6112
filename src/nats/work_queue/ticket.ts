/**
 * The right of a service to work on a call from a queue.
 *
 * @module
 */
import { textOf } from "../../base/guard.ts";
import { TandemError } from "../../errors.ts";
import type { Bytes } from "../../transport/transport.ts";
import type { Link } from "../link.ts";
import type { QueueOrigin } from "./origin.ts";

/** What services tell the queue. */
const taken = new TextEncoder().encode("+ACK");
const handedBack = new TextEncoder().encode("-NAK");
const inProgress = new TextEncoder().encode("+WPI");

/** The right to work on a request that comes from a queue. */
export interface QueueTicket {
  readonly deliveries: number;
  /** Where the answer goes. */
  readonly replyTo: string;
  /** Milliseconds since the sender has sent it. */
  readonly age: number;
  /** See {@linkcode Delivery.lastDelivery}. */
  last(): Promise<void> | void;
  /** Sends the answer, and takes the request out of the queue when it has arrived. */
  answer(frame: Bytes): void;
  /** Takes it out of the queue: nobody waits for the answer. */
  drop(): void;
  /** Gives it to another receiver; false: nobody else may get it. */
  handBack(): boolean;
}

/** Who has tickets, as they see it. */
export interface TicketOwner {
  readonly link: Link;
  /** By the server's clock, in milliseconds since the epoch. */
  readonly serverTime: number;
  /**
   * Takes the call out of the queue, and waits until that is sure.
   *
   * @param acknowledge the subject at which the server hears of it
   */
  take(acknowledge: string): Promise<void>;
  /** The service has answered; the caller gets the answer for sure before the call leaves the queue. */
  answer(ticket: Ticket, frame: Bytes): void;
  /** The call is no longer in the queue, or somebody else's. */
  ended(ticket: Ticket): void;
}

export class Ticket implements QueueTicket {
  readonly deliveries: number;
  readonly replyTo: string;
  readonly #owner: TicketOwner;
  /** The subject at which the server hears of it. */
  readonly #acknowledge: string;
  /** When the call was stored, by the server's clock. */
  readonly #storedAt: number;
  #isInQueue = true;

  /** @param replyTo where its answer goes */
  constructor(
    owner: TicketOwner,
    acknowledge: string,
    { deliveries, storedAt }: QueueOrigin,
    replyTo: string,
  ) {
    this.#owner = owner;
    this.#acknowledge = acknowledge;
    this.deliveries = deliveries;
    this.#storedAt = storedAt;
    this.replyTo = replyTo;
  }

  get age(): number {
    return Math.max(0, this.#owner.serverTime - this.#storedAt);
  }

  last(): Promise<void> | void {
    // The service before this one may have begun: its word that nobody must repeat it may have been lost with it.
    if (this.deliveries > 1) throw unknownOutcome("a service before this one was lost with it");
    if (!this.#isInQueue) return;
    this.#isInQueue = false;
    this.#owner.ended(this);
    return this.#takeForGood();
  }

  async #takeForGood(): Promise<void> {
    try {
      await this.#owner.take(this.#acknowledge);
    } catch (error) {
      throw unknownOutcome(
        `the queue has not confirmed that no other service gets the call: ${textOf(error)}`,
      );
    }
  }

  drop(): void {
    this.#end(taken);
  }

  answer(frame: Bytes): void {
    this.#owner.answer(this, frame);
  }

  handBack(): boolean {
    if (!this.#isInQueue) return false;
    this.#end(handedBack);
    return true;
  }

  /** Another service must not get it yet. */
  stillWorking(): void {
    this.#tell(inProgress);
  }

  #end(message: Uint8Array): void {
    if (!this.#isInQueue) return;
    this.#isInQueue = false;
    this.#tell(message);
    this.#owner.ended(this);
  }

  /** If the link is lost, the queue gives the call to another service. */
  #tell(message: Uint8Array): void {
    const { link } = this.#owner;
    if (!link.isUp) return;
    try {
      link.publish(this.#acknowledge, message);
    } catch {
      // It has just been lost.
    }
  }
}

export function unknownOutcome(why: string): TandemError {
  return new TandemError(
    "UNKNOWN_OUTCOME",
    `Cannot get an answer: ${why}; it may or may not have done the call`,
  );
}
