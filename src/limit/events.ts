/**
 * What happens to a limit's object.
 *
 * @module
 */
import type { Lock } from "./lock.ts";

/**
 * What happened to a {@linkcode Limit} object: `"standby"`: it has begun to wait; `"acquired"`: it has got a
 * lock; `"lost"`: its lock was stolen, its lease is over, or the limit's file is gone; `"released"`: it has given its lock back.
 */
export type LimitChangeKind = "standby" | "acquired" | "lost" | "released";

/** An event of a {@linkcode Limit} object. */
export interface LimitChange {
  /** What happened. */
  readonly kind: LimitChangeKind;
  /** The lock that was acquired, lost or released; null for `"standby"`. */
  readonly lock: Lock | null;
}
