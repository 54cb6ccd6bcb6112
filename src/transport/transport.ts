/**
 * The interfaces through which the typed layer sends and receives messages. Shared memory, process memory and
 * NATS implement them.
 *
 * A transport carries whole messages as bytes. It knows nothing about methods and values.
 *
 * @module
 */
import type { TandemError } from "../errors.ts";
import type { Gate } from "../base/gate.ts";
import type { ChannelOptions } from "../base/channel_options.ts";
import type { Origin, Peer } from "../base/peer.ts";
import type { Stats } from "../base/stats.ts";

/** The bytes of a message. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** A complete message. It does not change until the function that gets it returns. */
export interface Message {
  readonly byteLength: number;
  /** The message in one piece; null: only {@linkcode copyTo} puts it together. */
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

/** Time limits of a request, and other conditions. */
export interface RequestTerms {
  /** Milliseconds for the whole request, with its wait for room; default: no limit. */
  readonly timeout?: number;
  /** When `timeout` is over, in the time of `performance.now()`, if the sender has looked at the clock. */
  readonly deadline?: number;
  /** Aborting it cancels the request, which fails with the signal's reason. */
  readonly signal?: AbortSignal;
  /** How many receivers may get the request, one after another; default and maximum: the target's. */
  readonly maxDeliveries?: number;
  /** The request does not keep the process alive. */
  readonly isBackground?: boolean;
  /** Milliseconds for only the wait for room; default: only `timeout` limits it. */
  readonly roomTimeout?: number;
  /** False: it fails with `NO_SERVER` at once where it finds no receiver; default: it waits for one. */
  readonly waitsForReceiver?: boolean;
}

/** One request that a receiver holds. */
export interface Delivery {
  /** The request, valid until it is answered. If not {@linkcode Receiver.isPrivate}, it may change. */
  readonly bytes: Bytes;
  /** 1 for the first receiver; one more each time that a receiver was lost while it held the request. */
  readonly deliveries: number;
  /** Milliseconds left of the sender's deadline; Infinity if it has none. */
  readonly timeRemaining: number;
  /** Aborts when the sender cancels, times out, closes or dies; the reason is a `TandemError`. */
  readonly signal: AbortSignal;
  /**
   * Whether another process has passed it on, unchanged, for a peer that knows nothing of this package's messages. Its
   * answer is passed on unchanged, too.
   */
  readonly isForwarded: boolean;
  /** That peer; undefined: the request was not passed on, or is answered. */
  readonly origin: Origin | undefined;
  /** The process that sent it; unknown if it is first asked for after the answer. */
  readonly peer: Peer;
  /** Whether this receiver has answered. */
  readonly isAnswered: boolean;
  /**
   * Memory for an answer, to be filled and then passed to {@linkcode reply}.
   *
   * @throws {TandemError} `TOO_LARGE`; `NO_SPACE`; `CLOSED`
   */
  allocate(byteLength: number): Bytes;
  /**
   * As {@linkcode allocate}, if that has found no memory: takes the memory of the request, which must not
   * be read any more. No other receiver gets the request then.
   *
   * @throws {TandemError} `TOO_LARGE`; `NO_SPACE`; `CLOSED`
   */
  allocateInstead(byteLength: number): Bytes;
  /**
   * Answers.
   *
   * @returns false: the sender no longer waits
   * @throws {TandemError} `TOO_LARGE`, `NO_SPACE`: a shorter answer may still be sent; `CLOSED`
   */
  reply(answer: Bytes): boolean;
  /** Ends the request without a message, for when there is no room for one. */
  fail(error: unknown): boolean;
  /**
   * Work on the request is about to begin: if this receiver is lost, no other one gets the request.
   *
   * @returns a promise: the work may begin when it resolves, and must not when it rejects
   * @throws {TandemError} `UNKNOWN_OUTCOME`: another receiver may have begun
   */
  lastDelivery(): Promise<void> | void;
}

/** An end of a target: the part that requesters and receivers share. */
export interface End {
  /** Leaves the target. May be called twice. */
  close(): void;
  /**
   * Opens a private path to this end, beside the target, for its streams and the parts of its long
   * messages. An end has one private path at a time.
   *
   * @param count the number of earlier private paths of this end
   * @throws {TandemError} `PERMISSION` when this process cannot open one
   */
  servePrivate(options: ChannelOptions, count: number): PrivateReceiver;
  /**
   * Opens the private path of another end of the same target.
   *
   * @throws {TandemError} `NOT_FOUND` when that end is gone; `CORRUPT` for an invalid name
   */
  connectPrivate(name: string): Requester;
}

/** A receiver of a target, as others see it. */
export interface ReceiverInfo extends Peer {
  /** The requests that it holds. */
  readonly calls: number;
  /**
   * The name of its private path, for {@linkcode End.connectPrivate}: `NOT_FOUND` as long as there is none.
   * Receivers have different names.
   */
  readonly privatePath: string;
}

/** The end that sends requests. */
export interface Requester extends End {
  /** The longest request in bytes. */
  readonly maxRequestBytes: number;
  /**
   * How many items of a stream its reader asks for ahead, because the way there and back takes long; left out:
   * none.
   */
  readonly prefetch?: number;
  /** The longest answer that may come, as far as is known; left out: receivers know. */
  readonly longestAnswer?: number;
  /** The number of receivers that are open on the target. */
  readonly receivers: number;
  /** The receivers that are open on the target, in the order of their places. */
  listReceivers(): ReceiverInfo[];
  /**
   * Of a transport that has to ask for the receivers: asks, for {@linkcode listReceivers} to tell.
   *
   * @param deadline a time of `performance.now()`; what has not answered by then is not listed
   */
  discover?(deadline: number, signal?: AbortSignal): Promise<void>;
  /**
   * Sends a request. Requests that wait for room are sent in the order of the calls.
   *
   * @throws {TandemError} `TOO_LARGE`; `NO_SPACE`; `NOT_FOUND`: the target is gone, and nothing was
   * sent; `CLOSED`; `BUSY` with a `timeout` of 0
   * @throws the reason of a signal that has aborted
   */
  request(message: Message, terms: RequestTerms | undefined, reader: AnswerReader): void;
  /** Runs `listener` when a receiver may have gone, as long as a request is pending. */
  onLoss(listener: () => void): void;
}

/** The end that takes requests. */
export interface Receiver extends End {
  /** The target for messages and users: the path of a file, or the target as it was given. */
  readonly path: string;
  /** Resolves when requests reach it; left out: they do at once. */
  readonly ready?: Promise<void>;
  /** No other process can write to the bytes of a delivery. */
  readonly isPrivate: boolean;
  /** Requests of all senders together that can be in flight at once. */
  readonly slots: number;
  /** The longest answer in bytes. */
  readonly maxResponseBytes: number;
  /** Runs `listener` when newer code in this process serves the target; calls may take so long to end. */
  onReplaced(listener: (graceMilliseconds: number) => void): void;
  /** A pending {@linkcode consume} or {@linkcode serve} does not keep the process alive. */
  unref(): void;
  /**
   * Hands requests to `take` as they come, while `gate` has room. Resolves when the receiver is closed, or
   * when `signal` has aborted and the gate is empty.
   *
   * @throws {TandemError} `NOT_FOUND` when others remove the target; `CORRUPT` when it is damaged
   */
  serve(gate: Gate, take: (delivery: Delivery) => void, signal: AbortSignal): Promise<void>;
  /** Like {@linkcode serve}, without a limit, until the receiver is closed or fails. */
  consume(take: (delivery: Delivery) => void): Promise<void>;
  /** Numbers about the target. */
  stats(): Stats;
  /** Removes the target's name. False: others have removed it. */
  unlink(): boolean;
}

/** The receiving end of a private path. */
export interface PrivateReceiver {
  /** The name by which other ends find it: see {@linkcode End.connectPrivate}. */
  readonly name: string;
  readonly receiver: Receiver;
  /** Ends the path for all its participants, and removes it. May be called twice. */
  remove(): void;
}

/** What happens to a value for which a reader of a topic has no room. */
export type Overflow = "drop-oldest" | "drop-newest" | "end";

/** What a reader of a topic wants. */
export interface InboxTerms {
  /** How many values wait for it at most. */
  readonly buffer: number;
  readonly overflow: Overflow;
}

/** The values of a topic that wait for one reader. */
export interface Inbox {
  /**
   * The oldest value that waits, or the next one that comes. While this is pending, the process stays alive.
   *
   * @throws {TandemError} `CLOSED`; `BUSY` after the last value before an overflow, if `overflow` is
   * `"end"`; `NOT_FOUND` when others have removed the topic
   */
  next(): Promise<Bytes>;
  /** How many values were dropped. */
  readonly dropped: number;
  /** Resolves when all publishers reach it; left out: they do at once. */
  readonly ready?: Promise<void>;
  /** May be called twice. */
  close(): void;
}

/** An end of a topic, which publishes and makes readers. */
export interface TopicEnd {
  readonly path: string;
  /**
   * Hands a message to all readers. Never waits.
   *
   * @returns how many readers got it; NaN: nobody knows
   */
  publish(message: Bytes): number;
  subscribe(terms: InboxTerms): Inbox;
  /** Removes the topic's name, which ends its readers. False: there was none. */
  unlink(): boolean;
  /** Its readers stay. May be called twice. */
  close(): void;
}

/** Options of a topic. */
export interface TopicTerms {
  /** The longest message. */
  readonly maxBytes: number;
  /** The mode of its file. */
  readonly mode: number | undefined;
}

/** A way to reach targets. */
export interface Transport {
  /**
   * Offers a target.
   *
   * @throws {TandemError} `MISMATCH` when the options differ from the existing target
   */
  serve(target: string, options: ChannelOptions): Receiver;
  /** @throws {TandemError} `NOT_FOUND` when there is no such target */
  open(target: string): Requester;
  /** Like {@linkcode open}, but waits until there is such a target. */
  connect(target: string, signal: AbortSignal): Promise<Requester>;
  /** Of a handle that the user has given as target: closes it, even if no call has needed it. */
  release?(): void;
  /**
   * Nobody here knows whether there are receivers: requests find out. Then {@linkcode open} finds only what is
   * connected already, and {@linkcode connect} waits for a connection, not for a receiver.
   */
  readonly isRemote?: boolean;
  /** Why {@linkcode connect} has not succeeded yet, if that is known. */
  obstacle?(): TandemError | null;
}

/** A way to reach topics. */
export interface TopicTransport {
  /** An end of a topic. It reaches the others when it is first used. */
  openTopic(target: string, terms: TopicTerms): TopicEnd;
}
