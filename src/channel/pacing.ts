/**
 * Pacing decides when an event loop polls, lingers and sleeps. The decisions follow from the results of
 * the loop's looks and from the times that the caller gives; this module does no I/O and starts no timer.
 *
 * @module
 */

/** Where the next look happens: after some microtasks, in a later turn, or after a sleep. */
export type Next = "microtask" | "turn" | "sleep";

/**
 * How long to go on looking after the last hit, in milliseconds. The budget grows while waiting for the
 * next hit pays off, and shrinks to nothing while it does not: with one call per millisecond, polling
 * would keep the processor from the process that works on the answer.
 */
const budgetMax = 0.2;
const budgetStart = 0.05;
const budgetMin = 0.005;
/** While the budget is 0, one sleep in this many tries again whether looking pays off. */
const probeEvery = 16;

/** After so many hits, the loop's timers and sockets have their turn. */
export const hitsPerTurn = 128;
/** Or after this time, in milliseconds: an empty turn of Deno's loop takes 0.02. */
export const turnMax = 0.2;
/**
 * With more calls than this in flight, looks have to come less often: each look takes cache lines away
 * from the servers that write answers, and many answers share the price of a turn.
 */
const fewAtOnce = 4;

/** The pacing of one event loop. */
export class Pacing {
  #budget = budgetStart;
  #sleeps = 0;
  /** Looks in a row that found nothing. */
  #misses = 0;
  /** A look has found something since the loop woke up or lingered. */
  #hasFound = false;
  /** When to stop looking; Infinity: the first miss has not ended yet. */
  #lookUntil = 0;
  /** Hits that are left before the event loop has to have a turn. */
  #hitsLeft = 0;
  /** When the first look of this turn found nothing; Infinity: every look found something. */
  #turnBegan = Infinity;

  /** Where the first look of a loop that starts to poll happens. */
  get first(): Next {
    // Not at once: calls that are made together are waited for together.
    return this.#hitsLeft > 0 ? "microtask" : "turn";
  }

  /** The event loop begins a turn: its timers and sockets have been served. */
  beginTurn(): void {
    this.#hitsLeft = hitsPerTurn;
    this.#turnBegan = Infinity;
  }

  /** The loop starts to poll. */
  wake(): void {
    this.#misses = 0;
    this.#hasFound = false;
  }

  /** A look found nothing at `time`. Returns whether to linger for a moment. */
  miss(time: number): boolean {
    this.#misses += 1;
    if (this.#budget === 0) {
      // The rest of a burst may be on its way. Each of its calls would ring a loop that sleeps already.
      const lingers = this.#hasFound;
      this.#hasFound = false;
      return lingers;
    }
    if (this.#misses === 1) {
      this.#lookUntil = Infinity;
      if (this.#turnBegan === Infinity) this.#turnBegan = time;
      else if (time - this.#turnBegan > turnMax) this.#hitsLeft = 0;
    }
    return true;
  }

  /** Other processes need this processor: the loop has to stop polling. */
  yield(): void {
    this.#lookUntil = 0;
  }

  /** A look has ended with so many hits, maybe none. */
  count(hits: number): void {
    this.#hitsLeft -= hits;
  }

  /**
   * The step after a look with `hits` while `outstanding` calls are in flight.
   *
   * @param settles whether the last request may be answered within some microtasks
   */
  afterHits(hits: number, outstanding: number, settles: boolean): Next {
    this.#hasFound = true;
    // An immediate hit says nothing about whether polling pays off.
    if (this.#budget > 0 && this.#misses > 0) {
      this.#budget = Math.min(budgetMax, this.#budget * 2 + budgetMin);
    }
    this.#misses = 0;
    const isSoon = settles || (hits === 1 && outstanding <= fewAtOnce);
    return isSoon && this.#hitsLeft > 0 ? "microtask" : "turn";
  }

  /** The step after a look that found nothing, even by lingering. */
  afterMiss(time: number): Next {
    if (this.#budget === 0) return "sleep";
    if (this.#lookUntil === Infinity) this.#lookUntil = time + this.#budget;
    return time >= this.#lookUntil ? "sleep" : "turn";
  }

  /** The loop falls asleep. */
  sleep(): void {
    this.#sleeps += 1;
    // A budget that was used up without a hit was too long.
    this.#budget = this.#budget < budgetMin ? 0 : this.#budget * 0.7;
    if (this.#budget === 0 && this.#sleeps % probeEvery === 0) this.#budget = budgetStart;
  }
}
