/**
 * A door for clients of ZeroMQ.
 *
 * @module
 */
import { checkTimeout, describe } from "../base/checks.ts";
import { TandemError } from "../errors.ts";
import { setTitle } from "../ffi/title.ts";
import { backend } from "../runtime/current.ts";
import { startThread, type Thread } from "../runtime/threads.ts";
import { later, timerMax } from "../runtime/timers.ts";
import { countersMemory, readCounters, type ZmqDoorStats } from "./counters.ts";
import { controlEndpoint, type DoorAssignment, type DoorReport } from "./door_worker_data.ts";
import { libzmq, newContext } from "./libzmq.ts";
import { parseFrontend, type ZmqDoorOptions } from "./options.ts";
import { ZmqSocket } from "./socket.ts";

/** How long a Worker that belongs to another Worker stays in native code, where nothing can end it, in milliseconds. */
const nestedWaitMax = 100;
/** How long calls in flight may take when the door closes, unless the caller says, in milliseconds. */
const closeTimeout = 5_000;
/** How much longer than it was told the Worker may take to close, in milliseconds. */
const shutDownGrace = 2_000;

/** Options of {@linkcode ZmqDoor.close}. */
export interface ZmqCloseOptions {
  /**
   * How long calls in flight may take to end, in milliseconds.
   *
   * @default 5000
   */
  timeout?: number;
}

/**
 * Lets clients of ZeroMQ, in any language, call a channel, a service or a pool. It needs libzmq, which the system
 * provides (`apt-get install libzmq5`).
 *
 * A client sends a request as `REQ` sockets do: an empty frame and the payload. `DEALER` sockets send the empty frame
 * themselves. A handler gets the payload unchanged, and `peer` with the client's address and key; the client gets what
 * the handler returns.
 *
 * A door keeps its process alive until it is closed.
 *
 * Deno reads the module of its Worker with the permissions of the program: it needs `--allow-read`.
 *
 * @example A client that the package does not know
 * ```ts
 * // Deno: --allow-read
 * import { Server } from "@tandem/ipc";
 * import { ZmqDoor } from "@tandem/ipc/zmq";
 *
 * const server = Server.open("shouting");
 * const serving = server.serve((request) => request.text().toUpperCase());
 * const door = new ZmqDoor({ target: "shouting", frontend: "tcp://127.0.0.1:0" });
 * await door.ready;
 * console.log(`zmq.REQ may connect to ${door.endpoint}`);
 * await door.close();
 * server.unlink();
 * server.close();
 * await serving;
 * ```
 */
export class ZmqDoor implements AsyncDisposable {
  /** Resolves when clients can connect. Rejects with the reason when the door cannot listen. */
  readonly ready: Promise<void>;
  /** Resolves when the door has been closed. Rejects when it has failed. */
  readonly finished: Promise<void>;
  readonly #context: bigint;
  readonly #counters: SharedArrayBuffer = countersMemory();
  readonly #control: ZmqSocket;
  readonly #thread: Thread;
  #setReady!: () => void;
  #setFinished!: () => void;
  #setFailed!: (error: Error) => void;
  #endpoint: string | null = null;
  /** Why the Worker has given up. */
  #failure: TandemError | null = null;
  #isClosing = false;
  #hasEnded = false;
  #cancelEnd: (() => void) | null = null;

