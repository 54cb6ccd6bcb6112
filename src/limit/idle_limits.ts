/**
 * The limits of requests for locks. Each request needs one of its own while it waits and holds. Opening one takes many
 * system calls, so a few stay open between requests.
 *
 * No timer closes them, because test runners report timers that outlive a test. The next request closes those that
 * have been idle for long; a program that requests nothing more keeps a few.
 *
 * @module
 */
import { now } from "../runtime/timers.ts";
import { Limit } from "./limit.ts";

/** How many stay open, of all locks together and of one. */
const idleMax = 16;
const idleOfOneLockMax = 4;
/** For how many milliseconds at least. */
const idleTime = 10_000;

/** A limit that a request uses. */
export interface OpenLimit {
  readonly limit: Limit;
  readonly target: string;
  readonly max: number;
}

interface IdleLimit extends OpenLimit {
  readonly since: number;
}

/** The one that has been idle for longest comes first. */
const idle: IdleLimit[] = [];

/**
 * A limit for one request.
 *
 * @throws what `new Limit` throws
 */
export function takeLimit(target: string, max: number): OpenLimit {
  const found = idle.findLastIndex((open) => open.target === target && open.max === max);
  if (found >= 0) return idle.splice(found, 1)[0]!;
  // Of two limits of one process, the one that leaves first makes room for the other.
  closeOld();
  return { limit: new Limit(target, { max, order: "oldest" }), target, max };
}

/** Takes back a limit that holds no lock, has never waited, and so has nothing in the event loop. */
export function returnLimit({ limit, target, max }: OpenLimit): void {
  idle.push({ limit, target, max, since: now() });
  closeOld();
  const ofThisLock = idle.filter((open) => open.target === target);
  if (ofThisLock.length > idleOfOneLockMax) close(ofThisLock[0]!);
  if (idle.length > idleMax) close(idle[0]!);
}

function closeOld(): void {
  const limit = now() - idleTime;
  while (idle.length > 0 && idle[0]!.since < limit) close(idle[0]!);
}

function close(open: IdleLimit): void {
  idle.splice(idle.indexOf(open), 1);
  open.limit.close();
}
