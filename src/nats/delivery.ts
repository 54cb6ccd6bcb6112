/**
 * A request that a receiver holds.
 *
 * @module
 */
import type { Origin, Peer } from "../base/peer.ts";
import { unknownPeer } from "../base/peer.ts";
import { codeOf, textOf } from "../base/guard.ts";
import { type ErrorCode, RemoteError, TandemError } from "../errors.ts";
import { now } from "../runtime/timers.ts";
import type { Bytes, Delivery } from "../transport/transport.ts";
import type { ClientMessage } from "./client.ts";
import {
  beginAnswer,
  failedFrame,
  frameBytes,
  isSentAgain,
  readPeer,
  requestBytes,
  timeLeft,
} from "./frames.ts";
import type { Link } from "./link.ts";
import { type QueueTicket, unknownOutcome } from "./work_queue/ticket.ts";

/** The receiver, as its deliveries see it. */
export interface Holder {
  readonly link: Link;
  readonly maxResponseBytes: number;
  /** Forgets a delivery that is answered; false: the receiver is closed. */
  release(delivery: NatsDelivery, hasFailed: boolean): boolean;
  /** A delivery's signal is watched, so its deadline matters. */
  watch(delivery: NatsDelivery): void;
}

/** The headers of a request in the text form, and of its answer. */
export const methodHeader = "Tandem-Method";
export const timeoutHeader = "Tandem-Timeout";
const errorHeader = "Tandem-Error";
/** As the services of NATS's own framework name an error. */
const serviceErrorHeader = "Nats-Service-Error";
const serviceCodeHeader = "Nats-Service-Error-Code";

export class NatsDelivery implements Delivery {
  readonly bytes: Bytes;
  readonly deliveries: number;
  readonly isForwarded: boolean;
  readonly arrivedAt: number = now();
  /** Where the answer goes. */
  readonly replyTo: string;
  /** In the time of `performance.now()`. */
  readonly deadline: number;
  readonly #holder: Holder;
  readonly #frame: Bytes;
  readonly #method: string | undefined;
  /** Null: the request came at once. */
  readonly #ticket: QueueTicket | null;
  #abort: AbortController | null = null;
  #lostBecause: TandemError | null = null;
  #allocated: Bytes | null = null;
  #allocatedFrame: Bytes | null = null;
  #isAnswered = false;

  /** @param isForwarded its sender knows nothing of the frames of this package */
  constructor(
    holder: Holder,
    data: Bytes,
    message: ClientMessage,
    isForwarded: boolean,
    ticket: QueueTicket | null = null,
  ) {
    this.#holder = holder;
    this.#ticket = ticket;
    this.deliveries = ticket?.deliveries ?? 1;
    this.#frame = data;
    this.isForwarded = isForwarded;
    const { replyTo } = ticket ?? { replyTo: message.reply ?? "" };
    // What the server itself reads may be done with the rights of this program, not of the sender.
    this.replyTo = replyTo.startsWith("$") ? "" : replyTo;
    this.bytes = isForwarded ? data : data.subarray(requestBytes);
    this.#method = isForwarded ? message.headers?.get(methodHeader) || undefined : undefined;
    const timeout = (isForwarded ? timeoutOf(message) : timeLeft(data)) - (ticket?.age ?? 0);
    this.deadline = timeout === Infinity ? Infinity : this.arrivedAt + timeout;
  }

