/**
 * Sessions: one worker of a pool, held for several calls.
 *
 * @module
 */
import { type Maker, notConstructible } from "../../base/maker.ts";
import { codeOf } from "../../base/guard.ts";
import { corrupt } from "../../codec/reader.ts";
import { TandemError } from "../../errors.ts";
import { addresseeOf, InstanceLines } from "../../rpc/instance_lines.ts";
import { type Caller, remoteThrough } from "../../rpc/remote.ts";
import { type CallTerms, parseCallOptions } from "../../rpc/terms.ts";
import type { Remote } from "../../rpc/types.ts";
import { now } from "../../runtime/timers.ts";
import { reserved } from "../link/control.ts";
import type { SessionOptions } from "../options.ts";
import { type Held, SessionCore, type SessionWorker } from "./session_core.ts";
import { LogTap } from "./log_tap.ts";
import { notCheckedOut, titleOf, workerDied } from "./session_errors.ts";
import type { SessionHome } from "./session_home.ts";
import { type HeldTerms, parseSessionOptions, type SessionTerms } from "./session_terms.ts";

export type { SessionWorker };

/** How many workers, one after another, may die while they are being checked out. */
const attemptsMax = 3;

/** Releases the sessions that the program has forgotten. */
const forgotten: FinalizationRegistry<SessionCore> = new FinalizationRegistry(
  (core) => void core.close(),
);

/** Makes the calls of a session. A session is forgotten when this is. */
class SessionCaller implements Caller {
  readonly core: SessionCore;

  constructor(core: SessionCore) {
    this.core = core;
    forgotten.register(this, core);
  }

  call(method: string, args: readonly unknown[], terms: CallTerms): unknown {
    return this.core.call(method, args, terms, this);
  }
}

/** A session, and its calls. */
interface Parts {
  readonly caller: SessionCaller;
  readonly remote: object;
}

/**
 * A worker that this program holds: it runs the calls of the session, one at a time, in the order in which
 * they were made, and no others.
 *
 * - The arguments of a call are those at the time when it was made.
 * - A call that returns a stream occupies the session until the stream has ended or was left.
 * - If a call fails, the calls that wait behind it reject with `CANCELLED`, whose `cause` is the first error.
 *   Calls that are made after the error run, so that a program can roll back.
 * - If the worker dies, calls reject with `SERVER_DIED`, whose `cause` is a {@linkcode WorkerExit}; so do all
 *   later ones.
 *
 * `await using` gives the worker back, when the calls in progress have ended. So does the end of this process,
 * however it ends, and forgetting the session. After an error the pool replaces the worker, unless the
 * session's `afterError` is `"keep"`.
 */
export class Session<Api extends object> implements AsyncDisposable {
  /** The interface of the worker. */
  readonly call: Remote<Api>;
  /** The worker. */
  readonly worker: SessionWorker;
  readonly #caller: SessionCaller;

  private constructor({ caller, remote }: Parts) {
    if (!(caller instanceof SessionCaller)) throw notConstructible("Session", "pool.checkout()");
    this.#caller = caller;
    this.worker = caller.core.worker;
    this.call = remote as Remote<Api>;
  }

  /**
   * Ends the session at once. The call in progress and all further calls reject with `error`, and the pool
   * replaces the worker. Has no effect on a session that has ended.
   *
   * @param error default: a {@linkcode TandemError} with the code `CANCELLED`
   */
  abort(error?: unknown): void {
    this.#caller.core.abort(error);
  }

  /**
   * Gives the worker back to the pool when the calls that were made have ended. A stream among them is left
   * if its reader asks for nothing for as long as the session's `timeout`. You may call it twice.
   *
   * @returns resolves when the worker is free again, or is being replaced; never rejects
   */
  close(): Promise<void> {
    return this.#caller.core.close();
  }

  /** Does what {@linkcode close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const SessionMaker = Session as unknown as Maker<Parts, Session<object>>;

/**
 * Takes a worker out of a pool: see {@linkcode Pool.checkout}.
 *
 * @throws {TandemError} `TIMEOUT`, `BUSY`, `CLOSED` and others
 * @throws {TypeError} {RangeError} for wrong options
 */
export async function checkOut<Api extends object>(
  home: SessionHome,
  options: SessionOptions = {},
): Promise<Session<Api>> {
  const terms = parseSessionOptions(options, home.timeout);
  const core = new SessionCore(home, terms, await hold(home, terms));
  const caller = new SessionCaller(core);
  const { connection } = home;
  const { timeout } = terms;
  const { target } = connection;
  const remote = remoteThrough({ target, connection, options: { timeout }, caller });
  return new SessionMaker({ caller, remote }) as object as Session<Api>;
}

async function hold(home: SessionHome, terms: SessionTerms): Promise<Held> {
  const deadline = now() + terms.timeout;
  for (let attempt = 1;; attempt++) {
    try {
      return await holdOne(home, terms, Math.max(0, deadline - now()));
    } catch (error) {
      // The reason of a signal is the program's own.
      if (terms.signal?.aborted) throw error;
      const code = codeOf(error);
      // Another worker can do it: nothing has begun yet.
      if (code === "SERVER_DIED" && attempt < attemptsMax && now() < deadline) continue;
      const isFull = code === "TIMEOUT" || code === "BUSY";
      if (!isFull) throw error;
      throw notCheckedOut(error as TandemError, home.connection.target, terms.timeout);
    }
  }
}

async function holdOne(home: SessionHome, terms: SessionTerms, timeout: number): Promise<Held> {
  const id = crypto.randomUUID();
  const { maxHold, name, afterError, signal, onLog } = terms;
  const callTerms = parseCallOptions({ timeout, whenFull: "fail", ...(signal && { signal }) });
  const logs = onLog ? await LogTap.open(home, id, onLog) : null;
  const held: HeldTerms = { maxHold, name, afterError };
  const stream = home.call(reserved.checkout, [id, held], callTerms);
  try {
    const worker = workerIn(await stream.next(), name);
    return { id, worker, hold: stream, logs, ...placeOf(home, worker, name) };
  } catch (error) {
    logs?.stop();
    stream.return(undefined).catch(() => {});
    throw error;
  }
}

function workerIn(
  { done, value }: IteratorResult<unknown>,
  name: string | undefined,
): SessionWorker {
  const { number, pid } = Object(value) as Partial<SessionWorker>;
  if (typeof number === "number" && typeof pid === "number") return { number, pid };
  if (!done) throw corrupt("a worker does not say which one it is");
  throw new TandemError(
    "SERVER_DIED",
    `Cannot begin ${titleOf(name)}: its worker has ended; check out another one`,
  );
}

function placeOf(
  { connection }: SessionHome,
  worker: SessionWorker,
  name: string | undefined,
): Pick<Held, "lines" | "isThere"> {
  const { main } = connection.lines;
  const receivers = () => main.openNow()?.requester.listReceivers() ?? [];
  const found = receivers().find(({ pid }) => pid === worker.pid);
  if (!found) throw workerDied(titleOf(name), worker);
  const addressee = addresseeOf(found);
  const isThere = () => {
    try {
      return addressee.find(receivers()) !== undefined;
    } catch {
      return false;
    }
  };
  return { lines: new InstanceLines(main, addressee), isThere };
}
