/**
 * What a door and its Worker tell each other.
 *
 * @module
 */
import type { ErrorCode } from "../errors.ts";
import type { FrontendTerms } from "./options.ts";

/** What the Worker gets when it starts. */
export interface DoorAssignment {
  readonly terms: FrontendTerms;
  /** The channel: its target, or a descriptor. */
  readonly target: string | number;
  /** The context of libzmq, which all threads share. */
  readonly context: bigint;
  readonly counters: SharedArrayBuffer;
  /** How long one wait in native code may take at most, in milliseconds; -1: for ever. */
  readonly waitMax: number;
}

/** What the Worker says. */
export type DoorReport =
  | { readonly kind: "bound"; readonly endpoint: string }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: "ended" }
  /** After `failed` or `ended`: the context has ended, and so has everything. */
  | { readonly kind: "left" };

/** Where a door tells its Worker to end: the milliseconds that calls in flight may still take, as a text. */
export const controlEndpoint = "inproc://tandem-door-control";
