/**
 * Another process that hosts streams and long messages for this one.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { codeOf } from "../base/guard.ts";
import type { AnswerReader } from "../channel/waiter.ts";
import type { ClientCore } from "../channel/client_core.ts";
import type { SendOptions } from "../channel/options.ts";
import { later, now } from "../runtime/timers.ts";
import { TandemError } from "../errors.ts";
import { assemblies, type Assembly } from "./assemblies.ts";
import { corrupt } from "../codec/decoder.ts";
import type { Encoder } from "../codec/encoder.ts";
import { blobBytesMin } from "../codec/tags.ts";
import { treeTooLarge } from "../codec/tree_budget.ts";
import type { Endpoint } from "./endpoint.ts";
import type { InStream, StepOutcome, StreamTerms } from "./in_stream.ts";
import {
  endReading,
  headerBytes,
  Kind,
  messageBytes,
  partBytes,
  type Reading,
  readMessage,
  readParcel,
  withMessage,
} from "./message.ts";
import { checkLength } from "./options.ts";
import { readRefusal, thrownError } from "./replies.ts";
import { sendMessage } from "./sending.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A long message. */
export interface Parcel {
  readonly tree: Bytes;
  readonly blobs: readonly Bytes[];
}

/** What ends the fetching of a long message. */
interface Terms {
  readonly deadline: number;
  readonly assembly: Assembly;
}

/** Memory for what is said to come is taken in such steps, each twice the one before. */
const growthBytes = 2 ** 22;
/** How long the lease is kept when nothing is read any more, in milliseconds: it holds a slot of the host. */
const leaseMilliseconds = 200;
/**
 * And the connection: longer, since opening it again wakes all who read from the same host. It holds
 * descriptors, and one of the handles that can be open on a channel.
 */
const idleMilliseconds = 30_000;
/**
 * How long a step of a stream waits for a slot of the host, in milliseconds. There are more than
 * processes: where none becomes free, others wait for items that do not come, for ever perhaps.
 */
const roomMilliseconds = 10_000;
/** Parts that are asked for at once. */
const lanes = 4;

export class Peer {
  readonly #endpoint: Endpoint;
  readonly #client: ClientCore;
  /** Number of the lease, and what gives it up; null: there is none. */
  #lease = 0;
  #leaseEnd: AbortController | null = null;
  readonly #onEnd: () => void;
  #isDead = false;
  /** Streams that are open, steps and messages that are under way. */
  #uses = 0;
  #lastUse = 0;
  #cancelIdle: (() => void) | null = null;

  /**
   * @param open opens the channel that the process hosts
   * @param onEnd told when the process is gone, or the channel closed
   * @throws {TandemError} `SERVER_DIED` when the process is gone already
   */
  constructor(endpoint: Endpoint, open: () => ClientCore, onEnd: () => void) {
    this.#endpoint = endpoint;
    this.#onEnd = onEnd;
    try {
      this.#client = open();
    } catch (error) {
      if (codeOf(error) === "NOT_FOUND") throw hostDied();
      throw error;
    }
    this.#client.watchServersOnly();
    this.#client.onDeath(() => this.#look());
    try {
      this.#keepLease();
    } catch (error) {
      this.close();
      throw error;
    }
    this.#restWhenIdle();
  }

