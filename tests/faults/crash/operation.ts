/**
 * The parts of a table of operations.
 *
 * @module
 */
import type { Actor } from "./actor.ts";
import type { Scene } from "./scene.ts";

/** An operation in which a process can be killed. */
export interface Operation {
  readonly name: string;
  /**
   * The state of the channel before:
   *
   * - `kept`: survivors are on it, and others have died on it before (the default)
   * - `fresh`: survivors are on it, and no other participant ever was
   * - `absent`: there is none
   */
  readonly channel?: "kept" | "fresh" | "absent";
  /** The survivors take part; otherwise they are stopped in their sleep while the victim works. */
  readonly isJoint?: boolean;
  /** Sets the stage and returns the victim. */
  prepare(scene: Scene): Promise<Actor>;
  /** Commands in which the victim is killed, and the result of each if it is not. */
  readonly steps: readonly (readonly [command: string, ...results: readonly number[]])[];
  /** The steps before the survivors are checked; default: they go on. */
  after?(scene: Scene): Promise<void>;
  /**
   * Posted requests that servers get in the end. A request that the victim posts is delivered from
   * some point on, a request that it holds until some point. There is exactly one such point, because
   * a step is never undone.
   */
  readonly posted?: number | "from some point" | "until some point";
}

/** Statuses of the library that operations end with. */
export const status = { timeout: -1, busy: -2 } as const;

/** Sent, with or without a ring. */
export const sent: readonly number[] = [1, 2];
