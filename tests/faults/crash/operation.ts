/**
 * What a table of operations consists of.
 *
 * @module
 */
import type { Actor } from "./actor.ts";
import type { Scene } from "./scene.ts";

/** Something that a process can be killed in. */
export interface Operation {
  readonly name: string;
  /**
   * What the channel is like before:
   *
   * - `kept`: the living are on it, and others have died on it before (the default)
   * - `fresh`: the living are on it, and nobody else ever was
   * - `absent`: there is none
   */
  readonly channel?: "kept" | "fresh" | "absent";
  /** The living take part; otherwise they are stopped in their sleep while the victim works. */
  readonly isJoint?: boolean;
  /** Sets the stage and returns the victim. */
  prepare(scene: Scene): Promise<Actor>;
  /** Commands of the victim in which it is killed, and what each gives if it is not. */
  readonly steps: readonly (readonly [command: string, ...results: readonly number[]])[];
  /** What is done before the living are asked whether all is well; default: they go on. */
  after?(scene: Scene): Promise<void>;
  /**
   * Posted requests that servers are handed in the end. One that the victim posts is handed out from
   * some point on, one that it holds until some point: exactly one point, since what is done is done.
   */
  readonly posted?: number | "from some point" | "until some point";
}

/** Statuses of the library that operations end with. */
export const status = { timeout: -1, busy: -2 } as const;

/** Sent, and somebody was rung for it or not. */
export const sent: readonly number[] = [1, 2];
