/**
 * The serving end of a private path. It keeps lent values for other processes. They fetch streams, item by
 * item, and long messages, part by part.
 *
 * Each reader holds a lease: a request that the host never answers, and whose signal aborts when the
 * reader dies or closes. Everything that was claimed under a lease ends with it.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import type { Encoder } from "../codec/encoder.ts";
import { corrupt } from "../codec/reader.ts";
import { TandemError } from "../errors.ts";
import { laterForSure, now, setImmediate } from "../runtime/timers.ts";
import type { Bytes, Delivery, End, PrivateReceiver, Receiver } from "../transport/transport.ts";
import {
  doneMessage,
  hasHost,
  headerBytes,
  hostResponseBytes,
  Kind,
  partBytes,
  type Reading,
  readMessage,
  readParcel,
  writePortion,
} from "./message.ts";
import type { Lent, Lot } from "./lent.ts";
import { InOrder } from "./in_order.ts";
import { LentTerms } from "./lent_terms.ts";
import { Outbox } from "./news.ts";
import { OutCallback } from "./out_callback.ts";
import { OutSignal } from "./out_signal.ts";
import { OutStream } from "./out_stream.ts";
import { functionEnded } from "./lent_function.ts";
import { type InvocationAnnouncement, readInvocationAnnouncement } from "./parcels.ts";
import { waitForMemory } from "./full_memory.ts";
import { refuse, type Reply, replyResult, replyThrown, replyWith } from "./replies.ts";
import type { Side } from "./side.ts";
import type { Claim, Shelf } from "./writes.ts";

/**
 * Each of up to 1,023 reading processes takes one slot for its lease, and one for each item that it waits
 * for. A slot uses memory only once it has carried a message.
 */
const hostSlots = 4_096;
/** The longest step of a stream, with the value that the reader passes in. */
const hostRequestBytes = 2 ** 18;
/** Milliseconds between checks that others can still reach this host; there may be a thousand hosts. */
const lookInterval = 100;
/** How long a call that is over waits for calls of its functions that this process has not read yet. */
const unreadMilliseconds = 100;
/** How many turns of the event loop it waits at least: the process may not have run meanwhile. */
const unreadTurns = 10;
/** After so long without a claim, the receiver must have died. */
const unclaimedMilliseconds = 60_000;

interface Entry {
  readonly lent: Lent | null;
  /** Lengths of the byte strings, the tree, the byte strings. */
  readonly parts: readonly Bytes[] | null;
  /** The values that end with the same stream. */
  readonly lot: Lot | null;
  claim: Claim;
  addedAt: number;
  /** When a part was last asked for. */
  usedAt?: number;
  lease: number | null;
  /** Stays reachable as long as the entry. */
  caller?: object;
}

/** A reading process. */
interface Lease {
  /** The entries that end with it. */
  readonly claimed: Set<number>;
  readonly outbox: Outbox;
  /** Its calls of functions that wait for a long one to arrive. */
  readonly queue: InOrder;
}

export class Host implements Shelf {
  readonly name: string;
  readonly #side: Side;
  readonly #path: PrivateReceiver;
  readonly #receiver: Receiver;
  readonly #entries: Map<number, Entry> = new Map();
  readonly #leases: Map<number, Lease> = new Map();
  /** Looks whether the parcels have been fetched. */
  #onForgotten: (() => void) | null = null;
  /** The number of requests that this host has read. */
  #taken = 0;
  /** Entries to retire once so many requests were read. */
  readonly #retirements: Retirement[] = [];
  #isLost = false;
  #lookedAt = -Infinity;
  #isClosed = false;

  /** @param count how many hosts this end of the target has had before */
  constructor(side: Side, main: End, count: number) {
    this.#side = side;
    const options = {
      slots: hostSlots,
      maxRequestBytes: hostRequestBytes,
      maxResponseBytes: hostResponseBytes,
    };
    this.#path = main.servePrivate(options, count);
    this.name = this.#path.name;
    this.#receiver = this.#path.receiver;
    // Values that no process uses yet do not keep this process alive.
    this.#receiver.unref();
    void this.#run();
  }

