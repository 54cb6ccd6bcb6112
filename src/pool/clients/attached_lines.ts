/**
 * The line of the calls of an attached pool. The first ones wait until the supervisor has told how many calls this
 * client may have open at once.
 *
 * @module
 */
import { onAbort, reasonOf } from "../../base/abort.ts";
import type { TandemError } from "../../errors.ts";
import type { Line, Lines } from "../../rpc/lines.ts";
import { laterForSure, now, timerMax } from "../../runtime/timers.ts";
import { tooManyOpen } from "./refused_calls.ts";

/** After how many milliseconds a supervisor that is not there is looked for again. */
const retryAfter = 50;
/** The same while there are services that take calls without it. */
const servedRetryAfter = 1_000;

export class AttachedLines implements Lines {
  readonly target: string;
  readonly main: Lines;
  readonly #ask: () => Promise<number>;
  #openMax: number | null = null;
  /**
   * When the supervisor is asked again, in the time of `performance.now()`, while calls go on although it has not
   * answered: it is busy, another one takes its place, or it is a service that is no pool. Null: calls wait for it.
   */
  #askAt: number | null = null;
  /** Calls that were made before it was known. */
  #early = 0;
  #waiting = 0;
  #learning: Promise<void> | null = null;

  /** @param ask the supervisor; rejects if there is none */
  constructor(main: Lines, ask: () => Promise<number>) {
    this.target = main.target;
    this.main = main;
    this.#ask = ask;
  }

  get closing(): AbortSignal {
    return this.main.closing;
  }

  /** How many calls this client may have open at once. While it is not known, calls are counted, but not refused. */
  get openMax(): number {
    return this.#openMax ?? Number.MAX_SAFE_INTEGER;
  }

  openNow(): Line | null {
    if (this.#isToWait) return null;
    if (this.#askAt !== null && now() >= this.#askAt) this.askAgain();
    return this.main.openNow();
  }

  get #isToWait(): boolean {
    return this.#openMax === null && this.#askAt === null;
  }

  async whenOpen(deadline: number, signal: AbortSignal | undefined): Promise<Line> {
    if (this.#isToWait) await this.#wait(deadline, signal);
    return await this.main.whenOpen(deadline, signal);
  }

  async #wait(deadline: number, signal: AbortSignal | undefined): Promise<void> {
    const place = this.#early += 1;
    this.#waiting += 1;
    const over = Promise.withResolvers<never>();
    const left = Math.min(Math.max(0, deadline - now()), timerMax);
    const cancel = laterForSure(left, () => over.reject(this.notServed()));
    const stops = [
      signal && onAbort(signal, () => over.reject(reasonOf(signal))),
      onAbort(this.closing, () => over.reject(this.#closed())),
    ];
    try {
      this.#learning ??= this.#learn();
      await Promise.race([this.#learning, over.promise]);
    } finally {
      this.#waiting -= 1;
      cancel();
      for (const stop of stops) stop?.();
    }
    if (place > this.openMax) throw tooManyOpen(this.openMax);
  }

  /** Asks until there is an answer, or nobody waits for it. Never rejects. */
  async #learn(): Promise<void> {
    while (this.#waiting > 0 && !this.closing.aborted) {
      await this.#tryToLearn();
      if (!this.#isToWait) break;
      await this.#pause();
    }
    this.#learning = null;
  }

  /** Asks again: the pool may have got another size. */
  askAgain(): void {
    this.#learning ??= this.#refresh();
  }

  /** Never rejects. */
  async #refresh(): Promise<void> {
    await this.#tryToLearn();
    this.#learning = null;
  }

  /** Never rejects. */
  async #tryToLearn(): Promise<void> {
    try {
      this.#openMax = await this.#ask();
      this.#askAt = null;
    } catch {
      // What was known holds until there is a supervisor.
      if (this.#openMax === null && this.#isServed) this.#askAt = now() + servedRetryAfter;
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        cancel();
        stopListening();
        resolve();
      };
      const cancel = laterForSure(retryAfter, end);
      const stopListening = onAbort(this.closing, end);
    });
  }

  get #isServed(): boolean {
    try {
      return this.main.openNow()?.presence.isServed === true;
    } catch {
      return false;
    }
  }

  /** The connection says why. */
  #closed(): unknown {
    try {
      this.main.openNow();
    } catch (error) {
      return error;
    }
    return this.notServed();
  }

  hangUp(line: Line): void {
    this.main.hangUp(line);
  }

  explain(error: unknown): unknown {
    return this.main.explain(error);
  }

  complete(error: unknown, deadline: number): Promise<unknown> | undefined {
    return this.main.complete?.(error, deadline);
  }

  notServed(): TandemError {
    return this.main.notServed();
  }

  close(): void {
    this.main.close();
  }
}
