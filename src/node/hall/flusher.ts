/**
 * Flushes the outlets of a node at the end of the microtasks.
 *
 * @module
 */
import { queueMicrotask } from "../../runtime/timers.ts";
import type { Outlet } from "./outlet.ts";

/** How often the flush of the outlets gives way to microtasks that go on sending. */
const hopsMax = 64;

export class Flusher {
  readonly #dirty: Outlet[] = [];
  /** Messages that were appended, and how many were at the last look for silence. */
  appended = 0;
  #appendedBefore = 0;
  #hops = 0;
  #isFlushing = false;
  #isPaused = false;

  flushLater(outlet: Outlet): void {
    this.#dirty.push(outlet);
    if (!this.#isPaused) this.#schedule();
  }

  #schedule(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    this.#hops = 0;
    this.#appendedBefore = this.appended;
    queueMicrotask(this.#flush);
  }

  readonly #flush = (): void => {
    if (this.appended !== this.#appendedBefore && this.#hops < hopsMax) {
      this.#hops += 1;
      this.#appendedBefore = this.appended;
      return queueMicrotask(this.#flush);
    }
    this.#isFlushing = false;
    this.flushAll();
  };

  /** Flushes the outlets now, as the program may wait for what follows. */
  flushAll(): void {
    if (this.#dirty.length === 0) return;
    // Outlets that become dirty meanwhile have a turn of their own.
    for (const outlet of this.#dirty.splice(0)) outlet.flush();
  }

  /** {@linkcode resume} follows in this microtask. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Flushes one outlet now, if something was appended there; the others as always. */
  resume(outlet: Outlet | null): void {
    this.#isPaused = false;
    const at = outlet === null ? -1 : this.#dirty.lastIndexOf(outlet);
    if (at >= 0) this.#dirty.splice(at, 1);
    // Scheduled first: the flush may throw.
    if (this.#dirty.length > 0) this.#schedule();
    if (at >= 0) outlet!.flush();
  }
}
