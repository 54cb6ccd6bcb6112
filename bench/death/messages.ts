/**
 * The messages between the processes of this benchmark.
 *
 * @module
 */

/** Whether a process waits with a blocked thread or a free event loop. */
export type Form = "blocking" | "promise";

/** The outcome of a request whose server died. */
export type Outcome = "error" | "redelivery";

/** From a server to the parent. */
export interface Holding {
  /** The process id of the server that has taken the request and does not answer. */
  readonly holder: number;
}

/** From the client to the parent. */
export interface Ended {
  /** The end of the call on the machine's clock. */
  readonly at: number;
  readonly outcome: Outcome;
}
