/**
 * What the holder of a session hears of its logs.
 *
 * @module
 */
import { report } from "../base/guard.ts";
import type { SessionHome } from "./session_home.ts";
import type { LogRecord } from "./types.ts";

export class LogTap {
  /** Resolves when all records of the session have come. */
  readonly over: Promise<void>;
  /** Stops listening. */
  readonly stop: () => void;

  /** @param onLog the program's */
  constructor(home: SessionHome, session: string, onLog: (record: LogRecord) => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    const stop = home.onSessionLog(session, {
      record: (record) => {
        try {
          onLog(record);
        } catch (error) {
          report(onLog, "onLog", error);
        }
      },
      over: () => this.stop(),
    });
    this.stop = () => {
      stop();
      resolve();
    };
  }
}
