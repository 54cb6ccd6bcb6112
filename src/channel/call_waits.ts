/**
 * What a client's promises wait for: answers, and free slots.
 *
 * @module
 */
import { type RemoteError, TandemError } from "../errors.ts";
import {
  AnswerKind,
  armRoom,
  cancelRelease,
  cancelTimedOut,
  Control,
  Status,
} from "../ffi/layout.ts";
import { type Channel, checkOpen, closedError } from "./channel.ts";
import { callFailure } from "./failure.ts";
import type { Waits } from "./loop.ts";
import { decodeError } from "./remote.ts";

/** A call of the channel. */
export interface CallPlace {
  readonly slot: number;
  readonly low: number;
  readonly high: number;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** What a promise wants of a call. A reader gets the answer where it lies. */
export type Want = "answer" | "readiness" | "reading";

/** Gets an answer that lies in memory of others: it is valid until `read` returns. */
export interface AnswerReader {
  /** @param isPrivate whether no other process can write to `bytes` meanwhile */
  read(bytes: Bytes, isPrivate: boolean): void;
  fail(error: unknown): void;
}

/** How a call is waited for. */
export interface WaitTerms {
  readonly keep?: unknown;
  readonly into?: Bytes | undefined;
  readonly ownsCall: boolean;
  readonly endsCall: boolean;
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
  /** The process does not stay alive for it. */
  readonly isBackground?: boolean;
}

interface Waiter {
  /** What must not be collected meanwhile. */
  readonly keep: unknown;
  readonly want: Want;
  readonly into: Bytes | undefined;
  /** Whether nobody else can get the answer: an abort ends the call. */
  readonly ownsCall: boolean;
  /** Whether the deadline is the call's own and not only that of the wait. */
  readonly endsCall: boolean;
  readonly deadline: number;
  readonly stopListening: (() => void) | null;
  resolve(answer: Bytes, isPrivate: boolean): void;
  reject(error: unknown): void;
}

interface WaitedCall extends CallPlace {
  readonly waiters: Set<Waiter>;
  readonly isBackground: boolean;
}

interface RoomWaiter {
  readonly deadline: number;
  readonly stopListening: (() => void) | null;
  /** Tries again. True: it has what it wanted, or has failed for good. */
  attempt(): boolean;
  reject(error: unknown): void;
}

/** Short answers are copied here by the native side, in the same call that frees the slot. */
const scratch: Bytes = new Uint8Array(4096);
const nothing: Bytes = new Uint8Array(0);

/** How many ended calls are asked for at once; the native side writes three words for each. */
const batch = 256;

/** The pending promises of one client. */
export class CallWaits implements Waits {
  readonly #channel: Channel;
  /** By slot: a slot has one call at a time. */
  readonly #calls: Map<number, WaitedCall> = new Map();
  /** Of these, how many the process does not stay alive for. */
  #background = 0;
  readonly #room: Set<RoomWaiter> = new Set();
  readonly #ended: Uint32Array = new Uint32Array(batch * 3);

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  get isPending(): boolean {
    return this.#calls.size > this.#background || this.#room.size > 0;
  }

  get isWaiting(): boolean {
    return this.#calls.size > 0 || this.#room.size > 0;
  }

  get wanted(): number {
    return this.#room.size > 0 ? armRoom : 0;
  }

  poll(): boolean {
    const { native, address } = this.#channel;
    const ended = this.#ended;
    let hit = false;
    // Settling may take a while: what ends meanwhile is the next turn's.
    const count = this.#calls.size > 0 ? native.tandem_poll(address, ended, ended.length) : 0;
    for (let index = 0; index < count; index++) {
      const call = this.#calls.get(ended[index * 3]!);
      if (!call || call.low !== ended[index * 3 + 1] || call.high !== ended[index * 3 + 2]) {
        continue;
      }
      this.#settle(call);
      hit = true;
    }
    return this.#pollRoom() || hit;
  }

  /** First come, first served. */
  #pollRoom(): boolean {
    let hit = false;
    for (const waiter of this.#room) {
      if (!waiter.attempt()) break;
      this.#room.delete(waiter);
      waiter.stopListening?.();
      hit = true;
    }
    return hit;
  }

  hasMissed(): boolean {
    return false;
  }

