/**
 * The lines on which calls travel, as the parts see them that make, send and answer calls.
 *
 * @module
 */
import type { TandemError } from "../errors.ts";
import type { Requester } from "../transport/transport.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Presence } from "./presence.ts";

/** A target that is open, or the private path of one of its services. */
export interface Line {
  readonly requester: Requester;
  /** Keeps the streams and long messages of calls on either. */
  readonly endpoint: Endpoint;
  /** The paths to single services of the target. */
  readonly paths: Paths;
  readonly presence: Presence;
}

/** The paths to single services, kept until they are closed: see {@linkcode PrivatePaths}. */
export interface Paths {
  /** A line to the service whose private path has that name; null: it has none yet, or is gone. */
  open(name: string): Line | null;
  /** Whether the line is open. */
  has(line: Line): boolean;
  /** Closes the paths to services that are gone. */
  keep(names: ReadonlySet<string>): void;
  /** Closes a path. Its calls end with `CLOSED`. */
  close(line: Line): void;
  closeAll(): void;
}

/** Where the calls of a connection go: see {@linkcode LineKeeper}. */
export interface Lines {
  readonly target: string;
  /** The lines to any service of the target. */
  readonly main: Lines;
  /** Aborts when the connection is closed. */
  readonly closing: AbortSignal;
  /** See {@linkcode Transport.isRemote}. */
  readonly isRemote?: boolean;
  openNow(): Line | null;
  whenOpen(deadline: number, signal: AbortSignal | undefined): Promise<Line>;
  hangUp(line: Line): void;
  explain(error: unknown): unknown;
  /**
   * Adds to the error of a call what it takes time to find out. Never rejects; undefined: there is nothing to add.
   *
   * @param deadline of the call, in the time of `performance.now()`
   */
  complete?(error: unknown, deadline: number): Promise<unknown> | undefined;
  /** The error of a call that no service was there for. */
  notServed(): TandemError;
  close(): void;
}