  /**
   * Opens a door.
   *
   * @throws {TypeError} {RangeError} for wrong options
   * @throws {TandemError} `UNSUPPORTED` where libzmq is missing: the message says how to install it
   */
  constructor(options: ZmqDoorOptions) {
    const terms = parseFrontend(options);
    const target = checkTarget((options as { target: unknown }).target);
    const module = workerModule();
    this.#context = newContext();
    const ready = Promise.withResolvers<void>();
    const finished = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.finished = finished.promise;
    // A program that asks for neither gets no unhandled rejection. A door that fails later says so on the console.
    this.ready.catch(() => {});
    this.finished.catch(() => {});
    this.#setReady = ready.resolve;
    this.#setFinished = finished.resolve;
    this.#setFailed = (error) => {
      ready.reject(error);
      finished.reject(error);
    };
    this.#control = new ZmqSocket(this.#context, "pair");
    this.#control.connect(controlEndpoint);
    const assignment: DoorAssignment = {
      terms,
      target,
      context: this.#context,
      counters: this.#counters,
      waitMax: backend().isMainThread ? -1 : nestedWaitMax,
    };
    this.#thread = startThread<DoorAssignment, DoorReport>(
      module,
      "tandem zmq door",
      assignment,
      {
        onReport: (report) => this.#hear(report),
        onFailure: (error) => this.#fail(error),
      },
    );
    if (options.title === true) setTitle(`tandem zmq ${terms.frontend} ${target}`);
    open.add(this);
    endWithProcess();
  }

  /**
   * Where the door listens, with the port that it got if it was to be any.
   *
   * @throws {TandemError} `CLOSED` before {@linkcode ready} has resolved
   */
  get endpoint(): string {
    if (this.#endpoint !== null) return this.#endpoint;
    throw new TandemError(
      "CLOSED",
      "Cannot tell where the door listens: it does not listen yet; await its `ready` first",
    );
  }

  /** Numbers about the door. They are there after it was closed, too. */
  stats(): ZmqDoorStats {
    return readCounters(this.#counters);
  }

  /**
   * Takes no more requests, lets calls in flight end, and closes the door. Until then, requests get the error `CLOSED`;
   * clients that ask again after it find nobody. Calling it again with less time shortens the wait.
   *
   * @throws {RangeError} for a negative or NaN `timeout`
   */
  close(options: ZmqCloseOptions = {}): Promise<void> {
    const { timeout = closeTimeout } = options;
    const checked = checkTimeout(timeout, "timeout");
    if (this.#hasEnded) return Promise.resolve();
    this.#isClosing = true;
    const patience = Number.isNaN(checked) ? timerMax : Math.min(checked, timerMax);
    this.#control.send([new TextEncoder().encode(String(patience))]);
    this.#cancelEnd?.();
    // The Worker may be busy for long, or unable to hear.
    this.#cancelEnd = later(Math.min(patience + shutDownGrace, timerMax), () => this.shutDown());
    return this.finished.catch(() => {});
  }

  /** As {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Makes all functions of libzmq return, so that the Worker ends.
   *
   * @internal
   */
  shutDown(): void {
    if (this.#hasEnded) return;
    libzmq().zmq_ctx_shutdown(this.#context);
    // The context does not end before.
    this.#control.close();
  }

  #hear(report: DoorReport): void {
    switch (report.kind) {
      case "bound":
        this.#endpoint = report.endpoint;
        return this.#setReady();
      case "failed":
        this.#failure = new TandemError(report.code, report.message);
        return this.#control.close();
      case "ended":
        return this.#control.close();
      case "left":
        return this.#failure ? this.#fail(this.#failure) : this.#end(null);
    }
  }

  #fail(error: Error): void {
    if (this.#endpoint !== null && !this.#isClosing) {
      console.error(`@tandem/ipc: the door at ${this.#endpoint} has failed: ${error.message}`);
    }
    this.#end(error);
  }

  #end(error: Error | null): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    open.delete(this);
    this.#cancelEnd?.();
    this.#control.close();
    this.#thread.terminate();
    if (error) return this.#setFailed(error);
    this.#setFinished();
    // Only a program that still waits for `ready` hears of this.
    this.#setFailed(new TandemError("CLOSED", "Cannot open the door: it was closed before"));
  }
}

/** The doors of this thread that have not ended. */
const open: Set<ZmqDoor> = new Set();
let isExitWatched = false;

/** A native function blocks the Worker, and Node would wait for it before it ends the process. */
function endWithProcess(): void {
  if (isExitWatched) return;
  isExitWatched = true;
  backend().onExit(() => {
    for (const door of open) door.shutDown();
  });
}

/** The Worker's module: beside this one in the sources; in the npm package, a file beside the entries. */
function workerModule(): URL {
  const url = import.meta.url as string | undefined;
  if (url !== undefined) {
    const own = /\/door(\.[jt]s)$/.exec(new URL(url).pathname);
    return new URL(own ? `./door_worker${own[1]}` : "./zmq-worker.js", url);
  }
  throw new TandemError(
    "UNSUPPORTED",
    "Cannot open a ZeroMQ door from a bundle that is no module: leave @tandem/ipc out of the bundle",
  );
}

function checkTarget(target: unknown): string | number {
  // A descriptor comes from a pool that has no target.
  if (typeof target === "number") return target;
  if (typeof target === "string" && !/^[a-z]+:/.test(target)) return target;
  if (typeof target !== "string") {
    throw new TypeError(
      `Cannot use ${describe(target)} as target: give the name or path of a channel`,
    );
  }
  throw new TandemError(
    "UNSUPPORTED",
    `Cannot open a ZeroMQ door to ${
      JSON.stringify(target)
    }: give the name or path of a channel on this machine`,
  );
}
