/**
 * Pools of worker processes.
 *
 * @module
 */
import { attach, type AttachedPool, type AttachOptions } from "./clients/attached.ts";
import type { Everywhere } from "../rpc/everywhere.ts";
import type { Remote } from "../rpc/types.ts";
import type { PoolOptions, SessionOptions } from "./options.ts";
import { PoolCore } from "./pool_core.ts";
import { checkOut } from "./session/check_out.ts";
import type { Session } from "./session/session.ts";
import type { LogRecord, PoolStats, WorkerEvent, WorkerInfo } from "./types.ts";
import type { ZmqDoor } from "../zmq/door.ts";

/** How many workers a pool has. */
export interface PoolResize {
  /** The fewest workers. */
  min?: number;
  /** The most workers. */
  max?: number;
}

/** Options of {@linkcode Pool.drain}. */
export interface DrainOptions {
  /**
   * How long the accepted calls may take to end, in milliseconds.
   *
   * @default Infinity
   */
  timeout?: number;
}

/** Options of {@linkcode Pool.close}. */
export interface PoolCloseOptions {
  /** How long calls may take to end, in milliseconds. Default: the pool's `stopTimeout`. */
  timeout?: number;
}

/**
 * A pool of worker processes. Each runs a worker file, which calls {@linkcode work}; `pool.call` has its methods.
 * The workers take calls from one queue. The pool starts and stops them as they are needed, and replaces those that
 * die, hang, or have done enough.
 *
 * A pool without a target does not keep its process alive; a pending call does. One with a target is there for other
 * processes, too, and keeps its process alive until it is closed. Workers, and the processes that they have started,
 * end when this process does, however it ends.
 *
 * @typeParam Api the interface of the worker file
 */
export class Pool<Api extends object> implements AsyncDisposable {
  readonly #core: PoolCore<Api>;
  /** The workers' methods. Each call goes to one worker. */
  readonly call: Remote<Api>;
  /** The workers' methods; each call goes once to every worker: see {@linkcode everywhere} of the package. */
  readonly everywhere: Everywhere<Remote<Api>>;
  /**
   * Resolves when `min` workers are ready, and with a `nats://` target when callers reach them. Rejects with the reason if
   * no worker can start, or the NATS server is not reached, within `startTimeout`, and with `CLOSED` if the pool is closed
   * before.
   */
  readonly ready: Promise<void>;
  /** Resolves when the pool has ended: it was closed, or another one has taken over its target. */
  readonly finished: Promise<void>;

  /**
   * Starts a pool. Calls can be made at once: they wait for the first worker.
   *
   * @param file the worker file: a `file:` URL, or a path relative to the working directory
   * @param options sizes, limits and others
   * @throws {TandemError} `EXISTS` when another process supervises the target; the codes of opening a channel;
   * `UNSUPPORTED` for `handOver` and `maxQueuePerClient` with a `nats://` target
   * @throws {TypeError} {RangeError} for wrong options, and for a user that the system does not have
   */
  constructor(file: string | URL, options: PoolOptions = {}) {
    this.#core = new PoolCore<Api>(file, options);
    this.call = this.#core.calls.remote;
    this.everywhere = this.#core.calls.everywhere;
    this.ready = this.#core.ready;
    this.finished = this.#core.finished;
  }

  /**
   * The pool that another process has started on a target, or will start: its calls, sessions and logs. It has no
   * workers of its own. `connect(target)` makes calls of a pool, too, without the rest.
   *
   * Pools of several machines may share a `nats://` target: then {@linkcode AttachedPool.workers}, `everywhere` and logs are
   * those of all that are there, and `stats` their sums.
   *
   * @param target that of the pool's options
   * @throws {TypeError} {RangeError} for wrong options
   */
  static attach<Api extends object>(target: string, options?: AttachOptions): AttachedPool<Api> {
    return attach<Api>(target, options);
  }

  /** The target on which other processes reach the pool; undefined: only this process does. */
  get target(): string | undefined {
    return this.#core.terms.target;
  }

  /**
   * The door for clients of ZeroMQ, with its address and numbers; null: the pool has none, or it is not open yet: await
   * {@linkcode ready} first.
   */
  get door(): ZmqDoor | null {
    return this.#core.door;
  }

  /**
   * Takes one worker for several calls, until the session is closed. It waits for a worker as a call does.
   *
   * @throws {TandemError} `TIMEOUT` when no worker becomes free in time; `BUSY` when the queue is full; `CLOSED`
   * @throws {TypeError} {RangeError} for wrong options
   */
  checkout(options: SessionOptions = {}): Promise<Session<Api>> {
    return checkOut<Api>(this.#core, options);
  }

  /** The workers that have not ended. */
  workers(): WorkerInfo[] {
    return this.#core.supervisor.infos();
  }

  /**
   * Numbers about the pool and its channel.
   *
   * @throws {TandemError} `CLOSED`
   */
  stats(): PoolStats {
    return this.#core.stats();
  }

  /**
   * Changes how many workers there are. If only one bound is given, the other one follows if it must. Workers that
   * are too many end when they are idle.
   *
   * @throws {RangeError} for sizes that the channel has no room for, or `min` above `max`
   * @throws {TandemError} `CLOSED`
   */
  resize(size: PoolResize): void {
    this.#core.resize(size);
  }

  /**
   * Replaces the workers one by one: starts a new one, waits until it is ready, and then retires an old one. No call
   * fails. If a new worker cannot start, it rejects with the reason, and the other old workers go on.
   *
   * @throws {TandemError} `CLOSED`
   */
  restart(): Promise<void> {
    return this.#core.restart();
  }

  /**
   * Takes no new calls: they fail with `CLOSED`.
   *
   * @returns true when all accepted calls have ended; false when some had not after `timeout`
   */
  drain(options: DrainOptions = {}): Promise<boolean> {
    return this.#core.drain(options.timeout ?? Infinity);
  }

  /**
   * Takes no new calls, waits for those in progress, and ends all workers. Calls that are left after `timeout` reject
   * with `CLOSED`, and their workers are killed. Twice is fine; the second time may leave less time.
   */
  close(options: PoolCloseOptions = {}): Promise<void> {
    return this.#core.close(options.timeout);
  }

  /**
   * Removes the target, as {@linkcode Service.unlink} does. Otherwise it stays when the pool closes: calls of other
   * processes then wait for the next pool on it.
   *
   * @returns false: it was removed already, or the pool has none
   */
  unlink(): boolean {
    return this.#core.unlink();
  }

  /** Does what {@linkcode close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Runs a function when a worker starts, is ready, or has ended.
   *
   * @returns disposing it stops that
   */
  onWorker(listener: (event: WorkerEvent) => void): Disposable {
    return this.#core.supervisor.events.add(listener);
  }

  /**
   * Runs a function for each record that a worker logs. Without such functions, the pool prints the records to
   * standard error.
   *
   * @returns disposing it stops that
   */
  onLog(listener: (record: LogRecord) => void): Disposable {
    return this.#core.supervisor.logs.listeners.add(listener);
  }
}
