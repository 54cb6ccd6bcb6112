/**
 * Closes the mailboxes of nodes that have gone, when the program has heard of it: to give back the memory of a mailbox
 * takes as long as all the rest, and many nodes hear of a departure at once.
 *
 * @module
 */
import { report } from "../../base/guard.ts";
import { later } from "../../runtime/timers.ts";

/** In milliseconds: all nodes of a large group have heard by then. */
const delay = 300;

/** What holds the mailbox. */
export interface Closable {
  close(): void;
}

export class LateClosing {
  readonly #waiting: Set<Closable> = new Set();
  #cancel: (() => void) | null = null;

  add(peer: Closable): void {
    this.#waiting.add(peer);
    this.#cancel ??= later(delay, () => this.close());
  }

  /** Closes what waits, at once. */
  close(): void {
    this.#cancel?.();
    this.#cancel = null;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const peer of waiting) {
      try {
        peer.close();
      } catch (error) {
        report(this, "the mailbox of a node that has gone", error);
      }
    }
  }
}