  /** Others can no longer reach this host, so another one has to replace it. */
  get isLost(): boolean {
    if (this.#isLost || this.#isClosed) return this.#isLost;
    const time = now();
    if (time - this.#lookedAt < lookInterval) return false;
    this.#lookedAt = time;
    // Readers that cannot find the receiver assume that this process is dead.
    if (this.#receiver.stats().servers === 0) this.#lose();
    return this.#isLost;
  }

  addLent(lent: Lent, claim: Claim, lot: Lot | null): number {
    const id = this.#add({ lent, parts: null, lot, claim, addedAt: now(), lease: null });
    lot?.add(id, this);
    if (lent instanceof OutSignal) {
      lent.onAborted = () => this.#tellAbort(id, lent);
    }
    if (lent instanceof OutCallback) lent.onDisposed = (reason) => this.drop([id], reason);
    return id;
  }

  addParcel(tree: Bytes, blobs: readonly Bytes[], claim: Claim): number {
    const lengths = new Uint8Array(blobs.length * 4);
    const view = new DataView(lengths.buffer);
    blobs.forEach(({ byteLength }, index) => view.setUint32(index * 4, byteLength, true));
    const parts = [lengths, tree, ...blobs];
    return this.#add({ lent: null, parts, lot: null, claim, addedAt: now(), lease: null });
  }

  #add(entry: Entry): number {
    this.#dropUnclaimed();
    const id = this.#side.nextEntry();
    this.#entries.set(id, entry);
    return id;
  }

  withdraw(ids: Iterable<number>): void {
    for (const id of ids) this.#forget(id);
  }

  drop(ids: Iterable<number>, reason: TandemError): void {
    for (const id of ids) {
      const entry = this.#forget(id);
      entry?.lent?.end(reason);
      if (!entry || entry.lease === null || !entry.lent) continue;
      // The reader of a stream asks for an item, and hears of it then.
      if (!(entry.lent instanceof OutStream)) this.#leases.get(entry.lease)?.outbox.ended(id);
    }
  }

  retire(ids: Iterable<number>, reason: TandemError, caller: object): Promise<void> | null {
    const all = [...ids];
    const isFunction = (id: number) => this.#entries.get(id)?.lent instanceof OutCallback;
    const unread = all.some(isFunction) ? this.#unread : 0;
    if (unread === 0) {
      this.#retire(all, reason, caller);
      return null;
    }
    // The method may have called the function, without awaiting it, before it has returned.
    const { promise, resolve } = Promise.withResolvers<void>();
    const run = () => {
      this.#retire(all, reason, caller);
      resolve();
    };
    this.#retirements.push({ at: this.#taken + unread, run });
    if (this.#retirements.length === 1) this.#retireInTime(now() + unreadMilliseconds);
    return promise;
  }

  /** Requests that this host has not read yet. */
  get #unread(): number {
    return this.#isClosed ? 0 : this.#receiver.stats().queued;
  }

  /** Retires what waits for requests that do not come: their senders may have cancelled them. */
  #retireInTime(limit: number, taken = this.#taken, turns = 0): void {
    setImmediate(() => {
      if (this.#retirements.length === 0) return;
      if (this.#unread > 0) {
        // The requests come, however slowly: this process may be short of processor time.
        if (this.#taken !== taken) return this.#retireInTime(now() + unreadMilliseconds);
        const mayCome = now() < limit || turns < unreadTurns;
        if (mayCome) return this.#retireInTime(limit, taken, turns + 1);
      }
      for (const { run } of this.#retirements.splice(0)) run();
    });
  }

  #retireBefore(taken: number): void {
    for (let next = this.#retirements[0]; next && next.at <= taken; next = this.#retirements[0]) {
      this.#retirements.shift();
      next.run();
    }
  }

  #retire(ids: readonly number[], reason: TandemError, caller: object): void {
    for (const id of ids) {
      const entry = this.#entries.get(id);
      if (!entry?.lent?.isKept) this.drop([id], reason);
      else {
        // The last of the entries, as if it were added now.
        this.#entries.delete(id);
        this.#entries.set(id, Object.assign(entry, { claim: "receiver", addedAt: now(), caller }));
      }
    }
  }

  /**
   * Resolves when the receivers have fetched their long answers, or when it has looked so many times, once in each
   * interval of so many milliseconds, and none has asked for a part: they may be stopped or dead. The looks are
   * counted, since this process may be stopped as well.
   */
  fetched(interval: number, looks: number): Promise<void> {
    return new Promise((resolve) => {
      let cancelTimer = (): void => {};
      let lastUse = this.#lastUseOfAnswers();
      let idleLooks = 0;
      const endUnless = (goesOn: boolean) => {
        if (goesOn) return;
        cancelTimer();
        this.#onForgotten = null;
        resolve();
      };
      const look = () => {
        const use = this.#lastUseOfAnswers();
        idleLooks = use === lastUse ? idleLooks + 1 : 0;
        lastUse = use;
        cancelTimer = laterForSure(interval, look);
        endUnless(idleLooks < looks);
      };
      cancelTimer = laterForSure(interval, look);
      this.#onForgotten = () => endUnless(this.#hasAnswers);
      this.#onForgotten();
    });
  }

  /** Whether receivers have still to fetch long answers. */
  get #hasAnswers(): boolean {
    return this.#lastUseOfAnswers() > -Infinity;
  }

  #lastUseOfAnswers(): number {
    let last = -Infinity;
    for (const { parts, claim, addedAt, usedAt = addedAt } of this.#entries.values()) {
      if (parts && claim === "receiver") last = Math.max(last, usedAt);
    }
    return last;
  }

