/**
 * What players and their conductor tell each other.
 *
 * @module
 */

/**
 * How a crowd contends: all alike; while the number of places changes; the newest first; or while some steal, which
 * makes two holders of one place for a while, of which one has lost it.
 */
export type Play = "plain" | "resized" | "newest" | "stolen";

/** What a player has seen since it has last said so. */
export interface Report {
  readonly grants: number;
  readonly refusals: number;
  /** Until a grant, in milliseconds. */
  readonly longestWait: number;
  readonly faults: readonly string[];
}
