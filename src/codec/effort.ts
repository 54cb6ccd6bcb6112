/**
 * Guards against keys that were chosen to collide. A Set or Map of n such keys takes time in
 * proportion to n², which blocks the process for minutes. Which keys collide depends on the engine's
 * hash function and cannot be seen in the keys, so the guard measures how long insertions take.
 *
 * It is made to never refuse an honest message: only insertions are timed, in chunks; a chunk during
 * which the process was stopped counts no more than any slow one; and before a message is refused, the
 * guard measures how fast this machine is now.
 *
 * @module
 */
import { now } from "../runtime/timers.ts";
import { TandemError } from "../errors.ts";

/** Collections up to this size are not watched: even if all keys collide, each costs little. */
export const unwatchedMax = 256;
/**
 * Insertions between two looks at the clock: so few that not even keys that all collide make a chunk
 * take as long as `chunkTimeMax` before they are refused.
 */
export const chunkEntries = 64;

// All times in milliseconds.
/** A chunk that takes longer counts as this: the process was stopped, or others had the processor. */
const chunkTimeMax = 4;
/** For a whole message, beyond what its entries are allowed. */
const allowance = 500;
/** For each entry, several times what it takes on a common machine. */
const entryTime = 0.001;
/** A machine is slow if an insertion takes longer than this part of what is allowed. */
const slowness = 16;
const entryTimeMax = 0.01;
const referenceEntries = 1024;
/** The quickest counts, since others may have the processor meanwhile. */
const referenceRuns = 5;

/** The insertions of one message at a time. */
export class Effort {
  #spent = 0;
  #entries = 0;
  #entryTime = entryTime;
  #isCalibrated = false;

  /** For a new message. */
  reset(): void {
    if (this.#entries === 0) return;
    this.#spent = 0;
    this.#entries = 0;
    this.#entryTime = entryTime;
    this.#isCalibrated = false;
  }

  /** Says when a chunk of insertions begins, for {@linkcode end}. */
  begin(): number {
    return now();
  }

  /**
   * @param begun what {@linkcode begin} has returned
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
      `Cannot read a message: ${this.#entries} keys of its maps, sets and objects have taken ` +
        `${
          Math.round(this.#spent)
        } ms, since their hashes collide; send them as an array of entries`,
    );
  }

  #isTooMuch(): boolean {
    return this.#spent > allowance + this.#entries * this.#entryTime;
  }
}

/** How long an insertion takes now, of keys that do not collide. */
function referenceTime(): number {
  let quickest = Infinity;
  for (let run = 0; run < referenceRuns; run++) {
    const map = new Map<number, number>();
    const begun = now();
    // Fractions, which take the same way through the engine as the costliest keys.
    for (let index = 0; index < referenceEntries; index++) map.set(index * 1.37, index);
    quickest = Math.min(quickest, now() - begun);
  }
  return quickest / referenceEntries;
}
