/**
 * Why a worker has ended.
 *
 * @module
 */
import type { RecordContent } from "../link/record.ts";
import type { ExitReason, WorkerExit } from "../types.ts";

/** What is known of a worker that has ended. */
export interface ExitFacts {
  readonly number: number;
  readonly pid: number;
  readonly code: number | null;
  readonly signal: string | null;
  /** What its record says. */
  readonly ended: RecordContent["ended"];
  /** An error that no code has caught has ended it. */
  readonly wasUncaught: boolean;
  /** The kernel has killed a process for lack of memory since it started. */
  readonly memoryRanOut: boolean;
  readonly stderr: string;
}

/** What V8 and JavaScriptCore print when their own limit is reached. */
const outOfMemory = /JavaScript heap out of memory|out of memory|Out of memory|OOM/;

export function exitOf(facts: ExitFacts): WorkerExit {
  const { number, pid, code, signal, stderr } = facts;
  return { number, pid, code, signal, reason: reasonOf(facts), stderr };
}

function reasonOf(facts: ExitFacts): ExitReason {
  const { code, signal, ended, wasUncaught, memoryRanOut, stderr } = facts;
  const wasKilled = signal === "SIGKILL";
  if (wasKilled && ended) return ended.reason;
  if (wasKilled && memoryRanOut) return "oom";
  // Runtimes abort then: with a signal, or with the code that a shell gives to one.
  const wasAborted = signal !== null || code === null || code >= 128;
  if (wasAborted && !wasKilled && outOfMemory.test(stderr)) return "oom";
  if (signal !== null || wasUncaught) return "crash";
  return "exit";
}

/** For messages: how a worker has ended, and what it said at last. */
export function describeExit({ number, code, signal, reason, stderr }: WorkerExit): string {
  const how = signal !== null ? `was ended by ${signal}` : `exited with code ${code}`;
  // The frames of a stack say less than the message above them.
  const lines = stderr.split("\n").filter((line) => !/^\s*(?:at .*)?$/.test(line));
  const error = lines.findLastIndex((line) => /\w*error: /i.test(line));
  const said = error < 0 ? lines.slice(-3) : lines.slice(error, error + 3);
  const last = said.length === 0 ? "" : `; it wrote: ${said.join(" / ").slice(0, 500)}`;
  return `worker ${number} ${how} (${reason})${last}`;
}
