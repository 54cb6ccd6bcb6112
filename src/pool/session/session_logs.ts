/**
 * Hands what workers log to the sessions in which it was logged, until the last record of each.
 *
 * @module
 */
import type { LogRecord } from "../types.ts";

/** Listens to one session. */
export interface SessionListener {
  record(record: LogRecord): void;
  /** The worker is no longer held: no further record comes. */
  over(): void;
}

export class SessionLogs {
  readonly #listeners: Map<string, SessionListener> = new Map();
  /** The sessions that hold workers, by the numbers of the workers. */
  readonly #held: Map<number, string> = new Map();

  get isEmpty(): boolean {
    return this.#listeners.size === 0;
  }

  /** The returned function stops the listening. */
  add(session: string, listener: SessionListener): () => void {
    this.#listeners.set(session, listener);
    return () => void this.#listeners.delete(session);
  }

  /**
   * A worker has logged something.
   *
   * @returns whether anyone listens to that session
   */
  logged(record: LogRecord, session: string | null): boolean {
    const listener = session === null ? undefined : this.#listeners.get(session);
    listener?.record(record);
    return listener !== undefined;
  }

  /** A session holds the worker, or no more. */
  held(worker: number, session: string | null): void {
    const before = this.#held.get(worker);
    if (session === null) this.#held.delete(worker);
    else this.#held.set(worker, session);
    if (before !== undefined && before !== session) this.#listeners.get(before)?.over();
  }

  /** There is no more to come from any worker. */
  end(): void {
    for (const listener of [...this.#listeners.values()]) listener.over();
  }
}
