/** What a player has seen since it has last said so. */
export interface Report {
  readonly grants: number;
  readonly refusals: number;
  /** Until a grant, in milliseconds. */
  readonly longestWait: number;
  readonly faults: readonly string[];
}
