/**
 * The code of a worker.
 *
 * @module
 */
import { describe } from "../../base/checks.ts";
import type { Around, ServiceCall } from "../../rpc/around.ts";
import type { EndOptions } from "../../rpc/options.ts";
import { parseServiceOptions } from "../../rpc/terms.ts";
import { TandemError } from "../../errors.ts";
import { callOptionsOf } from "../call_options.ts";
import { startWorker, type Worker } from "./worker_start.ts";
import { startService, type WorkHooks } from "./worker_service.ts";

/** What a worker runs at certain moments, where each function may be asynchronous, and options of its calls. */
export interface WorkOptions extends EndOptions {
  /** Runs around every call that reaches a method, as with {@linkcode ServiceOptions.around}. */
  around?: Around<ServiceCall>;
  /**
   * Runs when the worker starts; calls come when it has ended. If it throws, the pool replaces the worker, and while no
   * worker can start, callers get the error.
   */
  setup?: () => unknown;
  /**
   * Runs when a session has given the worker back, before other calls come: to roll back what the session has left open,
   * for example. It does not run when the worker is replaced instead. If it throws, the worker is replaced.
   */
  checkoutDone?: () => unknown;
  /** Runs when the pool stops the worker, after its last call. The pool's `stopTimeout` limits it. */
  exit?: () => unknown;
}

/** A worker, as it sees itself. */
export interface WorkerIdentity {
  /** The name of its pool. */
  readonly pool: string;
  /** Its number: the smallest that was free when it started, from 1. */
  readonly number: number;
}

let hasWorked = false;

/**
 * Serves the methods of an object as a worker of a pool. The worker file calls it once, when it has what it
 * needs.
 *
 * @example worker.ts, the file that a pool runs in each of its workers
 * ```ts ignore
 * import { log, work } from "@tandem/ipc/pool";
 *
 * const api = {
 *   hash(password: string): string {
 *     log.info("hashing");
 *     return password.split("").reverse().join("");
 *   },
 * };
 * export type Api = typeof api;
 *
 * work(api, { setup: () => log.info("ready"), exit: () => log.info("bye") });
 * ```
 *
 * @param api the methods, as for {@linkcode serve}
 * @param options what to run when the worker starts, when a session has ended, and when the worker stops; and
 * options of its calls
 * @throws {TandemError} `NOT_FOUND` in a process that no pool has started; `EXISTS` at a second call
 * @throws {TypeError} for a value without methods, and for wrong options
 */
export function work<Api extends object>(api: Api, options: WorkOptions = {}): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot use ${describe(options)} as options: give an object`);
  }
  const hooks: WorkHooks = {
    setup: hook(options, "setup"),
    checkoutDone: hook(options, "checkoutDone"),
    exit: hook(options, "exit"),
  };
  const worker = thisWorker("work for a pool");
  const { concurrency, idempotent } = worker.mark.assignment;
  const terms = parseServiceOptions({ ...callOptionsOf(options), concurrency, idempotent });
  if (hasWorked || worker.mark.phase !== "import") {
    throw new TandemError(
      "EXISTS",
      "Cannot work for a pool: this process does so already; call work() once, with all methods",
    );
  }
  startService(worker, api, hooks, terms);
  hasWorked = true;
}

/**
 * Which worker this process is.
 *
 * @example
 * ```ts
 * import { workerInfo } from "@tandem/ipc/pool";
 * import { TandemError } from "@tandem/ipc";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * // In a worker: workerInfo() is { pool: "thumbs", number: 3 }. This program is none:
 * const error = assertThrows(() => workerInfo(), TandemError);
 * assertEquals(error.code, "NOT_FOUND");
 * ```
 *
 * @throws {TandemError} `NOT_FOUND` in a process that no pool has started
 */
export function workerInfo(): WorkerIdentity {
  const { pool, number } = thisWorker("tell which worker this is").mark.assignment;
  return { pool, number };
}

function thisWorker(tried: string): Worker {
  const worker = startWorker();
  if (worker) return worker;
  throw new TandemError(
    "NOT_FOUND",
    `Cannot ${tried}: no pool has started this process, or this is a thread of it; ` +
      "give this file to new Pool(), which runs it",
  );
}

function hook(options: WorkOptions, name: "setup" | "checkoutDone" | "exit"): () => unknown {
  const { [name]: given } = options;
  if (given === undefined) return () => {};
  if (typeof given === "function") return () => given();
  throw new TypeError(`Cannot use ${describe(given)} as ${name}: give a function`);
}
