/**
 * A promise or a reader that waits for an answer. There is one for each call, so it is a single small
 * object.
 *
 * @module
 */
import { rejectAs } from "../base/closing.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

/** A call of the channel: its slot, and the generation that tells it from the slot's other calls. */
export interface CallRef {
  readonly slot: number;
  readonly low: number;
  readonly high: number;
}

/** Gets an answer in shared memory. It is valid until `read` returns. */
export interface AnswerReader {
  /** @param isPrivate whether no other process can write to `bytes` meanwhile */
  read(bytes: Bytes, isPrivate: boolean): void;
  fail(error: unknown): void;
}

/** Only this wait can get the answer: an abort ends the call. */
export const ownsCall = 1;
/** The deadline is the call's own, and not only the wait's. */
export const endsCall = 2;
/** The process does not stay alive for it. */
export const isBackground = 4;
/** The wait ends when the answer is there, and leaves it there. */
export const wantsReadiness = 8;

/** Waits for a call in a slot. */
export class Waiter {
  readonly call: CallRef;
  /** {@linkcode ownsCall} and so on. */
  readonly flags: number;
  /** In the time of `performance.now()`. */
  readonly deadline: number;
  readonly into: Bytes | undefined;
  /** Null: a promise waits. */
  readonly reader: AnswerReader | null;
  readonly resolve: ((answer: Bytes) => void) | null;
  readonly rejectPromise: ((error: unknown) => void) | null;
  /** The user's promise; null where a reader waits. */
  promise: Promise<Bytes> | null;
  /** The next that waits for the same call. */
  next: Waiter | null;
  stopListening: (() => void) | null;
  /** An object that must not be collected meanwhile. */
  keep: unknown;

  // All fields are assigned here and none where it is declared: Bun makes the object in one go then.
  constructor(
    call: CallRef,
    flags: number,
    deadline: number,
    into: Bytes | undefined,
    reader: AnswerReader | null,
    resolve: ((answer: Bytes) => void) | null,
    reject: ((error: unknown) => void) | null,
  ) {
    this.call = call;
    this.flags = flags;
    this.deadline = deadline;
    this.into = into;
    this.reader = reader;
    this.resolve = resolve;
    this.rejectPromise = reject;
    this.promise = null;
    this.next = null;
    this.stopListening = null;
    this.keep = null;
  }

  reject(error: unknown): void {
    if (this.reader) this.reader.fail(error);
    else rejectAs(this.promise, this.rejectPromise!, error);
  }
}

export function isSameCall(a: CallRef, b: CallRef): boolean {
  return a.slot === b.slot && a.low === b.low && a.high === b.high;
}
