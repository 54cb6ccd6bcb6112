/**
 * Serving goes on when a look for requests fails: another process has scribbled into the shared memory,
 * and the damage may be overwritten the next moment. Lasting damage is an error.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { laterForSure } from "../runtime/timers.ts";

/** How long looks may fail without a request in between: the pauses between them together, in milliseconds. */
const damageMax = 1_000;
/** Between looks that fail, in milliseconds. */
const pauses: readonly number[] = [1, 5, 20, 50];

/** The failed looks of one `serve` since its last request. */
export class Damage {
  #failures = 0;
  #waited = 0;

  /** A request has come. */
  isOver(): void {
    this.#failures = 0;
    this.#waited = 0;
  }

  /**
   * How long to wait before the next look, in milliseconds.
   *
   * @throws `error` when waiting does not help: the channel is removed or closed, or has been damaged for
   * a second. Not by a clock: a process that was stopped has not looked meanwhile
   */
  pauseAfter(error: unknown): number {
    if (!(error instanceof TandemError) || error.code !== "CORRUPT") throw error;
    if (this.#waited > damageMax) throw error;
    this.#failures += 1;
    const milliseconds = pauses[Math.min(this.#failures, pauses.length) - 1]!;
    this.#waited += milliseconds;
    return milliseconds;
  }
}

/** The process stays alive meanwhile, as it does while it waits for requests. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => laterForSure(milliseconds, resolve));
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Blocks the thread. */
export function pauseSync(milliseconds: number): void {
  Atomics.wait(sleeper, 0, 0, milliseconds);
}
