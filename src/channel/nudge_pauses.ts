/**
 * A server that was rung may be stopped before it takes the request: after a pause, another sleeper is woken.
 *
 * @module
 */

const pauses: readonly number[] = [5, 10, 20, 50];

/**
 * The pause before another sleeper is woken, in milliseconds.
 *
 * @param woken how many were woken in vain since the ring
 */
export function pauseBeforeNudge(woken: number): number {
  return pauses[Math.min(woken, pauses.length - 1)]!;
}
