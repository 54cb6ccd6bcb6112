/**
 * What the workers of an attached pool log. Its supervisor sends it as long as anyone listens here.
 *
 * @module
 */
import { laterForSure } from "../../runtime/timers.ts";
import { Listeners } from "../../base/listeners.ts";
import type { PoolTap } from "../supervisor/pool_logs.ts";
import { type SessionListener, SessionLogs } from "../session/session_logs.ts";
import type { LogRecord } from "../types.ts";

/** After how many milliseconds a supervisor that has gone is looked for again. */
const retryAfter = 200;

/** One time of listening. */
class Reading {
  readonly stop: AbortController = new AbortController();
  #begun = Promise.withResolvers<void>();

  /** Resolves when records come from then on, or there is no supervisor. Never rejects. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  hasBegun(): void {
    this.#begun.resolve();
  }

  /** Another attempt is to follow. */
  beginsAgain(): void {
    this.#begun = Promise.withResolvers<void>();
  }
}

/** Begins to read what is logged; aborting the signal ends that. Its first item, and others, may be empty. */
export type OpenLogs = (signal: AbortSignal) => AsyncIterable<readonly PoolTap[]>;

export class AttachedLogs {
  readonly #open: OpenLogs;
  readonly #listeners: Listeners<LogRecord> = new Listeners("onLog");
  readonly #sessions: SessionLogs = new SessionLogs();
  #reading: Reading | null = null;
  #isClosed = false;

  constructor(open: OpenLogs) {
    this.#open = open;
  }

  add(listener: (record: LogRecord) => void): Disposable {
    const listening = this.#listeners.add(listener);
    this.#begin();
    return {
      [Symbol.dispose]: () => {
        listening[Symbol.dispose]();
        this.#stopIfUnused();
      },
    };
  }

  /** The returned function stops the listening. */
  async onSession(session: string, listener: SessionListener): Promise<() => void> {
    const stop = this.#sessions.add(session, listener);
    await this.#begin().begun;
    return () => {
      stop();
      this.#stopIfUnused();
    };
  }

  #begin(): Reading {
    if (this.#reading) return this.#reading;
    const reading = new Reading();
    if (this.#isClosed) reading.hasBegun();
    else {
      this.#reading = reading;
      void this.#read(reading);
    }
    return reading;
  }

  #stopIfUnused(): void {
    if (this.#listeners.isEmpty && this.#sessions.isEmpty) this.#stop();
  }

  #stop(): void {
    this.#reading?.stop.abort();
    this.#reading = null;
  }

  /** Never rejects. */
  async #read(reading: Reading): Promise<void> {
    const { signal } = reading.stop;
    while (!signal.aborted) {
      try {
        for await (const taps of this.#open(signal)) {
          if (signal.aborted) break;
          reading.hasBegun();
          for (const tap of taps) this.#tell(tap);
        }
      } catch {
        // There is no supervisor, or this pool was closed.
      }
      reading.hasBegun();
      // Who listens now has a reading of its own.
      if (signal.aborted) return;
      reading.beginsAgain();
      // No more comes of the sessions that there were.
      this.#sessions.end();
      await pause(signal);
    }
    reading.hasBegun();
  }

  #tell(tap: PoolTap): void {
    if ("held" in tap) return this.#sessions.held(tap.held, tap.session);
    this.#sessions.logged(tap.record, tap.session);
    this.#listeners.tell(tap.record);
  }

  close(): void {
    this.#isClosed = true;
    this.#stop();
    this.#sessions.end();
  }
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = laterForSure(retryAfter, resolve);
    signal.addEventListener("abort", () => {
      cancel();
      resolve();
    }, { once: true });
  });
}
