/**
 * Takes workers out of a pool.
 *
 * @module
 */
import { codeOf } from "../../base/guard.ts";
import type { Maker } from "../../base/maker.ts";
import { corrupt } from "../../codec/reader.ts";
import { TandemError } from "../../errors.ts";
import { addresseeOf, InstanceLines } from "../../rpc/instance_lines.ts";
import { remoteThrough } from "../../rpc/remote.ts";
import { parseCallOptions } from "../../rpc/terms.ts";
import { now, wallClock } from "../../runtime/timers.ts";
import { reserved } from "../link/control.ts";
import type { SessionOptions } from "../options.ts";
import type { SessionWorker } from "../types.ts";
import { LogTap } from "./log_tap.ts";
import { Session } from "./session.ts";
import { SessionCaller, type SessionParts } from "./session_caller.ts";
import { type Held, SessionCore } from "./session_core.ts";
import { notCheckedOut, titleOf, workerDied } from "./session_errors.ts";
import type { SessionHome } from "./session_home.ts";
import { type HeldTerms, parseSessionOptions, type SessionTerms } from "./session_terms.ts";

/** How many workers, one after another, may die while they are being checked out. */
const attemptsMax = 3;

const SessionMaker = Session as unknown as Maker<SessionParts, Session<object>>;

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
  const askedAt = now();
  const stream = home.call(reserved.checkout, [id, held], callTerms);
  try {
    const step = await stream.next();
    const worker = workerIn(step, name);
    const beganAt = now() - ageOf(step.value, askedAt);
    return { id, worker, beganAt, hold: stream, logs, ...placeOf(home, worker, name) };
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

/** How long ago the worker began to count the hold. This process may have stood still since. */
function ageOf(value: unknown, askedAt: number): number {
  const { since } = Object(value) as { readonly since?: unknown };
  if (typeof since !== "number" || !Number.isFinite(since)) return 0;
  // Somebody may set the clock meanwhile.
  return Math.min(Math.max(0, wallClock() - since), now() - askedAt);
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
