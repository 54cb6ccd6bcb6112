/**
 * What the processes of this benchmark say to each other.
 *
 * @module
 */

/** How a process waits: its thread blocked, or its event loop free. */
export type Form = "blocking" | "promise";

/** What becomes of the request of a server that died. */
export type Outcome = "error" | "redelivery";

/** A server to the parent. */
export interface Holding {
  /** The server's process: it has taken the request and will not answer. */
  readonly holder: number;
}

/** The client to the parent. */
export interface Ended {
  /** When the call ended, by the machine's clock. */
  readonly at: number;
  readonly outcome: Outcome;
}
