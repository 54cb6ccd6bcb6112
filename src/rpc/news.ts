/**
 * What a host tells its readers: signals that have aborted, and values that it no longer keeps.
 *
 * Each reader with such values has one standing request at the host. The host answers it as soon as there
 * is news, and the reader then sends another one.
 *
 * @module
 */
import type { Decoder } from "../codec/decoder.ts";
import type { Encoder } from "../codec/encoder.ts";
import { textOf } from "../base/guard.ts";
import { later } from "../runtime/timers.ts";
import type { Delivery } from "../transport/transport.ts";
import type { NewsTaker } from "./received.ts";

/** Kinds of news. The list of a message ends with an entry of number 0. */
const ended = 0;
const aborted = 1;

/** The news of one message may take so many bytes before the last one. */
const messageBytes = 2 ** 16;
/** Milliseconds until a reader learns that a value has ended, which frees only memory. */
const endedDelay = 100;
/** As many ended values are reported at once. */
const endedMax = 256;

/** Answers the standing request with what `write` writes; returns the error if there is one. */
export type Send = (delivery: Delivery, write: (encoder: Encoder) => void) => unknown;

/** An aborted signal. */
export interface Abort {
  readonly reason: unknown;
}

/** The news for one reader. */
export class Outbox {
  readonly #send: Send;
  /** By the numbers of values; null: the value has ended. */
  readonly #news: Map<number, Abort | null> = new Map();
  #request: Delivery | null = null;
  #cancelTimer: (() => void) | null = null;
  /** Some of the news must not wait. */
  #isUrgent = false;

  constructor(send: Send) {
    this.#send = send;
  }

  aborted(id: number, abort: Abort): void {
    this.#news.set(id, abort);
    this.#isUrgent = true;
    this.#answer();
  }

  ended(id: number): void {
    if (!this.#news.has(id)) this.#news.set(id, null);
    if (this.#news.size >= endedMax) {
      this.#isUrgent = true;
      this.#answer();
    } else this.#cancelTimer ??= later(endedDelay, this.#onTime);
  }

  readonly #onTime = (): void => {
    this.#cancelTimer = null;
    this.#isUrgent = true;
    this.#answer();
  };

  /** The reader's standing request. Returns the one that it replaces. */
  wait(request: Delivery): Delivery | null {
    const before = this.#request;
    this.#request = request;
    if (this.#isUrgent) this.#answer();
    return before;
  }

  /** The standing request has ended without an answer. */
  forget(request: Delivery): void {
    if (this.#request === request) this.#request = null;
  }

  close(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#news.clear();
    this.#request = null;
  }

  #answer(): void {
    const request = this.#request;
    if (!request || this.#news.size === 0) return;
    this.#request = null;
    const told = this.#tell(request);
    if (told === null) {
      // Memory is short, or the reader is gone.
      this.#request = request;
      this.#cancelTimer ??= later(endedDelay, this.#onTime);
      return;
    }
    for (const id of told) this.#news.delete(id);
    this.#isUrgent = this.#news.size > 0;
    if (this.#isUrgent) return;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  /** Sends as much news as fits into a message. Returns the numbers of the values, or null: it was not sent. */
  #tell(request: Delivery): number[] | null {
    let told: number[] = [];
    const send = (max: number, abortOf: (abort: Abort) => Abort) => {
      told = [];
      return this.#send(request, (encoder) => {
        for (const [id, abort] of this.#news) {
          if (told.length >= max || encoder.length > messageBytes) break;
          writeNews(encoder, id, abort && abortOf(abort));
          told.push(id);
        }
        encoder.unsigned(0);
      });
    };
    const same = (abort: Abort) => abort;
    // Together they may cost too much for one message, or the first of them alone.
    const isSent = send(Infinity, same) === undefined || send(1, same) === undefined ||
      send(1, shortly) === undefined;
    return isSent ? told : null;
  }
}

function shortly({ reason }: Abort): Abort {
  const text = textOf(reason).slice(0, 80);
  return { reason: new Error(`The signal has aborted for a reason that is too long: ${text}`) };
}

function writeNews(encoder: Encoder, id: number, abort: Abort | null): void {
  encoder.unsigned(id);
  encoder.unsigned(abort ? aborted : ended);
  if (abort) encoder.reasonWithoutBlobs(abort.reason);
}

/** News about one value. */
export interface News {
  readonly id: number;
  tell(taker: NewsTaker): void;
}

/** Reads the news of a message. */
export function readNews(decoder: Decoder): News[] {
  const all: News[] = [];
  for (let id = decoder.unsigned(); id !== 0; id = decoder.unsigned()) {
    if (decoder.unsigned() === ended) all.push({ id, tell: (taker) => taker.ended() });
    else {
      const reason = decoder.value();
      all.push({ id, tell: (taker) => taker.aborted(reason) });
    }
  }
  return all;
}
