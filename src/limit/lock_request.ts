/**
 * One request for a lock, from its place in the queue to the end of its callback.
 *
 * @module
 */
import { reasonOf } from "../base/abort.ts";
import { describe } from "../base/checks.ts";
import { TandemError } from "../errors.ts";
import { type OpenLimit, returnLimit, takeLimit } from "./idle_limits.ts";
import type { Lock } from "./lock.ts";
import { Holding } from "./lock_holding.ts";
import { targetOf } from "./lock_names.ts";
import { type LockOrder, readOrder } from "./lock_options.ts";
import type { AcquireOptions } from "./types.ts";

/** Joins the queue before it returns, so that requests are served in the order of the calls. */
export async function runRequest(args: readonly unknown[]): Promise<unknown> {
  const order = readOrder(args);
  const { name, callback, ifAvailable, mode, signal, steal, timeout } = order;
  if (signal?.aborted) throw reasonOf(signal);
  const open = takeLimit(targetOf(name), order.max);
  let lock: Lock | null = null;
  let hasWaited = false;
  try {
    if (!steal) lock = open.limit.tryAcquire({ mode });
    if (lock === null && !ifAvailable) {
      hasWaited = true;
      lock = await open.limit.acquire(acquireOptions(order));
      if (lock === null) throw timedOut(name, timeout);
    } else {
      // As in the specification, no callback runs within `request`.
      await undefined;
    }
    if (signal?.aborted) throw reasonOf(signal);
  } catch (error) {
    open.limit.close();
    throw error;
  }
  if (lock === null) {
    returnLimit(open);
    return callback(null);
  }
  return new Holding(name, lock, (hasListened) => give(open, hasWaited || hasListened)).run(
    callback,
  );
}

function acquireOptions({ mode, steal, signal, timeout }: LockOrder): AcquireOptions {
  return { mode, steal, timeout, ...(signal ? { signal } : {}) };
}

/** A limit that has waited has a bell in the event loop, which test runners would report. */
function give(open: OpenLimit, hasWaited: boolean): void {
  if (hasWaited) open.limit.close();
  else returnLimit(open);
}

function timedOut(name: string, timeout: number): TandemError {
  return new TandemError(
    "TIMEOUT",
    `Cannot get lock ${describe(name)}: it was not free within ${timeout} ms; ` +
      "wait longer, or find out who holds it with locks.query()",
  );
}
