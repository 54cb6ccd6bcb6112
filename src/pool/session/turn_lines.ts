/**
 * The line of one call of a session: it opens when it is the call's turn. Until then the call waits with its
 * arguments encoded, as calls wait for a target that does not exist yet. So the caller may change its
 * arguments as soon as it has made the call.
 *
 * @module
 */
import { onAbort, reasonOf } from "../../base/abort.ts";
import { TandemError } from "../../errors.ts";
import type { InstanceLines } from "../../rpc/instance_lines.ts";
import type { Line, Lines } from "../../rpc/lines.ts";
import { laterForSure, now, timerMax } from "../../runtime/timers.ts";
import type { Turn } from "./turns.ts";

export class TurnLines implements Lines {
  readonly target: string;
  readonly main: Lines;
  /** To the session's worker. */
  readonly #lines: InstanceLines;
  readonly #turn: Turn;
  /** Why the call has no turn. */
  #refusal: unknown = null;

  constructor(lines: InstanceLines, turn: Turn) {
    this.target = lines.target;
    this.main = lines.main;
    this.#lines = lines;
    this.#turn = turn;
  }

  get closing(): AbortSignal {
    return this.#lines.closing;
  }

  openNow(): Line | null {
    return this.#turn.state === "now" ? this.#lines.openNow() : null;
  }

  async whenOpen(deadline: number, signal: AbortSignal | undefined): Promise<Line> {
    if (this.#turn.state !== "now") await this.#wait(deadline, signal);
    return await this.#lines.whenOpen(deadline, signal);
  }

  async #wait(deadline: number, signal: AbortSignal | undefined): Promise<void> {
    const over = Promise.withResolvers<never>();
    const left = Math.min(Math.max(0, deadline - now()), timerMax);
    const cancel = laterForSure(left, () => over.reject(timedOut()));
    const stopListening = signal && onAbort(signal, () => over.reject(reasonOf(signal)));
    try {
      await Promise.race([this.#turn.come, over.promise]);
    } catch (error) {
      this.#refusal = error;
      throw error;
    } finally {
      cancel();
      stopListening?.();
    }
  }

  hangUp(line: Line): void {
    this.#lines.hangUp(line);
  }

  explain(error: unknown): unknown {
    return error === this.#refusal ? error : this.#lines.explain(error);
  }

  notServed(): TandemError {
    return this.#lines.notServed();
  }

  /** The connection that it belongs to has its own end. */
  close(): void {}
}

function timedOut(): TandemError {
  return new TandemError(
    "TIMEOUT",
    "Cannot make a call of a session: the calls before it took longer than its timeout; raise the timeout",
  );
}
