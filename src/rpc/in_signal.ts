/**
 * A signal that another process sends.
 *
 * @module
 */
import type { NewsTaker, Received, Source, StreamTerms } from "./received.ts";

/** The host of a signal, and the signal's number there. */
interface Origin {
  readonly source: Source;
  readonly id: number;
  /** Its connection must not be collected before the signal. */
  readonly owner: object | undefined;
}

/** Tells a host that the program has forgotten a signal. */
const forgotten = new FinalizationRegistry<InSignal>((signal) => signal.forget());

/**
 * The program gets a signal that follows another one. The runtime keeps such a signal as long as the
 * program can reach it, or listens to it, and then collects it.
 */
export class InSignal implements Received, NewsTaker {
  readonly news: NewsTaker = this;
  readonly #controller: AbortController = new AbortController();
  #origin: Origin | null = null;

  /** Makes the signal for the program. */
  toSignal(): AbortSignal {
    const signal = AbortSignal.any([this.#controller.signal]);
    forgotten.register(signal, this, this);
    return signal;
  }

  attach(source: Source, id: number, terms: StreamTerms | undefined): void {
    this.#origin = { source, id, owner: terms?.owner };
  }

  /** The program gets the abort, unless the signal has ended. */
  aborted(reason: unknown): void {
    if (this.#end()) this.#controller.abort(reason);
  }

  /** Its call, or its stream, is over: it will not abort any more. */
  ended(): void {
    this.#end();
  }

  lost(reason: unknown): void {
    this.aborted(reason);
  }

  forget(): void {
    const origin = this.#origin;
    if (this.#end()) origin!.source.drop(origin!.id);
  }

  #end(): boolean {
    const origin = this.#origin;
    if (!origin) return false;
    this.#origin = null;
    forgotten.unregister(this);
    origin.source.detach(origin.id);
    return true;
  }
}
