/**
 * A command that runs beside a pool, as long as the pool runs.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { laterForSure, now } from "../../runtime/timers.ts";

/** What a side task tells. */
export interface SideTaskEvents {
  /** It has written a line. */
  output(line: string): void;
  /** It has ended. `pause`: milliseconds until it runs again. */
  ended(how: string, pause: number, hasFailed: boolean): void;
}

const shortestPause = 100;
const longestPause = 30_000;
/** A run as long as this makes up for those that failed before. */
const steadyRun = 10_000;

/**
 * Runs the command, and with it a process that kills all of its group when standard input hangs up: then the
 * supervisor is gone, however it ended. Both survive SIGTERM, which is for the command, and what the shell says of
 * that is left out.
 */
const script = `
exec 3<&0 </dev/null 4>&2 2>/dev/null
trap : TERM
(trap '' TERM; exec 4>&-; read -r _ <&3; kill -KILL 0) &
watcher=$!
sh -c "$1" 3<&- 2>&4 4>&-
code=$?
kill -KILL "$watcher"
exit "$code"
`;

/** How often a group that has to end is looked at, in milliseconds. */
const lookPeriod = 50;

/** Runs a command of the shell again and again. */
export class SideTask {
  readonly #command: string;
  readonly #period: number | null;
  readonly #events: SideTaskEvents;
  #child: ChildProcess | null = null;
  #cancelTimer: (() => void) | undefined;
  #startedAt = 0;
  #pause = shortestPause;
  #isStopping = false;
  #whenGone: () => void = () => {};

  /** @param period from one start to the next, in milliseconds; null: as soon as it has ended */
  constructor(command: string, period: number | null, events: SideTaskEvents) {
    this.#command = command;
    this.#period = period;
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
    const child = spawn("/bin/sh", ["-c", script, "sh", this.#command], {
      // A group of its own: Ctrl-C reaches the supervisor alone, which then ends it.
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    // It hangs up when the task ends.
    child.stdin.on("error", () => {});
    this.#readLines(child.stdout);
    this.#readLines(child.stderr);
    child.once("error", (error) => this.#ended(error.message, true));
    child.once("exit", (code, signal) => {
      this.#ended(signal === null ? `with exit code ${code}` : `by ${signal}`, code !== 0);
    });
  }

  #readLines(input: Readable): void {
    createInterface({ input }).on("line", (line) => this.#events.output(line));
  }

  #ended(how: string, hasFailed: boolean): void {
    const child = this.#child;
    if (child === null) return;
    child.stdin?.destroy();
    if (this.#isStopping) return this.#awaitGroup();
    // What the command has left behind in its group ends with it.
    this.#signal("SIGKILL");
    this.#child = null;
    const lasted = now() - this.#startedAt;
    const pause = this.#period === null
      ? this.#backoff(lasted)
      : Math.max(this.#period - lasted, 0);
    this.#events.ended(how, pause, hasFailed);
    this.#cancelTimer = laterForSure(pause, () => this.#start());
  }

  /** The command may end before the processes that it has started. */
  #awaitGroup(): void {
    if (this.#child?.pid !== undefined && hasProcesses(this.#child.pid)) {
      this.#cancelTimer = laterForSure(lookPeriod, () => this.#awaitGroup());
    } else {
      this.#child = null;
      this.#whenGone();
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
