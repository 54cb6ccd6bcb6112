/**
 * What the handlers of a worker log.
 *
 * @module
 */
import { now, wallClock } from "../../runtime/timers.ts";
import type { LogLevel, LogTimer } from "../types.ts";
import { logTarget } from "./log_target.ts";
import { timerText } from "./worker_log.ts";

/** Values to log beside a text. */
export type LogProperties = Readonly<Record<string, unknown>>;

/** Writes log records: see {@linkcode log}. */
export interface Log {
  /** Writes a record of the level `"debug"`. */
  debug(message: string, properties?: LogProperties): void;
  /** Writes a record of the level `"info"`. */
  info(message: string, properties?: LogProperties): void;
  /** Writes a record of the level `"warning"`. */
  warn(message: string, properties?: LogProperties): void;
  /** Writes a record of the level `"error"`. */
  error(message: string, properties?: LogProperties): void;
  /**
   * Begins to measure. When the timer is disposed, it joins the next record of the call. If the call ends
   * without one, a record of the level `"debug"` has the timers that are left.
   */
  time(name: string): Disposable;
}

/**
 * Logs from the handlers of a worker. In a worker, records travel to the pool, in their order, with the call in
 * which they were made: also after an `await`, in the body of a generator, when the call fails, and when the
 * process crashes in the next moment. `console.log` and the other methods of the console do the same.
 * `pool.onLog()` gets the records. If the pool does not read for a while, a worker drops records rather than
 * wait, and a later record says how many.
 *
 * Properties may be everything that arguments of calls may be; others are described as text. In a process that
 * is no worker, `log` prints to the console.
 *
 * @example
 * ```ts
 * import { log } from "@tandem/ipc/pool";
 *
 * function resize(width: number): number {
 *   {
 *     using _timer = log.time("decode");
 *     // … decode the image
 *   }
 *   log.info("resized to {width}", { width }); // the record has the timer
 *   return width;
 * }
 * resize(128);
 * ```
 *
 * @example The records fit LogTape: a logger fills the properties into the message
 * ```ts
 * import type { LogRecord } from "@tandem/ipc/pool";
 * import { assertEquals } from "@std/assert";
 *
 * // In place of these two lines: import { getLogger } from "@logtape/logtape";
 * const lines: unknown[] = [];
 * const getLogger = (category: string[]) => ({
 *   debug: (...logged: unknown[]) => lines.push([category, "debug", ...logged]),
 *   info: (...logged: unknown[]) => lines.push([category, "info", ...logged]),
 *   warning: (...logged: unknown[]) => lines.push([category, "warning", ...logged]),
 *   error: (...logged: unknown[]) => lines.push([category, "error", ...logged]),
 * });
 *
 * function onLog({ level, message, properties, worker, call, timers }: LogRecord): void {
 *   getLogger(["pool", call?.method ?? "-"])[level](message, { ...properties, worker, timers });
 * }
 *
 * // pool.onLog(onLog);
 * const record = { message: "resized to {width}", properties: { width: 128 }, timers: [] };
 * onLog({ ...record, level: "info", time: Date.now(), worker: 1, call: { id: "7", method: "resize" } });
 * assertEquals(lines, [
 *   [["pool", "resize"], "info", "resized to {width}", { width: 128, worker: 1, timers: [] }],
 * ]);
 * ```
 */
export const log: Log = Object.freeze({
  debug: (message: string, properties?: LogProperties) => write("debug", message, properties),
  info: (message: string, properties?: LogProperties) => write("info", message, properties),
  warn: (message: string, properties?: LogProperties) => write("warning", message, properties),
  error: (message: string, properties?: LogProperties) => write("error", message, properties),
  time: (name: string): Disposable => new Timer(name),
});

class Timer implements Disposable {
  readonly #name: string;
  readonly #startedAt: number = wallClock();
  readonly #start: number = now();
  #isOver = false;

  constructor(name: string) {
    this.#name = String(name);
  }

  [Symbol.dispose](): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const duration = now() - this.#start;
    const timer: LogTimer = { name: this.#name, startedAt: this.#startedAt, duration };
    const { worker } = logTarget;
    if (worker) worker.addTimer(timer);
    else write("debug", timerText(timer), undefined);
  }
}

const consoleMethods = {
  debug: "debug",
  info: "info",
  warning: "warn",
  error: "error",
} as const satisfies Record<LogLevel, string>;

function write(level: LogLevel, message: string, properties: LogProperties | undefined): void {
  const { worker } = logTarget;
  if (worker) return worker.write(level, String(message), propertiesOf(properties));
  console[consoleMethods[level]](message, ...(properties === undefined ? [] : [properties]));
}

/** An error in the place of the properties is one of them. */
function propertiesOf(properties: unknown): LogProperties | undefined {
  if (properties === undefined) return undefined;
  if (properties instanceof Error) return { error: properties };
  if (typeof properties === "object" && properties !== null) return properties as LogProperties;
  return { value: properties };
}
