/**
 * Guards against keys that were chosen to collide. A Set or Map of n such keys takes time in
 * proportion to n², which blocks the process for minutes. Which keys collide depends on the engine's
 * hash function, so the guard measures how long insertions take.
 *
 * It never refuses an honest message: it times only insertions, in chunks; a chunk during which the
 * process was stopped counts as one slow chunk; and before it refuses a message, it measures how fast the
 * machine is at the moment.
 *
 * @module
 */
import { now } from "../runtime/timers.ts";
import { TandemError } from "../errors.ts";

/** Collections up to this size are not timed: even if all keys collide, they cost little. */
export const unwatchedMax = 256;
/**
 * Insertions between two looks at the clock. With so few, a chunk takes less than `chunkTimeMax` until
 * the guard refuses the message, even if all keys collide.
 */
export const chunkEntries = 64;

// All times in milliseconds.
/** A longer chunk counts as this: the process was stopped, or other processes had the processor. */
const chunkTimeMax = 4;
/** Allowed for a whole message, in addition to its entries. */
const allowance = 500;
/** Allowed for each entry: several times what a common machine takes. */
const entryTime = 0.001;
/** A slow machine is allowed this many times its own time for an insertion. */
const slowness = 16;
const entryTimeMax = 0.01;
const referenceEntries = 1024;
/** The quickest run counts, because other processes may have the processor during some. */
const referenceRuns = 5;

/** Times the insertions of one message at a time. */
export class Effort {
  #spent = 0;
  #entries = 0;
  #entryTime = entryTime;
  #isCalibrated = false;

  /** Begins a new message. */
  reset(): void {
    if (this.#entries === 0) return;
    this.#spent = 0;
    this.#entries = 0;
    this.#entryTime = entryTime;
    this.#isCalibrated = false;
  }

  /** Begins a chunk of insertions. Returns its time, for {@linkcode end}. */
  begin(): number {
    return now();
  }

  /**
   * Ends a chunk.
   *
   * @param begun the result of {@linkcode begin}
   * @throws {TandemError} `TOO_LARGE` when insertions take too long
   */
  end(begun: number, entries: number): void {
    this.#spent += Math.min(now() - begun, chunkTimeMax);
    this.#entries += entries;
    if (!this.#isTooMuch()) return;
    if (!this.#isCalibrated) {
      this.#isCalibrated = true;
      this.#entryTime = Math.min(Math.max(entryTime, slowness * referenceTime()), entryTimeMax);
      if (!this.#isTooMuch()) return;
    }
    throw new TandemError(
      "TOO_LARGE",
      `Cannot read a message: ${this.#entries} keys of its maps, sets and objects took ` +
        `${
          Math.round(this.#spent)
        } ms, because their hashes collide; send them as an array of entries`,
    );
  }

  #isTooMuch(): boolean {
    return this.#spent > allowance + this.#entries * this.#entryTime;
  }
}

/** How long this machine takes at the moment to insert a key that does not collide. */
function referenceTime(): number {
  let quickest = Infinity;
  for (let run = 0; run < referenceRuns; run++) {
    const map = new Map<number, number>();
    const begun = now();
    // Fractions take the same path through the engine as the costliest keys.
    for (let index = 0; index < referenceEntries; index++) map.set(index * 1.37, index);
    quickest = Math.min(quickest, now() - begun);
  }
  return quickest / referenceEntries;
}
