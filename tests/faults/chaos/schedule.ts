/**
 * The schedule of faults: drawn from the seed and counted in calls, so that a slow machine sees the same
 * ones as a quick one.
 *
 * @module
 */
import type { Random } from "./random.ts";

export type Fault =
  /** SIGKILL of that many processes at once. */
  | { readonly kind: "kill"; readonly count: number }
  | { readonly kind: "stop"; readonly milliseconds: number }
  | { readonly kind: "terminate" }
  | { readonly kind: "join" }
  | { readonly kind: "leave" };

export interface Due {
  readonly calls: number;
  readonly fault: Fault;
}

/** The number of other faults for each kill. */
const shares = { stop: 1.5, terminate: 0.5, join: 0.25, leave: 0.25 };

/** Faults in the order of the calls at which they are due; the kills together are `kills`. */
export function draw(random: Random, calls: number, kills: number): Due[] {
  const schedule: Due[] = [];
  const add = (fault: Fault) => schedule.push({ calls: random.between(1, calls), fault });
  for (let left = kills; left > 0;) {
    const count = Math.min(left, random.weighted([[1, 85], [2, 10], [4, 5]]));
    add({ kind: "kill", count });
    left -= count;
  }
  const times = (share: number) => Math.ceil(kills * share);
  for (let left = times(shares.stop); left > 0; left--) {
    add({ kind: "stop", milliseconds: random.skewed(5, 1_500) });
  }
  for (let left = times(shares.terminate); left > 0; left--) add({ kind: "terminate" });
  for (let left = times(shares.join); left > 0; left--) add({ kind: "join" });
  for (let left = times(shares.leave); left > 0; left--) add({ kind: "leave" });
  return schedule.sort((a, b) => a.calls - b.calls);
}
