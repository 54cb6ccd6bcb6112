/**
 * Listening to the abort signals of users. A signal may have ten thousand waits at once, and the
 * runtimes search all listeners of a signal whenever one is added or removed. So each signal has one
 * listener, which notifies all waits.
 *
 * @module
 */
import { queueMicrotask } from "../runtime/timers.ts";
import { report } from "./guard.ts";

/** A wait that an abort ends; null: it has ended. */
interface Entry {
  notify: (() => void) | null;
}

/** The waits of one signal. */
class Listeners {
  readonly #entries: Set<Entry> = new Set();
  /** The listener of the signal while there are waits. */
  readonly #fire = (): void => {
    const entries = [...this.#entries];
    this.#entries.clear();
    for (const entry of entries) {
      const { notify } = entry;
      entry.notify = null;
      try {
        notify?.();
      } catch (error) {
        report(this.#fire, "a wait that was aborted", error);
      }
    }
  };

  add(signal: AbortSignal, entry: Entry): void {
    // First: the user's signal may throw.
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
 * Runs `listener` when the signal aborts, or in a microtask if it has aborted already. The returned
 * function prevents that.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  const entry: Entry = { notify: listener };
  if (signal.aborted) {
    queueMicrotask(() => {
      const { notify } = entry;
      entry.notify = null;
      notify?.();
    });
    return () => entry.notify = null;
  }
  let known = listeners.get(signal);
  if (!known) listeners.set(signal, known = new Listeners());
  known.add(signal, entry);
  return () => {
    entry.notify = null;
    known.remove(signal, entry);
  };
}

/** Why a signal has aborted. Never throws. */
export function reasonOf(signal: AbortSignal): unknown {
  try {
    return signal.reason;
  } catch (error) {
    return error;
  }
}
