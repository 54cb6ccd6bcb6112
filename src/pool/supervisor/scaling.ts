/**
 * How many workers a pool starts or stops. Pure: what is to be done follows from what was seen.
 *
 * @module
 */

/** What a supervisor sees when it looks at its pool. */
export interface PoolView {
  readonly min: number;
  readonly max: number;
  readonly minSpare: number;
  readonly maxSpare: number;
  /** Calls that a worker handles at once. */
  readonly concurrency: number;
  /** Calls that wait for a worker. */
  readonly queued: number;
  /** Calls waited when the supervisor looked before, too: it was no burst that idle workers had not seen yet. */
  readonly wasQueued: boolean;
  readonly starting: number;
  readonly busy: number;
  /** For each idle worker, how long it has been so, in milliseconds. */
  readonly idle: readonly number[];
  /** Milliseconds since the last worker started. */
  readonly sinceStart: number;
  readonly idleTimeout: number;
  readonly minTtl: number;
}

/** What the supervisor does. */
export interface ScalingStep {
  /** Workers to start. */
  readonly start: number;
  /** Idle workers to stop: indexes in `idle`. */
  readonly stop: readonly number[];
}

/**
 * Grows by several workers at once when calls wait, and shrinks when workers have had nothing to do for a while.
 * The rules for spare workers, and the pause before the pool shrinks, are those of pre-forking servers.
 */
export function scalingStep(view: PoolView): ScalingStep {
  const start = workersToStart(view);
  return { start, stop: start > 0 ? [] : workersToStop(view) };
}

function workersToStart(view: PoolView): number {
  const { min, max, minSpare, concurrency, queued, wasQueued, starting, busy, idle } = view;
  const living = starting + busy + idle.length;
  const forQueue = queued > 0 && wasQueued && idle.length === 0
    ? Math.ceil(queued / concurrency) - starting
    : 0;
  const forSpare = minSpare - idle.length - starting;
  const wanted = Math.max(min - living, forQueue, forSpare, 0);
  return Math.max(0, Math.min(wanted, max - living));
}

function workersToStop(view: PoolView): number[] {
  const { min, max, minSpare, maxSpare, starting, busy, idle, idleTimeout, minTtl } = view;
  const living = starting + busy + idle.length;
  const surplus = living - max;
  const byIdleness = idle.map((_, index) => index).sort((a, b) => idle[b]! - idle[a]!);
  // A pool that was made smaller does not wait.
  if (surplus > 0) return byIdleness.slice(0, surplus);
  // One that seems idle is about to take one of the calls that wait.
  if (view.queued > 0 || view.sinceStart < minTtl) return [];
  const removable = Math.min(living - min, idle.length - minSpare);
  if (removable <= 0) return [];
  const overSpare = Math.max(0, idle.length - maxSpare);
  const unused = byIdleness.filter((index) => idle[index]! >= idleTimeout).length;
  return byIdleness.slice(0, Math.min(removable, Math.max(overSpare, unused)));
}
