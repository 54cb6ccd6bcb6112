/**
 * The reading end of a private path: another process that hosts lent values and long messages for this
 * one.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import type { Encoder } from "../codec/encoder.ts";
import { TandemError } from "../errors.ts";
import { later, now, setImmediate } from "../runtime/timers.ts";
import type { AnswerReader, Requester, RequestTerms } from "../transport/transport.ts";
import { callContext } from "./context.ts";
import { EncodedMessage, encodeMessage } from "./encoded_message.ts";
import { Lane } from "./lane.ts";
import type { LotOwner } from "./lent.ts";
import { whenRead } from "./blob_reading.ts";
import { Unread } from "./writes.ts";
import {
  headerBytes,
  Kind,
  type OutgoingMessage,
  type Parcel,
  partBytes,
  withMessage,
} from "./message.ts";
import type { News } from "./news.ts";
import { NewsReader } from "./news_reader.ts";
import { fetchParcel } from "./parcel_fetch.ts";
import type { Announcement } from "./parcels.ts";
import type {
  Attached,
  InvocationOutcome,
  NewsTaker,
  Source,
  StepLimits,
  StepOutcome,
  StreamTerms,
} from "./received.ts";
import type { FetchTerms, Side } from "./side.ts";
import { StepReader } from "./step_reader.ts";

/** How long an unused lease is kept, in milliseconds: it holds a slot of the host. */
const leaseMilliseconds = 200;
/**
 * How long an unused connection is kept, in milliseconds. Longer, because opening it again wakes all
 * readers of the host. It holds descriptors, and one of the channel's handles.
 */
const idleMilliseconds = 30_000;
/**
 * How long a step of a stream waits for a slot of the host, in milliseconds. There are more slots than
 * processes: if none becomes free, other readers wait for items that may never come.
 */
const roomMilliseconds = 10_000;
/** A message to the host names as many values that this process no longer needs. */
const droppedMax = 1_000;

export class Peer implements Source {
  readonly side: Side;
  readonly #requester: Requester;
  readonly #lane: Lane = new Lane();
  /** The number of the lease, and the controller that gives it up; null: there is no lease. */
  #lease = 0;
  #leaseEnd: AbortController | null = null;
  readonly #onEnd: () => void;
  #isDead = false;
  /** Open lent values, pending steps, and messages that are being fetched. */
  #uses = 0;
  #lastUse = 0;
  #cancelIdle: (() => void) | null = null;
  /** The values that need news of the host, by their numbers there. */
  readonly #takers: Map<number, NewsTaker> = new Map();
  /** The host has a standing request for news. */
  #isWatching = false;
  /** Values that this process no longer needs, until the host is told. */
  #dropped: number[] = [];

  /**
   * @param open opens the path to the host
   * @param onEnd runs when the host is gone or the path is closed
   * @throws {TandemError} `SERVER_DIED` when the host is gone already
   */
  constructor(side: Side, open: () => Requester, onEnd: () => void) {
    this.side = side;
    this.#onEnd = onEnd;
    try {
      this.#requester = open();
    } catch (error) {
      throw this.explain(error);
    }
    this.#requester.onLoss(() => this.#look());
    try {
      this.#keepLease();
    } catch (error) {
      this.close();
      throw error;
    }
    this.#restWhenIdle();
  }

  /** Closes the path when the host is gone. */
  #look(): void {
    if (!this.#isDead && this.#requester.receivers === 0) this.close();
  }