  expire(now: number): number {
    let next = Infinity;
    for (const waiter of this.#room) {
      if (waiter.deadline > now) {
        next = Math.min(next, waiter.deadline);
        continue;
      }
      // It may have become free in the last moment.
      this.#room.delete(waiter);
      waiter.stopListening?.();
      if (!waiter.attempt()) waiter.reject(callFailure(-Status.busy, "send a request"));
    }
    for (const call of [...this.#calls.values()]) {
      next = Math.min(next, this.#expireCall(call, now));
    }
    return next;
  }

  #expireCall(call: WaitedCall, now: number): number {
    let next = Infinity;
    for (const waiter of [...call.waiters]) {
      if (waiter.deadline > now) {
        next = Math.min(next, waiter.deadline);
        continue;
      }
      if (waiter.endsCall && !this.#end(call, cancelTimedOut)) {
        // Answered in the last moment.
        this.#settle(call);
        return Infinity;
      }
      this.#drop(call, waiter);
      const tried = waiter.endsCall ? "finish a request" : "get an answer";
      waiter.reject(callFailure(-Status.timeout, tried));
    }
    return next;
  }

  #end({ slot, low, high }: CallPlace, how: number): boolean {
    const { native, address } = this.#channel;
    return native.tandem_cancel(address, slot, low, high, how) === 1;
  }

  /** Adds a promise for a call that the native side watches. */
  add(place: CallPlace, want: "answer" | "readiness", terms: WaitTerms): Promise<Bytes> {
    return new Promise((resolve, reject) => this.#add(place, want, terms, resolve, reject));
  }

  /** As {@linkcode add}, for who reads the answer where it lies. */
  addReader(place: CallPlace, terms: WaitTerms, reader: AnswerReader): void {
    const read = (bytes: Bytes, isPrivate: boolean) => reader.read(bytes, isPrivate);
    this.#add(place, "reading", terms, read, (error) => reader.fail(error));
  }

  #add(
    place: CallPlace,
    want: Want,
    terms: WaitTerms,
    resolve: (answer: Bytes, isPrivate: boolean) => void,
    reject: (error: unknown) => void,
  ): void {
    const { signal, into, ownsCall, endsCall, deadline } = terms;
    const call = this.#callAt(place, terms.isBackground === true);
    const stopListening = signal
      ? onAbort(signal, () => {
        if (ownsCall) this.#end(call, cancelRelease);
        this.#drop(call, waiter);
        reject(signal.reason);
        this.onSettled();
      })
      : null;
    const waiter: Waiter = {
      keep: terms.keep,
      want,
      into,
      ownsCall,
      endsCall,
      deadline,
      stopListening,
      resolve,
      reject,
    };
    call.waiters.add(waiter);
  }

