/**
 * The reading end of a private path: another process that hosts streams and long messages for this one.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import type { Encoder } from "../codec/encoder.ts";
import { TandemError } from "../errors.ts";
import { later, now } from "../runtime/timers.ts";
import type { AnswerReader, Requester, RequestTerms } from "../transport/transport.ts";
import type { Attached, Source, StepOutcome, StreamTerms } from "./in_stream.ts";
import { Kind, type OutgoingMessage, type Parcel, withMessage } from "./message.ts";
import { fetchParcel } from "./parcel_fetch.ts";
import type { Announcement } from "./parcels.ts";
import type { FetchTerms, Side } from "./side.ts";
import { limitsOf, StepReader } from "./step_reader.ts";

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

export class Peer implements Source {
  readonly side: Side;
  readonly #requester: Requester;
  /** The number of the lease, and the controller that gives it up; null: there is no lease. */
  #lease = 0;
  #leaseEnd: AbortController | null = null;
  readonly #onEnd: () => void;
  #isDead = false;
  /** Open streams, pending steps, and messages that are being fetched. */
  #uses = 0;
  #lastUse = 0;
  #cancelIdle: (() => void) | null = null;

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
      if (codeOf(error) === "NOT_FOUND") throw hostDied();
      throw error;
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
    if (this.#cancelIdle || this.#isDead) return;
    const look = (): void => {
      this.#cancelIdle = null;
      if (this.#uses > 0 || this.#isDead) return;
      const idle = now() - this.#lastUse;
      // Timers may fire a millisecond early.
      if (idle > idleMilliseconds - 1) return this.close();
      if (idle > leaseMilliseconds - 1) this.#giveUpLease();
      const until = this.#leaseEnd ? leaseMilliseconds : idleMilliseconds;
      this.#cancelIdle = later(until - idle, look);
    };
    this.#cancelIdle = later(leaseMilliseconds, look);
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
    this.#send(Kind.lease, write, terms, { read: end, fail: end });
    this.#leaseEnd = leaseEnd;
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

  /** Streams that have arrived in a message. */
  attach(
    streams: readonly Attached[],
    terms: StreamTerms | undefined,
  ): void {
    this.#keepLease();
    this.#uses += streams.length;
    for (const { id, stream } of streams) stream.attach(this, id, terms);
    const ids = streams.map(({ id }) => id);
    this.#post(Kind.claim, (encoder) => {
      encoder.value(this.#lease);
      encoder.list("streams", ids);
    });
  }

  /** Takes a step of a stream at the host. Never throws. */
  step(
    id: number,
    step: number,
    hasValue: boolean,
    value: unknown,
    terms: StreamTerms | undefined,
    outcome: StepOutcome,
  ): void {
    const reader = new StepReader(this.side, terms, outcome, (error) => this.explain(error));
    let isWritten = false;
    const write = (encoder: Encoder) => {
      encoder.value(this.#lease);
      encoder.unsigned(id);
      encoder.unsigned(step);
      encoder.list("value", hasValue ? [value] : []);
      isWritten = true;
    };
    try {
      this.#send(Kind.pull, write, { ...limitsOf(terms), roomTimeout: roomMilliseconds }, reader);
    } catch (error) {
      const isTooLarge = codeOf(error) === "TOO_LARGE";
      if (!this.#isDead && (!isWritten || isTooLarge)) outcome.refused(error);
      else reader.fail(error);
    }
  }

  /** A stream that was attached has ended, or the program has forgotten it. */
  detach(): void {
    this.#release();
  }

  /** Tells the host that this process no longer needs the stream or parcel. */
  drop(id: number): void {
    this.#post(Kind.drop, (encoder) => encoder.unsigned(id));
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
    return code === "SERVER_DIED" || code === "NOT_FOUND" ? hostDied() : error;
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
    write: (encoder: Encoder) => void,
    terms: RequestTerms,
    reader: AnswerReader,
  ): void {
    if (this.#isDead) throw this.side.isClosed ? closed() : hostDied();
    const writes = this.side.writes("receiver");
    const send = (message: OutgoingMessage) => {
      const { byteLength } = message;
      if (byteLength > this.#requester.maxRequestBytes) throw this.#tooLong(byteLength);
      this.#requester.request(message, terms, reader);
    };
    try {
      withMessage(writes, kind, 0, Infinity, write, send);
    } catch (error) {
      writes.drop(new TandemError("CANCELLED", "The step that the stream came with was not sent"));
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

function hostDied(): TandemError {
  return new TandemError(
    "SERVER_DIED",
    "Cannot go on: the process that sends the stream or the long message has died or closed; " +
      "make the call again",
  );
}

function closed(): TandemError {
  return new TandemError("CLOSED", "Cannot go on with a stream: its connection is closed here");
}