  /** Keeps the connection and its lease until the caller calls the returned function, once or more often. */
  hold(): () => void {
    this.#keepLease();
    this.#uses += 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#release();
    };
  }

  #release(): void {
    this.#uses -= 1;
    if (this.#uses === 0) this.#restWhenIdle();
  }

  /** Gives up the lease and the connection once they are unused; the timer keeps no process alive. */
  #restWhenIdle(): void {
    this.#lastUse = now();
    if (!this.#cancelIdle && !this.#isDead) this.#lookIn(leaseMilliseconds);
  }

  #lookIn(milliseconds: number): void {
    this.#cancelIdle?.();
    this.#cancelIdle = later(milliseconds, () => this.#lookAtUse());
  }

  #lookAtUse(): void {
    this.#cancelIdle = null;
    if (this.#uses > 0 || this.#isDead) return;
    const idle = now() - this.#lastUse;
    // Timers may fire a millisecond early.
    if (idle > idleMilliseconds - 1) return this.close();
    if (idle > leaseMilliseconds - 1) this.#giveUpLease();
    this.#lookIn((this.#leaseEnd ? leaseMilliseconds : idleMilliseconds) - idle);
  }

  /** @throws {TandemError} `SERVER_DIED` when the host is gone */
  #keepLease(): void {
    if (this.#leaseEnd || this.#isDead) return;
    const [high, low] = crypto.getRandomValues(new Uint32Array(2));
    this.#lease = (high! & 0xfffff) * 2 ** 32 + low!;
    const leaseEnd = new AbortController();
    // The host never answers a lease. If it ends before it is given up here, the host is gone.
    const end = () => {
      if (this.#leaseEnd === leaseEnd) this.close();
    };
    const { signal } = leaseEnd;
    const write = (encoder: Encoder) => encoder.value(this.#lease);
    const terms = { signal, isBackground: true };
    try {
      this.#send(Kind.lease, write, terms, { read: end, fail: end });
    } catch (error) {
      // Others may have removed the channel of a host that has died since this side opened it.
      throw this.explain(error);
    }
    this.#leaseEnd = leaseEnd;
    // The next look may be that of a connection without a lease, much later.
    if (this.#cancelIdle) this.#lookIn(leaseMilliseconds);
    // The host may have closed just before: a lease in a queue without a receiver would not end.
    this.#look();
    if (this.#isDead) throw hostDied();
  }

  /** Everything that was claimed under the lease has ended here. */
  #giveUpLease(): void {
    const leaseEnd = this.#leaseEnd;
    this.#leaseEnd = null;
    leaseEnd?.abort(new TandemError("CANCELLED", "The reader no longer needs the host"));
  }

  /** Lent values that have arrived in a message. */
  attach(values: readonly Attached[], terms: StreamTerms | undefined): void {
    this.#keepLease();
    this.#uses += values.length;
    for (const { id, value } of values) {
      value.attach(this, id, terms);
      if (value.news) this.#takers.set(id, value.news);
    }
    const ids = values.map(({ id }) => id);
    this.#post(Kind.claim, (encoder) => {
      encoder.value(this.#lease);
      encoder.list("values", ids);
    });
    if (this.#takers.size > 0) this.#watch();
  }

  /** Keeps a standing request for news at the host, as long as the lease lasts. */
  #watch(): void {
    const signal = this.#leaseEnd?.signal;
    if (this.#isWatching || !signal) return;
    this.#isWatching = true;
    const use = (news: readonly News[]) => {
      this.#isWatching = false;
      for (const { id, tell } of news) {
        const taker = this.#takers.get(id);
        if (taker) tell(taker);
      }
      if (this.#takers.size > 0) this.#watch();
    };
    const fail = (error: unknown) => {
      this.#isWatching = false;
      this.#lose(this.explain(this.explainRefusal(error)));
    };
    try {
      const write = (encoder: Encoder) => encoder.value(this.#lease);
      const reader = new NewsReader(this.side, use, fail);
      this.#send(Kind.watch, write, { signal, isBackground: true }, reader);
    } catch (error) {
      fail(error);
    }
  }

  /** There will be no news. A signal that cannot follow its origin any more aborts. */
  #lose(error: unknown): void {
    for (const taker of [...this.#takers.values()]) taker.lost(error);
  }

  /** Takes a step of a stream at the host. Never throws. */
  step(
    id: number,
    step: number,
    hasValue: boolean,
    value: unknown,
    terms: StreamTerms | undefined,
    limits: StepLimits,
    outcome: StepOutcome,
  ): Promise<void> | undefined {
    const reader = new StepReader(this.side, terms, limits, outcome, this);
    let isWritten = false;
    const write = (encoder: Encoder) => {
      encoder.value(this.#lease);
      encoder.unsigned(id);
      encoder.unsigned(step);
      encoder.list("value", hasValue ? [value] : []);
      isWritten = true;
    };
    const refused = (error: unknown) => {
      const isTooLarge = codeOf(error) === "TOO_LARGE";
      if (!this.#isDead && (!isWritten || isTooLarge)) outcome.refused(error);
      else reader.fail(error);
    };
    const pull = { ...limits, roomTimeout: roomMilliseconds };
    try {
      this.#send(Kind.pull, write, pull, reader, outcome.lotOwner);
    } catch (error) {
      if (!(error instanceof Unread)) refused(error);
      else return this.#stepWhenRead(error.message, limits, outcome, reader).catch(refused);
    }
    return undefined;
  }

  /** Sends a step when the Blobs of its value are read. */
  async #stepWhenRead(
    message: EncodedMessage,
    limits: StepLimits,
    outcome: StepOutcome,
    reader: StepReader,
  ): Promise<void> {
    const { timeout = Infinity, signal } = limits;
    const deadline = now() + timeout;
    try {
      await whenRead(message.reading!, { deadline, signal });
    } catch (error) {
      message.drop(stepNotSent());
      return outcome.refused(error);
    }
    const left = { ...limits, timeout: Math.max(0, deadline - now()) };
    const pull = { ...left, roomTimeout: roomMilliseconds };
    this.#send(Kind.pull, message, pull, reader, outcome.lotOwner);
  }

  /** Calls a function of the host. Never throws. */
  invoke(
    id: number,
    args: readonly unknown[],
    terms: StreamTerms | undefined,
    outcome: InvocationOutcome,
  ): void {
    try {
      const release = this.hold();
      outcome.onEnd = release;
      const write = (encoder: Encoder) => {
        encoder.value(this.#lease);
        encoder.unsigned(id);
        encoder.list("arguments", args);
      };
      const { errorClasses, limits } = this.side;
      const { signal } = terms ?? {};
      this.#lane.enter({
        timeout: invocationTimeout(terms),
        signal,
        encode: () => encodeMessage(errorClasses, limits, Kind.invoke, 0, write),
        send: (message, timeout) => {
          outcome.onEnd = () => {
            release();
            this.#lane.leave();
          };
          const request = { timeout, ...(signal && { signal }) };
          this.#sendInvocation(id, message, write, request, terms, outcome);
        },
        fail: (error) => outcome.failed(error),
        delay: () => terms?.delay?.(),
      });
    } catch (error) {
      outcome.refused(error);
    }
  }

  #sendInvocation(
    id: number,
    message: EncodedMessage | null,
    write: (encoder: Encoder) => void,
    request: RequestTerms,
    terms: StreamTerms | undefined,
    outcome: InvocationOutcome,
  ): void {
    if (message?.isUnread) {
      return void this.#invokeWhenRead(id, message, write, request, terms, outcome);
    }
    const reader = new StepReader(this.side, terms, request, outcome, this);
    const writes = this.side.writes("call");
    writes.addressee = { lease: this.#lease, id };
    const writeAll = (encoder: Encoder) => {
      if (message) writes.resume(encoder, message);
      else write(encoder);
    };
    try {
      if (this.#isDead) throw this.side.isClosed ? closed() : hostDied();
      const send = (outgoing: OutgoingMessage) =>
        this.#requester.request(outgoing, request, reader);
      outcome.begin(writes);
      withMessage(writes, Kind.invoke, 0, this.#requester.maxRequestBytes, writeAll, send);
    } catch (error) {
      if (error instanceof Unread) {
        return void this.#invokeWhenRead(id, error.message, write, request, terms, outcome);
      }
      writes.drop(callNotMade());
      message?.drop(callNotMade());
      outcome.refused(this.explain(error));
    }
  }

  /** Sends the call of a function when the Blobs among its arguments are read. Never rejects. */
  async #invokeWhenRead(
    id: number,
    message: EncodedMessage,
    write: (encoder: Encoder) => void,
    { timeout = Infinity, signal }: RequestTerms,
    terms: StreamTerms | undefined,
    outcome: InvocationOutcome,
  ): Promise<void> {
    const deadline = now() + timeout;
    // The method that makes the call may end before.
    const endDelay = terms?.delay?.();
    try {
      await whenRead(message.reading!, { deadline, signal });
      const left = { timeout: Math.max(0, deadline - now()), ...(signal && { signal }) };
      this.#sendInvocation(id, message, write, left, terms, outcome);
    } catch (error) {
      message.drop(callNotMade());
      outcome.refused(error);
    } finally {
      endDelay?.();
    }
  }

  /** A value that was attached has ended, or the program has forgotten it. */
  detach(id: number): void {
    this.#takers.delete(id);
    this.#release();
  }

  /** Tells the host that this process no longer needs the lent value or parcel. */
  drop(id: number): void {
    // The program may forget a hundred thousand values at once.
    if (this.#dropped.push(id) === 1) setImmediate(() => this.#postDropped());
  }

  #postDropped(): void {
    const ids = this.#dropped;
    this.#dropped = [];
    for (let begin = 0; begin < ids.length; begin += droppedMax) {
      const some = ids.slice(begin, begin + droppedMax);
      this.#post(Kind.drop, (encoder) => encoder.list("values", some));
    }
  }

  get prefetch(): number {
    return this.#requester.prefetch ?? 0;
  }

  get partBytes(): number {
    const { longestAnswer = Infinity } = this.#requester;
    return Math.min(partBytes, longestAnswer - headerBytes);
  }

  /** Fetches a long message. See {@linkcode Side.fetch}. */
  fetch(announcement: Announcement, terms: FetchTerms): Promise<Parcel> {
    return fetchParcel(this, announcement, terms);
  }

  /** Asks for a part of a parcel's byte string `index`, from `offset` on. Never throws. */
  askForPart(
    id: number,
    index: number,
    offset: number,
    terms: RequestTerms,
    reader: AnswerReader,
  ): void {
    const write = (encoder: Encoder) => {
      encoder.value(this.#lease);
      encoder.unsigned(id);
      encoder.unsigned(index);
      encoder.unsigned(offset);
    };
    try {
      this.#send(Kind.part, write, terms, reader);
    } catch (error) {
      reader.fail(error);
    }
  }

  /** Translates an error of a request to the host. */
  explain(error: unknown): unknown {
    const code = codeOf(error);
    if (code === "CLOSED" && this.#isDead && !this.side.isClosed) return hostDied();
    return code !== undefined && goneCodes.has(code) ? hostDied() : error;
  }

  /** Translates what the host has refused a request with. */
  explainRefusal(error: unknown): unknown {
    if (codeOf(error) !== "NOT_FOUND") return error;
    // The host does not know the lease, so it keeps nothing for this side. The next use begins with a new lease.
    this.close();
    return hostDied();
  }

  close(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#cancelIdle?.();
    this.#cancelIdle = null;
    this.#requester.close();
    this.#onEnd();
  }

  #send(
    kind: number,
    content: ((encoder: Encoder) => void) | EncodedMessage,
    terms: RequestTerms,
    reader: AnswerReader,
    owner?: LotOwner,
  ): void {
    if (this.#isDead) throw this.side.isClosed ? closed() : hostDied();
    const writes = this.side.writes("receiver", undefined, owner);
    const write = content instanceof EncodedMessage
      ? (encoder: Encoder) => writes.resume(encoder, content)
      : content;
    const send = (message: OutgoingMessage) => {
      const { byteLength } = message;
      if (byteLength > this.#requester.maxRequestBytes) throw this.#tooLong(byteLength);
      this.#requester.request(message, terms, reader);
    };
    try {
      withMessage(writes, kind, 0, Infinity, write, send);
    } catch (error) {
      writes.drop(stepNotSent());
      throw error;
    }
  }

  #tooLong(length: number): TandemError {
    return new TandemError(
      "TOO_LARGE",
      `Cannot pass a value of ${length} bytes to a stream: the longest is ` +
        `${this.#requester.maxRequestBytes}; send longer values as arguments of a call, or in a stream`,
    );
  }

  /** Sends a message whose answer does not matter, as soon as there is room. */
  #post(kind: number, write: (encoder: Encoder) => void): void {
    if (this.#isDead) return;
    const reader: AnswerReader = { read: () => {}, fail: () => {} };
    try {
      this.#send(kind, write, { isBackground: true }, reader);
    } catch {
      // The host is gone, and its streams and parcels with it.
    }
  }
}

/** Codes for a path whose host is gone. */
const goneCodes: ReadonlySet<string> = new Set(["SERVER_DIED", "NOT_FOUND", "NO_SERVER"]);

/** A call of a function ends no later than the call that it came with, and the one in which this code runs. */
function invocationTimeout(terms: StreamTerms | undefined): number {
  const { timeout = Infinity, timeRemaining = Infinity } = terms ?? {};
  return Math.min(timeout, timeRemaining, callContext()?.timeRemaining ?? Infinity);
}

function callNotMade(): TandemError {
  return new TandemError("CANCELLED", "The call that the value came with was not made");
}

function stepNotSent(): TandemError {
  return new TandemError("CANCELLED", "The step that the value came with was not sent");
}

function hostDied(): TandemError {
  return new TandemError(
    "SERVER_DIED",
    "Cannot go on: the process that lends the stream, signal or function, or sends the long message, " +
      "has died or closed, or has lost touch with this one; make the call again",
  );
}

function closed(): TandemError {
  return new TandemError(
    "CLOSED",
    "Cannot go on with a stream, a signal or a function: its connection is closed here",
  );
}
