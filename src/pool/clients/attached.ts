/**
 * Pools of other processes.
 *
 * @module
 */
import { checkTimeout, describe } from "../../base/checks.ts";
import { type Maker, notConstructible } from "../../base/maker.ts";
import type { Everywhere } from "../../rpc/everywhere.ts";
import type { Remote } from "../../rpc/types.ts";
import { isNatsTarget } from "../../nats/target.ts";
import { AttachedCore, type AttachedWork } from "./attached_core.ts";
import { FarAttachedCore } from "./far_attached.ts";
import type { PoolCallOptions, SessionOptions } from "../options.ts";
import { callOptionsOf } from "../call_options.ts";
import type { Session } from "../session/session.ts";
import type { LogRecord, PoolStats, WorkerInfo } from "../types.ts";

/** Options of {@linkcode Pool.attach}. */
export interface AttachOptions extends PoolCallOptions {
  /**
   * For a call: waiting for the pool and for a worker, and its work; in milliseconds.
   *
   * @default 30000
   */
  timeout?: number;
}

/**
 * A pool that another process supervises: see {@linkcode Pool.attach}. Its calls go straight to the workers, and
 * wait in the same queue as those of all clients.
 *
 * It does not keep its process alive; a pending call does, and so do listeners of logs.
 *
 * @typeParam Api the interface of the worker file
 */
export class AttachedPool<Api extends object> implements Disposable, AsyncDisposable {
  readonly #core: AttachedWork<Api>;
  /** The workers' methods. Each call goes to one worker. */
  readonly call: Remote<Api>;
  /** The workers' methods; each call goes once to every worker: see {@linkcode everywhere} of the package. */
  readonly everywhere: Everywhere<Remote<Api>>;

  private constructor(core: AttachedWork<Api>) {
    if (!(core instanceof AttachedCore || core instanceof FarAttachedCore)) {
      throw notConstructible("AttachedPool", "Pool.attach()");
    }
    this.#core = core;
    this.call = core.calls.remote;
    this.everywhere = core.calls.everywhere;
  }

  /**
   * Takes one worker for several calls, as {@linkcode Pool.checkout} does. If this process ends before the session is
   * closed, the pool replaces the worker.
   *
   * @throws {TandemError} `TIMEOUT` when no worker becomes free in time; `BUSY` when the queue is full; `CLOSED`;
   * `UNSUPPORTED` for a pool on a `nats://` target
   * @throws {TypeError} {RangeError} for wrong options
   */
  checkout(options: SessionOptions = {}): Promise<Session<Api>> {
    return this.#core.checkOut(options);
  }

  /**
   * The workers that have not ended.
   *
   * @throws {TandemError} `NO_SERVER` when the pool has no supervisor; `CLOSED`
   */
  workers(): Promise<WorkerInfo[]> {
    return this.#core.control.workers();
  }

  /**
   * Numbers about the pool and its channel.
   *
   * @throws {TandemError} `NO_SERVER` when the pool has no supervisor; `CLOSED`
   */
  stats(): Promise<PoolStats> {
    return this.#core.control.stats();
  }

  /**
   * Runs a function for each record that a worker logs from now on. If this process reads too slowly, records are
   * dropped, and a record says how many. While nobody supervises the pool, none come.
   *
   * @returns disposing it stops that
   */
  onLog(listener: (record: LogRecord) => void): Disposable {
    return this.#core.logs.add(listener);
  }

  /** Leaves the pool, which goes on. Calls in progress and sessions end with `CLOSED`. Twice is fine. */
  close(): void {
    this.#core.close();
  }

  /** Does what {@linkcode close} does. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Does what {@linkcode close} does. */
  // deno-lint-ignore require-await -- AsyncDisposable needs a promise
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

const AttachedPoolMaker = AttachedPool as unknown as Maker<
  AttachedWork<object>,
  AttachedPool<object>
>;

/** See {@linkcode Pool.attach}. */
export function attach<Api extends object>(
  target: string,
  options: AttachOptions = {},
): AttachedPool<Api> {
  if (typeof target !== "string") {
    throw new TypeError(`Cannot attach to ${describe(target)}: give the target of a pool`);
  }
  const { timeout = 30_000 } = options;
  checkTimeout(timeout, "timeout");
  const callOptions = callOptionsOf(options);
  const core = isNatsTarget(target)
    ? new FarAttachedCore(target, timeout, callOptions, options.nats)
    : new AttachedCore(target, timeout, callOptions);
  return new AttachedPoolMaker(core) as object as AttachedPool<Api>;
}
