/**
 * The end of a `nats://` target, or of a private path, that takes requests.
 *
 * @module
 */
import { Alarm } from "../base/alarm.ts";
import { onAbort } from "../base/abort.ts";
import type { ChannelOptions } from "../base/channel_options.ts";
import type { Gate } from "../base/gate.ts";
import { noMemory, type Stats } from "../base/stats.ts";
import { TandemError } from "../errors.ts";
import { keepAlive, later, now } from "../runtime/timers.ts";
import { type Sizes, sizesFrom } from "../transport/memory_sizes.ts";
import { ownPeer } from "../transport/own_peer.ts";
import type {
  Bytes,
  Delivery,
  PrivateReceiver,
  Receiver,
  Requester,
} from "../transport/transport.ts";
import type { ClientMessage } from "./client.ts";
import { type Holder, NatsDelivery } from "./delivery.ts";
import {
  allowedDeliveries,
  busyFrame,
  failedFrame,
  Frame,
  frameBytes,
  frameKind,
  hereFrame,
  queueFrame,
  readCancel,
  requestBytes,
  workingFrame,
} from "./frames.ts";
import { newEndId } from "./ids.ts";
import { type Link, LinkSubscription, type Numbered } from "./link.ts";
import { Monitoring } from "./monitoring.ts";
import type { Path, Places } from "./requester.ts";
import { queueGroup } from "./target.ts";
import type { Ticket } from "./work_queue/ticket.ts";
import { Worker } from "./work_queue/worker.ts";

/** A request that takes longer is reported as being worked on, after so many milliseconds at first. */
const firstReport = 500;
/** Milliseconds between reports. */
const reportInterval = 1_000;
/** A service that was full takes calls again when so few of its places are taken. */
const returnAt = 0.75;
/** The most calls that one report names. */
const reportedMax = 10_000;

/**
 * After so many reports that nobody has got, a caller of requests from the queue counts as dead: it may come back
 * later than this service after the loss of a server.
 */
const absencesMax = 10;

/** A caller with requests that this receiver holds for long. */
interface Caller extends Numbered {
  readonly inbox: string;
  /** Under which messages from it, and the news of its death, arrive. */
  number: number;
  reportedAt: number;
  /** Reports in a row that nobody has got. */
  absences: number;
  isAbsent: boolean;
}

export class NatsReceiver implements Receiver, Holder {
  readonly isPrivate = true;
  readonly path: string;
  readonly slots: number;
  readonly link: Link;
  /** See {@linkcode Receiver.ready}. */
  readonly ready: Promise<void>;
  readonly #path: Path;
  readonly #places: Places;
  readonly #sizes: Sizes;
  readonly #place: string = newEndId();
  #privatePath: string = this.#place;
  /** By the subject of the answer. */
  readonly #held: Map<string, NatsDelivery> = new Map();
  /** Requests without a way back. */
  readonly #heldOneWay: Set<NatsDelivery> = new Set();
  /** Those whose signals somebody may listen to. */
  readonly #watched: Set<NatsDelivery> = new Set();
  readonly #alarm: Alarm = new Alarm(() => this.#expire(), () => this.#watched.size > 0);
  readonly #callers: Map<string, Caller> = new Map();
  #cancelReport: (() => void) | null = null;
  #isReferenced = true;
  #isOpen = true;
  #isUnlinked = false;
  readonly #groups: Set<Group> = new Set();
  readonly #workers: Set<Worker> = new Set();
  readonly #control: LinkSubscription | null;
  readonly #monitoring: Monitoring | null;
  /** End the pending `serve` and `consume`. */
  readonly #endings: Set<(error?: TandemError) => void> = new Set();
  #refusal: TandemError | null = null;
  readonly #becomeReady: { resolve(): void; reject(error: unknown): void };
  readonly counts = {
    requests: 0,
    replies: 0,
    failures: 0,
    cancelled: 0,
    timeouts: 0,
    busy: 0,
    redelivered: 0,
    /** Milliseconds from the arrival of requests to their answers, in all. */
    workedFor: 0,
  };

