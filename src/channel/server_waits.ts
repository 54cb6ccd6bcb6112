/**
 * The waits of a server: for requests, and for the aborts that handlers listen to.
 *
 * @module
 */
import { armRequests } from "../ffi/layout.ts";
import { closedError } from "./channel.ts";
import { endedByClosing, rejectAs } from "../base/closing.ts";
import type { Waits } from "./loop.ts";
import { onAbort, reasonOf } from "../base/abort.ts";
import type { RequestCore } from "./request_core.ts";
import { queueMicrotask } from "../runtime/timers.ts";

/** Gets requests as they arrive, one at a time, as long as it has room. */
export interface Consumer {
  /** Whether it takes another. */
  readonly hasRoom: boolean;
  /** How many ordinary requests the last one was worth, if it was longer work than one. */
  readonly effort?: number;
  /** Runs before each look for requests, which may linger: what the program has to send until then goes out first. */
  beforeLook?(): void;
  take(request: RequestCore): void;
}

/** A promise that waits for requests. */
interface Taker {
  readonly deadline: number;
  readonly stopListening: (() => void) | null;
  /** Takes the requests that are there. Returns how many. */
  take(): number;
  /** No request has come in time. */
  expire(): void;
  /** The server was closed. */
  close(): void;
  reject(error: unknown): void;
}

/** What the waits ask of their server. */
export interface Source {
  /**
   * Takes the requests in the ring, up to a number.
   *
   * @param isFirst whether the program has run since the last look: its handlers may have answered
   */
  takeMany(max: number, isFirst: boolean): RequestCore[];
  /** Takes the oldest request in the ring. */
  takeOne(isFirst: boolean): RequestCore | null;
  /** Lets other servers know that this one takes no request for now. */
  rest(): void;
}

/** How many of the requests whose abort a handler waits for are looked at each time. */
const watchedAtOnce = 16;

function* firstOf<T>(values: Iterable<T>, count: number): Generator<T> {
  let left = count;
  if (left === 0) return;
  for (const value of values) {
    yield value;
    if (--left === 0) return;
  }
}

/** Requests that consumers get before the event loop's other work has its turn. */
const consumedAtOnce = 64;
/** How soon a program that handles requests in a loop asks for the next one. */
const microtasksBetweenReceives = 16;

/** The pending promises of one server. */
export class ServerWaits implements Waits {
  readonly #source: Source;
  /** In the order of the calls, which is the order in which they get requests. */
  readonly #takers: Set<Taker> = new Set();
  /** With the deadlines of their clients. */
  readonly #watched: Map<RequestCore, number> = new Map();
  /** The client of one of them has gone, and this handle does not know which. */
  #looksAtAll = false;

  /** The last request that was taken before this server left the next one to another. */
  #settling: RequestCore | null = null;
  #standsBack = false;
  #isFirstLook = true;
  /** Other servers believe that this one takes the next request. */
  #isExpectedToTake = false;

  constructor(source: Source) {
    this.#source = source;
  }

  get isSettling(): boolean {
    return this.#settling !== null && !this.#settling.isAnswered;
  }

  get standsBack(): boolean {
    return this.#standsBack;
  }

  /** The server has looked for a request, and may have left it to another one. */
  looked(stoodBack: boolean): void {
    this.#standsBack = stoodBack;
    this.#isExpectedToTake = true;
  }

  /** Whether the process stays alive for promises that wait for requests. */
  isReferenced = true;

  get isPending(): boolean {
    return this.isReferenced && this.#takers.size > 0;
  }

  /** An earlier wait comes first. */
  get hasTakers(): boolean {
    return this.#takers.size > 0;
  }

  get isWaiting(): boolean {
    return this.#takers.size > 0 || this.#watched.size > 0;
  }

  get wanted(): number {
    return this.#takers.size > 0 ? armRequests : 0;
  }

  /** A server does not know how many requests will come. */
  readonly outstanding: number = 0;

