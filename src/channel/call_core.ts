/**
 * The work of a {@linkcode Call}.
 *
 * @module
 */
import { cancelKeepAnswer, cancelRelease, Control, Status } from "../ffi/layout.ts";
import { checkReady, takeAnswer } from "./answers.ts";
import type { WaitSettings } from "./call_settings.ts";
import type { CallWaits } from "./call_waits.ts";
import { type Channel, checkOpen, idOf } from "./channel.ts";
import { callFailure } from "./failure.ts";
import type { Loop } from "./loop.ts";
import { type Bytes, type CallRef, endsCall, wantsReadiness } from "./waiter.ts";

/** The client of a call, as its calls see it. */
export interface CallHome {
  readonly channel: Channel;
  readonly waits: CallWaits;
  readonly loop: Loop;
}

const nothing: Bytes = new Uint8Array(0);

/** Frees the slots of calls whose public objects the program has forgotten. */
export const forgottenCalls: FinalizationRegistry<CallCore> = new FinalizationRegistry(
  (call) => call.forget(),
);

/** One request in flight. */
export class CallCore implements CallRef {
  readonly slot: number;
  readonly low: number;
  readonly high: number;
  readonly #home: CallHome;
  /** When the call's own time is over, in the time of `performance.now()`. */
  readonly #deadline: number;

  constructor(home: CallHome, slot: number, low: number, high: number, deadline: number) {
    this.slot = slot;
    this.low = low;
    this.high = high;
    this.#home = home;
    this.#deadline = deadline;
  }

  get id(): bigint {
    return idOf(this.slot, this.low, this.high);
  }

  /** Null: not answered yet. */
  tryGet(into: Bytes | undefined): Bytes | null {
    return takeAnswer(this.#home.channel, this, 0, into, false);
  }

  /**
   * Blocks the thread until the answer is there.
   *
   * @param timeout as the native side takes it: NaN is for ever
   */
  getSync(timeout: number, into: Bytes | undefined): Bytes {
    const { channel, loop } = this.#home;
    try {
      const answer = takeAnswer(channel, this, timeout, into, false);
      // Only with a time-out of 0 is there none.
      if (answer === null) throw timeoutFailure();
      return answer;
    } finally {
      loop.restore();
    }
  }

  /** Blocks the thread until the answer is there, and leaves it in its place. */
  readySync(timeout: number): void {
    const { channel, loop } = this.#home;
    try {
      if (!checkReady(channel, this, timeout)) throw timeoutFailure();
    } finally {
      loop.restore();
    }
  }

  /**
   * Waits for the answer and takes it; where only its readiness is wanted, it stays in its place.
   *
   * @param keep the public object: forgotten while the wait lasts, it would free the slot
   */
  get(
    want: "answer" | "readiness",
    { deadline, signal, into }: WaitSettings,
    keep: object,
  ): Promise<Bytes> {
    const { channel, waits, loop } = this.#home;
    checkOpen(channel, "call");
    const { slot, low, high } = this;
    const isWaiting = channel.native.tandem_watch_call(channel.address, slot, low, high) === 1;
    // The native side does not report a call that has ended; its slot may have another one by now.
    if (!isWaiting) return Promise.resolve(this.#answerNow(want, into));
    const end = Math.min(deadline, this.#deadline);
    const flags = (end === this.#deadline ? endsCall : 0) |
      (want === "readiness" ? wantsReadiness : 0);
    const promise = waits.add(this, flags, end, into, signal, keep);
    loop.start(end);
    return promise;
  }

  #answerNow(want: "answer" | "readiness", into: Bytes | undefined): Bytes {
    const { channel } = this.#home;
    const answer = want === "answer"
      ? takeAnswer(channel, this, 0, into, false)
      : checkReady(channel, this, 0) && nothing;
    if (!answer) throw callFailure(-Status.cancelled, "get an answer");
    return answer;
  }

  /** The answer in shared memory; null: not answered yet. */
  view(): Bytes | null {
    const { channel } = this.#home;
    if (!checkReady(channel, this, 0)) return null;
    return channel.memory.response(this.slot, channel.words[Control.length]!);
  }

  /** Frees the slot. */
  release(): void {
    this.#end(cancelRelease);
  }

  /** Frees the slot of a call that no code can wait for any more. */
  forget(): void {
    const { channel } = this.#home;
    if (!channel.isOpen) return;
    channel.native.tandem_cancel(channel.address, this.slot, this.low, this.high, cancelRelease);
  }

  /** True: the answer had not arrived and never will. */
  cancel(): boolean {
    checkOpen(this.#home.channel, "call");
    return this.#end(cancelKeepAnswer);
  }

  #end(mode: number): boolean {
    const { channel, waits, loop } = this.#home;
    if (!channel.isOpen) return false;
    const { slot, low, high } = this;
    const isCancelled = channel.native.tandem_cancel(channel.address, slot, low, high, mode) === 1;
    if (isCancelled || mode === cancelRelease) {
      waits.settleOwn(this);
      loop.settle();
    }
    return isCancelled;
  }
}

function timeoutFailure(): Error {
  return callFailure(-Status.timeout, "get an answer");
}
