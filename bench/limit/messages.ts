/**
 * The messages between the processes of this benchmark.
 *
 * @module
 */

/** Whether a process waits with a blocked thread or a free event loop. */
export type Form = "blocking" | "promise";

/** From a process that has got the lock to the parent. */
export interface Acquired {
  /** When, on the machine's clock. */
  readonly at: number;
}