  poll(): number {
    this.#settling = null;
    this.#standsBack = false;
    this.#isFirstLook = true;
    let hits = this.#pollWatched();
    for (const taker of this.#takers) {
      try {
        const taken = taker.take();
        hits += taken;
        if (taken === 0 || hits >= consumedAtOnce || this.#standsBack) break;
      } catch (error) {
        this.#end(taker);
        taker.reject(error);
        return hits + 1;
      }
    }
    return hits;
  }

  /** Some of them each time: there may be a thousand, and each takes a call into native code. */
  #pollWatched(): number {
    if (this.#watched.size === 0) return 0;
    let hits = 0;
    const count = this.#looksAtAll ? this.#watched.size : watchedAtOnce;
    this.#looksAtAll = false;
    const next = [...firstOf(this.#watched, count)];
    for (const [request, deadline] of next) {
      this.#watched.delete(request);
      if (request.isAnswered || request.checkAbort()) hits += 1;
      // Behind the requests that were not looked at this time.
      else this.#watched.set(request, deadline);
    }
    return hits;
  }

  hasMissed(): boolean {
    // A client that left before this server announced its sleep has not rung its bell.
    for (const request of this.#watched.keys()) {
      if (!request.cancelled) continue;
      this.#looksAtAll = true;
      return true;
    }
    return false;
  }

  expire(now: number): number {
    let next = Infinity;
    for (const [request, deadline] of this.#watched) {
      if (deadline > now) {
        next = Math.min(next, deadline);
      } else if (request.isAnswered || request.checkAbort()) {
        this.#watched.delete(request);
      } else {
        // The native side reads a clock of its own, by which the client still has time.
        const left = request.timeRemaining;
        // The time ended between the two looks. No other look follows while this server sleeps.
        if (left <= 0 && request.checkAbort()) {
          this.#watched.delete(request);
          continue;
        }
        // Nothing ends a posted message's wait.
        const again = left > 0 ? now + left : Infinity;
        this.#watched.set(request, again);
        next = Math.min(next, again);
      }
    }
    for (const taker of this.#takers) {
      if (taker.deadline > now) {
        next = Math.min(next, taker.deadline);
        continue;
      }
      this.#end(taker);
      taker.expire();
    }
    return next;
  }

  /** Set by the server: runs when a wait ends outside the loop. */
  onSettled: () => void = () => {};

  /** Waits for requests. Resolves to `pick` of them, or of none when the time is over. */
  add<T>(
    max: number,
    deadline: number,
    signal: AbortSignal | undefined,
    pick: (requests: RequestCore[]) => T,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const receiver: Taker = {
      deadline,
      stopListening: this.#onAbort(signal, () => {
        this.#end(receiver);
        reject(reasonOf(signal!));
      }),
      take: () => {
        const requests = this.#source.takeMany(max, this.#isFirst());
        if (requests.length === 0) return 0;
        this.#remove(receiver);
        resolve(pick(requests));
        this.#restSoon();
        return requests.length;
      },
      expire: () => resolve(pick([])),
      close: () => rejectAs(promise, reject, endedByClosing(closedError("server"))),
      reject,
    };
    this.#takers.add(receiver);
    return promise;
  }

  /**
   * Hands requests to `consumer` as soon as this server sees them. Resolves when it has no room, when
   * `signal` aborts, and when the server is closed.
   */
  consume(consumer: Consumer, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const taker: Taker = {
        deadline: Infinity,
        stopListening: this.#onAbort(signal, () => {
          this.#end(taker);
          resolve();
        }),
        take: () => {
          const taken = this.#feed(taker, consumer);
          if (!consumer.hasRoom && this.#takers.has(taker)) {
            this.#end(taker);
            resolve();
          }
          return taken;
        },
        expire: resolve,
        close: resolve,
        reject,
      };
      this.#takers.add(taker);
    });
  }

  #isFirst(): boolean {
    const isFirst = this.#isFirstLook;
    this.#isFirstLook = false;
    return isFirst;
  }

  #feed(taker: Taker, consumer: Consumer): number {
    consumer.beforeLook?.();
    let taken = 0;
    let last: RequestCore | null = null;
    // A handler may have ended this wait, or the server.
    while (taken < consumedAtOnce && consumer.hasRoom && this.#takers.has(taker)) {
      const request = this.#source.takeOne(this.#isFirst());
      if (!request) {
        // Its handler may answer within some microtasks, and then this server is not busy.
        if (this.#standsBack) this.#settling = last;
        break;
      }
      last = request;
      consumer.take(request);
      taken += consumer.effort ?? 1;
      if (this.#takers.size === 1) continue;
      // The other waits have their turn before this one's next.
      if (this.#takers.delete(taker)) this.#takers.add(taker);
      break;
    }
    return taken;
  }

  #onAbort(signal: AbortSignal | undefined, end: () => void): (() => void) | null {
    if (!signal) return null;
    return onAbort(signal, () => {
      end();
      this.onSettled();
    });
  }

  /** A handler listens for this request's abort. */
  watch(request: RequestCore, deadline: number): void {
    this.#watched.set(request, deadline);
  }

  close(): void {
    for (const taker of this.#takers) {
      taker.stopListening?.();
      taker.close();
    }
    this.#takers.clear();
    this.#settling = null;
    this.#watched.clear();
  }

  #remove(taker: Taker): void {
    taker.stopListening?.();
    this.#takers.delete(taker);
  }

  #end(taker: Taker): void {
    this.#remove(taker);
    this.#restUnlessTaking();
  }

  #restUnlessTaking(): void {
    if (this.#takers.size > 0 || !this.#isExpectedToTake) return;
    this.#isExpectedToTake = false;
    this.#source.rest();
  }

  /** A loop over requests asks for the next one within some microtasks, and takes requests all the time. */
  #restSoon(microtasks: number = microtasksBetweenReceives): void {
    if (this.#takers.size > 0) return;
    if (microtasks === 0) return this.#restUnlessTaking();
    queueMicrotask(() => this.#restSoon(microtasks - 1));
  }
}
