/**
 * A command that runs as long as this process, and again when it has ended.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import type { Readable } from "node:stream";
import { Lines } from "../pool/supervisor/lines.ts";
import { laterForSure, now } from "../runtime/timers.ts";

/** What the command has done. */
export interface CommandEvents {
  /** It has written a line, without its end. */
  output(line: string, stream: OutputStream): void;
  /** It has ended by itself. `pause`: milliseconds until it runs again; null: it does not. */
  ended(how: string, pause: number | null, hasFailed: boolean): void;
}

/** Where a command writes. */
export type OutputStream = "stdout" | "stderr";

/** When the command runs again. */
export interface RepeatOptions {
  /** From one start to the next, in milliseconds. Default: as soon as it has ended, after a pause that grows. */
  readonly period?: number | undefined;
  /** Whether it runs again. Default: always. */
  readonly isWanted?: (hasFailed: boolean) => boolean;
}

/** How long after the end of a command its last words are waited for: others may hold its pipes. */
const lastWordsTimeout = 1_000;

const shortestPause = 100;
const longestPause = 30_000;
/** A run as long as this makes up for those that failed before. */
const steadyRun = 10_000;

/**
 * Runs the command, and with it a process that kills all of its group when standard input hangs up: then this
 * process is gone, however it ended. Both survive SIGTERM, which is for the command, and what the shell says of
 * that is left out.
 */
const script = `
exec 3<&0 </dev/null 4>&2 2>/dev/null
trap : TERM
(trap '' TERM; exec 4>&-; read -r _ <&3; kill -KILL 0) &
watcher=$!
"$@" 3<&- 2>&4 4>&-
code=$?
kill -KILL "$watcher"
exit "$code"
`;

/** How often a group that has to end is looked at, in milliseconds. */
const lookPeriod = 50;

/** Runs a command again and again. */
export class RepeatedCommand {
  readonly #command: readonly string[];
  readonly #options: RepeatOptions;
  readonly #events: CommandEvents;
  #child: ChildProcess | null = null;
  #cancelTimer: (() => void) | undefined;
  #startedAt = 0;
  #pause = shortestPause;
  #isStopping = false;
  #whenGone: () => void = () => {};
  /** Resolves when all that it has written was told. */
  #lastWords: Promise<unknown> = Promise.resolve();

  /** @param command the program and its arguments */
  constructor(command: readonly string[], options: RepeatOptions, events: CommandEvents) {
    this.#command = command;
    this.#options = options;
    this.#events = events;
    this.#start();
  }

  /** Asks the command to end, and resolves when it has. It may take forever: see {@linkcode kill}. */
  stop(): Promise<void> {
    this.#isStopping = true;
    this.#cancelTimer?.();
    if (!this.#child) return Promise.resolve();
    const gone = new Promise<void>((resolve) => this.#whenGone = resolve);
    this.#signal("SIGTERM");
    return gone;
  }

  /** Ends the command, with the processes of its group, at once. */
  kill(): void {
    this.#isStopping = true;
    if (this.#child) this.#signal("SIGKILL");
    else this.#cancelTimer?.();
  }

  #start(): void {
    this.#startedAt = now();
    const child = spawn("/bin/sh", ["-c", script, "sh", ...this.#command], {
      // A group of its own: Ctrl-C reaches this process alone, which then ends it.
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    // It hangs up when the command ends.
    child.stdin.on("error", () => {});
    this.#lastWords = Promise.all([
      this.#read(child.stdout, "stdout"),
      this.#read(child.stderr, "stderr"),
    ]);
    const ended = (how: string, hasFailed: boolean): void => {
      if (this.#child !== child) return;
      child.stdin.destroy();
      if (this.#isStopping) return this.#awaitGroup();
      // What the command has left behind in its group ends with it.
      this.#signal("SIGKILL");
      // The end is told behind what it has written.
      void inTime(this.#lastWords).then(() => this.#ended(child, how, hasFailed));
    };
    child.once("error", (error) => ended(error.message, true));
    child.once("exit", (code, signal) => {
      ended(signal === null ? `with exit code ${code}` : `by ${signal}`, code !== 0);
    });
  }

  /** Resolves when nothing more will come. */
  #read(input: Readable, stream: OutputStream): Promise<void> {
    const lines = new Lines((line) => this.#events.output(line, stream));
    input.on("data", (bytes: Uint8Array) => lines.add(bytes));
    return new Promise((resolve) => {
      input.once("error", () => resolve());
      input.once("close", () => {
        lines.end();
        resolve();
      });
    });
  }

  #ended(child: ChildProcess, how: string, hasFailed: boolean): void {
    if (this.#child !== child) return;
    if (this.#isStopping) return this.#awaitGroup();
    this.#child = null;
    const { period, isWanted } = this.#options;
    const lasted = now() - this.#startedAt;
    if (isWanted?.(hasFailed) === false) return this.#events.ended(how, null, hasFailed);
    const pause = period === undefined ? this.#backoff(lasted) : Math.max(period - lasted, 0);
    this.#cancelTimer = laterForSure(pause, () => this.#start());
    this.#events.ended(how, pause, hasFailed);
  }

  /** The command may end before the processes that it has started. */
  #awaitGroup(): void {
    if (this.#child?.pid !== undefined && hasProcesses(this.#child.pid)) {
      this.#cancelTimer = laterForSure(lookPeriod, () => this.#awaitGroup());
    } else {
      this.#child = null;
      void inTime(this.#lastWords).then(this.#whenGone);
    }
  }

  #backoff(lasted: number): number {
    if (lasted >= steadyRun) this.#pause = shortestPause;
    const pause = this.#pause;
    this.#pause = Math.min(2 * pause, longestPause);
    return pause;
  }

  #signal(signal: "SIGTERM" | "SIGKILL"): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // It has ended, and the news is on its way.
    }
  }
}

/**
 * Whether processes of a group run. Those that have ended do not count: in a container, nobody may ever collect
 * them, and a signal would find them.
 */
function hasProcesses(group: number): boolean {
  return readdirSync("/proc").some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      // The name, in parentheses, may contain anything.
      const [state, , itsGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(itsGroup) === group && state !== "Z" && state !== "X";
    } catch {
      return false;
    }
  });
}

/** Resolves with the promise, or a moment later. */
function inTime(promise: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = laterForSure(lastWordsTimeout, resolve);
    void promise.then(() => {
      cancel();
      resolve();
    });
  });
}
