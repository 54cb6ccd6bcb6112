/**
 * What the typed layer needs of whatever carries its messages. Shared memory and the inside of one
 * process implement it here; another machine may be a third.
 *
 * A transport carries whole messages, as bytes. It knows nothing of methods and values.
 *
 * @module
 */
import type { Gate } from "../base/gate.ts";
import type { ChannelOptions } from "../channel/options.ts";
import type { Stats } from "../channel/stats.ts";

/** Bytes of a message. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** A message that is complete. It stays as it is until the call that it is given to returns. */
export interface Message {
  readonly byteLength: number;
  /** The message, if it lies in one piece; null: {@linkcode copyTo} puts it together. */
  readonly whole: Bytes | null;
  /** Writes the message to the front of `target`. */
  copyTo(target: Uint8Array): void;
}

/** Gets the answer to one request: one of the two methods runs, once. */
export interface AnswerReader {
  /**
   * @param bytes the answer, valid until this returns
   * @param isPrivate whether no other process can write to `bytes`
   */
  read(bytes: Bytes, isPrivate: boolean): void;
  /** There is no answer. */
  fail(error: unknown): void;
}

/** How long a request may take, and what else ends it. */
export interface RequestTerms {
  /** Milliseconds for the wait for room and the life of the request together; default: no limit. */
  readonly timeout?: number;
  /** Its abort cancels the request, which fails with the signal's reason. */
  readonly signal?: AbortSignal;
  /** How many receivers may be handed the request; default: the target's own number. */
  readonly maxDeliveries?: number;
  /** The process may end although the request has no answer. */
  readonly isBackground?: boolean;
  /** Milliseconds for the wait for room alone; default: no limit but `timeout`. */
  readonly roomTimeout?: number;
}

/** One request in the hands of a receiver, until it is answered. */
export interface Delivery {
  /** The request, valid until the answer. {@linkcode Receiver.isPrivate} says who can change it. */
  readonly bytes: Bytes;
  /** 1 at first, one more after each loss of a receiver that held the request. */
  readonly deliveries: number;
  /** Milliseconds left of the sender's deadline; Infinity if it has none. */
  readonly timeRemaining: number;
  /** Aborts when the sender cancels, times out, closes or dies; the reason is a `TandemError`. */
  readonly signal: AbortSignal;
  /** This receiver has answered. */
  readonly isAnswered: boolean;
  /**
   * Memory for an answer that is filled in place and given to {@linkcode reply}.
   *
   * @throws {TandemError} `TOO_LARGE`; `NO_SPACE`; `CLOSED`
   */
  allocate(byteLength: number): Bytes;
  /**
   * Answers.
   *
   * @returns false: no sender waits for the answer
   * @throws {TandemError} `TOO_LARGE`, `NO_SPACE`: a shorter answer may still be sent; `CLOSED`
   */
  reply(answer: Bytes): boolean;
  /** Ends the request without an answer of the typed layer, for when there is no room for one. */
  fail(error: unknown): boolean;
  /** From now on no other receiver gets the request when this one is lost: its work has begun. */
  lastDelivery(): void;
}

/** What both ends of a target can do. */
export interface End {
  /** Leaves the target. Twice is fine. */
  close(): void;
  /**
   * Opens a path to this end alone, beside the target, for its streams and the parts of its long
   * messages. An end has one private path at a time.
   *
   * @param count how many private paths this end has had before
   * @throws {TandemError} `PERMISSION` where this end cannot have one
   */
  servePrivate(options: ChannelOptions, count: number): PrivateReceiver;
  /**
   * Opens the private path of another end of the same target.
   *
   * @throws {TandemError} `NOT_FOUND` when that end is gone; `CORRUPT` for an impossible name
   */
  connectPrivate(name: string): Requester;
}

/** The end that sends requests. */
export interface Requester extends End {
  /** The longest request in bytes. */
  readonly maxRequestBytes: number;
  /** How many receivers are open on the target. */
  readonly receivers: number;
  /**
   * Sends a request. Requests that wait for room are sent in the order of the calls.
   *
   * @throws {TandemError} `TOO_LARGE`; `NO_SPACE`; `NOT_FOUND`: the target is gone, and nothing was
   * sent; `CLOSED`; `BUSY` with a `timeout` of 0
   * @throws the reason of a signal that has aborted
   */
  request(message: Message, terms: RequestTerms | undefined, reader: AnswerReader): void;
  /** Runs `listener` when there may be fewer receivers than before, while a request has no answer. */
  onLoss(listener: () => void): void;
}

/** The end that takes requests. */
export interface Receiver extends End {
  /** What to name the target by: the path of a file, or the target itself. */
  readonly path: string;
  /** No other process can write to the bytes of a delivery. */
  readonly isPrivate: boolean;
  /** Requests that can be in flight at once, of all senders together. */
  readonly slots: number;
  /** The longest answer in bytes. */
  readonly maxResponseBytes: number;
  /** Runs `listener` when newer code in this process serves the target: calls have so long to end. */
  onReplaced(listener: (graceMilliseconds: number) => void): void;
  /** A pending {@linkcode consume} or {@linkcode serve} does not keep the process alive. */
  unref(): void;
  /**
   * Hands requests to `take` as they come, while `gate` has room. Resolves when the receiver is
   * closed, or when `signal` has aborted and everything that entered the gate has left it.
   *
   * @throws {TandemError} `NOT_FOUND` when others remove the target; `CORRUPT` when it is damaged
   */
  serve(gate: Gate, take: (delivery: Delivery) => void, signal: AbortSignal): Promise<void>;
  /** As {@linkcode serve}, without a limit and until the receiver is closed or its first failure. */
  consume(take: (delivery: Delivery) => void): Promise<void>;
  /** Numbers about the target. */
  stats(): Stats;
  /** Removes the target's name. False: others have removed it. */
  unlink(): boolean;
}

/** The receiving end of a private path. */
export interface PrivateReceiver {
  /** What the other ends find it by: see {@linkcode End.connectPrivate}. */
  readonly name: string;
  readonly receiver: Receiver;
  /** Ends the path for all its participants, and removes it. Twice is fine. */
  remove(): void;
}

/** A way to reach targets. */
export interface Transport {
  /**
   * Offers a target.
   *
   * @throws {TandemError} `MISMATCH` when its options differ from those of the target that is there
   */
  serve(target: string, options: ChannelOptions): Receiver;
  /** @throws {TandemError} `NOT_FOUND` when there is no such target */
  open(target: string): Requester;
  /** As {@linkcode open}; waits until there is such a target. */
  connect(target: string, signal: AbortSignal): Promise<Requester>;
}