  /**
   * @param link acquired for this receiver, which releases it
   * @param name the name of the service for NATS's own tools; null: it is no service
   */
  constructor(
    link: Link,
    path: Path,
    places: Places,
    target: string,
    options: ChannelOptions,
    name: string | null,
  ) {
    this.link = link;
    this.#path = path;
    this.#places = places;
    this.#sizes = sizesFrom(options);
    this.slots = this.#sizes.slots;
    this.path = target;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    this.ready.catch(() => {});
    this.#becomeReady = { resolve, reject };
    if (path.isPrivate) {
      this.#control = null;
      this.#monitoring = null;
      return;
    }
    this.#control = new LinkSubscription(
      path.control,
      undefined,
      (data, message) => this.#controlled(data, message),
      (error) => this.#refused(error),
    );
    link.subscribe(this.#control);
    const place = { name: name!, id: this.#place, subject: path.requests };
    this.#monitoring = new Monitoring(link, place, this.counts);
  }

  get maxResponseBytes(): number {
    return Math.min(this.#sizes.maxResponseBytes, this.link.maxPayload - frameBytes);
  }

  /** Newer code loads this module anew, with links of its own, so it never replaces a receiver. */
  onReplaced(): void {}

  unref(): void {
    this.#isReferenced = false;
  }

  async serve(
    gate: Gate,
    take: (delivery: Delivery) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const release = this.#isReferenced ? keepAlive() : null;
    const group = new Group(this, this.#path.requests, gate, take);
    let worker: Worker | null = null;
    const ended = Promise.withResolvers<void>();
    const end = (error?: TandemError) => error ? ended.reject(error) : ended.resolve();
    const stopListening = onAbort(signal, end);
    this.#endings.add(end);
    try {
      if (this.#refusal) throw this.#refusal;
      if (!signal.aborted && this.#isOpen) {
        if (!this.#isUnlinked) {
          group.join();
          worker = this.#startWorker(gate, take);
        }
        this.#groups.add(group);
        this.#whenJoined(worker?.ready);
        await ended.promise;
      }
      await Promise.all([group.leave(), worker?.leave()]);
      while (!gate.isEmpty && this.#isOpen) await gate.change();
      if (this.#isOpen) await worker?.settled();
      await this.#sendRest();
    } finally {
      this.#endings.delete(end);
      this.#groups.delete(group);
      stopListening();
      await Promise.all([group.leave(), worker?.leave()]);
      if (worker) this.#workers.delete(worker);
      worker?.close();
      release?.();
    }
  }

  /** Takes calls from the queue of the target; null: it has none. */
  #startWorker(gate: Gate, take: (delivery: Delivery) => void): Worker | null {
    const { queue } = this.#path;
    const { maxDeliveries } = this.#sizes;
    if (queue === null || maxDeliveries === 1) return null;
    const { subject } = queue;
    const place = queue.name().then((name) => ({ name, subject, target: this.path }));
    const worker = new Worker(this.link, place, maxDeliveries, gate, {
      takeQueued: (data, message, ticket) => {
        // Its caller has sent it again, and the server has taken it for another one.
        if (this.#held.has(ticket.replyTo)) return ticket.drop();
        this.#take(data, message, take, ticket);
      },
      expired: (ticket) => {
        this.counts.timeouts += 1;
        ticket.drop();
      },
      refuse: (error) => this.#refused(error),
    });
    this.#workers.add(worker);
    return worker;
  }

  /** The service can be called when the server has read what was subscribed, and has its queue. */
  #whenJoined(queued: Promise<void> | undefined): void {
    const flush = async (): Promise<void> => {
      while (this.#isOpen) {
        await this.link.opened();
        try {
          return await this.link.flush();
        } catch {
          // The link was lost again.
        }
      }
      throw closed("serve");
    };
    flush().then(() => queued).then(this.#becomeReady.resolve, this.#becomeReady.reject);
  }

  /** The program may end the process when its service is closed. Never rejects. */
  async #sendRest(): Promise<void> {
    try {
      if (this.link.isUp) await this.link.flush();
    } catch {
      // Callers get UNKNOWN_OUTCOME.
    }
  }

  async consume(take: (delivery: Delivery) => void): Promise<void> {
    if (!this.#isOpen) return;
    const release = this.#isReferenced ? keepAlive() : null;
    const ended = Promise.withResolvers<void>();
    const end = (error?: TandemError) => error ? ended.reject(error) : ended.resolve();
    this.#endings.add(end);
    const subscription = new LinkSubscription(
      this.#path.requests,
      undefined,
      (data, message) => {
        if (this.#controlled(data, message)) return;
        this.#take(data, message, take);
      },
      end,
    );
    this.link.subscribe(subscription);
    try {
      await ended.promise;
    } finally {
      this.link.unsubscribe(subscription);
      this.#endings.delete(end);
      release?.();
    }
  }

  #refused(error: TandemError): void {
    this.#refusal = error;
    this.#becomeReady.reject(error);
    for (const end of [...this.#endings]) end(error);
  }

  refuse(error: TandemError): void {
    this.#refused(error);
  }

  /** Takes a request that has arrived at a member of the queue group. */
  accept(data: Bytes, message: ClientMessage, take: (delivery: Delivery) => void): void {
    this.#take(data, message, take);
  }

  /** Tells the sender of a request that it belongs into the queue; false: it does not. */
  sendsToQueue(data: Bytes, { reply }: ClientMessage): boolean {
    const { maxDeliveries } = this.#sizes;
    if (!reply || frameKind(data) !== Frame.request || data.byteLength < requestBytes) return false;
    const allowed = allowedDeliveries(data);
    if (allowed === 1 || maxDeliveries === 1 && allowed === 0) return false;
    this.link.answer(
      reply,
      maxDeliveries > 1 ? queueFrame(maxDeliveries) : failedFrame(
        "UNSUPPORTED",
        `Cannot take a call that ${allowed} services may get, one after another: the service allows one; serve it ` +
          "with maxDeliveries",
      ),
    );
    return true;
  }

  /** Tells the sender of a request to try another service, or this one later. */
  turnAway(data: Bytes, message: ClientMessage): void {
    this.counts.busy += 1;
    const { reply } = message;
    if (!reply) return;
    if (frameKind(data) === Frame.request) return this.link.answer(reply, busyFrame());
    this.link.answer(reply, new Uint8Array(), {
      "Tandem-Error": "BUSY",
      "Nats-Service-Error": "the service works on as many calls as it may",
      "Nats-Service-Error-Code": "503",
    });
  }

  #take(
    data: Bytes,
    message: ClientMessage,
    take: (delivery: Delivery) => void,
    ticket: Ticket | null = null,
  ): void {
    const kind = frameKind(data);
    const isFrame = kind === Frame.request && data.byteLength >= requestBytes;
    if (kind !== 0 && !isFrame) return;
    const delivery = new NatsDelivery(this, data, message, !isFrame, ticket);
    this.counts.requests += 1;
    if (delivery.deliveries > 1) this.counts.redelivered += 1;
    if (delivery.replyTo === "") this.#heldOneWay.add(delivery);
    else this.#held.set(delivery.replyTo, delivery);
    try {
      take(delivery);
    } catch (error) {
      // Only this request fails; the receiver goes on. A receiver that is closed holds none.
      if (this.#isOpen) delivery.fail(error);
    }
    if (!delivery.isAnswered && this.#isOpen) this.#reportLater(firstReport);
  }

  /** A message about requests; false: it is none. */
  #controlled(data: Bytes, message: ClientMessage): boolean {
    switch (frameKind(data)) {
      case Frame.cancel:
        this.#cancelled(data);
        return true;
      case Frame.who:
        if (message.reply) {
          this.link.answer(message.reply, this.#isUnlinked ? busyFrame() : this.#description());
        }
        return true;
    }
    return false;
  }

  #description(): Bytes {
    const calls = this.#held.size + this.#heldOneWay.size;
    const { maxDeliveries } = this.#sizes;
    return hereFrame({ peer: ownPeer(), calls, privatePath: this.#privatePath, maxDeliveries });
  }

  #cancelled(data: Bytes): void {
    const { caller, calls } = readCancel(data);
    const reason = new TandemError("CANCELLED", "The client cancelled the call, closed or died");
    for (const call of calls) {
      const delivery = this.#held.get(`${caller}.${call.toString(36)}`);
      if (delivery) this.#lose(delivery, reason);
    }
  }

  #lose(delivery: NatsDelivery, reason: TandemError): void {
    if (delivery.isLost) return;
    if (reason.code === "TIMEOUT") this.counts.timeouts += 1;
    else this.counts.cancelled += 1;
    delivery.lose(reason);
  }

  release(delivery: NatsDelivery, hasFailed: boolean): boolean {
    this.#held.delete(delivery.replyTo);
    this.#heldOneWay.delete(delivery);
    if (this.#watched.size > 0) {
      this.#watched.delete(delivery);
      if (this.#watched.size === 0) this.#alarm.rest();
    }
    this.counts.workedFor += now() - delivery.arrivedAt;
    if (hasFailed) this.counts.failures += 1;
    else this.counts.replies += 1;
    return this.#isOpen;
  }

  watch(delivery: NatsDelivery): void {
    if (delivery.deadline === Infinity) return;
    this.#watched.add(delivery);
    this.#alarm.set(delivery.deadline);
  }

  #expire(): void {
    const time = now();
    for (const delivery of [...this.#watched]) {
      if (delivery.deadline <= time) this.#watched.delete(delivery);
      delivery.expire(time);
      if (delivery.isLost) this.counts.timeouts += 1;
    }
    for (const { deadline } of this.#watched) this.#alarm.set(deadline);
  }

  #reportLater(milliseconds: number): void {
    this.#cancelReport ??= later(milliseconds, () => {
      this.#cancelReport = null;
      if (!this.#isOpen) return;
      this.#report();
      if (this.#held.size > 0) this.#reportLater(firstReport);
    });
  }

  /** Tells callers that their requests are worked on. */
  #report(): void {
    // Timers may be early.
    const limit = now() - firstReport + 1;
    const byCaller: Map<string, number[]> = new Map();
    for (const [reply, { arrivedAt, isForwarded, isLost }] of this.#held) {
      if (arrivedAt > limit || isForwarded || isLost) continue;
      const dot = reply.lastIndexOf(".");
      const inbox = reply.slice(0, dot);
      const calls = byCaller.get(inbox) ?? [];
      byCaller.set(inbox, calls);
      calls.push(parseInt(reply.slice(dot + 1), 36));
    }
    for (const [inbox, caller] of this.#callers) {
      if (byCaller.has(inbox)) continue;
      this.link.remove(caller.number);
      this.#callers.delete(inbox);
    }
    for (const [inbox, calls] of byCaller) this.#reportTo(inbox, calls);
  }

  #reportTo(inbox: string, calls: readonly number[]): void {
    const caller = this.#callers.get(inbox) ?? this.#addCaller(inbox);
    const time = now();
    if (time - caller.reportedAt < reportInterval - firstReport / 2 || !this.link.isUp) return;
    caller.reportedAt = time;
    caller.absences = caller.isAbsent ? caller.absences + 1 : 0;
    caller.isAbsent = false;
    const control = this.link.subjectOf(caller.number);
    try {
      // A server that finds nobody at the subject says so at `control`: the caller has died.
      for (let at = 0; at < calls.length; at += reportedMax) {
        const some = workingFrame(calls.slice(at, at + reportedMax));
        this.link.publish(`${inbox}.0`, some, control);
      }
    } catch {
      // The link has just been lost.
    }
  }

  #addCaller(inbox: string): Caller {
    const caller: Caller = {
      inbox,
      number: 0,
      reportedAt: -Infinity,
      absences: 0,
      isAbsent: false,
      arrived: (data, message) => {
        if (frameKind(data) === Frame.cancel) this.#cancelled(data);
        else if (message.headers?.code === 503) this.#died(caller);
      },
    };
    caller.number = this.link.add(caller);
    this.#callers.set(inbox, caller);
    return caller;
  }

  #died(caller: Caller): void {
    const { inbox, number } = caller;
    caller.isAbsent = true;
    const mayComeBack = caller.absences < absencesMax;
    const reason = new TandemError("CANCELLED", "The client cancelled the call, closed or died");
    let isAwaited = false;
    for (const [reply, delivery] of [...this.#held]) {
      if (!reply.startsWith(`${inbox}.`)) continue;
      if (delivery.isFromQueue && mayComeBack) isAwaited = true;
      else this.#lose(delivery, reason);
    }
    if (isAwaited) return;
    this.link.remove(number);
    this.#callers.delete(inbox);
  }

  servePrivate(options: ChannelOptions, count: number): PrivateReceiver {
    const served = this.#places.servePrivate(this.link, this.#place, options, count);
    this.#privatePath = served.name;
    return served;
  }

  connectPrivate(name: string): Requester {
    return this.#places.connectPrivate(this.link, name);
  }

  stats(): Stats {
    if (!this.#isOpen) throw closed("look at a target");
    let queued = 0;
    for (const { waiting } of this.#workers) queued += waiting;
    const { workedFor: _, ...counts } = this.counts;
    return {
      slots: this.slots,
      inFlight: this.#held.size + this.#heldOneWay.size + queued,
      queued,
      clients: this.#callers.size,
      servers: 1,
      ...counts,
      ...noMemory,
    };
  }

  /** A target has no name that would outlive its services: only this one takes no more calls. */
  unlink(): boolean {
    if (this.#isUnlinked) return false;
    this.#isUnlinked = true;
    for (const group of this.#groups) void group.leave();
    for (const worker of this.#workers) void worker.leave();
    return true;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#becomeReady.reject(closed("serve"));
    for (const end of [...this.#endings]) end();
    this.#cancelReport?.();
    this.#alarm.end();
    if (this.#control) this.link.unsubscribe(this.#control);
    this.#monitoring?.close();
    for (const { number } of this.#callers.values()) this.link.remove(number);
    const held = [...this.#held.values(), ...this.#heldOneWay];
    this.#held.clear();
    this.#heldOneWay.clear();
    // Last, because it runs user code.
    for (const delivery of held) delivery.abandon();
    for (const worker of this.#workers) worker.close();
    this.link.release();
  }
}

/** The membership of a service in the queue group of its target, as long as it has room. */
class Group {
  readonly #receiver: NatsReceiver;
  readonly #subject: string;
  readonly #gate: Gate;
  readonly #take: (delivery: Delivery) => void;
  #subscription: LinkSubscription | null = null;
  #isLeft = false;
  /** Memberships that have ended, and may still get messages. */
  readonly #leaving: Set<Promise<void>> = new Set();

  constructor(
    receiver: NatsReceiver,
    subject: string,
    gate: Gate,
    take: (delivery: Delivery) => void,
  ) {
    this.#receiver = receiver;
    this.#subject = subject;
    this.#gate = gate;
    this.#take = take;
  }

  join(): void {
    const subscription: LinkSubscription = new LinkSubscription(
      this.#subject,
      queueGroup,
      (data, message) => this.#arrived(data, message),
      (error) => this.#receiver.refuse(error),
    );
    this.#subscription = subscription;
    this.#receiver.link.subscribe(subscription);
  }

  #arrived(data: Bytes, message: ClientMessage): void {
    if (!this.#isLeft && this.#receiver.sendsToQueue(data, message)) return;
    // Also what was on the way while it left the group.
    if (this.#isLeft || this.#gate.isFull) this.#receiver.turnAway(data, message);
    else this.#receiver.accept(data, message, this.#take);
    if (this.#subscription && !this.#isLeft && this.#gate.isFull) void this.#rest();
  }

  /** Leaves the group until there is room again. Never rejects. */
  async #rest(): Promise<void> {
    this.#drain();
    while (!this.#isLeft && !this.#hasRoom) await this.#gate.change();
    if (!this.#isLeft) this.join();
  }

  get #hasRoom(): boolean {
    const { inProgress, limit } = this.#gate;
    return inProgress <= Math.min(limit - 1, limit * returnAt);
  }

  #drain(): void {
    const subscription = this.#subscription;
    this.#subscription = null;
    if (!subscription) return;
    const left = this.#receiver.link.drain(subscription);
    this.#leaving.add(left);
    void left.then(() => this.#leaving.delete(left));
  }

  /** Takes nothing more. Resolves when nothing is on the way any more. May be called twice. */
  async leave(): Promise<void> {
    this.#isLeft = true;
    this.#drain();
    await Promise.all(this.#leaving);
  }
}

function closed(tried: string): TandemError {
  return new TandemError("CLOSED", `Cannot ${tried}: this end of the target is closed`);
}
