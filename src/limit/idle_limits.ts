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

/** A limit that one request uses at a time. */
export class OpenLimit {
  readonly target: string;
  readonly max: number;
  readonly limit: Limit;
  /** When it became idle, in the time of `performance.now()`. */
  since = 0;

  constructor(target: string, max: number) {
    this.target = target;
    this.max = max;
    this.limit = new Limit(target, { max, order: "oldest" });
  }
}

/** The one that has been idle for longest comes first. */
const idle: OpenLimit[] = [];

/**
 * A limit for one request.
 *
 * @throws what `new Limit` throws
 */
export function takeLimit(target: string, max: number): OpenLimit {
  for (let at = idle.length - 1; at >= 0; at--) {
    const open = idle[at]!;
    if (open.target !== target || open.max !== max) continue;
    if (at === idle.length - 1) idle.pop();
    else idle.splice(at, 1);
    return open;
  }
  closeOld();
  return new OpenLimit(target, max);
}

/** Takes back a limit that holds no lock, has never waited, and so has nothing in the event loop. */
export function returnLimit(open: OpenLimit): void {
  open.since = now();
  idle.push(open);
  if (idle.length === 1) return;
  closeOld();
  const ofThisLock = idle.filter(({ target }) => target === open.target);
  if (ofThisLock.length > idleOfOneLockMax) close(ofThisLock[0]!);
  if (idle.length > idleMax) close(idle[0]!);
}

function closeOld(): void {
  const limit = now() - idleTime;
  while (idle.length > 0 && idle[0]!.since < limit) close(idle[0]!);
}

function close(open: OpenLimit): void {
  idle.splice(idle.indexOf(open), 1);
  open.limit.close();
}
