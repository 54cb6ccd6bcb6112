/**
 * What a supervisor and its workers tell each other. Each side posts messages on a channel of its own, since a
 * posted message outlives its sender: see `post.ts`. The first order, posted before the process starts, is the
 * worker's {@linkcode Assignment}: no permission of a runtime is needed to read it, as for the environment.
 *
 * The runtime runs the worker file itself, and before it `bootstrap.ts`, which {@linkcode preloadFlags} name. In this
 * way Deno needs no permission to read the file, and the program sees its own arguments, name and `import.meta.main`.
 *
 * @module
 */
import type { RuntimeName } from "../../runtime/names.ts";
import type { LogRecord } from "../types.ts";

/** Flags with which a runtime runs a file before the worker file; `bootstrap` is a path, or in Deno a URL. */
export function preloadFlags(runtime: RuntimeName, bootstrap: string): readonly string[] {
  return [`${runtime === "node" ? "--import" : "--preload"}=${bootstrap}`];
}

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
  /** It has begun with a call after {@linkcode stirAfter} without calls, so the supervisor looks at the queue again. */
  | { readonly kind: "stirred" }
  /** It takes no more calls until it is told to: it has ended `maxCalls`, or a call after which it is replaced. */
  | { readonly kind: "spent"; readonly reason: "calls" | "error" | "session" }
  /** It has begun with the last but one of its calls: its successor may start. */
  | { readonly kind: "aging" }
  /** Its oldest `held` state: a session holds it, or no more. */
  | { readonly kind: "held"; readonly session: string | null }
  /** An error that no code has caught ends the worker at once. */
  | { readonly kind: "uncaught"; readonly error: unknown };

/** What a supervisor orders. */
export type Order =
  /** The first order, which the worker takes when it starts. */
  | { readonly kind: "begin"; readonly assignment: Assignment }
  /** Take no more calls, finish those in progress, run `exit`, and end with code 0. */
  | { readonly kind: "retire" }
  /** Take calls again, although you are spent: there is no successor. */
  | { readonly kind: "goOn" }
  /** How long a successful call takes on average in the pool, in milliseconds. */
  | { readonly kind: "pace"; readonly milliseconds: number };

/**
 * After so many milliseconds without a call, a worker reports that it has begun with one. Not after each pause: a
 * report takes longer than a short call.
 */
export const stirAfter = 50;

/** Names of methods that the package offers in each worker, beside those of its interface. */
export const reserved = {
  checkout: "tandem:checkout",
  checkin: "tandem:checkin",
} as const;

export const reservedNames: ReadonlySet<string> = new Set(Object.values(reserved));

/** A method that the package offers to callers on other machines: it calls a method in every worker of the pool. */
export const everyWorker = "tandem:everywhere";
