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
import { endedByClosing, rejectAs } from "../base/closing.ts";
import { busyFailure, callFailure } from "./failure.ts";
import type { Waits } from "./loop.ts";
import { FreshArrays } from "./fresh.ts";
import { onAbort, reasonOf } from "../base/abort.ts";
import { decodeError } from "./error_wire.ts";
import { SlotTable } from "./slot_table.ts";
import {
  type AnswerReader,
  type Bytes,
  type CallPlace,
  endsCall,
  isBackground,
  isSameCall,
  ownsCall,
  Waiter,
  wantsReadiness,
} from "./waiter.ts";

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
/** The front of {@linkcode scratch}; answers of one length come often after one another. */
let scratchView: Bytes = nothing;

type Resolve = (answer: Bytes) => void;
type Reject = (error: unknown) => void;

/** Of the promise that is being made: an executor of its own for each would be one more object. */
const made: { resolve: Resolve | null; reject: Reject | null } = { resolve: null, reject: null };
const capture = (resolve: Resolve, reject: Reject): void => {
  made.resolve = resolve;
  made.reject = reject;
};

/** How many ended calls are asked for at once; the native side writes three words for each. */
const batch = 256;

/** The pending promises of one client. */
export class CallWaits implements Waits {
  readonly #channel: Channel;
  /** A slot has one call at a time: here is the first that waits for it. */
  readonly #calls: SlotTable<Waiter> = new SlotTable();
  #callCount = 0;
  /** Of these, how many the process does not stay alive for: so it is for all who wait for a call. */
  #backgroundCount = 0;
  readonly #room: Set<RoomWaiter> = new Set();
  readonly #fresh: FreshArrays = new FreshArrays();
  readonly #ended: Uint32Array = new Uint32Array(batch * 3);

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  get isPending(): boolean {
    return this.#callCount > this.#backgroundCount || this.#room.size > 0;
  }

  get isWaiting(): boolean {
    return this.#callCount > 0 || this.#room.size > 0;
  }

  get wanted(): number {
    return this.#room.size > 0 ? armRoom : 0;
  }

  /** Another call waits for a slot already, and comes first. */
  get hasRoomWaiters(): boolean {
    return this.#room.size > 0;
  }

  get outstanding(): number {
    return this.#callCount;
  }

  poll(): number {
    const { native, address } = this.#channel;
    const ended = this.#ended;
    let hits = 0;
    // Settling may take a while: what ends meanwhile is the next turn's.
    const count = this.#callCount > 0 ? native.tandem_poll(address, ended, ended.length) : 0;
    for (let index = 0; index < count * 3; index += 3) {
      const first = this.#calls.get(ended[index]!);
      if (!first) continue;
      const { low, high } = first.call;
      if (low !== ended[index + 1] || high !== ended[index + 2]) continue;
      this.#settle(first);
      hits += 1;
    }
    return this.#room.size === 0 ? hits : hits + this.#pollRoom();
  }

  /** First come, first served. */
  #pollRoom(): number {
    let hits = 0;
    for (const waiter of this.#room) {
      if (!waiter.attempt()) break;
      this.#room.delete(waiter);
      waiter.stopListening?.();
      hits += 1;
    }
    return hits;
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
      if (!waiter.attempt()) {
        waiter.reject(busyFailure("send a request", this.#channel, this.#callCount));
      }
    }
    for (const first of this.#calls.values()) {
      if (first) next = Math.min(next, this.#expireCall(first, now));
    }
    return next;
  }

  #expireCall(first: Waiter, now: number): number {
    let next = Infinity;
    let waiter: Waiter | null = first;
    while (waiter) {
      const following: Waiter | null = waiter.next;
      if (waiter.deadline > now) {
        next = Math.min(next, waiter.deadline);
      } else if (waiter.how & endsCall && !this.#end(waiter.call, cancelTimedOut)) {
        // Answered in the last moment.
        this.#settle(this.#calls.get(waiter.call.slot)!);
        return Infinity;
      } else {
        this.#drop(waiter);
        const tried = waiter.how & endsCall ? "finish a request" : "get an answer";
        waiter.reject(callFailure(-Status.timeout, tried));
      }
      waiter = following;
    }
    return next;
  }

