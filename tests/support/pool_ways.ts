/**
 * The ways to a pool: its own process calls it, or another machine does through NATS. Tests of what callers see run on
 * each; `nats_cannot.ts` says which cannot, and why.
 *
 * @module
 */
import type { Everywhere, Remote } from "../../mod.ts";
import { Pool, type PoolOptions } from "../../src/pool/main.ts";
import type { Api as WorkerApi } from "../fixtures/pool/worker.ts";
import { atEnd, newTarget, test } from "./harness.ts";
import { hasNats, newNatsTarget } from "./nats.ts";
import { startPool } from "./pool.ts";

/** A pool, and the calls of the one that uses it. */
export interface Reached<A extends object> {
  readonly pool: Pool<A>;
  readonly remote: Remote<A>;
  readonly everywhere: Everywhere<Remote<A>>;
}

export interface PoolWay {
  /** A target that does not exist yet. */
  newTarget(): string;
  start<A extends object = WorkerApi>(options?: PoolOptions, file?: URL): Reached<A>;
  /** A pool of exactly so many workers, which are ready. */
  ready(workers: number, options?: PoolOptions): Promise<Reached<WorkerApi>>;
}

function startNear<A extends object>(options: PoolOptions = {}, file?: URL): Reached<A> {
  const pool = startPool<A>(options, file);
  return { pool, remote: pool.call, everywhere: pool.everywhere };
}

function startFar<A extends object>(options: PoolOptions = {}, file?: URL): Reached<A> {
  const { target = newNatsTarget(), timeout = 30_000 } = options;
  const pool = startPool<A>({ ...options, target }, file);
  const attached = Pool.attach<A>(target, { timeout });
  // deno-lint-ignore require-await -- an end of a test is a promise
  atEnd(async () => attached.close());
  return { pool, remote: attached.call, everywhere: attached.everywhere };
}

function wayOf(
  newTarget: () => string,
  start: <A extends object>(options?: PoolOptions, file?: URL) => Reached<A>,
): PoolWay {
  const ready = async (workers: number, options: PoolOptions = {}) => {
    const reached = start<WorkerApi>({ min: workers, max: workers, ...options });
    await reached.pool.ready;
    return reached;
  };
  return { newTarget, start, ready };
}

/** Its own process calls it. */
export const near: PoolWay = wayOf(newTarget, startNear);
const far = wayOf(newNatsTarget, startFar);

/** Registers a test for calls of the pool's own process. */
export function nearTest(name: string, body: (way: PoolWay) => Promise<void>): void {
  test(name, () => body(near));
}

/** Registers a test for each way. */
export function poolTest(name: string, body: (way: PoolWay) => Promise<void>): void {
  nearTest(name, body);
  if (hasNats) test(`NATS: ${name}`, () => body(far));
}
