/**
 * What happens in processes that a command runs, as lines on standard error.
 *
 * @module
 */
import { statSync } from "node:fs";
import { inspect } from "node:util";
import type { LogLevel, LogRecord } from "@tandem/ipc/pool";
import { wallClock } from "../runtime/timers.ts";
import type { Context } from "./context.ts";
import { plain } from "./values.ts";

/** From the least important to the most important. */
export const logLevels: readonly LogLevel[] = ["debug", "info", "warning", "error"];

/** The forms of a line. */
export const logForms = ["text", "json"] as const;

/** A form of a line. */
export type LogForm = typeof logForms[number];

/** Writes lines. */
export class LogLines {
  readonly #context: Context;
  readonly #form: LogForm;
  readonly #lowest: number;
  readonly #isJournal: boolean;

  constructor(context: Context, form: LogForm, lowest: LogLevel) {
    this.#context = context;
    this.#form = form;
    this.#lowest = logLevels.indexOf(lowest);
    this.#isJournal = form === "text" && isJournal(context.process.env["JOURNAL_STREAM"]);
  }

  /** A worker has logged. */
  record({ level, message, properties, time, worker, call, timers }: LogRecord): void {
    if (this.#form === "json") {
      const source = "worker";
      this.#write(
        level,
        json({ time: iso(time), level, source, worker, call, message, properties, timers }),
      );
      return;
    }
    const who = `worker ${worker}${call ? ` ${call.method}` : ""}`;
    const spans = timers.map(({ name, duration }) => `${name} ${duration.toFixed(1)} ms`);
    const values = Object.keys(properties).length > 0 ? [json(properties)] : [];
    this.#write(level, line(level, who, [message, ...values, ...spans].join(" ")));
  }

  /** Somebody has something to say: a process, or what looks after it. */
  say(level: LogLevel, source: string, message: string, time: number = wallClock()): void {
    this.#write(level, textOf(this.#form, level, source, message, time));
  }

  #write(level: LogLevel, text: string): void {
    if (logLevels.indexOf(level) < this.#lowest) return;
    this.#context.process.stderr.write(`${this.#isJournal ? priorities[level] : ""}${text}\n`);
  }
}

/** As sd-daemon(3) has them: the journal takes them off and shows lines by their importance. */
const priorities: Readonly<Record<LogLevel, string>> = {
  debug: "<7>",
  info: "<6>",
  warning: "<4>",
  error: "<3>",
};

/** Whether standard error is the journal: systemd names the file that it has made for it. */
function isJournal(stream: string | undefined): boolean {
  if (!stream) return false;
  const { dev, ino } = statSync("/proc/self/fd/2");
  return stream === `${dev}:${ino}`;
}

/** What somebody has said, without a line feed. */
export function textOf(
  form: LogForm,
  level: LogLevel,
  source: string,
  message: string,
  time: number,
): string {
  return form === "json"
    ? json({ time: iso(time), level, source, message })
    : line(level, source, message);
}

function line(level: LogLevel, who: string, message: string): string {
  return `${level} ${who}: ${oneLine(message)}`;
}

function oneLine(text: string): string {
  return text.trimEnd().replaceAll("\r", "\\r").replaceAll("\n", "\\n");
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

function json(value: unknown): string {
  try {
    return JSON.stringify(value, plain);
  } catch {
    // Objects that contain themselves.
    return JSON.stringify(inspect(value, { breakLength: Infinity, depth: 4 }));
  }
}
