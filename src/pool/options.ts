/**
 * Options of pools.
 *
 * @module
 */
import type { Around, ClientCall } from "../rpc/around.ts";
import type { EndOptions } from "../rpc/options.ts";
import type { RuntimeName } from "../runtime/names.ts";
import type { ZmqFrontend } from "../zmq/options.ts";
import type { LogRecord } from "./types.ts";

/** Flags of each runtime. */
export type RuntimeFlags = Readonly<Partial<Record<RuntimeName, readonly string[]>>>;

/** Options of the calls of a pool's client. */
export interface PoolCallOptions extends EndOptions {
  /** Runs around every call, as with {@linkcode ConnectOptions.around}. */
  around?: Around<ClientCall>;
}

/** Options of a pool. All times are in milliseconds. */
export interface PoolOptions extends PoolCallOptions {
  /**
   * The runtime of the workers; a list: workers take turns, so that the pool has about as many of each.
   *
   * @default the runtime of this process
   */
  runtime?: RuntimeName | readonly RuntimeName[];
  /**
   * The target on which other processes reach the pool with `connect` or {@linkcode Pool.attach}: a name, a path, or
   * `nats://HOST:PORT,HOST:PORT/NAME` for callers on other machines, which several pools may share; see the option `nats`.
   * Without it, only this process can call the pool.
   */
  target?: string;
  /**
   * The fewest workers.
   *
   * @default 2, or `max` if that is less
   */
  min?: number;
  /**
   * The most workers. While one is replaced, there may be one more.
   *
   * @default the number of processors, but at least 2 and at least `min`
   */
  max?: number;
  /**
   * The fewest idle workers to keep ready beside the busy ones, as long as there are no more than `max`.
   *
   * @default 0
   */
  minSpare?: number;
  /**
   * The most idle workers to keep. The pool stops others, unless that leaves fewer than `min`.
   *
   * @default `max`
   */
  maxSpare?: number;
  /**
   * How many calls a worker handles at once.
   *
   * @default 1
   */
  concurrency?: number;
  /**
   * How many calls can wait for a worker. One more fails with `BUSY` at once.
   *
   * @default 10000
   */
  maxQueue?: number;
  /**
   * How many calls of one client (this pool, or an attached one) can be open at once beyond those that all
   * workers can handle. One more fails with `BUSY` at once, so that no client takes the whole queue.
   *
   * @default Infinity
   */
  maxQueuePerClient?: number;
  /**
   * For a call: waiting for a worker, and its work.
   *
   * @default 30000
   */
  timeout?: number;
  /**
   * A worker that has one call in progress for longer is killed and replaced, also if the call awaits something.
   *
   * @default 300000
   */
  hungTimeout?: number;
  /**
   * How long a call may go on after its caller has timed out, cancelled or died, and the handler's signal has
   * aborted. Then its worker is killed, if it is still running that very call.
   *
   * @default 100
   */
  abortGrace?: number;
  /**
   * For a worker to start: it is killed if it is not ready then.
   *
   * @default 30000
   */
  startTimeout?: number;
  /**
   * For calls in progress to end when the pool closes or restarts.
   *
   * @default 30000
   */
  stopTimeout?: number;
  /**
   * A worker is replaced after so many calls.
   *
   * @default Infinity
   */
  maxCalls?: number;
  /**
   * A worker is replaced when it has lived so long.
   *
   * @default Infinity
   */
  maxLifetime?: number;
  /**
   * A worker is replaced when its process uses more memory.
   *
   * @default Infinity
   */
  maxMemoryBytes?: number;
  /**
   * A worker that has had no call for so long is stopped, if there are more than `min`, and more than `minSpare`
   * are idle.
   *
   * @default 30000
   */
  idleTimeout?: number;
  /**
   * How long after a worker started the pool may stop workers that it does not need.
   *
   * @default 10000
   */
  minTtl?: number;
  /**
   * The methods that may run twice; `true`: all. If a worker dies in a call of such a method, another worker gets
   * the call, up to `maxDeliveries` in all.
   */
  idempotent?: boolean | readonly string[];
  /**
   * How many workers, one after another, get a call of an idempotent method, if each dies in it.
   *
   * @default 2
   */
  maxDeliveries?: number;
  /**
   * What happens to a worker after a plain call that threw. Sessions have a setting of their own.
   *
   * @default "keep"
   */
  afterError?: "keep" | "replace";
  /**
   * The name of the pool in titles and logs.
   *
   * @default the target, or the name of the worker file
   */
  name?: string;
  /** Arguments of the worker file. */
  args?: readonly string[];
  /** Variables to set in the environment of the workers, on top of this process's. */
  env?: Readonly<Record<string, string | undefined>>;
  /** The working directory of the workers. */
  cwd?: string;
  /**
   * Flags of the runtime, such as `--allow-net`; with several runtimes, flags for each. Deno grants exactly these
   * permissions, and all (`-A`) if none are given.
   */
  runtimeArgs?: readonly string[] | RuntimeFlags;
  /** The user, by name or number, as whom the workers run. Only root can choose another one. */
  user?: string | number;
  /** The group, by name or number, of the workers. Default: the user's. */
  group?: string | number;
  /** The sizes of the channel's messages; longer ones travel in parts. Default: those of a channel. */
  maxRequestBytes?: number;
  /** As {@linkcode maxRequestBytes}. */
  maxResponseBytes?: number;
  /**
   * Takes over a target that another supervisor has: its workers finish their calls when those of this pool are
   * ready, and no call is lost. Without this, a second supervisor is refused with `EXISTS`.
   *
   * @default {false}
   */
  handOver?: boolean;
  /**
   * Lets clients of ZeroMQ call the pool: see {@linkcode ZmqFrontend}. The method that they call gets the payload as a
   * `Uint8Array` and returns bytes or a string: `work((payload: Uint8Array) => …)`. {@linkcode Pool.ready} waits until
   * they can connect. Needs libzmq.
   */
  zmq?: ZmqFrontend;
  /**
   * Whether lists of processes show this process as `tandem NAME supervisor`. Workers are always shown as
   * `tandem NAME worker NUMBER`.
   *
   * @default {false}
   */
  title?: boolean;
}

/** Options of {@linkcode Pool.checkout}. */
export interface SessionOptions {
  /** How long to wait for a worker, in milliseconds. Default: the pool's `timeout`. It is also that of each call. */
  timeout?: number;
  /**
   * How long the session may hold its worker, in milliseconds. After that, calls reject with `CLOSED`.
   *
   * @default Infinity
   */
  maxHold?: number;
  /** Ends the wait for a worker; once there is one, aborts the session with its reason. */
  signal?: AbortSignal;
  /** A name for messages and logs. */
  name?: string;
  /**
   * Whether the worker is replaced when the session ends after an error.
   *
   * @default "replace"
   */
  afterError?: "keep" | "replace";
  /** Gets what the handlers of the session log. */
  onLog?: (record: LogRecord) => void;
}
