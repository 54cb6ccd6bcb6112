/**
 * One request through NATS, from the call until its sender has the answer.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { report } from "../base/guard.ts";
import { type ErrorCode, RemoteError, TandemError } from "../errors.ts";
import { now } from "../runtime/timers.ts";
import type { AnswerReader, Bytes, RequestTerms } from "../transport/transport.ts";
import type { ClientMessage } from "./client.ts";
import { Frame, frameBytes, frameKind, readFailed, readQueue, setTimeLeft } from "./frames.ts";
import { type Numbered, tickMilliseconds } from "./link.ts";

/**
 * How long a service may be silent about a request, in milliseconds. A little less than the five seconds that
 * are promised, because looks and reports are half a second apart.
 */
const silenceMilliseconds = 4_500;
const ticksMax = silenceMilliseconds / tickMilliseconds;

/** A request that takes longer to come back has met a pause of this process, in milliseconds. */
const tripMax = 100;

/** The end that sends requests, as they see it. */
export interface CallOwner {
  /** The link will not come back. */
  readonly isLinkOver: boolean;
  /** No service takes requests on the subject. */
  absent(call: NatsCall): void;
  /** The service that the request has reached has no room for it. */
  full(call: NatsCall): void;
  /** The request belongs into the queue of the target. */
  toQueue(call: NatsCall, maxDeliveries: number): void;
  /** The service has said nothing about the request for too long. */
  silent(call: NatsCall): void;
  /** The server does not let this program publish to that subject. */
  refused(call: NatsCall, subject: string, error: TandemError): void;
  /** The sender no longer waits for a request that was sent. */
  cancelled(call: NatsCall): void;
  /** Runs just before the sender gets the answer or an error. */
  ended(call: NatsCall, isAnswered: boolean): void;
}

/** What a call has of the queue through which it goes. */
export interface QueuedPart {
  /** When it was sent, in the time of `performance.now()`. */
  readonly beganAt: number;
  /** A service works on it. */
  heard(): void;
  /** A service is done with it, so it does not have to be stored any more. */
  delivered(): void;
  /** Half a second has passed. */
  tick(): void;
  /** The link is lost: what is in the queue stays there. */
  lost(): void;
  /** The caller does not wait any longer, or sends it anew: takes it out of the queue. */
  withdraw(): void;
}

export class NatsCall implements Numbered {
  /** The request with its header. */
  readonly frame: Bytes;
  readonly deadline: number;
  /** When its wait for room is over. */
  readonly roomDeadline: number;
  readonly isBackground: boolean;
  readonly waitsForReceiver: boolean;
  /** Its place among the requests that wait for room. */
  readonly order: number;
  /** The number under which its answer comes; 0 while it is not sent. */
  number = 0;
  /** How long it took to come back without an answer, the last time, in milliseconds. */
  trip = 0;
  /** How often it was sent on a path on which nobody was. */
  absences = 0;
  /** Where the service that works on it takes messages about it, if that is known. */
  control: string | undefined;
  /** Null: it is sent to one service. */
  queued: QueuedPart | null = null;
  readonly #owner: CallOwner;
  readonly #reader: AnswerReader;
  #sentAt = 0;
  #silentTicks = 0;
  #hasEnded = false;
  #stopListening: (() => void) | null = null;

  /** @throws the error of a signal that refuses listeners */
  constructor(
    owner: CallOwner,
    frame: Bytes,
    terms: RequestTerms,
    deadline: number,
    order: number,
    reader: AnswerReader,
  ) {
    this.#owner = owner;
    this.frame = frame;
    this.deadline = deadline;
    const { roomTimeout = Infinity, signal } = terms;
    this.roomDeadline = roomTimeout === Infinity ? Infinity : now() + roomTimeout;
    this.isBackground = terms.isBackground ?? false;
    this.waitsForReceiver = terms.waitsForReceiver ?? true;
    this.order = order;
    this.#reader = reader;
    if (signal) this.#stopListening = onAbort(signal, () => this.abandon(reasonOf(signal)));
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Notes that it is sent under that number. */
  sent(number: number): void {
    this.number = number;
    this.control = undefined;
    this.queued = null;
    this.#silentTicks = 0;
    this.#sentAt = now();
    setTimeLeft(this.frame, this.deadline - this.#sentAt);
  }

  /** Nobody has taken it. */
  cameBack(): void {
    this.trip = Math.min(tripMax, now() - this.#sentAt);
  }

  arrived(data: Bytes, message: ClientMessage): void {
    const kind = frameKind(data);
    if (kind !== 0) this.queued?.delivered();
    switch (kind) {
      case Frame.answer:
        return this.#answered(data.subarray(frameBytes));
      case Frame.busy:
        return this.#owner.full(this);
      case Frame.queue:
        return this.#owner.toQueue(this, readQueue(data));
      case Frame.failed:
        return this.fail(errorOf(data));
    }
    if (message.headers?.code === 503) this.#owner.absent(this);
  }

  heard(control: string | undefined): void {
    this.#silentTicks = 0;
    this.control = control;
    this.queued?.heard();
  }

  tick(): void {
    if (this.queued) return this.queued.tick();
    this.#silentTicks += 1;
    if (this.#silentTicks > ticksMax) this.#owner.silent(this);
  }

  lost(error: TandemError): void {
    if (this.queued && !this.#owner.isLinkOver) return this.queued.lost();
    this.fail(error);
  }

  refused(subject: string, error: TandemError): void {
    this.#owner.refused(this, subject, error);
  }

  #answered(answer: Bytes): void {
    if (!this.#end(true)) return;
    try {
      this.#reader.read(answer, true);
    } catch (error) {
      report(this.#reader, "the reader of an answer", error);
    }
  }

  /** Ends the request for its sender. */
  fail(error: unknown): void {
    if (!this.#end(false)) return;
    try {
      this.#reader.fail(error);
    } catch (thrown) {
      report(this.#reader, "the reader of an answer", thrown);
    }
  }

  /** The sender does not wait any longer: the service is told. */
  abandon(error: unknown): void {
    if (this.#hasEnded) return;
    if (this.number !== 0) this.#owner.cancelled(this);
    this.fail(error);
  }

  #end(isAnswered: boolean): boolean {
    if (this.#hasEnded) return false;
    this.#hasEnded = true;
    this.#stopListening?.();
    this.#owner.ended(this, isAnswered);
    return true;
  }
}

const codes: ReadonlySet<string> = new Set<ErrorCode>([
  "SERVER_DIED",
  "UNKNOWN_OUTCOME",
  "TOO_LARGE",
  "UNSUPPORTED",
  "CORRUPT",
  "CANCELLED",
]);

function errorOf(data: Bytes): TandemError {
  const { code, message, isThrown } = readFailed(data);
  if (isThrown) return new RemoteError({ name: code, message });
  return new TandemError(codes.has(code) ? code as ErrorCode : "CORRUPT", message);
}