  close(): void {
    const reason = new TandemError(
      "CANCELLED",
      "The stream was ended: the process that sends it has closed its service or connection",
    );
    this.#end(reason);
  }

  /** The private path is damaged, or others have removed it. */
  #lose(): void {
    if (this.#isClosed) return;
    this.#isLost = true;
    this.#side.onHostLost?.();
    const reason = new TandemError(
      "CANCELLED",
      "The stream was ended: the private channel of the process that sends it is damaged or gone",
    );
    this.#end(reason);
  }

  #end(reason: TandemError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.drop([...this.#entries.keys()], reason);
    for (const { outbox } of this.#leases.values()) outbox.close();
    this.#path.remove();
  }

  #dropUnclaimed(): void {
    const limit = now() - unclaimedMilliseconds;
    // In the order in which they were added.
    for (const [id, { claim, lease, addedAt }] of this.#entries) {
      if (addedAt > limit) break;
      if (claim === "receiver" && lease === null) {
        this.drop([id], new TandemError("CANCELLED", "The receiver never asked for the value"));
      }
    }
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    try {
      // Resolves when the host is closed.
      await this.#receiver.consume((delivery) => this.#handle(delivery));
    } catch {
      this.#lose();
    }
  }

  /** Never throws, because an error would end the host. */
  #handle(delivery: Delivery): void {
    if (this.#retirements.length > 0) this.#retireBefore(this.#taken);
    this.#taken += 1;
    const { isPrivate } = this.#receiver;
    const { takeCall } = this.#side;
    // Only a hint where to read it: whoever reads it checks the kind.
    if (takeCall && isForService(delivery.bytes[1])) return takeCall(delivery, this.#receiver);
    try {
      const { reads } = this.#side;
      const run = readMessage(reads, delivery.bytes, isPrivate, this.#dispatch, delivery);
      // After the read, because it runs code of users.
      run?.();
    } catch (error) {
      refuse(this.#reply(delivery), error);
    }
  }

  #reply(delivery: Delivery): Reply {
    return { delivery, side: this.#side, max: this.#receiver.maxResponseBytes };
  }

  readonly #dispatch = (reading: Reading, delivery: Delivery): (() => void) | void => {
    const { decoder, kind } = reading;
    switch (kind) {
      case Kind.lease:
        return this.#hold(delivery, decoder.unsigned());
      case Kind.claim: {
        const lease = decoder.unsigned();
        this.#claimAll(decoder.list() as number[], lease);
        return void delivery.reply(doneMessage());
      }
      case Kind.drop: {
        for (const id of decoder.list()) this.#dropForReader(id as number);
        return void delivery.reply(doneMessage());
      }
      case Kind.watch:
        return this.#watch(delivery, decoder.unsigned());
      case Kind.part: {
        const [lease, id, index, offset] = [
          decoder.unsigned(),
          decoder.unsigned(),
          decoder.unsigned(),
          decoder.unsigned(),
        ];
        const entry = this.#claim(id, lease);
        entry.usedAt = now();
        const part = entry.parts?.[index];
        if (!part) throw corrupt("there is no such part");
        const length = Math.min(partBytes, this.#receiver.maxResponseBytes - headerBytes);
        return replyPortion(this.#reply(delivery), part.subarray(offset, offset + length));
      }
      case Kind.pull: {
        const [lease, id, step] = [decoder.unsigned(), decoder.unsigned(), decoder.unsigned()];
        const value = decoder.list();
        this.#side.reads.finish(reading, undefined);
        const { lent } = this.#claim(id, lease);
        if (!(lent instanceof OutStream)) throw corrupt("it is no stream");
        return () => void this.#step(delivery, id, lent, step, value);
      }
      case Kind.invoke: {
        const { lease, callback, args } = this.#readInvocation(reading, delivery);
        const { queue } = this.#lease(lease);
        return () => queue.run(() => void this.#invoke(delivery, callback, args));
      }
      case Kind.longInvoke: {
        const announcement = readInvocationAnnouncement(reading);
        const { queue } = this.#lease(announcement.lease);
        // It must not end before its arguments have arrived.
        const callback = this.#callback(announcement.callback, announcement.lease);
        return () => queue.fetch(() => this.#fetchInvocation(delivery, callback, announcement));
      }
    }
    throw corrupt(`a host takes no message of kind ${kind}`);
  };

  #claim(id: number, lease: number): Entry {
    const entry = this.#entries.get(id);
    const isOthers = entry && entry.lease !== null && entry.lease !== lease && entry.lent;
    if (!entry || isOthers) throw noSuchValue();
    if (entry.lease === null) {
      this.#lease(lease).claimed.add(id);
      entry.lease = lease;
    }
    return entry;
  }

  #lease(number: number): Lease {
    const lease = this.#leases.get(number);
    if (!lease) throw noSuchLease();
    return lease;
  }

  /** Values may have ended, and signals aborted, before their receiver claims them. */
  #claimAll(ids: readonly number[], lease: number): void {
    const { outbox } = this.#lease(lease);
    const aborted: [number, OutSignal][] = [];
    for (const id of ids) {
      const entry = this.#entries.get(id);
      if (!entry || (entry.lease !== null && entry.lease !== lease)) outbox.ended(id);
      else {
        const { lent } = this.#claim(id, lease);
        if (lent instanceof OutSignal && lent.order > 0) aborted.push([id, lent]);
        else if (lent && !lent.isFresh && lent instanceof OutCallback) {
          this.drop([id], noSuchValue());
        }
      }
    }
    aborted.sort(([, one], [, other]) => one.order - other.order);
    for (const [id, signal] of aborted) this.#tellAbort(id, signal);
  }

  #dropForReader(id: number): void {
    const entry = this.#entries.get(id);
    // A parcel that belongs to a call stays until the call has ended.
    if (!entry || (!entry.lent && entry.claim !== "receiver")) return;
    // The reader needs no news of it.
    this.#forget(id);
    entry.lent?.end(new TandemError("CANCELLED", "The receiver no longer needs the value"));
  }

  /** The reader learns of it when it has claimed the signal. */
  #tellAbort(id: number, signal: OutSignal): void {
    const lease = this.#entries.get(id)?.lease ?? null;
    if (lease === null) return;
    const { reason } = signal;
    this.#forget(id);
    signal.end();
    this.#leases.get(lease)?.outbox.aborted(id, { reason });
  }

  /** A reader's standing request for news. */
  #watch(delivery: Delivery, lease: number): void {
    const { outbox } = this.#lease(lease);
    const { signal } = delivery;
    const end = () => {
      outbox.forget(delivery);
      this.#acknowledge(delivery);
    };
    if (signal.aborted) return end();
    signal.addEventListener("abort", end);
    const before = outbox.wait(delivery);
    if (before) this.#acknowledge(before);
  }

  #hold(delivery: Delivery, lease: number): void {
    if (this.#leases.has(lease)) throw corrupt("there is such a lease already");
    const send = (request: Delivery, write: (encoder: Encoder) => void) =>
      replyWith(this.#reply(request), Kind.news, write);
    const held: Lease = { claimed: new Set(), outbox: new Outbox(send), queue: new InOrder() };
    this.#leases.set(lease, held);
    const { signal } = delivery;
    const end = () => {
      this.#leases.delete(lease);
      held.outbox.close();
      this.#endClaims(held.claimed, signal.reason);
      this.#acknowledge(delivery);
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end);
  }

  #endClaims(claimed: ReadonlySet<number>, reason: TandemError): void {
    for (const id of [...claimed]) {
      const entry = this.#entries.get(id);
      // Another service may get the call, and fetch the parcel again.
      if (entry?.parts && entry.claim === "call") entry.lease = null;
      else this.drop([id], reason);
    }
  }

  /** Answers a lease that has ended, which frees its slot. Never throws. */
  #acknowledge(delivery: Delivery): void {
    if (this.#isClosed) return;
    try {
      delivery.reply(doneMessage());
    } catch (error) {
      refuse(this.#reply(delivery), error);
    }
  }

  #callback(id: number, lease: number): OutCallback {
    if (!this.#entries.has(id)) throw functionEnded();
    const { lent } = this.#claim(id, lease);
    if (!(lent instanceof OutCallback)) throw corrupt("it is no function");
    return lent;
  }

  #readInvocation(reading: Reading, delivery: Delivery): InvocationRead {
    const { kind, flags, decoder } = reading;
    if (kind !== Kind.invoke) throw corrupt(`a call of a function has kind ${kind}`);
    const [lease, id] = [decoder.unsigned(), decoder.unsigned()];
    const args = decoder.list();
    const terms = flags & hasHost ? new LentTerms(delivery) : undefined;
    this.#side.reads.finish(reading, terms);
    return { lease, callback: this.#callback(id, lease), args };
  }

  /** Fetches the arguments of a long call; returns a function that makes the call. Never rejects. */
  async #fetchInvocation(
    delivery: Delivery,
    callback: OutCallback,
    announcement: InvocationAnnouncement,
  ): Promise<() => void> {
    const deadline = now() + delivery.timeRemaining;
    const { signal } = delivery;
    try {
      const parcel = await this.#side.fetch(announcement, { deadline, signal });
      const { lease, callback: id } = announcement;
      const read = (reading: Reading) => this.#readLong(reading, delivery, lease, id);
      const args = readParcel(this.#side.reads, parcel, read, undefined);
      return () => void this.#invoke(delivery, callback, args);
    } catch (error) {
      return () => refuse(this.#reply(delivery), error);
    }
  }

  #readLong(reading: Reading, delivery: Delivery, lease: number, id: number): unknown[] {
    const { kind, flags, decoder } = reading;
    const isSame = kind === Kind.invoke && decoder.unsigned() === lease &&
      decoder.unsigned() === id;
    if (!isSame) throw corrupt("a long call of a function is not the announced one");
    const args = decoder.list();
    this.#side.reads.finish(reading, flags & hasHost ? new LentTerms(delivery) : undefined);
    return args;
  }

  /** Never rejects. */
  async #invoke(delivery: Delivery, callback: OutCallback, args: unknown[]): Promise<void> {
    const reply: Reply = { ...this.#reply(delivery), call: callback.call };
    try {
      const result = await callback.invoke(args);
      if (this.#isClosed) return;
      // The functions in its result run in the same context.
      const replied = callback.inContext(() => replyResult(reply, Kind.returned, result));
      const failure = replied instanceof Promise ? await replied : replied;
      if (failure?.wasThrown) await replyThrown(reply, failure.error);
      else if (failure) refuse(reply, failure.error);
    } catch (error) {
      if (this.#isClosed) return;
      // A schema that refuses arguments is not an error of the function.
      if (codeOf(error) === "INVALID_ARGUMENTS") refuse(reply, error);
      else await replyThrown(reply, error);
    }
  }

  /** Never rejects. */
  async #step(
    delivery: Delivery,
    id: number,
    stream: OutStream,
    step: number,
    value: readonly unknown[],
  ): Promise<void> {
    const { call } = stream;
    let reply: Reply = { ...this.#reply(delivery), call };
    try {
      const { done, value: item } = await stream.step(step, value.length > 0, value[0]);
      if (done) this.#forget(id);
      // Values that are lent in its items end with the stream.
      else reply = { ...reply, owner: stream };
      if (this.#isClosed) return;
      const replied = replyResult(reply, done ? Kind.returned : Kind.yielded, item);
      const failure = replied instanceof Promise ? await replied : replied;
      if (failure?.wasThrown) await replyThrown(reply, failure.error);
      else if (failure) refuse(reply, failure.error);
    } catch (error) {
      this.#forget(id);
      if (!this.#isClosed) await replyThrown(reply, error);
    }
  }

  /** Removes an entry without ending its value. */
  #forget(id: number): Entry | undefined {
    const entry = this.#entries.get(id);
    if (!entry) return undefined;
    this.#entries.delete(id);
    if (entry.lease !== null) this.#leases.get(entry.lease)?.claimed.delete(id);
    entry.lot?.delete(id);
    if (entry.lent instanceof OutStream) entry.lent.leave();
    this.#onForgotten?.();
    return entry;
  }
}

function isForService(kind: number | undefined): boolean {
  return kind === Kind.call || kind === Kind.parcel || kind === Kind.describe;
}

interface Retirement {
  /** The number of requests that have to be read before. */
  readonly at: number;
  run(): void;
}

interface InvocationRead {
  readonly lease: number;
  readonly callback: OutCallback;
  readonly args: unknown[];
}

function noSuchValue(): TandemError {
  return new TandemError(
    "CANCELLED",
    "Cannot go on with a stream: it was ended, its call is over, or the service that read it has died",
  );
}

/**
 * Between machines, the message of a lease may be lost, or the lease ends here because its reader was out of reach for a
 * while. The reader translates it: see {@linkcode HostErrors.explainRefusal}.
 */
function noSuchLease(): TandemError {
  return new TandemError(
    "NOT_FOUND",
    "Cannot go on: the lease of the reader is unknown, or has ended",
  );
}

/** Answers with a part of a long message, as soon as there is memory for it. */
function replyPortion(reply: Reply, part: Bytes): void {
  try {
    sendPortion(reply.delivery, part);
  } catch (error) {
    if (codeOf(error) !== "NO_SPACE") throw error;
    void replyPortionLater(reply, part, error);
  }
}

/** Never rejects. */
async function replyPortionLater(reply: Reply, part: Bytes, failure: unknown): Promise<void> {
  const { delivery } = reply;
  let last = failure;
  for (let attempts = 0; await waitForMemory(delivery, attempts); attempts++) {
    try {
      return sendPortion(delivery, part);
    } catch (error) {
      last = error;
      if (codeOf(error) !== "NO_SPACE") break;
    }
  }
  refuse(reply, last);
}

/** The part is copied once, straight into the answer. */
function sendPortion(delivery: Delivery, part: Bytes): void {
  const answer = delivery.allocate(headerBytes + part.byteLength);
  writePortion(part, answer);
  delivery.reply(answer);
}
