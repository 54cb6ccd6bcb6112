/**
 * What a supervisor and its workers tell each other. A worker gets its assignment in its environment; then each
 * side posts messages on a channel of its own, since a posted message outlives its sender.
 *
 * @module
 */
import type { LogRecord } from "./types.ts";

/** The variable of the environment that has the {@linkcode Assignment} of a worker, as JSON. */
export const assignmentVariable = "TANDEM_WORKER";

/** The descriptors that a worker inherits. */
export const descriptors = {
  /** Standard input: a pipe that hangs up when the supervisor is gone, however it ended. */
  lifeline: 0,
  /** An anonymous channel on which the worker posts {@linkcode Report}s. */
  reports: 3,
  /** An anonymous channel on which the supervisor posts {@linkcode Order}s. */
  orders: 4,
  /** The worker's record: its calls in progress, in memory that both share. See native/worker/. */
  record: 5,
  /** The channel of a pool that has no target. */
  channel: 6,
} as const;

/** What a worker has to know. */
export interface Assignment {
  /** The worker's number in its pool, from 1. */
  readonly number: number;
  /** The name of the pool, for titles. */
  readonly pool: string;
  /** The path of the pool's channel; null: the worker inherits it ({@linkcode descriptors}). */
  readonly path: string | null;
  /** The address of the worker file: a `file:` URL, or in Deno any other. */
  readonly file: string;
  /** As in PoolOptions; infinite times are null. */
  readonly concurrency: number;
  readonly abortGrace: number;
  readonly hungTimeout: number | null;
  readonly maxCalls: number | null;
  readonly idempotent: boolean | readonly string[];
  readonly afterError: "keep" | "replace";
}

/** An error that ended the start of a worker, as it travels. */
export interface StartFailure {
  readonly during: "import" | "setup";
  readonly error: unknown;
}

/** A log record as the worker posts it: the supervisor knows who sent it. */
export type SentRecord = Omit<LogRecord, "worker"> & {
  /** The session in which it was logged; null: in none. */
  readonly session: string | null;
};

/** What a worker reports. */
export type Report =
  /** It takes calls. The record names a method by its index in `methods`. */
  | { readonly kind: "ready"; readonly methods: readonly string[] }
  | { readonly kind: "failed"; readonly failure: StartFailure }
  | { readonly kind: "log"; readonly records: readonly SentRecord[] }
  /** It has begun with a call after a time without calls, so the supervisor looks at the queue again. */
  | { readonly kind: "stirred" }
  /** It takes no more calls until it is told to: it has ended `maxCalls`, or a call after which it is replaced. */
  | { readonly kind: "spent"; readonly reason: "calls" | "error" | "session" }
  /** It has begun with the last but one of its calls: its successor may start. */
  | { readonly kind: "aging" }
  /** Its oldest `held` state: a session holds it, or no more. */
  | { readonly kind: "held"; readonly session: string | null }
  /** The code of the worker has called process.exit() or has thrown; the worker ends at once. */
  | { readonly kind: "uncaught"; readonly error: unknown };

/** What a supervisor orders. */
export type Order =
  /** Take no more calls, finish those in progress, run `exit`, and end with code 0. */
  | { readonly kind: "retire" }
  /** Take calls again, although you are spent: there is no successor. */
  | { readonly kind: "goOn" }
  /** How long a successful call takes on average in the pool, in milliseconds. */
  | { readonly kind: "pace"; readonly milliseconds: number };

/** Names of methods that the package offers in each worker, beside those of its interface. */
export const reserved = {
  checkout: "tandem:checkout",
  checkin: "tandem:checkin",
} as const;
