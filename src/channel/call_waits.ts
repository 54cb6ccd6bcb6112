/**
 * The waits of a client: for answers, and for free slots.
 *
 * @module
 */
import type { TandemError } from "../errors.ts";
import { armRoom, cancelRelease, cancelTimedOut, Status } from "../ffi/layout.ts";
import { answerFailed, checkReady, readAnswer, takeAnswer } from "./answers.ts";
import { type Channel, checkOpen, closedError } from "./channel.ts";
import { endedByClosing, rejectAs } from "../base/closing.ts";
import { noteEnd } from "./ended_calls.ts";
import { busyFailure, callFailure } from "./failure.ts";
import { FreshArrays } from "./fresh.ts";
import type { Waits } from "./loop.ts";
import { onAbort, reasonOf } from "../base/abort.ts";
import { SlotTable } from "./slot_table.ts";
import {
  type AnswerReader,
  type Bytes,
  type CallRef,
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
  /** Tries again. True: the wait is over, with a slot or with an error. */
  attempt(): boolean;
  /** Why there was no slot; undefined: all were in use. */
  readonly refusal: (() => unknown) | undefined;
  reject(error: unknown): void;
}

const nothing: Bytes = new Uint8Array(0);

type Resolve = (answer: Bytes) => void;
type Reject = (error: unknown) => void;

/** The functions of the promise that is being made: an executor for each would be one more object. */
const made: { resolve: Resolve | null; reject: Reject | null } = { resolve: null, reject: null };
const capture = (resolve: Resolve, reject: Reject): void => {
  made.resolve = resolve;
  made.reject = reject;
};

/** How many ended calls the native side reports at once, with three words for each. */
const batch = 256;

/** The pending promises of one client. */
export class CallWaits implements Waits {
  readonly #channel: Channel;
  /** A slot has one call at a time: this is the first wait for it. */
  readonly #calls: SlotTable<Waiter> = new SlotTable();
  #callCount = 0;
  /** The calls that do not keep the process alive; all waits for a call agree on that. */
  #backgroundCount = 0;
  readonly #room: Set<RoomWaiter> = new Set();
  readonly #fresh: FreshArrays;
  readonly #isIdle = (): boolean => this.#callCount === 0;
  readonly #ended: Uint32Array = new Uint32Array(batch * 3);

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#fresh = new FreshArrays(channel.backend);
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

  /** An earlier request waits for a slot, and comes first. */
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
    // Settling may take a while: calls that end meanwhile wait for the next turn.
    const count = this.#callCount > 0 ? native.tandem_poll(address, ended, ended.length) : 0;
    for (let index = 0; index < count * 3; index += 3) {
      const first = this.#calls.get(ended[index]!);
      if (!first) continue;
      const { low, high } = first.call;
      if (low !== ended[index + 1] || high !== ended[index + 2]) continue;
      this.#settle(first);
      hits += 1;
    }
    if (hits > 0 && this.#callCount === 0) this.#fresh.rest(this.#isIdle);
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

  readonly isSettling = false;
  readonly standsBack = false;

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
      // A slot may have become free in the last moment.
      this.#room.delete(waiter);
      waiter.stopListening?.();
      if (!waiter.attempt()) {
        const { refusal } = waiter;
        const error = refusal?.() ?? busyFailure("send a request", this.#channel, this.#callCount);
        waiter.reject(error);
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
      } else if (waiter.flags & endsCall && !this.#end(waiter.call, cancelTimedOut)) {
        // The answer came in the last moment.
        this.#settle(this.#calls.get(waiter.call.slot)!);
        return Infinity;
      } else {
        this.#drop(waiter);
        const tried = waiter.flags & endsCall ? "finish a request" : "get an answer";
        waiter.reject(callFailure(-Status.timeout, tried));
      }
      waiter = following;
    }
    return next;
  }

  #end({ slot, low, high }: CallRef, mode: number): boolean {
    const { native, address } = this.#channel;
    return native.tandem_cancel(address, slot, low, high, mode) === 1;
  }

  /**
   * Adds a promise for a call that the native side watches.
   *
   * @param flags {@linkcode ownsCall} and so on
   * @param keep an object that must not be collected meanwhile
   */
  add(
    call: CallRef,
    flags: number,
    deadline: number,
    into: Bytes | undefined,
    signal: AbortSignal | undefined,
    keep?: unknown,
  ): Promise<Bytes> {
    const promise = new Promise<Bytes>(capture);
    const waiter = new Waiter(call, flags, deadline, into, null, made.resolve, made.reject);
    // Otherwise the last promise would stay alive, and its answer with it.
    made.resolve = null;
    made.reject = null;
    waiter.promise = promise;
    if (keep !== undefined) waiter.keep = keep;
    this.#add(waiter, signal);
    return promise;
  }

  /** As {@linkcode add}, for a reader that gets the answer in shared memory. */
  addReader(
    call: CallRef,
    flags: number,
    deadline: number,
    signal: AbortSignal | undefined,
    reader: AnswerReader,
  ): void {
    this.#add(new Waiter(call, flags, deadline, undefined, reader, null, null), signal);
  }

  #add(waiter: Waiter, signal: AbortSignal | undefined): void {
    // First: it runs code of the user, and may throw.
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
    // An earlier call in this slot has ended, and the loop has not looked since.
    if (first) this.#settle(first);
    this.#calls.set(slot, waiter);
    this.#count(waiter, 1);
  }

  #count(waiter: Waiter, difference: 1 | -1): void {
    this.#callCount += difference;
    if (waiter.flags & isBackground) this.#backgroundCount += difference;
  }

  #abort(waiter: Waiter, signal: AbortSignal): void {
    if (waiter.flags & ownsCall) this.#end(waiter.call, cancelRelease);
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

  /** Waits for a free slot; tries `attempt` whenever there may be one. */
  addRoom<T>(
    deadline: number,
    signal: AbortSignal | undefined,
    attempt: () => T | null,
    refusal?: () => unknown,
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
      refusal,
      reject: (error) => rejectAs(promise, reject, error),
    };
    this.#room.add(waiter);
    return promise;
  }

  /** Set by the client: runs when a wait ends outside the loop. */
  onSettled: () => void = () => {};

  /**
   * This handle has a new call in a slot. Another process has ended the earlier call there, which the
   * native side will not report any more.
   */
  displace(ref: CallRef): void {
    const first = this.#calls.get(ref.slot);
    if (!first || isSameCall(first.call, ref)) return;
    const { native, address } = this.#channel;
    const { slot, low, high } = first.call;
    const isWaiting = native.tandem_watch_call(address, slot, low, high) === 1;
    if (!isWaiting) this.#settle(first);
  }

  /** This handle has ended the call itself, which the native side does not report. */
  settleOwn(ref: CallRef): void {
    const first = this.#calls.get(ref.slot);
    if (first && isSameCall(first.call, ref)) this.#settle(first);
  }

  close(): void {
    if (this.#callCount === 0 && this.#room.size === 0) return;
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
        if (waiter.reader) noteEnd(error, waiter.call);
        waiter.reject(error);
      }
    }
  }

  /** A call that was reported as ended has no answer: another process has written over its slot. */
  #disagreement({ call, flags }: Waiter): TandemError {
    if (flags & ownsCall) this.#end(call, cancelRelease);
    return callFailure(-Status.corrupt, "get an answer");
  }

  /** The answer for a promise; null: there is none; @throws the reason to reject it with */
  #take({ call, flags, into }: Waiter): Bytes | null {
    if (flags & wantsReadiness) return checkReady(this.#channel, call, 0) ? nothing : null;
    const ownsIt = (flags & ownsCall) !== 0;
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