  get origin(): Origin | undefined {
    if (!this.isForwarded || this.#isAnswered) return undefined;
    return { address: "nats", key: undefined, method: this.#method };
  }

  get peer(): Peer {
    return this.isForwarded ? unknownPeer : readPeer(this.#frame);
  }

  get timeRemaining(): number {
    return this.deadline === Infinity ? Infinity : Math.max(0, this.deadline - now());
  }

  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  get signal(): AbortSignal {
    if (this.#abort) return this.#abort.signal;
    this.#abort = new AbortController();
    if (this.#lostBecause && !this.#isAnswered) this.#abort.abort(this.#lostBecause);
    else if (!this.#isAnswered) this.#holder.watch(this);
    return this.#abort.signal;
  }

  /** The sender no longer waits. Runs code of the user. */
  lose(reason: TandemError): void {
    if (this.#isAnswered || this.#lostBecause) return;
    this.#lostBecause = reason;
    this.#abort?.abort(reason);
  }

  /** Loses it if its time is over. */
  expire(time: number): void {
    if (this.deadline <= time) {
      this.lose(new TandemError("TIMEOUT", "The client's deadline ran out: it no longer waits"));
    }
  }

  get isLost(): boolean {
    return this.#lostBecause !== null;
  }

  allocate(byteLength: number): Bytes {
    this.#checkLength(byteLength);
    if (this.#isAnswered) throw closed("allocate a response: the request is answered already");
    if (this.isForwarded) {
      return this.#allocated = this.#allocatedFrame = new Uint8Array(byteLength);
    }
    this.#allocatedFrame = beginAnswer(byteLength);
    return this.#allocated = this.#allocatedFrame.subarray(frameBytes);
  }

  allocateInstead(byteLength: number): Bytes {
    return this.allocate(byteLength);
  }

  reply(answer: Bytes): boolean {
    if (this.#isAnswered) return false;
    this.#checkLength(answer.byteLength);
    let frame = answer === this.#allocated ? this.#allocatedFrame! : null;
    if (frame === null) {
      if (this.isForwarded) frame = answer.slice();
      else {
        frame = beginAnswer(answer.byteLength);
        frame.set(answer, frameBytes);
      }
    }
    this.#finish("reply", false);
    return this.#send(frame);
  }

  fail(error: unknown): boolean {
    if (this.#isAnswered) return false;
    this.#finish("fail a request", true);
    return this.#sendFailure(error);
  }

  /** @returns false: nobody waits for it */
  #send(frame: Bytes, headers?: Readonly<Record<string, string>>): boolean {
    if (!this.#isWaitedFor) {
      this.#ticket?.drop();
      return false;
    }
    if (this.#ticket) this.#ticket.answer(frame);
    else this.#holder.link.answer(this.replyTo, frame, headers);
    return true;
  }

  #sendFailure(error: unknown): boolean {
    const message = textOf(error);
    const code = error instanceof TandemError && !(error instanceof RemoteError)
      ? codeOf(error) as ErrorCode
      : "REMOTE";
    if (!this.isForwarded) {
      const isThrown = code === "REMOTE";
      return this.#send(
        isThrown ? failedFrame("Error" as ErrorCode, message, true) : failedFrame(code, message),
      );
    }
    const line = message.replace(/[^\x20-\x7e]+/g, " ").slice(0, 1_000) || code;
    return this.#send(new Uint8Array(), {
      [errorHeader]: code,
      [serviceErrorHeader]: line,
      [serviceCodeHeader]: code === "REMOTE" ? "500" : "400",
    });
  }

  /** Its sender can be told something, and has not left. */
  get #isWaitedFor(): boolean {
    return this.#lostBecause === null && this.replyTo !== "" && this.deadline > now();
  }

  lastDelivery(): Promise<void> | void {
    if (!this.isForwarded && isSentAgain(this.#frame)) {
      throw unknownOutcome("it was sent twice, and another service may have begun with it");
    }
    const taken = this.#ticket?.last();
    if (taken) return this.#whenTaken(taken);
  }

  /** Its caller may leave, or this service close, meanwhile. */
  async #whenTaken(taken: Promise<void>): Promise<void> {
    await taken;
    this.signal.throwIfAborted();
  }

  /** Another receiver gets it if this one is lost. */
  get isFromQueue(): boolean {
    return this.#ticket !== null;
  }

  /** The receiver closes without an answer. */
  abandon(): void {
    this.#abort ??= new AbortController();
    if (!this.#ticket?.handBack()) this.#sendFailure(serverDied());
    this.#abort.abort(
      this.#lostBecause ?? new TandemError("CANCELLED", "The service was closed"),
    );
  }

  #finish(tried: string, hasFailed: boolean): void {
    if (!this.#holder.release(this, hasFailed)) throw closed(`${tried}: the service is closed`);
    this.#isAnswered = true;
  }

  #checkLength(length: number): void {
    const { maxResponseBytes } = this.#holder;
    if (length <= maxResponseBytes) return;
    throw new TandemError(
      "TOO_LARGE",
      `Cannot reply with ${length} bytes: the target takes ${maxResponseBytes}; reply with fewer, or raise the ` +
        "max_payload of the NATS server",
    );
  }
}

function timeoutOf({ headers }: ClientMessage): number {
  const timeout = Number(headers?.get(timeoutHeader) || Infinity);
  return timeout >= 0 ? timeout : Infinity;
}

function serverDied(): TandemError {
  return new TandemError(
    "SERVER_DIED",
    "Cannot get an answer: the service that held the request was closed",
  );
}

function closed(tried: string): TandemError {
  return new TandemError("CLOSED", `Cannot ${tried}`);
}
