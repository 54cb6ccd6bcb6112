/**
 * What the holder of a session hears of its logs.
 *
 * @module
 */
import { report } from "../../base/guard.ts";
import type { SessionHome } from "./session_home.ts";
import type { SessionListener } from "./session_logs.ts";
import type { LogRecord } from "../types.ts";

export class LogTap implements SessionListener {
  readonly #onLog: (record: LogRecord) => void;
  /** Resolves when all records of the session have come. */
  readonly ended: Promise<void>;
  readonly #end: () => void;
  #stopListening: (() => void) | null = null;
  #hasEnded = false;

  private constructor(onLog: (record: LogRecord) => void) {
    this.#onLog = onLog;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
  }

  /** @param onLog the program's */
  static async open(
    home: SessionHome,
    session: string,
    onLog: (record: LogRecord) => void,
  ): Promise<LogTap> {
    const tap = new LogTap(onLog);
    const stopListening = await home.onSessionLog(session, tap);
    tap.#stopListening = stopListening;
    // The session has ended, so no record comes any more.
    if (tap.#hasEnded) stopListening();
    return tap;
  }

  record(record: LogRecord): void {
    try {
      this.#onLog(record);
    } catch (error) {
      report(this.#onLog, "onLog", error);
    }
  }

  over(): void {
    this.stop();
  }

  /** Stops listening. May be called twice. */
  stop(): void {
    this.#hasEnded = true;
    this.#stopListening?.();
    this.#end();
  }
}
