/**
 * The end of a `nats://` target that sends requests.
 *
 * @module
 */
import { Alarm } from "../base/alarm.ts";
import { checkWhole, deadlineAfter } from "../base/checks.ts";
import type { ChannelOptions } from "../base/channel_options.ts";
import { endedByClosing } from "../base/closing.ts";
import { TandemError } from "../errors.ts";
import { keepAlive, later, now, ProcessHold } from "../runtime/timers.ts";
import { ownPeer } from "../transport/own_peer.ts";
import type {
  AnswerReader,
  Bytes,
  Message,
  PrivateReceiver,
  ReceiverInfo,
  Requester,
  RequestTerms,
} from "../transport/transport.ts";
import { type CallOwner, NatsCall } from "./call.ts";
import type { ClientMessage } from "./client.ts";
import {
  allowedDeliveries,
  beginRequest,
  cancelFrame,
  Frame,
  frameBytes,
  frameKind,
  readHere,
  requestBytes,
  setAllowedDeliveries,
  whoFrame,
} from "./frames.ts";
import { newEndId } from "./ids.ts";
import type { Link, Numbered } from "./link.ts";
import { NatsRoom } from "./room.ts";
import { QueueSender, type SenderOwner } from "./work_queue/sender.ts";

/** The queue of a target. */
export interface QueuePath {
  readonly subject: string;
  /** The stream. */
  readonly name: () => Promise<string>;
}

/** The subjects of a path on which requests are sent. */
export interface Path {
  /** Requests. */
  readonly requests: string;
  /** Messages about requests to whoever has them. */
  readonly control: string;
  /** One end has it, and nobody else can take its place. */
  readonly isPrivate: boolean;
  /** The queue of a target, for calls that further services may get; null: a private path has none. */
  readonly queue: QueuePath | null;
}

/** What an end needs to open private paths. */
export interface Places {
  servePrivate(link: Link, place: string, options: ChannelOptions, count: number): PrivateReceiver;
  connectPrivate(link: Link, name: string): Requester;
}

/**
 * How often a request is sent on a private path on which nobody seems to be: in a cluster of servers, the news
 * of a path may come after its name.
 */
const absencesMax = 4;
/** Milliseconds before such a request is sent again. */
const absencePause = 25;
/** The most deliveries that a target allows. */
const deliveriesMax = 31;
/** How many items of a stream are asked for ahead. */
const prefetched = 8;
/** How long {@linkcode NatsRequester.discover} waits for further services after each one, and in all, in milliseconds. */
const silenceAfterOne = 100;
const discoveryMax = 1_000;
/** When an end without calls ends its timers, in milliseconds. */
const restMilliseconds = 100;

export class NatsRequester implements Requester, CallOwner, SenderOwner {
  readonly #link: Link;
  readonly #path: Path;
  readonly #places: Places;
  readonly #target: string;
  readonly #place: string = newEndId();
  readonly #calls: Set<NatsCall> = new Set();
  readonly #alarm: Alarm = new Alarm(() => this.#expire());
  readonly #room: NatsRoom = new NatsRoom((call) => this.#sendAgain(call));
  readonly #queue: QueueSender | null;
  #lastOrder = 0;
  #isOpen = true;
  /** Whether a service is there, as far as is known. */
  #isServed = true;
  /** Whether this end has ever heard of a service. */
  #wasServed = false;
  #isAsking = false;
  /** The services that the last discovery has found; null: there was none. */
  #found: ReceiverInfo[] | null = null;
  #onLoss: () => void = () => {};
  /** Requests that keep the process alive. */
  #pending = 0;
  readonly #hold: ProcessHold = new ProcessHold();
  #cancelRest: (() => void) | null = null;

  /** @param link acquired for this requester, which releases it */
  constructor(link: Link, path: Path, places: Places, target: string) {
    this.#link = link;
    this.#path = path;
    this.#places = places;
    this.#target = target;
    this.#queue = path.queue && new QueueSender(link, path.queue.subject, this);
  }

  get isLinkOver(): boolean {
    return this.#link.isOver;
  }

  get maxRequestBytes(): number {
    return this.#link.maxPayload - requestBytes;
  }

  get prefetch(): number {
    return prefetched;
  }

  get longestAnswer(): number {
    return this.#link.maxPayload - frameBytes;
  }

