/**
 * How a process becomes a worker. `bootstrap.ts` does this before the worker file runs; without it (in a bundle), `work()`
 * does. The two may belong to different copies of the package, so what they share is plain data on the global object.
 *
 * @module
 */
import { setTitle } from "../../ffi/title.ts";
import { codeOf } from "../../base/guard.ts";
import { TandemError } from "../../errors.ts";
import { backend } from "../../runtime/current.ts";
import { captureConsole, type ConsoleSink } from "./console_capture.ts";
import { type Assignment, descriptors, type Order, type Report } from "../link/control.ts";
import { startGuard } from "../link/guard.ts";
import { Inbox, Outbox } from "../link/post.ts";
import { WorkerLog } from "./worker_log.ts";

/** What all copies of the package know of this worker. */
export interface WorkerMark {
  readonly assignment: Assignment;
  phase: "import" | "setup" | "ready" | "over";
  /** Where the methods of the console write to. */
  console: ConsoleSink;
  /** Prints to the standard error, as the console did before. */
  readonly print: (error: unknown) => void;
}

/** This process as a worker, in this copy of the package. */
export interface Worker {
  readonly mark: WorkerMark;
  readonly outbox: Outbox<Report>;
}

const key = Symbol.for("tandem.pool.worker");
const global = globalThis as { [key]?: WorkerMark };
let known: Worker | undefined;

/**
 * Makes this process a worker, if a pool has started it; null: none has. May be called again.
 *
 * @throws {TandemError} what loading the library throws
 */
export function startWorker(): Worker | null {
  if (known) return known;
  const found = global[key];
  if (found) return known = { mark: found, outbox: Outbox.fromFd(descriptors.reports) };
  const assignment = takeAssignment();
  return assignment && (known = begin(assignment));
}

/** The first order. A process that no pool has started may have something else at that descriptor, or nothing. */
function takeAssignment(): Assignment | null {
  if (!backend().isMainThread) return null;
  let inbox: Inbox<Order>;
  try {
    inbox = Inbox.fromFd(descriptors.orders);
  } catch (error) {
    if (codeOf(error) === "CORRUPT") return null;
    throw error;
  }
  try {
    if (!inbox.isPost) return null;
    const order = inbox.take();
    return order?.kind === "begin" ? order.assignment : null;
  } finally {
    inbox.close();
  }
}

function begin(assignment: Assignment): Worker {
  const { number, pool, abortGrace, hungTimeout } = assignment;
  const { lifeline } = descriptors;
  startGuard({ recordFd: null, lifeline, abortGrace, hungTimeout: hungTimeout ?? Infinity });
  const outbox = Outbox.fromFd<Report>(descriptors.reports);
  const early = new WorkerLog(outbox, { idOf: () => "", session: () => null });
  const mark: WorkerMark = {
    assignment,
    phase: "import",
    console: (level, text) => early.write(level, text),
    print: console.error.bind(console),
  };
  global[key] = mark;
  setTitle(`tandem ${pool} worker ${number}`);
  captureConsole((level, text) => mark.console(level, text));
  backend().onUncaught((error) => reportUncaught(mark, outbox, error));
  backend().onDrained(() => {
    if (mark.phase === "ready" || mark.phase === "over") return;
    fail(mark, outbox, drained(mark));
  });
  return { mark, outbox };
}

/** Reports that the worker cannot start, and ends it. */
export function fail(mark: WorkerMark, outbox: Outbox<Report>, error: unknown): never {
  reportFailure(mark, outbox, error);
  mark.print(error);
  return backend().exit(1);
}

function reportUncaught(mark: WorkerMark, outbox: Outbox<Report>, error: unknown): void {
  if (mark.phase === "over") return;
  if (mark.phase !== "ready") return reportFailure(mark, outbox, error);
  outbox.postDescribed((error) => ({ kind: "uncaught", error }), error);
}

function reportFailure(mark: WorkerMark, outbox: Outbox<Report>, error: unknown): void {
  const during = mark.phase === "setup" ? "setup" : "import";
  mark.phase = "over";
  const whole = withParts(error);
  outbox.postDescribed((error) => ({ kind: "failed", failure: { during, error } }), whole);
}

function drained({ assignment: { number, pool }, phase }: WorkerMark): TandemError {
  const found = phase === "setup"
    ? "its setup has not ended, and waits for nothing that could still happen"
    : "its file has ended without calling work()";
  const advice = phase === "setup"
    ? "look for a promise that never resolves"
    : 'call work(api) of "@tandem/ipc/pool" in it';
  return new TandemError(
    "NOT_FOUND",
    `Cannot start worker ${number} of the pool ${JSON.stringify(pool)}: ${found}; ${advice}`,
  );
}

/** The message of an error of several others, such as those of a file that does not compile, names them. */
function withParts(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { errors } = error as { errors?: unknown };
  if (!Array.isArray(errors) || errors.length === 0) return error;
  const parts = errors.map((part) => part?.message ?? String(part)).join("; ").slice(0, 1_000);
  const whole = new Error(`${error.message}: ${parts}`, { cause: error.cause });
  whole.name = error.name;
  if (error.stack !== undefined) whole.stack = error.stack;
  return whole;
}
