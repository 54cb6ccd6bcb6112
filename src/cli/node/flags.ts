/**
 * What the commands of `tandem node` can be told.
 *
 * @module
 */
import type { LogLevel } from "@tandem/ipc/pool";
import type { LogForm } from "../log_lines.ts";

/** What all of them can be told. */
export interface GroupFlags {
  readonly group: string;
}

/** Those that take part as a node, for a moment. */
export interface GuestFlags extends GroupFlags {
  readonly trace?: boolean;
}

/** Those that need a port. */
export interface PortFlags extends GuestFlags {
  readonly family?: string;
  readonly key?: string;
  readonly timeout: number;
}

/** The flags of `tandem node ls`. */
export interface ListFlags extends GuestFlags {
  readonly timeout: number;
  readonly json?: boolean;
}

/** The flags of `tandem node monitor`. */
export interface MonitorFlags extends PortFlags {
  readonly json?: boolean;
}

/** The flags of `tandem node registry`. */
export interface RegistryFlags extends GuestFlags {
  readonly watch?: boolean;
  readonly json?: boolean;
}

/** What shows lines of a log. */
export interface LogFlags {
  readonly log: LogForm;
  readonly logLevel?: LogLevel;
}

/** The flags of `tandem node logs`. */
export interface FollowFlags extends GuestFlags, LogFlags {
  readonly lines: number;
}

/** When a service starts again. */
export const restartRules = ["always", "on-failure", "never"] as const;

/** A rule for when a service starts again. */
export type RestartRule = typeof restartRules[number];

/** The flags of `tandem node run`. */
export interface RunFlags extends GuestFlags, LogFlags {
  readonly service: readonly string[];
  readonly name?: readonly string[];
  readonly restart: RestartRule;
  readonly stopTimeout: number;
}

/** The flags of the process of one service, which `tandem node run` starts. */
export interface HostFlags extends GuestFlags {
  readonly name: string;
  readonly runner: string;
}
