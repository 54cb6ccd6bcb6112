/**
 * One target of the memory transport: its queue, its slots and its ends.
 *
 * It keeps the promises of a channel. Each request goes to one receiver, in the order of the queue, and
 * waits while there is none. When a receiver closes, another one gets its requests, or their senders get
 * an error. No end runs inside the other: requests, answers and losses arrive in a later turn of the
 * event loop, as they do from another process.
 *
 * @module
 */
import { Alarm } from "../base/alarm.ts";
import { checkWhole, deadlineAfter } from "../base/checks.ts";
import { endedByClosing } from "../base/closing.ts";
import { report } from "../base/guard.ts";
import type { ChannelOptions } from "../base/channel_options.ts";
import { noMemory, type Stats } from "../base/stats.ts";
import { TandemError } from "../errors.ts";
import { keepAlive, now, setImmediate } from "../runtime/timers.ts";
import { cancelled, failReader, MemoryCall } from "./memory_call.ts";
import { MemoryRoom, noRoom } from "./memory_room.ts";
import { type Sizes, sizesFrom } from "./memory_sizes.ts";
import { ownPeer } from "./own_peer.ts";
import type { AnswerReader, Bytes, Message, ReceiverInfo, RequestTerms } from "./transport.ts";

/** An end that takes requests, as its hub sees it. */
export interface Taker {
  readonly privatePath: string;
  /** The requests that it holds. */
  readonly calls: number;
  readonly hasRoom: boolean;
  /** Never throws. */
  take(call: MemoryCall): void;
  /** An end has removed the target; it may be this one. */
  targetRemoved(): void;
}

/** An end that sends requests, as its hub sees it. */
export interface Sender {
  /** There are fewer takers than before. */
  takerLost(): void;
}