  #callAt({ slot, low, high }: CallPlace, isBackground: boolean): WaitedCall {
    const known = this.#calls.get(slot);
    if (known && known.low === low && known.high === high) return known;
    // A call that was there before has ended, and nobody has looked since.
    if (known) this.#settle(known);
    const call: WaitedCall = { slot, low, high, waiters: new Set(), isBackground };
    this.#calls.set(slot, call);
    if (isBackground) this.#background += 1;
    return call;
  }

  #forget(call: WaitedCall): void {
    if (this.#calls.get(call.slot) !== call) return;
    this.#calls.delete(call.slot);
    if (call.isBackground) this.#background -= 1;
  }

  #drop(call: WaitedCall, waiter: Waiter): void {
    waiter.stopListening?.();
    call.waiters.delete(waiter);
    if (call.waiters.size === 0) this.#forget(call);
  }

  /** Waits for a free slot; `attempt` is tried whenever there may be one. */
  addRoom<T>(
    deadline: number,
    signal: AbortSignal | undefined,
    attempt: () => T | null,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const stopListening = signal
        ? onAbort(signal, () => {
          this.#room.delete(waiter);
          stopListening?.();
          reject(signal.reason);
          this.onSettled();
        })
        : null;
      const waiter: RoomWaiter = {
        deadline,
        stopListening,
        attempt: () => {
          try {
            const result = attempt();
            if (result === null) return false;
            resolve(result);
          } catch (error) {
            reject(error);
          }
          return true;
        },
        reject,
      };
      this.#room.add(waiter);
    });
  }

  /** Set by the client: a wait was ended from outside the loop. */
  onSettled: () => void = () => {};

  /**
   * This handle has a new call in a slot: what was waited for there has been ended by others, and the
   * native side will not report it any more.
   */
  displace({ slot, low, high }: CallPlace): void {
    const call = this.#calls.get(slot);
    if (!call || (call.low === low && call.high === high)) return;
    const { native, address } = this.#channel;
    const isWaiting = native.tandem_watch_call(address, call.slot, call.low, call.high) === 1;
    if (!isWaiting) this.#settle(call);
  }

  /** The call was ended by this very handle, which the native side does not report. */
  settleOwn(place: CallPlace): void {
    const call = this.#calls.get(place.slot);
    if (call && call.low === place.low && call.high === place.high) this.#settle(call);
  }

  close(): void {
    const error = closedError("client");
    for (const call of this.#calls.values()) {
      for (const waiter of call.waiters) {
        waiter.stopListening?.();
        waiter.reject(error);
      }
    }
    for (const waiter of this.#room) {
      waiter.stopListening?.();
      waiter.reject(error);
    }
    this.#calls.clear();
    this.#background = 0;
    this.#room.clear();
  }

  #settle(call: WaitedCall): void {
    this.#forget(call);
    for (const waiter of call.waiters) {
      waiter.stopListening?.();
      try {
        if (waiter.want === "reading") {
          readAnswer(this.#channel, call, waiter.resolve);
          continue;
        }
        const answer = waiter.want === "answer"
          ? takeAnswer(this.#channel, call, 0, waiter.into, waiter.ownsCall)
          : (checkReady(this.#channel, call, 0), nothing);
        waiter.resolve(answer!, true);
      } catch (error) {
        waiter.reject(error);
      }
    }
  }
}

/** Runs `listener` when the signal aborts; returns what stops that. */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
}

/**
 * Waits for an answer, copies it out and frees the slot.
 *
 * @param timeout milliseconds; NaN for ever; with 0 the result may be null: not answered yet
 * @param ownsCall nobody else can get the answer: if it does not fit it is thrown away
 */
export function takeAnswer(
  channel: Channel,
  { slot, low, high }: CallPlace,
  timeout: number,
  into: Bytes | undefined,
  ownsCall: boolean,
): Bytes | null {
  checkOpen(channel, "call");
  const { native, address, words } = channel;
  const target = into ?? scratch;
  const length = target.byteLength;
  const status = native.tandem_get(address, slot, low, high, timeout, target, length, words);
  if (status >= 0) return answerIn(target, status, into !== undefined);
  return answerFailed(channel, { slot, low, high }, status, target, into !== undefined, ownsCall);
}

/** Hands an answer out where it lies, and frees the slot. */
function readAnswer(
  channel: Channel,
  place: CallPlace,
  read: (bytes: Bytes, isPrivate: boolean) => void,
): void {
  checkOpen(channel, "call");
  const { native, address, words } = channel;
  const { slot, low, high } = place;
  const length = scratch.byteLength;
  const status = native.tandem_get(address, slot, low, high, 0, scratch, length, words);
  if (status >= 0) return read(scratch.subarray(0, status), true);
  if (status !== -Status.longer || words[Control.flags] === AnswerKind.remoteError) {
    const answer = answerFailed(channel, place, status, scratch, false, true);
    if (answer === null) throw callFailure(-Status.cancelled, "get an answer");
    return read(answer, true);
  }
  try {
    read(channel.memory.response(slot, words[Control.length]!), false);
  } finally {
    // What reads it may close the handle.
    if (channel.isOpen) native.tandem_cancel(address, slot, low, high, cancelRelease);
  }
}

/** What came back instead of an answer that is in its place already. */
export function answerFailed(
  channel: Channel,
  place: CallPlace,
  status: number,
  target: Bytes,
  isInto: boolean,
  ownsCall: boolean,
): Bytes | null {
  const { native, address, words } = channel;
  if (status === -Status.notYet) return null;
  if (status === -Status.remote) {
    throw decodeError(target.subarray(0, words[Control.length]!));
  }
  if (status !== -Status.longer) throw callFailure(status, "get an answer");
  const length = words[Control.length]!;
  const { slot, low, high } = place;
  if (isInto && words[Control.flags] !== AnswerKind.remoteError) {
    if (ownsCall) native.tandem_cancel(address, slot, low, high, cancelRelease);
    throw new TandemError(
      "TOO_LARGE",
      `Cannot get an answer of ${length} bytes into ${target.byteLength} bytes: ` +
        "give a longer array" + (ownsCall ? "" : "; the call stays open"),
    );
  }
  const bytes = new Uint8Array(length);
  const second = native.tandem_get(address, slot, low, high, 0, bytes, length, words);
  if (second >= 0) return bytes;
  if (second === -Status.remote) throw decodeError(bytes);
  throw callFailure(second, "get an answer");
}

/** The answer that the native side has written to the front of `target`. */
export function answerIn(target: Bytes, length: number, isInto: boolean): Bytes {
  if (!isInto) return target.slice(0, length);
  return length === target.byteLength ? target : target.subarray(0, length);
}

/** @returns false: not answered yet; @throws what `get` would */
export function checkReady(channel: Channel, place: CallPlace, timeout: number): boolean {
  checkOpen(channel, "call");
  const { native, address, words, memory } = channel;
  const { slot, low, high } = place;
  const status = native.tandem_ready(address, slot, low, high, timeout, words);
  if (status >= 0) return true;
  if (status === -Status.notYet) return false;
  if (status === -Status.remote) throw errorInPlace(memory.response(slot, words[Control.length]!));
  throw callFailure(status, "wait for an answer");
}

function errorInPlace(bytes: Bytes): RemoteError {
  // A copy: what lies in shared memory may change while it is read.
  return decodeError(bytes.slice());
}
