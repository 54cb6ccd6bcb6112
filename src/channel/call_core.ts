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

/** What a client gives its calls. */
export interface CallHome {
  readonly channel: Channel;
  readonly waits: CallWaits;
  readonly loop: Loop;
}

const nothing: Bytes = new Uint8Array(0);

/** Calls that the program has forgotten give their slots back. */
const forgotten = new FinalizationRegistry<{ channel: Channel; call: CallRef }>(
  ({ channel, call: { slot, low, high } }) => {
    if (!channel.isOpen) return;
    channel.native.tandem_cancel(channel.address, slot, low, high, cancelRelease);
  },
);

/** One request in flight. */
export class CallCore {
  readonly #home: CallHome;
  readonly #ref: CallRef;
  /** When the call's own time is over, of `performance.now()`. */
  readonly #deadline: number;

  constructor(home: CallHome, ref: CallRef, deadline: number) {
    this.#home = home;
    this.#ref = ref;
    this.#deadline = deadline;
    forgotten.register(this, { channel: home.channel, call: ref }, this);
  }

  get id(): bigint {
    const { slot, low, high } = this.#ref;
    return idOf(slot, low, high);
  }

  /** Null: not answered yet. */
  tryGet(into: Bytes | undefined): Bytes | null {
    return takeAnswer(this.#home.channel, this.#ref, 0, into, false);
  }

  /**
   * Blocks the thread until the answer is there.
   *
   * @param timeout as the native side takes it: NaN is for ever
   */
  getSync(timeout: number, into: Bytes | undefined): Bytes {
    const { channel, loop } = this.#home;
    try {
      const answer = takeAnswer(channel, this.#ref, timeout, into, false);
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
      if (!checkReady(channel, this.#ref, timeout)) throw timeoutFailure();
    } finally {
      loop.restore();
    }
  }

  /** The answer; where only its readiness is wanted, it stays in its place. */
  get(want: "answer" | "readiness", { deadline, signal, into }: WaitSettings): Promise<Bytes> {
    const { channel, waits, loop } = this.#home;
    checkOpen(channel, "call");
    const { slot, low, high } = this.#ref;
    const isWaiting = channel.native.tandem_watch_call(channel.address, slot, low, high) === 1;
    // The native side does not report a call that has ended; its slot may have another one by now.
    if (!isWaiting) return Promise.resolve(this.#answerNow(want, into));
    const end = Math.min(deadline, this.#deadline);
    const flags = (end === this.#deadline ? endsCall : 0) |
      (want === "readiness" ? wantsReadiness : 0);
    const promise = waits.add(this.#ref, flags, end, into, signal, this);
    loop.start(end);
    return promise;
  }

  #answerNow(want: "answer" | "readiness", into: Bytes | undefined): Bytes {
    const { channel } = this.#home;
    const answer = want === "answer"
      ? takeAnswer(channel, this.#ref, 0, into, false)
      : checkReady(channel, this.#ref, 0) && nothing;
    if (!answer) throw callFailure(-Status.cancelled, "get an answer");
    return answer;
  }

  /** The answer in shared memory; null: not answered yet. */
  view(): Bytes | null {
    const { channel } = this.#home;
    if (!checkReady(channel, this.#ref, 0)) return null;
    return channel.memory.response(this.#ref.slot, channel.words[Control.length]!);
  }

  /** Frees the slot. */
  release(): void {
    this.#end(cancelRelease);
    forgotten.unregister(this);
  }

  /** True: the answer had not arrived and never will. */
  cancel(): boolean {
    checkOpen(this.#home.channel, "call");
    return this.#end(cancelKeepAnswer);
  }

  #end(mode: number): boolean {
    const { channel, waits, loop } = this.#home;
    if (!channel.isOpen) return false;
    const { slot, low, high } = this.#ref;
    const isCancelled = channel.native.tandem_cancel(channel.address, slot, low, high, mode) === 1;
    if (isCancelled || mode === cancelRelease) {
      waits.settleOwn(this.#ref);
      loop.settle();
    }
    return isCancelled;
  }
}

function timeoutFailure(): Error {
  return callFailure(-Status.timeout, "get an answer");
}
