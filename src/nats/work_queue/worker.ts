/**
 * The part of a service that takes calls from the queue of its target: it asks for as many as it has free places.
 *
 * @module
 */
import type { Gate } from "../../base/gate.ts";
import { TandemError } from "../../errors.ts";
import { later } from "../../runtime/timers.ts";
import type { Bytes } from "../../transport/transport.ts";
import type { ClientMessage } from "../client.ts";
import {
  allowedDeliveries,
  busyFrame,
  failedFrame,
  Frame,
  frameKind,
  requestBytes,
  timeLeft,
} from "../frames.ts";
import { newEndId } from "../ids.ts";
import { JetStream } from "../jetstream.ts";
import { type Link, LinkSubscription, tickMilliseconds } from "../link.ts";
import { Answers } from "./answers.ts";
import { consumerName } from "./names.ts";
import { readOrigin } from "./origin.ts";
import {
  ackWaitMilliseconds,
  ensureQueue,
  type QueuePlace,
  readClock,
  ServerClock,
} from "./queue.ts";
import { Ticket, type TicketOwner, unknownOutcome } from "./ticket.ts";

/**
 * How long the server keeps a question for calls, in milliseconds. A service that stands still, or is cut off, gets
 * calls as long as that; it is less than the time after which they are given to others, so that it does not get them
 * again.
 */
const questionMilliseconds = 3_000;
/** After so many ticks without an answer, the question is lost. */
const silentTicksMax = 2 * questionMilliseconds / tickMilliseconds;
/** After so many ticks, it reads the server's clock again, which somebody may have set. */
const clockTicks = 60_000 / tickMilliseconds;
/** Subjects at which callers may get answers: none of those that the server itself reads. */
const replyForm = /^(?!\$)[^\s*>]+$/;
/** The most calls of one question. */
const batchMax = 256;
/** With some calls asked for already, it asks again when so much of its places is free. */
const refillAt = 0.25;
/** Pauses before it tries again what the server has not done. */
const pauseMin = 50;
const pauseMax = 2_000;

/** The service, as its worker sees it. */
export interface QueueService {
  /** Never throws. */
  takeQueued(data: Bytes, message: ClientMessage, ticket: Ticket): void;
  /** The caller waits for it no longer. */
  expired(ticket: Ticket): void;
  /** The queue cannot be used. */
  refuse(error: TandemError): void;
}

/** A call that has come although the last place was taken meanwhile. */
interface Waiting {
  readonly data: Bytes;
  readonly message: ClientMessage;
  readonly ticket: Ticket;
}

export class Worker implements TicketOwner {
  readonly link: Link;
  /** Resolves when calls of the queue reach this service. */
  readonly ready: Promise<void>;
  readonly #becomeReady: () => void;
  readonly #service: QueueService;
  readonly #place: Promise<QueuePlace>;
  readonly #gate: Gate;
  readonly #maxDeliveries: number;
  readonly #jetStream: JetStream;
  readonly #clock: ServerClock = new ServerClock();
  readonly #answers: Answers;
  readonly #subscription: LinkSubscription;
  /** Calls that are in the queue still, and belong to this service, by the subjects of their answers. */
  readonly #tickets: Map<string, Ticket> = new Map();
  #waiting: Waiting[] = [];
  /** How many calls the server may still send. */
  #asked = 0;
  #silentTicks = 0;
  #nextSubject = "";
  /** Ends the use of the queue, for a new start. */
  #restart: ((error?: unknown) => void) | null = null;
  #endPause: (() => void) | null = null;
  #isWatching = false;
  #isLeft = false;
  #isClosed = false;
  #leaving: Promise<void> | null = null;
  #cancelWork: (() => void) | null = null;

  constructor(
    link: Link,
    place: Promise<QueuePlace>,
    maxDeliveries: number,
    gate: Gate,
    service: QueueService,
  ) {
    this.link = link;
    this.#place = place;
    this.#maxDeliveries = maxDeliveries;
    this.#gate = gate;
    this.#service = service;
    this.#jetStream = new JetStream(link);
    this.#answers = new Answers(link);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#becomeReady = resolve;
    this.#subscription = new LinkSubscription(
      `${link.inbox}.pull.${newEndId()}`,
      undefined,
      (data, message) => this.#arrived(data, message),
      (error) => service.refuse(error),
    );
    link.subscribe(this.#subscription);
    void this.#run();
  }

