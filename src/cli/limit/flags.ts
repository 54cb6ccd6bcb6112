/**
 * What `tandem limit` can be told.
 *
 * @module
 */
import type { LimitOrder } from "@tandem/ipc/limit";

/** The flags of the command. */
export interface LimitFlags {
  readonly max: number;
  readonly standby?: number;
  readonly wait?: boolean;
  readonly timeout?: number;
  readonly order?: LimitOrder;
  readonly shared?: boolean;
  readonly close?: boolean;
  readonly skipOk?: boolean;
}
