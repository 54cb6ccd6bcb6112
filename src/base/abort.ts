/**
 * Listening to the abort signals of users. A signal may have ten thousand waits at once, and the
 * runtimes look through all listeners of a signal whenever one is added or removed: so each signal has
 * one listener, which tells all waits.
 *
 * @module
 */
import { queueMicrotask } from "../runtime/timers.ts";
import { report } from "./guard.ts";

/** One wait that is told of an abort; null: it is told no more. */
interface Entry {
  tell: (() => void) | null;
}

/** The waits of one signal. */
class Listeners {
  readonly #entries: Set<Entry> = new Set();
  /** What the signal has as its listener, while there are waits. */
  readonly #fire = (): void => {
    const entries = [...this.#entries];
    this.#entries.clear();
    for (const entry of entries) {
      const { tell } = entry;
      entry.tell = null;
      try {
        tell?.();
      } catch (error) {
        report(this.#fire, "a wait that was aborted", error);
      }
    }
  };

  add(signal: AbortSignal, entry: Entry): void {
    // First: it is a method of the user's signal, and may throw.
    if (this.#entries.size === 0) signal.addEventListener("abort", this.#fire, { once: true });
    this.#entries.add(entry);
  }

  remove(signal: AbortSignal, entry: Entry): void {
    if (!this.#entries.delete(entry) || this.#entries.size > 0) return;
    try {
      signal.removeEventListener("abort", this.#fire);
    } catch {
      // A signal that refuses to forget calls an empty set later.
    }
  }
}

const listeners: WeakMap<AbortSignal, Listeners> = new WeakMap();

/**
 * Runs `listener` when the signal aborts, a moment later if it has aborted already; returns what stops
 * that.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  const entry: Entry = { tell: listener };
  if (signal.aborted) {
    queueMicrotask(() => {
      const { tell } = entry;
      entry.tell = null;
      tell?.();
    });
    return () => entry.tell = null;
  }
  let known = listeners.get(signal);
  if (!known) listeners.set(signal, known = new Listeners());
  known.add(signal, entry);
  return () => {
    entry.tell = null;
    known.remove(signal, entry);
  };
}

/** Why a signal has aborted, whatever looking at it does. */
export function reasonOf(signal: AbortSignal): unknown {
  try {
    return signal.reason;
  } catch (error) {
    return error;
  }
}