  get serverTime(): number {
    return this.#clock.time;
  }

  /** Calls that wait here for a free place. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Uses the queue, and again when the server or the queue was away. Never rejects. */
  async #run(): Promise<void> {
    let pause = pauseMin;
    while (!this.#isLeft) {
      try {
        const place = await this.#place;
        await this.link.opened();
        if (this.#isLeft) return;
        await ensureQueue(this.link, this.#jetStream, place, this.#maxDeliveries, this.#clock);
        if (this.#isLeft) return;
        this.#nextSubject = `$JS.API.CONSUMER.MSG.NEXT.${place.name}.${consumerName}`;
        pause = pauseMin;
        await this.#use(place.name);
      } catch (error) {
        if (this.#isLeft) return;
        if (!isTemporary(error)) return this.#service.refuse(error as TandemError);
      }
      if (this.#isLeft) return;
      await this.#rest(pause * (0.5 + Math.random() / 2));
      pause = Math.min(pauseMax, pause * 2);
    }
  }

  #rest(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = later(milliseconds, resolve);
      this.#endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Asks for calls until the link or the consumer is lost, or the server says nothing any more. */
  async #use(stream: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#restart = () => resolve();
    let ticks = 0;
    const number = this.link.add({
      arrived: () => {},
      lost: () => resolve(),
      tick: () => {
        this.#silentTicks += 1;
        if (this.#silentTicks > silentTicksMax && this.#asked > 0) resolve();
        ticks += 1;
        if (ticks % clockTicks === 0) void readClock(this.#jetStream, stream, this.#clock);
      },
      refused: (subject, error) => {
        const isOwn = subject === this.#nextSubject || subject.startsWith(`$JS.ACK.${stream}.`);
        if (isOwn) this.#service.refuse(error);
      },
    });
    try {
      this.#asked = 0;
      this.#silentTicks = 0;
      this.#ask();
      // The server has read the question before the service counts as ready.
      await this.link.flush();
      this.#becomeReady();
      await promise;
    } finally {
      this.#restart = null;
      this.link.remove(number);
    }
  }

  /** Asks for calls if there are free places. */
  #ask(): void {
    if (this.#restart === null || this.#isLeft) return;
    const { limit, inProgress } = this.#gate;
    const free = limit - inProgress - this.#waiting.length - this.#asked;
    const isWorth = this.#asked === 0 || free >= limit * refillAt;
    if (free > 0 && isWorth) this.#askFor(Math.min(free, batchMax));
    this.#watchGate();
  }

  #askFor(batch: number): void {
    const question = { batch, expires: questionMilliseconds * 1e6 };
    try {
      const data = new TextEncoder().encode(JSON.stringify(question));
      this.link.publish(this.#nextSubject, data, this.#subscription.subject);
      this.#asked += batch;
      this.#silentTicks = 0;
    } catch (error) {
      this.#restart?.(error);
    }
  }

  /** Goes on when a call has ended. An idle service that is not needed keeps no process alive. */
  #watchGate(): void {
    if (this.#isWatching || this.#gate.inProgress === 0 || this.#isClosed) return;
    this.#isWatching = true;
    void this.#gate.change().then(() => {
      this.#isWatching = false;
      this.#takeWaiting();
      this.#ask();
      if (this.#waiting.length > 0) this.#watchGate();
    });
  }

  #arrived(data: Bytes, message: ClientMessage): void {
    this.#silentTicks = 0;
    const origin = readOrigin(message.reply ?? "");
    if (origin === null) return this.#told(message);
    this.#asked = Math.max(0, this.#asked - 1);
    const replyTo = message.headers?.get("Nats-Msg-Id") ?? "";
    this.#delivered(data, message, new Ticket(this, message.reply!, origin, replyTo));
    this.#ask();
  }

  #delivered(data: Bytes, message: ClientMessage, ticket: Ticket): void {
    const { replyTo } = ticket;
    // Who publishes anything else there gets no answer.
    const isCall = frameKind(data) === Frame.request && data.byteLength >= requestBytes;
    if (!isCall || !replyForm.test(replyTo)) return ticket.drop();
    // This service was silent for too long, and gets what it has.
    if (this.#tickets.has(replyTo)) return;
    // Its caller has sent it again, and will have the answer.
    if (this.#answers.has(replyTo)) return ticket.drop();
    if (this.#isLeft) return this.#turnAway(ticket);
    this.#hold(ticket);
    if (this.#gate.isFull) this.#waiting.push({ data, message, ticket });
    else this.#take(data, message, ticket);
  }

  /** The server says something about a question. */
  #told({ headers }: ClientMessage): void {
    switch (headers?.code) {
      case 408:
        this.#asked = Math.max(0, this.#asked - Number(headers.get("Nats-Pending-Messages") || 0));
        return this.#ask();
      default:
        // The consumer is gone, or has another leader.
        this.#restart?.();
    }
  }

  #take(data: Bytes, message: ClientMessage, ticket: Ticket): void {
    const max = Math.min(allowedDeliveries(data) || this.#maxDeliveries, this.#maxDeliveries);
    if (ticket.deliveries > max) {
      const error = unknownOutcome(
        `${max} services that had the call, one after another, were lost`,
      );
      return this.answer(ticket, failedFrame(error.code, error.message));
    }
    if (ticket.age >= timeLeft(data)) return this.#service.expired(ticket);
    // If this service is lost with it, the caller hears it from the service's silence.
    if (ticket.deliveries === max) ticket.drop();
    this.#service.takeQueued(data, message, ticket);
  }

  #takeWaiting(): void {
    while (this.#waiting.length > 0 && !this.#gate.isFull && !this.#isClosed) {
      const { data, message, ticket } = this.#waiting.shift()!;
      this.#take(data, message, ticket);
    }
  }

  /**
   * If no service has begun with the call, its caller sends it again. A service before this one may have begun: the next
   * one sees that by the number of deliveries.
   */
  #turnAway(ticket: Ticket): void {
    if (ticket.deliveries > 1) return void ticket.handBack();
    this.link.answer(ticket.replyTo, busyFrame());
    ticket.drop();
  }

  #hold(ticket: Ticket): void {
    this.#tickets.set(ticket.replyTo, ticket);
    this.#workLater();
  }

  #workLater(): void {
    this.#cancelWork ??= later(ackWaitMilliseconds / 3, () => {
      this.#cancelWork = null;
      for (const ticket of this.#tickets.values()) ticket.stillWorking();
      if (this.#tickets.size > 0) this.#workLater();
    });
  }

  take(acknowledge: string): Promise<void> {
    return this.#jetStream.acknowledge(acknowledge);
  }

  answer(ticket: Ticket, frame: Bytes): void {
    this.#answers.add(ticket, frame);
  }

  ended(ticket: Ticket): void {
    if (this.#tickets.get(ticket.replyTo) === ticket) this.#tickets.delete(ticket.replyTo);
  }

  /** Takes no more calls. Resolves when none is on the way any more. May be called twice. */
  leave(): Promise<void> {
    return this.#leaving ??= this.#leave();
  }

  async #leave(): Promise<void> {
    this.#isLeft = true;
    this.#restart?.();
    this.#endPause?.();
    for (const { ticket } of this.#waiting.splice(0)) this.#turnAway(ticket);
    await this.link.drain(this.#subscription);
  }

  /** Resolves when the answers have arrived. */
  settled(): Promise<void> {
    return this.#answers.settled();
  }

  /** Calls that are not answered yet are handed back before by those who hold them. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    void this.leave();
    this.#answers.close();
    this.#cancelWork?.();
  }
}

function isTemporary(error: unknown): boolean {
  return error instanceof TandemError && error.code === "DISCONNECTED";
}