export class MemoryHub {
  readonly target: string;
  readonly sizes: Sizes;
  /** The private paths of this target's ends, by name. */
  readonly privatePaths: Map<string, MemoryHub> = new Map();
  readonly #onUnused: () => void;
  readonly #takers: Set<Taker> = new Set();
  /** In the order in which they came; the set above is in the order of turns. */
  readonly #places: WeakMap<Taker, number> = new WeakMap();
  #nextPlace = 0;
  readonly #senders: Set<Sender> = new Set();
  readonly #calls: Map<MemoryCall, Sender> = new Map();
  readonly #alarm: Alarm = new Alarm(() => this.#expire(), () => this.#calls.size > 0);
  readonly #room: MemoryRoom = new MemoryRoom();
  #queue: MemoryCall[] = [];
  /** Calls in flight, and those that a taker holds although their senders have left. */
  #slotsTaken = 0;
  #isRemoved = false;
  /** The actions of the next turn of the event loop; null: none is scheduled. */
  #turn: (() => void)[] | null = null;
  /** Requests that keep the process alive. */
  #pending = 0;
  #release: (() => void) | null = null;
  readonly #counts = {
    requests: 0,
    replies: 0,
    failures: 0,
    cancelled: 0,
    timeouts: 0,
    redelivered: 0,
    busy: 0,
  };

  /**
   * @param onUnused runs when the last end has left
   * @throws {TypeError} {RangeError} for an invalid size
   */
  constructor(target: string, options: ChannelOptions, onUnused: () => void) {
    this.target = target;
    this.sizes = sizesFrom(options);
    this.#onUnused = onUnused;
  }

  get takers(): number {
    return this.#takers.size;
  }

  listTakers(): ReceiverInfo[] {
    const takers = [...this.#takers].sort((a, b) => this.#places.get(a)! - this.#places.get(b)!);
    return takers.map(({ privatePath, calls }) => ({ ...ownPeer(), privatePath, calls }));
  }

  get isRemoved(): boolean {
    return this.#isRemoved;
  }

  addTaker(taker: Taker): void {
    this.#places.set(taker, this.#nextPlace += 1);
    this.#takers.add(taker);
  }

  /** A taker closes. `held`: the calls that it has not answered. */
  removeTaker(taker: Taker, held: Iterable<MemoryCall>): void {
    if (!this.#takers.delete(taker)) return;
    const handedOn: MemoryCall[] = [];
    for (const call of held) {
      call.onSenderLost = null;
      if (call.isOpen && call.deliveries < call.maxDeliveries) handedOn.push(call);
      else this.#lose(call);
    }
    this.#counts.redelivered += handedOn.length;
    this.#queue.unshift(...handedOn);
    this.#later(() => {
      for (const sender of [...this.#senders]) sender.takerLost();
    });
    this.schedule();
    this.#leave();
  }

  #lose(call: MemoryCall): void {
    this.#freeSlot();
    if (!call.isOpen) return;
    this.#counts.failures += 1;
    this.#later(() => call.fail(serverDied()));
  }

  addSender(sender: Sender): void {
    this.#senders.add(sender);
  }

  /** A sender closes, which ends its calls. */
  removeSender(sender: Sender): void {
    if (!this.#senders.delete(sender)) return;
    const error = endedByClosing(
      new TandemError("CLOSED", "Cannot finish a request: the connection is closed"),
    );
    this.#room.failAll(sender, error);
    for (const [call, owner] of [...this.#calls]) {
      if (owner === sender) call.abandon(cancelled(), error);
    }
    this.#leave();
  }

  #leave(): void {
    if (this.#takers.size === 0 && this.#senders.size === 0) this.#onUnused();
  }

  /** Sends a request, or lets it wait for a slot. See {@linkcode Requester.request}. */
  send(sender: Sender, message: Message, terms: RequestTerms, reader: AnswerReader): void {
    if (this.#isRemoved) throw removedError("send a request");
    const { timeout = Infinity, roomTimeout = Infinity, signal, isBackground = false } = terms;
    const { maxDeliveries = this.sizes.maxDeliveries } = terms;
    checkWhole(maxDeliveries, "maxDeliveries", 1, this.sizes.maxDeliveries);
    signal?.throwIfAborted();
    this.#checkLength(message.byteLength);
    const { deadline = deadlineAfter(timeout) } = terms;
    const request: Bytes = new Uint8Array(message.byteLength);
    message.copyTo(request);
    const enter = () => {
      const onEnd = (call: MemoryCall) => this.#ended(call);
      this.#enter(sender, new MemoryCall(request, terms, deadline, maxDeliveries, reader, onEnd));
    };
    if (this.#hasFreeSlot && this.#room.size === 0) return enter();
    this.#counts.busy += 1;
    if (timeout === 0) throw noRoom();
    this.#room.add({
      sender,
      deadline: Math.min(deadline, deadlineAfter(roomTimeout)),
      signal,
      enter: () => {
        this.#keepProcess(-1, isBackground);
        try {
          enter();
        } catch (error) {
          failReader(reader, error);
        }
      },
      fail: (error) => {
        this.#keepProcess(-1, isBackground);
        failReader(reader, error);
      },
    });
    this.#keepProcess(1, isBackground);
  }

  #checkLength(length: number): void {
    const { maxRequestBytes } = this.sizes;
    if (length <= maxRequestBytes) return;
    throw new TandemError(
      "TOO_LARGE",
      `Cannot send a request of ${length} bytes: the target takes ${maxRequestBytes}; serve it ` +
        "with a larger maxRequestBytes",
    );
  }

  #enter(sender: Sender, call: MemoryCall): void {
    this.#slotsTaken += 1;
    this.#counts.requests += 1;
    this.#calls.set(call, sender);
    this.#alarm.set(call.deadline);
    this.#keepProcess(1, call.isBackground);
    this.#queue.push(call);
    this.schedule();
  }

  /** A call has ended for its sender. */
  #ended(call: MemoryCall): void {
    const { lostBecause } = call;
    if (lostBecause?.code === "TIMEOUT") this.#counts.timeouts += 1;
    else if (lostBecause) this.#counts.cancelled += 1;
    if (this.#calls.delete(call)) this.#keepProcess(-1, call.isBackground);
    if (this.#calls.size === 0) this.#alarm.rest();
    if (lostBecause && call.onSenderLost) this.#later(() => call.onSenderLost?.(lostBecause));
    // A taker that holds the call keeps its slot until it answers.
    const at = this.#queue.indexOf(call);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    this.#freeSlot();
  }

  #expire(): void {
    const time = now();
    for (const call of [...this.#calls.keys()]) call.expire(time);
    for (const call of this.#calls.keys()) if (call.isOpen) this.#alarm.set(call.deadline);
  }

  /** A taker answers. False: the sender no longer waits. */
  answer(call: MemoryCall, answer: Bytes): boolean {
    this.#freeSlot();
    if (this.#isRemoved || !call.answer(answer)) return false;
    this.#counts.replies += 1;
    this.#later(() => call.deliver());
    return true;
  }

  /** A taker fails a call. False: the sender no longer waits. */
  refuse(call: MemoryCall, error: unknown): boolean {
    this.#freeSlot();
    if (this.#isRemoved || !call.isOpen) return false;
    this.#counts.failures += 1;
    this.#later(() => call.fail(error));
    return true;
  }

  get #hasFreeSlot(): boolean {
    return this.#slotsTaken < this.sizes.slots;
  }

  #freeSlot(): void {
    this.#slotsTaken -= 1;
    // A removed target admits none: its waiting requests fail with NOT_FOUND, as nothing was sent.
    if (this.#isRemoved) return;
    // A request that fails to enter leaves the slot to the next one.
    while (this.#hasFreeSlot && this.#room.size > 0) this.#room.admit();
  }

  /** There may be a request, and a taker for it. */
  schedule(): void {
    if (this.#queue.length > 0) this.#later(() => this.#deliverQueue());
  }

  #later(action: () => void): void {
    if (this.#turn) return void this.#turn.push(action);
    const turn = this.#turn = [action];
    setImmediate(() => {
      this.#turn = null;
      for (const act of turn) this.#act(act);
    });
  }

  /** One action must not stop the others of its turn. */
  #act(action: () => void): void {
    try {
      action();
    } catch (error) {
      report(this, "an end of a memory target", error);
    }
  }

  /** Requests that come meanwhile wait for the next turn, so that timers and other events run too. */
  #deliverQueue(): void {
    if (this.#isRemoved) return;
    for (let left = this.#queue.length; left > 0 && this.#queue.length > 0; left--) {
      const taker = this.#nextTaker();
      if (!taker) return;
      const call = this.#queue.shift()!;
      call.deliveries += 1;
      taker.take(call);
    }
  }

  /** The taker that holds the fewest calls; among equals, they take turns. */
  #nextTaker(): Taker | null {
    let least: Taker | null = null;
    for (const taker of this.#takers) {
      if (taker.hasRoom && (least === null || taker.calls < least.calls)) least = taker;
    }
    if (least === null) return null;
    this.#takers.delete(least);
    this.#takers.add(least);
    return least;
  }

  /** Ends the target for all its ends. */
  remove(): void {
    if (this.#isRemoved) return;
    this.#isRemoved = true;
    this.#later(() => {
      this.#room.failAll(null, removedError("send a request"));
      for (const call of [...this.#calls.keys()]) call.abandon(cancelled(), callRemoved());
      for (const taker of [...this.#takers]) taker.targetRemoved();
    });
  }

  /** The process stays alive while a request in the foreground waits. */
  #keepProcess(difference: 1 | -1, isBackground: boolean): void {
    if (isBackground) return;
    this.#pending += difference;
    if (this.#pending > 0) this.#release ??= keepAlive();
    else {
      this.#release?.();
      this.#release = null;
    }
  }

  stats(): Stats {
    return {
      slots: this.sizes.slots,
      inFlight: this.#slotsTaken,
      queued: this.#queue.length,
      clients: this.#senders.size,
      servers: this.#takers.size,
      ...this.#counts,
      ...noMemory,
    };
  }
}

/** For an end of a target that another end has removed. */
export function removedError(tried: string): TandemError {
  return new TandemError("NOT_FOUND", `Cannot ${tried}: the target was unlinked; open it again`);
}

function callRemoved(): TandemError {
  return new TandemError(
    "CANCELLED",
    "Cannot get an answer: the call was cancelled because its target was unlinked; call again",
  );
}

function serverDied(): TandemError {
  return new TandemError(
    "SERVER_DIED",
    "Cannot get an answer: the service that held the request was closed, and no delivery is left; " +
      "allow more with maxDeliveries",
  );
}
