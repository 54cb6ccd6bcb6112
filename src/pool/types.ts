/**
 * What a pool tells of its workers.
 *
 * @module
 */
import type { Stats } from "../base/stats.ts";
import type { RuntimeName } from "../runtime/names.ts";

/** What a worker does. */
export type WorkerState = "starting" | "idle" | "busy" | "stopping";

/** A worker of a pool. */
export interface WorkerInfo {
  /** The smallest number that was free when the worker started; from 1. */
  readonly number: number;
  /** The id of its process; 0 if it could not be started. */
  readonly pid: number;
  /** The runtime that runs it. */
  readonly runtime: RuntimeName;
  /** What it does. A worker that a session holds is busy. */
  readonly state: WorkerState;
  /** The method of its oldest call in progress; null if there is none. */
  readonly method: string | null;
  /** Since when it is in this state, in milliseconds since the epoch. */
  readonly since: number;
  /** The calls that it has ended. */
  readonly calls: number;
  /** The memory that its process has in use, in bytes; 0 if that is not known. */
  readonly rssBytes: number;
}

/**
 * Why a worker has gone: a signal or an uncaught error (`"crash"`), too little memory (`"oom"`), one call for
 * longer than `hungTimeout` (`"hung"`), a call that went on for `abortGrace` after its caller had left
 * (`"timeout"`), or an orderly exit with any code (`"exit"`).
 */
export type ExitReason = "crash" | "oom" | "hung" | "timeout" | "exit";

/** How a worker has ended. It is the `cause` of the `SERVER_DIED` errors of its calls. */
export interface WorkerExit {
  /** The worker's number. */
  readonly number: number;
  /** The id that its process had. */
  readonly pid: number;
  /** The exit code; null if a signal ended it. */
  readonly code: number | null;
  /** The signal that ended it, such as `"SIGKILL"`; null if there was none. */
  readonly signal: string | null;
  /** Why it has gone. */
  readonly reason: ExitReason;
  /** The last lines that it wrote to its standard error. */
  readonly stderr: string;
}

/** Something has happened to a worker. */
export interface WorkerEvent {
  /** What has happened. */
  readonly kind: "starting" | "ready" | "exited";
  /** The worker as it is now; of one that has gone, as it was at last. */
  readonly worker: WorkerInfo;
  /** How it has ended, if it has. */
  readonly exit?: WorkerExit;
}

/** How important a log record is. */
export type LogLevel = "debug" | "info" | "warning" | "error";

/** A span of time that a handler has measured with `log.time()`. */
export interface LogTimer {
  /** The name that the handler gave. */
  readonly name: string;
  /** When it began, in milliseconds since the epoch. */
  readonly startedAt: number;
  /** How long it took, in milliseconds. */
  readonly duration: number;
}

/** What a worker has logged. */
export interface LogRecord {
  /** How important it is. */
  readonly level: LogLevel;
  /** The text. */
  readonly message: string;
  /** The values that were logged beside the text. */
  readonly properties: Readonly<Record<string, unknown>>;
  /** When, in milliseconds since the epoch. */
  readonly time: number;
  /** The number of the worker. */
  readonly worker: number;
  /** The call that the record belongs to; null: it was logged outside of calls. */
  readonly call: { readonly id: string; readonly method: string } | null;
  /** The timers of the call that have ended since its record before this one. */
  readonly timers: readonly LogTimer[];
}

/** Numbers about a pool and its channel. */
export interface PoolStats extends Stats {
  /** The fewest workers. */
  readonly min: number;
  /** The most workers. */
  readonly max: number;
  /** Workers that have not ended. */
  readonly workers: number;
  /** Of these, those that are starting. */
  readonly starting: number;
  /** Those that have nothing to do. */
  readonly idle: number;
  /** Those that have a call, or that a session holds. */
  readonly busy: number;
  /** Those that take no more calls. */
  readonly stopping: number;
  /** Workers that have ended. */
  readonly exits: number;
}

/** A worker of a pool, as its sessions know it. */
export interface SessionWorker {
  /** Its number in the pool. */
  readonly number: number;
  /** The id of its process. */
  readonly pid: number;
}
