/**
 * The stream towards one node. Messages are copied into batches, which go into the node's mailbox as posts: when
 * a batch is full, and at the end of the microtasks. Few posts may wait there at once, so that a fast sender leaves
 * room for others. What has no room waits here, up to a bound; beyond it, the stream is cut and another begins.
 *
 * @module
 */
import { onAbort, reasonOf } from "../../base/abort.ts";
import { codeOf } from "../../base/guard.ts";
import type { Place } from "../../channel/roster.ts";
import { later } from "../../runtime/timers.ts";
import {
  type Batch,
  batchBytes,
  batchMark,
  type BatchStock,
  controlFlag,
  Cut,
  cutShift,
  Flag,
  Head,
  headBytes,
  nextSequence,
  sequencesBetween,
} from "./batch.ts";

/** A message that does not fit and is not longer goes into the next batch whole, because parts need copies. */
const unsplitBytesMax = 1024;
/** When to look again whether a post goes through, in milliseconds. The receiver tells earlier, if it can. */
const retries: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** Where the batches go. */
export interface Mailbox {
  /** False: not now. @throws when it is damaged or gone */
  post(batch: Uint8Array): boolean;
  /** Whether there surely is room for so many more. */
  hasRoom(batches: number): boolean;
  close(): void;
}

/** What all outlets of a node share. */
export interface OutletHome {
  /**
   * How many batches of one sender may wait in a mailbox. From the half on the sender wants to hear what was taken,
   * so that it goes on before its window is full.
   */
  readonly window: number;
  readonly stock: BatchStock;
  /** The own place in the hall. */
  readonly place: Place;
  readonly maxQueue: number;
  readonly maxQueueBytes: number;
  /** A batch of messages is about to be posted. */
  posts(): void;
  /** Calls {@linkcode Outlet.flush} at the end of the microtasks. */
  flushLater(outlet: Outlet): void;
}

/** The node that the stream leads to. */
export interface OutletPeer {
  /** Opens its mailbox. @throws {TandemError} */
  open(): Mailbox;
  /** What to say first in each stream, if anything. */
  readonly greeting: Uint8Array | null;
  /** The last batch that was taken from it. */
  readonly taken: number;
  /** It waits to hear that. */
  readonly owesTaken: boolean;
  /** It has heard it. */
  toldTaken(): void;
  /** The stream was cut. Runs later, never within a call of the outlet. */
  cut(kind: "overflow" | "transport_error", message: string): void;
}

interface RoomWaiter {
  settle(hasRoom: boolean): void;
}

export class Outlet {
  readonly #home: OutletHome;
  readonly #peer: OutletPeer;
  #client: Mailbox | null = null;
  #isEnded = false;

  #link = 1;
  /** The stream to which the last batch belongs that was posted. */
  #postedLink = 0;
  #cut: number = Cut.none;
  /** The number of the last batch that was posted, and how many of them may not be taken yet. */
  #sequence = 0;
  #outstanding = 0;

  /** Full batches that wait, and the batch that is being filled. */
  #first: Batch | null = null;
  #last: Batch | null = null;
  #current: Batch | null = null;
  messages = 0;
  bytes = 0;

  #isDirty = false;
  #retry = 0;
  #cancelRetry: (() => void) | null = null;
  readonly #roomWaiters: Set<RoomWaiter> = new Set();
  readonly #drainWaiters: Set<() => void> = new Set();

  constructor(home: OutletHome, peer: OutletPeer) {
    this.#home = home;
    this.#peer = peer;
    this.#greet();
  }

  /** Appends a message of the program. */
  send(message: Uint8Array): void {
    const { byteLength } = message;
    const { maxQueue, maxQueueBytes } = this.#home;
    const isOver = this.messages >= maxQueue ||
      (this.bytes + byteLength > maxQueueBytes && this.messages > 0);
    if (isOver && !this.#makesRoom(byteLength)) return this.#overflow();
    this.messages += 1;
    this.bytes += byteLength;
    this.#append(message, byteLength, 0);
  }

  /** Appends a message of the hall, which counts as none. */
  control(message: Uint8Array): void {
    if (!this.#isEnded) this.#append(message, message.byteLength, controlFlag);
  }

  #append(message: Uint8Array, byteLength: number, flag: number): void {
    if (!this.#isDirty) {
      this.#isDirty = true;
      this.#home.flushLater(this);
    }
    const batch = this.#current;
    if (batch !== null) {
      const at = batch.length;
      const end = at + 4 + byteLength;
      if (end <= batchBytes) {
        batch.words[at >> 2] = byteLength | flag;
        batch.bytes.set(message, at + 4);
        batch.length = (end + 3) & ~3;
        if (flag === 0) {
          batch.messages += 1;
          batch.payload += byteLength;
        }
        return;
      }
    }
    this.#appendInParts(message, flag);
  }

  #appendInParts(message: Uint8Array, flag: number): void {
    const { byteLength } = message;
    let batch = this.#current;
    if (batch === null) batch = this.#begin();
    const room = batchBytes - batch.length - 4;
    if (byteLength > room && (byteLength <= unsplitBytesMax || room <= 0)) batch = this.#turnOver();
    batch.words[batch.length >> 2] = byteLength | flag;
    batch.length += 4;
    for (let done = 0;;) {
      const part = Math.min(byteLength - done, batchBytes - batch.length);
      batch.bytes.set(
        part === byteLength ? message : message.subarray(done, done + part),
        batch.length,
      );
      done += part;
      batch.length = (batch.length + part + 3) & ~3;
      if (flag === 0) batch.payload += part;
      if (done === byteLength) break;
      batch = this.#turnOver();
    }
    if (flag === 0) batch.messages += 1;
  }

