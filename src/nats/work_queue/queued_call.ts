/**
 * A call that is given to services through the queue, as its caller sees it.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import { now } from "../../runtime/timers.ts";
import type { NatsCall, QueuedPart } from "../call.ts";
import { setTimeLeft } from "../frames.ts";
import { ErrorNumber, isRefusal, type JetStream } from "../jetstream.ts";
import type { Link } from "../link.ts";
import { ageMaxSeconds } from "./queue.ts";
import { Storing, type StoringOwner } from "./storing.ts";

/** After so many ticks without a word of a service, the caller asks whether the call still is in the queue. */
const lookAfter = 7;
/** When it is not, and the caller hears nothing until so many, there will be no answer. */
const silentTicksMax = 10;

/** The end that sends requests, as they see it. */
export interface QueuedCallOwner {
  readonly link: Link;
  readonly jetStream: JetStream;
  readonly subject: string;
  full(call: NatsCall): void;
  /** The target has no queue. */
  absent(call: NatsCall): void;
  /** It does not have to be stored any more. */
  settled(call: QueuedCall): void;
}

export class QueuedCall implements QueuedPart, StoringOwner {
  readonly beganAt: number = now();
  readonly #owner: QueuedCallOwner;
  readonly #call: NatsCall;
  readonly #messageId: string;
  readonly #storing: Storing;
  #place: { readonly stream: string; readonly sequence: number } | null = null;
  #silentTicks = 0;
  /** No other service gets it: the one that has it says so with its silence if it is lost. */
  #isTaken = false;
  #isUnwanted = false;

  /** @param call has its number */
  constructor(owner: QueuedCallOwner, call: NatsCall) {
    this.#owner = owner;
    this.#call = call;
    this.#messageId = owner.link.subjectOf(call.number);
    this.#storing = new Storing(owner.link, { subject: owner.subject, data: call.frame }, this);
  }

  prepare(): Readonly<Record<string, string>> | null {
    const left = this.#call.deadline - now();
    if (left <= 0) {
      this.#owner.settled(this);
      return null;
    }
    setTimeLeft(this.#call.frame, left);
    // The server removes what nobody waits for.
    const seconds = Math.min(ageMaxSeconds, Math.ceil(left / 1_000) + 1);
    return { "Nats-Msg-Id": this.#messageId, "Nats-TTL": `${seconds}s` };
  }

  stored(stream: string, sequence: number): void {
    this.#place = { stream, sequence };
    this.#silentTicks = 0;
    if (this.#isUnwanted) this.#remove();
    this.#owner.settled(this);
  }

  full(): void {
    this.#ended(() => this.#owner.full(this.#call));
  }

  absent(): void {
    this.#ended(() => this.#owner.absent(this.#call));
  }

  failed(error: TandemError): void {
    this.#ended(() => this.#call.fail(error));
  }

  #ended(tell: () => void): void {
    this.#owner.settled(this);
    if (!this.#isUnwanted && !this.#call.hasEnded) tell();
  }

  delivered(): void {
    this.#storing.close();
    this.#owner.settled(this);
  }

  heard(): void {
    this.#silentTicks = 0;
    this.#isTaken = false;
  }

  lost(): void {
    this.#silentTicks = 0;
  }

  tick(): void {
    // A service may be found, or its word come, only when the link is back.
    if (!this.#owner.link.isUp || this.#place === null) return;
    this.#silentTicks += 1;
    if (this.#silentTicks === lookAfter) void this.#look(this.#place.stream, this.#place.sequence);
    if (this.#silentTicks <= silentTicksMax) return;
    if (this.#isTaken) this.#call.fail(unknownOutcome());
    else this.#silentTicks = 0;
  }

  /** Asks whether the call still is in the queue. Never rejects. */
  async #look(stream: string, seq: number): Promise<void> {
    try {
      await this.#owner.jetStream.ask(`STREAM.MSG.GET.${stream}`, { seq });
    } catch (error) {
      // Without an answer of the server, the call goes on: its deadline ends it.
      this.#isTaken = isRefusal(error, ErrorNumber.noMessage);
    }
  }

  withdraw(): void {
    if (this.#isUnwanted) return;
    this.#isUnwanted = true;
    if (this.#place) this.#remove();
    else this.#storing.unwanted();
  }

  /** So that no service begins with it. */
  #remove(): void {
    const { stream, sequence } = this.#place!;
    const { link } = this.#owner;
    if (!link.isUp) return;
    const question = JSON.stringify({ seq: sequence, no_erase: true });
    try {
      link.publish(`$JS.API.STREAM.MSG.DELETE.${stream}`, new TextEncoder().encode(question));
    } catch {
      // The link has just been lost.
    }
  }

  close(): void {
    this.#storing.close();
  }
}

function unknownOutcome(): TandemError {
  return new TandemError(
    "UNKNOWN_OUTCOME",
    "Cannot get an answer: the last service that could have the request has been silent for five seconds; it may " +
      "or may not have done it",
  );
}
