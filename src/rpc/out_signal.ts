/**
 * A signal that this process sends.
 *
 * @module
 */
import { onAbort } from "../base/abort.ts";
import { abortReason } from "../codec/signals.ts";
import type { Lent } from "./lent.ts";

/** Counts aborts, to report them in their order. */
let order = 0;

/** An AbortSignal that has not aborted when it is sent. Its host learns of an abort. */
export class OutSignal implements Lent {
  readonly endsWithOwner = true;
  readonly isKept = false;
  readonly #signal: AbortSignal;
  readonly #stopListening: () => void;
  #hasEnded = false;
  /** The later it has aborted, the greater; 0: it has not. */
  order = 0;
  /** Runs when the signal aborts, until the value has ended. */
  onAborted: (() => void) | null = null;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    this.#stopListening = onAbort(signal, () => {
      order += 1;
      this.order = order;
      this.onAborted?.();
    });
  }

  get isFresh(): boolean {
    return !this.#hasEnded;
  }

  get reason(): unknown {
    return abortReason(this.#signal);
  }

  end(): void {
    this.#hasEnded = true;
    this.onAborted = null;
    this.#stopListening();
  }
}