  /** Whether the host is still there. */
  #look(): void {
    if (!this.#isDead && this.#client.servers === 0) this.close();
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

  /** One timer for both, which does not keep the process alive. */
  #restWhenIdle(): void {
    this.#lastUse = now();
    if (this.#cancelIdle || this.#isDead) return;
    const look = (): void => {
      this.#cancelIdle = null;
      if (this.#uses > 0 || this.#isDead) return;
      const idle = now() - this.#lastUse;
      // Not to the millisecond: timers are not that exact either.
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
    // It is never answered: however it ends, unless it is given up here, the other process serves no more.
    const end = () => {
      if (this.#leaseEnd === leaseEnd) this.close();
    };
    const { signal } = leaseEnd;
    const write = (encoder: Encoder) => encoder.value(this.#lease);
    this.#send(Kind.lease, write, { signal }, { read: end, fail: end }, true);
    this.#leaseEnd = leaseEnd;
    // It may have gone just before, and a lease that no server has taken does not end.
    this.#look();
    if (this.#isDead) throw hostDied();
  }

  /** What was claimed under it has ended here. */
  #giveUpLease(): void {
    const leaseEnd = this.#leaseEnd;
    this.#leaseEnd = null;
    leaseEnd?.abort(new TandemError("CANCELLED", "Nothing is read from the host any more"));
  }

  /** Streams that have arrived in a message. */
  attach(
    streams: readonly { readonly id: number; readonly stream: InStream }[],
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

  /** Takes a step of a stream over there. Never throws. */
  step(
    id: number,
    step: number,
    hasValue: boolean,
    value: unknown,
    terms: StreamTerms | undefined,
    outcome: StepOutcome,
  ): void {
    const reader = new StepReader(this.#endpoint, this, terms, outcome);
    let isWritten = false;
    const write = (encoder: Encoder) => {
      encoder.value(this.#lease);
      encoder.unsigned(id);
      encoder.unsigned(step);
      encoder.list("value", hasValue ? [value] : []);
      isWritten = true;
    };
    const { timeout, signal } = terms ?? {};
    const options = { ...(timeout !== undefined && { timeout }), ...(signal && { signal }) };
    try {
      this.#send(Kind.pull, write, options, reader, false, roomMilliseconds);
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

  /** Nobody here wants that stream or parcel any more. */
  drop(id: number): void {
    this.#post(Kind.drop, (encoder) => encoder.unsigned(id));
  }

  /**
   * Fetches a long message, of which `reading` has read the announcement.
   *
   * @param options `timeout` is for all of it, not for each part
   * @throws {TandemError} `TOO_LARGE` when it is longer than this side allows; `BUSY` when its sender is
   * silent while others need the memory
   */
  async fetch(
    { id, count, treeBytes, totalBytes }: Announcement,
    { timeout = Infinity, signal }: SendOptions,
  ): Promise<Parcel> {
    const { limits } = this.#endpoint;
    checkLength(limits, totalBytes, "take");
    if (treeBytes > limits.maxTreeBytes) throw treeTooLarge("take", limits.maxTreeBytes);
    // Each byte array takes six bytes of the tree, and is not worth a place of its own if it is short.
    if (count * 6 > treeBytes || count * blobBytesMin > totalBytes) {
      throw corrupt("a long message has impossible parts");
    }
    const assembly = assemblies.begin();
    const terms: Terms = {
      deadline: now() + timeout,
      assembly,
    };
    if (signal?.aborted) assembly.end(reasonOf(signal));
    const stopListening = signal && onAbort(signal, () => assembly.end(reasonOf(signal)));
    let left = totalBytes;
    const take = async (index: number, length: number) => {
      left -= length;
      if (left < 0) throw corrupt("a long message is longer than it said");
      return await this.#fetchPart(id, index, length, terms);
    };
    try {
      const lengths = await this.#fetchPart(id, 0, count * 4, terms);
      const view = new DataView(lengths.buffer);
      const tree = await take(1, treeBytes);
      const blobs: Bytes[] = [];
      for (let index = 0; index < count; index++) {
        blobs.push(await take(index + 2, view.getUint32(index * 4, true)));
      }
      return { tree, blobs };
    } finally {
      stopListening?.();
      // Ends what is still asked for when a part has failed.
      assembly.end();
      this.drop(id);
    }
  }

  /** Fetches one of the byte strings of a long message, several parts of it at once. */
  async #fetchPart(id: number, index: number, length: number, terms: Terms): Promise<Bytes> {
    let bytes: Bytes = new Uint8Array(Math.min(length, growthBytes));
    let next = 0;
    const lane = async () => {
      while (next < length) {
        const offset = next;
        next += partBytes;
        await terms.assembly.ask(terms.deadline);
        await this.#fetchRange(id, index, offset, terms, (part) => {
          if (part.byteLength !== Math.min(partBytes, length - offset)) {
            throw corrupt("a part of a long message has another length");
          }
          const end = offset + part.byteLength;
          if (end > bytes.byteLength) {
            // Not at once as much as it says: it may never come.
            const grown = Math.min(length, Math.max(bytes.byteLength * 2, end));
            bytes = new Uint8Array(bytes.buffer.transfer(grown));
          }
          bytes.set(part, offset);
        });
      }
    };
    await Promise.all(Array.from({ length: Math.min(lanes, Math.ceil(length / partBytes)) }, lane));
    return bytes;
  }

  #fetchRange(
    id: number,
    index: number,
    offset: number,
    { deadline, assembly }: Terms,
    take: (part: Bytes) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const reader: AnswerReader = {
        read: (answer, isPrivate) => {
          try {
            const part = this.#portionOf(answer, isPrivate);
            assembly.arrived(part.byteLength);
            take(part);
            resolve();
          } catch (error) {
            reject(error);
          }
        },
        fail: (error) => reject(this.explain(error)),
      };
      const write = (encoder: Encoder) => {
        encoder.value(this.#lease);
        encoder.unsigned(id);
        encoder.unsigned(index);
        encoder.unsigned(offset);
      };
      const timeout = Math.max(0, deadline - now());
      const { signal } = assembly;
      try {
        this.#send(Kind.part, write, { timeout, signal }, reader, false);
      } catch (error) {
        // The host may have gone, and its channel with it.
        return reject(this.explain(error));
      }
      assembly.asked();
    });
  }

  /** The bytes that an answer carries; @throws the refusal that it is instead */
  #portionOf(answer: Bytes, isPrivate: boolean): Bytes {
    const { reads } = this.#endpoint;
    try {
      const { kind, decoder } = readMessage(reads, answer, isPrivate);
      if (kind === Kind.refused) throw readRefusal(decoder);
      if (kind !== Kind.portion) throw corrupt(`a part of a long message has kind ${kind}`);
      decoder.finish();
      return answer.subarray(headerBytes);
    } finally {
      reads.forget();
      endReading();
    }
  }

  /** What ended a request to the host, in words that fit. */
  explain(error: unknown): unknown {
    const code = codeOf(error);
    if (code === "CLOSED" && this.#isDead && !this.#endpoint.isClosed) return hostDied();
    return code === "SERVER_DIED" || code === "NOT_FOUND" ? hostDied() : error;
  }

  close(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#cancelIdle?.();
    this.#cancelIdle = null;
    this.#client.close();
    this.#onEnd();
  }

  #send(
    kind: number,
    write: (encoder: Encoder) => void,
    options: SendOptions | undefined,
    reader: AnswerReader,
    isBackground: boolean,
    roomTimeout: number = Infinity,
  ): void {
    if (this.#isDead) throw this.#endpoint.isClosed ? closed() : hostDied();
    const writes = this.#endpoint.writes("receiver");
    const send = (encoder: Encoder) => {
      const length = messageBytes(encoder);
      if (length > this.#client.maxRequestBytes) throw this.#tooLong(length);
      sendMessage(this.#client, encoder, options, reader, isBackground, roomTimeout);
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
      `Cannot give a stream a value of ${length} bytes: the longest is ` +
        `${this.#client.maxRequestBytes}; send longer ones as arguments of a call, or in a stream`,
    );
  }

  /** What nobody waits for; without room it goes when there is some. */
  #post(kind: number, write: (encoder: Encoder) => void): void {
    if (this.#isDead) return;
    const reader: AnswerReader = { read: () => {}, fail: () => {} };
    try {
      this.#send(kind, write, undefined, reader, true);
    } catch {
      // The host is gone, and everything with it.
    }
  }
}

/** What is said of a long message in its place. */
export interface Announcement {
  readonly id: number;
  readonly count: number;
  readonly treeBytes: number;
  readonly totalBytes: number;
  readonly host: string;
}

/** Reads what a message of kind `parcel` says. */
export function readAnnouncement({ decoder }: Reading): Announcement {
  const announcement = {
    id: decoder.unsigned(),
    count: decoder.unsigned(),
    treeBytes: decoder.unsigned(),
    totalBytes: decoder.unsigned(),
    host: decoder.text(),
  };
  decoder.finish();
  return announcement;
}

/** Reads the answer to a step. */
class StepReader implements AnswerReader {
  readonly #endpoint: Endpoint;
  readonly #peer: Peer;
  readonly #terms: StreamTerms | undefined;
  readonly #outcome: StepOutcome;

  constructor(
    endpoint: Endpoint,
    peer: Peer,
    terms: StreamTerms | undefined,
    outcome: StepOutcome,
  ) {
    this.#endpoint = endpoint;
    this.#peer = peer;
    this.#terms = terms;
    this.#outcome = outcome;
  }

  read(bytes: Bytes, isPrivate: boolean): void {
    this.#settle(() => readMessage(this.#endpoint.reads, bytes, isPrivate));
  }

  fail(error: unknown): void {
    this.#outcome.failed(this.#peer.explain(error));
  }

  #settle(open: () => Reading): void {
    let tell: () => void;
    const { reads } = this.#endpoint;
    try {
      const reading = open();
      if (reading.kind === Kind.parcel) return this.#fetch(readAnnouncement(reading));
      tell = this.#read(reading);
    } catch (error) {
      tell = () => this.#outcome.failed(error);
    } finally {
      reads.forget();
      endReading();
    }
    tell();
  }

  /** Returns what tells of the answer. */
  #read(reading: Reading): () => void {
    const { kind, decoder } = reading;
    const { reads } = this.#endpoint;
    switch (kind) {
      case Kind.yielded:
      case Kind.returned: {
        const value = decoder.value();
        reads.finish(reading, this.#terms);
        return () => this.#outcome.returned({ done: kind === Kind.returned, value });
      }
      case Kind.thrown: {
        const thrown = decoder.thrown();
        reads.finish(reading, this.#terms);
        return () => this.#outcome.threw(thrownError(thrown, reads.errorClasses));
      }
      case Kind.refused:
        throw readRefusal(decoder);
    }
    throw corrupt(`an item has kind ${kind}`);
  }

  #fetch(announcement: Announcement): void {
    const { timeout, signal } = this.#terms ?? {};
    const options = { ...(timeout !== undefined && { timeout }), ...(signal && { signal }) };
    this.#endpoint.fetch(announcement, options).then(
      ({ tree, blobs }) => this.#settle(() => readParcel(this.#endpoint.reads, tree, blobs)),
      (error) => this.#outcome.failed(error),
    );
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