  #begin(): Batch {
    return this.#current = this.#home.stock.take();
  }

  /** The current batch is full. */
  #turnOver(): Batch {
    const full = this.#current;
    if (full !== null) {
      this.#enqueue(full);
      this.#current = null;
      this.#post();
    }
    return this.#begin();
  }

  #enqueue(batch: Batch): void {
    if (this.#last) this.#last.next = batch;
    else this.#first = batch;
    this.#last = batch;
  }

  /** At the end of the microtasks, and whenever there may be room again. */
  flush(): void {
    this.#isDirty = false;
    if (this.#isEnded) return;
    this.#post();
    const current = this.#current;
    if (this.#first === null && current !== null && current.length > headBytes && this.#mayPost()) {
      this.#current = null;
      this.#enqueue(current);
      this.#post();
    }
    if (this.#first !== null || this.#current !== null) this.#retryLater();
    this.#tellRoom();
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return this.#first === null && (this.#current === null || this.#current.length === headBytes);
  }

  /** The receiver has taken the batches up to this number. */
  wasTaken(sequence: number): void {
    if (this.#outstanding === 0 || sequence === 0) return;
    const left = sequencesBetween(sequence, this.#sequence);
    // A number that was never sent, or an older one.
    if (left >= this.#outstanding) return;
    this.#outstanding = left;
    this.#retry = 0;
    if (this.#first !== null || this.#current !== null) this.flush();
  }

  /** Says what was taken, with the next batch or without one. */
  tellTaken(): void {
    if (this.#isEnded) return;
    if (!this.isEmpty && this.#mayPost()) return this.flush();
    const batch = this.#home.stock.take();
    this.#fillHead(batch, 0, 0, this.#link);
    try {
      if (this.#open().post(batch.bytes.subarray(0, headBytes))) return this.#peer.toldTaken();
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#home.stock.give(batch);
    }
    this.#retryLater();
  }

  /** Tells how far the stream has come, if the receiver may not know it. */
  beat(): void {
    if (this.#isEnded || this.#outstanding === 0 || this.#client === null) return;
    const batch = this.#home.stock.take();
    this.#fillHead(batch, this.#sequence, Flag.beat | Flag.wantsTaken, this.#postedLink);
    try {
      this.#client.post(batch.bytes.subarray(0, headBytes));
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#home.stock.give(batch);
    }
  }

  #mayPost(): boolean {
    const { window } = this.#home;
    if (this.#outstanding < window / 2 || this.#client === null) return true;
    // Where no other sends, the mailbox itself says what was taken, and needs no answer for it.
    if (this.#client.hasRoom(1)) this.#outstanding = 0;
    else if (this.#outstanding >= window && this.#client.hasRoom(window / 2)) {
      this.#outstanding = 1;
    }
    return this.#outstanding < window;
  }

  /** Posts what may be posted of the full batches. */
  #post(): void {
    while (this.#first !== null) {
      const batch = this.#first;
      if (!this.#postOne(batch)) return;
      this.#first = batch.next;
      if (this.#first === null) this.#last = null;
      this.messages -= batch.messages;
      this.bytes -= batch.payload;
      this.#home.stock.give(batch);
    }
  }

  #postOne(batch: Batch): boolean {
    try {
      const client = this.#open();
      if (!this.#mayPost()) return false;
      this.#home.posts();
      const sequence = nextSequence(this.#sequence);
      const outstanding = this.#outstanding + 1;
      const { window } = this.#home;
      const wants = outstanding === window / 2 || outstanding >= window ? Flag.wantsTaken : 0;
      const first = this.#postedLink === this.#link ? 0 : Flag.first;
      this.#fillHead(batch, sequence, wants | first, this.#link);
      const { bytes, length } = batch;
      if (!client.post(length === batchBytes ? bytes : bytes.subarray(0, length))) return false;
      this.#sequence = sequence;
      this.#postedLink = this.#link;
      this.#outstanding = outstanding;
      this.#peer.toldTaken();
      this.#retry = 0;
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #fillHead({ words }: Batch, sequence: number, flags: number, link: number): void {
    const { position, epochLow, epochHigh } = this.#home.place;
    words[Head.mark] = batchMark;
    words[Head.position] = position;
    words[Head.epochLow] = epochLow;
    words[Head.epochHigh] = epochHigh;
    words[Head.link] = link;
    words[Head.sequence] = sequence;
    words[Head.taken] = this.#peer.taken;
    words[Head.flags] = flags | (this.#cut << cutShift);
  }

  #open(): Mailbox {
    return this.#client ??= this.#peer.open();
  }

  /** The node is about to be gone, or there is no memory, or its mailbox is damaged. */
  #failed(error: unknown): void {
    const code = codeOf(error);
    if (code === "NO_SPACE" || this.#client === null) return;
    // The next attempt opens the mailbox anew.
    this.#client.close();
    this.#client = null;
    this.#outstanding = 0;
  }

  #retryLater(): void {
    if (this.#cancelRetry !== null || this.#isEnded) return;
    const delay = retries[Math.min(this.#retry, retries.length - 1)]!;
    this.#cancelRetry = later(delay, () => {
      this.#cancelRetry = null;
      this.#retry += 1;
      if (this.#peer.owesTaken) this.tellTaken();
      this.flush();
    });
  }

  /** The bound is reached: whether there is room after a look at the mailbox. */
  #makesRoom(byteLength: number): boolean {
    this.#post();
    const { maxQueue, maxQueueBytes } = this.#home;
    return this.messages < maxQueue &&
      (this.bytes + byteLength <= maxQueueBytes || this.messages === 0);
  }

  #overflow(): void {
    const { messages, bytes } = this;
    this.cut(
      Cut.overflow,
      `more than ${this.#home.maxQueue} messages or ${this.#home.maxQueueBytes} bytes waited for the node: ` +
        `${
          messages + 1
        } messages of ${bytes} bytes are lost; wait with ready() before you send more`,
    );
  }

  /** The receiver misses a batch of this stream. */
  wasBroken(link: number): void {
    if (link !== this.#postedLink || this.#isEnded) return;
    // What was posted is lost, or was taken: nothing of it waits.
    this.#outstanding = 0;
    this.#retry = 0;
    // It was cut meanwhile.
    if (link !== this.#link) return this.flush();
    this.cut(Cut.broken, "the node missed a part of the messages to it");
  }

  /** Drops what waits. What follows is another stream. */
  cut(reason: number, message: string): void {
    this.#drop();
    this.#link = nextSequence(this.#link);
    this.#cut = reason;
    this.#greet();
    this.#peer.cut(reason === Cut.overflow ? "overflow" : "transport_error", message);
  }

  #greet(): void {
    const { greeting } = this.#peer;
    if (greeting) this.control(greeting);
  }

  #drop(): void {
    for (let batch = this.#first; batch !== null;) {
      const { next } = batch;
      this.#home.stock.give(batch);
      batch = next;
    }
    if (this.#current) this.#home.stock.give(this.#current);
    this.#first = this.#last = this.#current = null;
    this.messages = 0;
    this.bytes = 0;
    this.#tellRoom();
  }

  get #hasRoom(): boolean {
    const { maxQueue, maxQueueBytes } = this.#home;
    return this.messages * 2 < maxQueue && this.bytes * 2 < maxQueueBytes;
  }

  /** Resolves true when less than half of the bound waits, false when the node is gone. */
  whenRoom(signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#isEnded) return Promise.resolve(false);
    if (signal?.aborted) return Promise.reject(reasonOf(signal));
    if (this.#hasRoom) return Promise.resolve(true);
    return new Promise((resolve, reject) => {
      const stop = signal && onAbort(signal, () => {
        this.#roomWaiters.delete(waiter);
        reject(reasonOf(signal));
      });
      const waiter: RoomWaiter = {
        settle: (hasRoom) => {
          stop?.();
          resolve(hasRoom);
        },
      };
      this.#roomWaiters.add(waiter);
    });
  }

  /** Resolves when all has been posted, or the node is gone. */
  whenDrained(): Promise<void> {
    if (this.#isEnded || this.isEmpty) return Promise.resolve();
    return new Promise((resolve) => this.#drainWaiters.add(resolve));
  }

  #tellRoom(): void {
    if (this.#roomWaiters.size > 0 && (this.#isEnded || this.#hasRoom)) {
      const waiters = [...this.#roomWaiters];
      this.#roomWaiters.clear();
      for (const waiter of waiters) waiter.settle(!this.#isEnded);
    }
    if (this.#drainWaiters.size > 0 && (this.#isEnded || this.isEmpty)) {
      for (const resolve of this.#drainWaiters) resolve();
      this.#drainWaiters.clear();
    }
  }

  /** The node is gone, or this one leaves. What waits is dropped. Twice is fine. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#drop();
  }

  /** Leaves the mailbox, after {@linkcode end}. It takes a while. */
  close(): void {
    this.#client?.close();
    this.#client = null;
  }
}