  get receivers(): number {
    return this.#isServed && this.#isOpen ? 1 : 0;
  }

  listReceivers(): ReceiverInfo[] {
    return this.#found ?? [];
  }

  onLoss(listener: () => void): void {
    this.#onLoss = listener;
  }

  servePrivate(options: ChannelOptions, count: number): PrivateReceiver {
    return this.#places.servePrivate(this.#link, this.#place, options, count);
  }

  connectPrivate(name: string): Requester {
    return this.#places.connectPrivate(this.#link, name);
  }

  request(message: Message, given: RequestTerms | undefined, reader: AnswerReader): void {
    if (!this.#isOpen) throw closed("send a request");
    const terms = given ?? {};
    const { timeout = Infinity, signal, maxDeliveries } = terms;
    const queue = this.#queue;
    if (maxDeliveries !== undefined && queue) checkDeliveries(maxDeliveries, queue.maxDeliveries);
    signal?.throwIfAborted();
    const { byteLength } = message;
    if (byteLength > this.maxRequestBytes) throw tooLarge(byteLength, this.maxRequestBytes);
    this.#link.check();
    const { deadline = deadlineAfter(timeout) } = terms;
    const frame = beginRequest(byteLength, ownPeer());
    if (queue && maxDeliveries !== undefined) setAllowedDeliveries(frame, maxDeliveries);
    message.copyTo(frame.subarray(requestBytes));
    this.#lastOrder += 1;
    const call = new NatsCall(this, frame, terms, deadline, this.#lastOrder, reader);
    this.#enter(call);
    if (this.#room.waiting.length > 0 && call.roomDeadline === Infinity) this.#room.add(call);
    else this.#send(call);
  }

  #enter(call: NatsCall): void {
    this.#calls.add(call);
    this.#alarm.set(call.deadline);
    if (call.isBackground) return;
    this.#pending += 1;
    if (this.#pending === 1) this.#hold.hold();
  }

  /** @throws {TandemError} `DISCONNECTED`; the call has ended then */
  #send(call: NatsCall): void {
    const link = this.#link;
    const number = link.add(call);
    call.sent(number);
    if (this.#queue?.takes(call)) return this.#queue.send(call);
    try {
      link.publish(this.#path.requests, call.frame, link.subjectOf(number));
    } catch (error) {
      call.fail(error);
    }
  }

  /**
   * Sends a request again that nobody has taken. If it could hardly come back in time, it ends as it is: then its sender
   * knows that nobody has it. Never throws.
   */
  #sendAgain(call: NatsCall): void {
    if (!call.hasEnded && call.deadline - now() > 2 * call.trip) this.#send(call);
  }

  ended(call: NatsCall, isAnswered: boolean): void {
    this.#withdraw(call);
    this.#calls.delete(call);
    if (isAnswered) {
      this.#isServed = this.#wasServed = true;
      this.#queue?.seen();
    }
    if (this.#room.waiting.length > 0) {
      this.#room.remove(call);
      if (isAnswered) this.#room.freed();
    }
    if (!call.isBackground) {
      this.#pending -= 1;
      if (this.#pending === 0) this.#hold.release();
    }
    if (this.#calls.size === 0) this.#restLater();
  }

  /** Ends the timers if there is no call then: often the next call follows at once. */
  #restLater(): void {
    if (this.#cancelRest !== null || !this.#isOpen) return;
    this.#cancelRest = later(restMilliseconds, () => {
      this.#cancelRest = null;
      if (this.#calls.size === 0) this.#rest();
    });
  }

  #rest(): void {
    this.#cancelRest?.();
    this.#cancelRest = null;
    this.#alarm.end();
    this.#hold.end();
  }

  /** It was not taken, so no answer comes. */
  #withdraw(call: NatsCall): void {
    if (call.number !== 0) this.#link.remove(call.number);
    call.number = 0;
  }

  absent(call: NatsCall): void {
    this.#withdraw(call);
    call.cameBack();
    if (this.#path.isPrivate) return this.#absentPrivately(call);
    this.#room.back(call);
    // All services may be busy: then they are no members of the queue group.
    this.ask();
  }

  #absentPrivately(call: NatsCall): void {
    call.absences += 1;
    const mayCome = !this.#wasServed && this.#isServed && call.absences < absencesMax;
    if (mayCome) return void later(absencePause * call.absences, () => this.#sendAgain(call));
    // It was not taken; others may have been.
    call.fail(gone());
    this.#gone(unknownOutcome());
  }

  full(call: NatsCall): void {
    this.#withdraw(call);
    call.cameBack();
    this.#isServed = this.#wasServed = true;
    if (call.roomDeadline <= now()) return call.fail(noRoom());
    if (call.roomDeadline < Infinity) this.#alarm.set(call.roomDeadline);
    this.#room.back(call);
  }

  toQueue(call: NatsCall, maxDeliveries: number): void {
    this.#withdraw(call);
    this.#isServed = this.#wasServed = true;
    const queue = this.#queue;
    // A private path has none; and who may get the request once only is not sent away.
    if (queue === null || maxDeliveries <= 1) return call.fail(unknownOutcome());
    queue.learned(maxDeliveries);
    try {
      checkDeliveries(allowedDeliveries(call.frame) || 1, maxDeliveries);
    } catch (error) {
      return call.fail(error);
    }
    const number = this.#link.add(call);
    call.sent(number);
    queue.send(call);
    queue.seen();
  }

  withoutQueue(call: NatsCall): void {
    this.#withdraw(call);
    this.#room.back(call);
  }

  silent(call: NatsCall): void {
    const error = unknownOutcome();
    // Others may have heard of their service.
    if (!this.#path.isPrivate) return call.fail(error);
    this.#gone(error);
  }

  /** The end of a private path is gone, for all its calls. */
  #gone(error: TandemError): void {
    this.#isServed = false;
    for (const call of [...this.#calls]) call.fail(error);
    this.#onLoss();
  }

  refused(call: NatsCall, subject: string, error: TandemError): void {
    if (subject === this.#path.requests) call.fail(error);
  }

  cancelled(call: NatsCall): void {
    this.#tell(call.control ?? this.#path.control, [call.number]);
    call.queued?.withdraw();
  }

  /** Tells services that this end waits for those calls no longer. Never throws. */
  #tell(subject: string, calls: readonly number[]): void {
    if (this.#link.isUp) this.#link.answer(subject, cancelFrame(this.#link.inbox, calls));
  }

  #expire(): void {
    const time = now();
    for (const call of [...this.#calls]) {
      const isSent = call.number !== 0;
      if (call.deadline <= time) call.fail(isSent ? this.#timedOut(call) : this.#noReceiver());
      else if (!isSent && call.roomDeadline <= time) call.fail(noRoom());
    }
    for (const call of this.#calls) {
      this.#alarm.set(
        call.number === 0 ? Math.min(call.deadline, call.roomDeadline) : call.deadline,
      );
    }
  }

  #timedOut(call: NatsCall): TandemError {
    // Who has not asked, or has no link, does not know whether there is a service.
    const hasAsked = this.#link.isUp && !this.#isServed;
    const isMissing = hasAsked && this.#queue?.hasSeenService(call) === false;
    return isMissing ? this.#notServed() : timedOut();
  }

  #noReceiver(): TandemError {
    return this.#isServed && this.#wasServed ? noRoom() : this.#notServed();
  }

  #notServed(): TandemError {
    return new TandemError(
      "NO_SERVER",
      `Cannot send a request: no service of ${
        JSON.stringify(this.#target)
      } is connected; is one running, with ` +
        "the same servers and prefix?",
    );
  }

  /** Asks whether there is any service, for the requests that wait for room. */
  ask(): void {
    if (this.#isAsking || !this.#link.isUp) return;
    this.#isAsking = true;
    const link = this.#link;
    const answered = (isServed: boolean | null) => {
      this.#isAsking = false;
      link.remove(number);
      if (isServed === null) return;
      this.#isServed = isServed;
      this.#wasServed ||= isServed;
      for (const call of [...this.#room.waiting]) {
        if (!isServed && !call.waitsForReceiver) call.fail(this.#notServed());
        if (isServed && call.roomDeadline <= now()) call.fail(noRoom());
      }
    };
    let isLeaving = false;
    const asking: Numbered = {
      arrived: (data, message) => {
        if (frameKind(data) === Frame.here) {
          this.#queue?.learned(readHere(data)?.maxDeliveries ?? 1);
          answered(true);
        } else if (message.headers?.code === 503) answered(false);
        // Others may be there.
        else this.#isServed = !(isLeaving = true);
      },
      lost: () => answered(null),
      // An answer comes within a tick, or the services are stopped.
      tick: () => answered(!isLeaving),
    };
    const number = link.add(asking);
    try {
      link.publish(this.#path.control, whoFrame(), link.subjectOf(number));
    } catch {
      answered(null);
    }
  }

  /** See {@linkcode Requester.discover}. */
  discover(deadline: number, signal?: AbortSignal): Promise<void> {
    if (!this.#isOpen) return Promise.reject(closed("look for services"));
    const link = this.#link;
    const found: ReceiverInfo[] = [];
    const limit = Math.min(deadline, now() + discoveryMax);
    return new Promise((resolve, reject) => {
      let cancel = () => {};
      const end = (error?: TandemError) => {
        cancel();
        link.remove(number);
        release();
        if (error) return reject(error);
        this.#isServed = found.length > 0;
        this.#found = found.sort((one, other) => one.privatePath < other.privatePath ? -1 : 1);
        resolve();
      };
      const wait = (milliseconds: number) => {
        cancel();
        cancel = later(Math.max(0, Math.min(milliseconds, limit - now())), () => end());
      };
      const take = (data: Bytes, message: ClientMessage) => {
        if (message.headers?.code === 503) return end();
        const here = frameKind(data) === Frame.here ? readHere(data) : null;
        if (here) found.push({ ...here.peer, calls: here.calls, privatePath: here.privatePath });
        wait(silenceAfterOne);
      };
      const release = keepAlive();
      const number = link.add({ arrived: take, lost: end });
      if (signal?.aborted) return end(signal.reason as TandemError);
      wait(discoveryMax);
      try {
        link.publish(this.#path.control, whoFrame(), link.subjectOf(number));
      } catch (error) {
        end(error as TandemError);
      }
    });
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const error = endedByClosing(closed("finish a request"));
    const all = [...this.#calls];
    if (all.some(({ number }) => number !== 0)) this.#cancelAll(all);
    for (const call of all) {
      call.queued?.withdraw();
      call.fail(error);
    }
    this.#queue?.close();
    this.#room.close();
    this.#rest();
    this.#link.release();
  }

  #cancelAll(calls: readonly NatsCall[]): void {
    const bySubject: Map<string, number[]> = new Map();
    for (const { number, control = this.#path.control } of calls) {
      if (number === 0) continue;
      const numbers = bySubject.get(control) ?? [];
      bySubject.set(control, numbers);
      numbers.push(number);
    }
    for (const [subject, numbers] of bySubject) {
      // One message holds so many numbers.
      for (let at = 0; at < numbers.length; at += 1_000) {
        this.#tell(subject, numbers.slice(at, at + 1_000));
      }
    }
  }
}

function closed(tried: string): TandemError {
  return new TandemError("CLOSED", `Cannot ${tried}: this end of the target is closed`);
}

/**
 * @param allowed by the target; 1: that is not known, so the service has to say
 * @throws {RangeError}
 */
function checkDeliveries(wanted: number, allowed: number): void {
  checkWhole(wanted, "maxDeliveries", 1, allowed > 1 ? allowed : deliveriesMax);
}

function tooLarge(length: number, max: number): TandemError {
  return new TandemError(
    "TOO_LARGE",
    `Cannot send a request of ${length} bytes: the NATS server takes ${max} of a request; raise its max_payload`,
  );
}

function timedOut(): TandemError {
  return new TandemError(
    "TIMEOUT",
    "Cannot finish a request: the time ran out; is a service quick enough?",
  );
}

function noRoom(): TandemError {
  return new TandemError(
    "BUSY",
    "Cannot send a request: all services of the target work on as many calls as their concurrency allows; wait " +
      "longer, or start more services",
  );
}

function gone(): TandemError {
  return new TandemError(
    "NO_SERVER",
    "Cannot send a request: the process at the other end of the private path has closed it or died",
  );
}

function unknownOutcome(): TandemError {
  return new TandemError(
    "UNKNOWN_OUTCOME",
    "Cannot get an answer: the service that has the request has been silent for five seconds; it may or may not " +
      "have done it",
  );
}