  #end({ slot, low, high }: CallPlace, how: number): boolean {
    const { native, address } = this.#channel;
    return native.tandem_cancel(address, slot, low, high, how) === 1;
  }

  /**
   * Adds a promise for a call that the native side watches.
   *
   * @param how bits: {@linkcode ownsCall} and so on
   * @param keep must not be collected meanwhile
   */
  add(
    call: CallPlace,
    how: number,
    deadline: number,
    into: Bytes | undefined,
    signal: AbortSignal | undefined,
    keep?: unknown,
  ): Promise<Bytes> {
    const promise = new Promise<Bytes>(capture);
    const waiter = new Waiter(call, how, deadline, into, null, made.resolve, made.reject);
    // Or the last promise would stay, and its answer with it.
    made.resolve = null;
    made.reject = null;
    waiter.promise = promise;
    if (keep !== undefined) waiter.keep = keep;
    this.#add(waiter, signal);
    return promise;
  }

  /** As {@linkcode add}, for who reads the answer where it lies. */
  addReader(
    call: CallPlace,
    how: number,
    deadline: number,
    signal: AbortSignal | undefined,
    reader: AnswerReader,
  ): void {
    this.#add(new Waiter(call, how, deadline, undefined, reader, null, null), signal);
  }

  #add(waiter: Waiter, signal: AbortSignal | undefined): void {
    // First: it runs code of users, and may throw.
    if (signal) waiter.stopListening = onAbort(signal, () => this.#abort(waiter, signal));
    this.#insert(waiter);
  }

  #insert(waiter: Waiter): void {
    const { slot } = waiter.call;
    const first = this.#calls.get(slot);
    if (first && isSameCall(first.call, waiter.call)) {
      let last = first;
      while (last.next) last = last.next;
      last.next = waiter;
      return;
    }
    // A call that was there before has ended, and nobody has looked since.
    if (first) this.#settle(first);
    this.#calls.set(slot, waiter);
    this.#count(waiter, 1);
  }

  #count(waiter: Waiter, difference: 1 | -1): void {
    this.#callCount += difference;
    if (waiter.how & isBackground) this.#backgroundCount += difference;
  }

  #abort(waiter: Waiter, signal: AbortSignal): void {
    if (waiter.how & ownsCall) this.#end(waiter.call, cancelRelease);
    this.#drop(waiter);
    waiter.reject(reasonOf(signal));
    this.onSettled();
  }

  #drop(waiter: Waiter): void {
    waiter.stopListening?.();
    const { call: { slot }, next } = waiter;
    let before: Waiter | null | undefined = this.#calls.get(slot);
    if (before === waiter) {
      this.#calls.set(slot, next ?? undefined);
      if (!next) this.#count(waiter, -1);
      return;
    }
    while (before && before.next !== waiter) before = before.next;
    if (before) before.next = next;
  }

  /** Waits for a free slot; `attempt` is tried whenever there may be one. */
  addRoom<T>(
    deadline: number,
    signal: AbortSignal | undefined,
    attempt: () => T | null,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const stopListening = signal
      ? onAbort(signal, () => {
        this.#room.delete(waiter);
        stopListening?.();
        reject(reasonOf(signal));
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
      reject: (error) => rejectAs(promise, reject, error),
    };
    this.#room.add(waiter);
    return promise;
  }

  /** Set by the client: a wait was ended from outside the loop. */
  onSettled: () => void = () => {};

  /**
   * This handle has a new call in a slot: what was waited for there has been ended by others, and the
   * native side will not report it any more.
   */
  displace(place: CallPlace): void {
    const first = this.#calls.get(place.slot);
    if (!first || isSameCall(first.call, place)) return;
    const { native, address } = this.#channel;
    const { slot, low, high } = first.call;
    const isWaiting = native.tandem_watch_call(address, slot, low, high) === 1;
    if (!isWaiting) this.#settle(first);
  }

  /** The call was ended by this very handle, which the native side does not report. */
  settleOwn(place: CallPlace): void {
    const first = this.#calls.get(place.slot);
    if (first && isSameCall(first.call, place)) this.#settle(first);
  }

  close(): void {
    const error = endedByClosing(closedError("client"));
    for (const first of this.#calls.values()) {
      for (let waiter = first ?? null; waiter; waiter = waiter.next) {
        waiter.stopListening?.();
        waiter.reject(error);
      }
    }
    for (const waiter of this.#room) {
      waiter.stopListening?.();
      waiter.reject(error);
    }
    this.#calls.clear();
    this.#callCount = 0;
    this.#backgroundCount = 0;
    this.#room.clear();
  }

  #settle(first: Waiter): void {
    this.#calls.set(first.call.slot, undefined);
    this.#count(first, -1);
    for (let waiter: Waiter | null = first; waiter; waiter = waiter.next) {
      waiter.stopListening?.();
      try {
        if (waiter.reader) {
          readAnswer(this.#channel, waiter.call, waiter.reader);
          continue;
        }
        const answer = this.#take(waiter);
        if (!answer) throw this.#disagreement(waiter);
        waiter.resolve!(answer);
      } catch (error) {
        waiter.reject(error);
      }
    }
  }

  /** The call was reported as ended, and then it had no answer: another process wrote over its slot. */
  #disagreement({ call, how }: Waiter): TandemError {
    if (how & ownsCall) this.#end(call, cancelRelease);
    return callFailure(-Status.corrupt, "get an answer");
  }

  /** The answer for a promise, or null: there is none; @throws what it is to be rejected with */
  #take({ call, how, into }: Waiter): Bytes | null {
    if (how & wantsReadiness) return checkReady(this.#channel, call, 0) ? nothing : null;
    const ownsIt = (how & ownsCall) !== 0;
    if (into) return takeAnswer(this.#channel, call, 0, into, ownsIt);
    checkOpen(this.#channel, "call");
    const { native, address, words } = this.#channel;
    const { slot, low, high } = call;
    const target = this.#fresh.next();
    const status = native.tandem_get(address, slot, low, high, 0, target, target.byteLength, words);
    if (status >= 0) return this.#fresh.answerIn(target, status);
    const answer = answerFailed(this.#channel, call, status, target, false, ownsIt);
    if (answer) this.#fresh.note(answer.byteLength);
    return answer;
  }
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
  reader: AnswerReader,
): void {
  checkOpen(channel, "call");
  const { native, address, words } = channel;
  const { slot, low, high } = place;
  const length = scratch.byteLength;
  const status = native.tandem_get(address, slot, low, high, 0, scratch, length, words);
  if (status >= 0) {
    if (scratchView.byteLength !== status) scratchView = scratch.subarray(0, status);
    return reader.read(scratchView, true);
  }
  if (status !== -Status.longer || words[Control.flags] === AnswerKind.remoteError) {
    const answer = answerFailed(channel, place, status, scratch, false, true);
    if (answer === null) throw callFailure(-Status.corrupt, "get an answer");
    return reader.read(answer, true);
  }
  try {
    reader.read(channel.memory.response(slot, words[Control.length]!), false);
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
