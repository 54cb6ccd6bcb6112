/**
 * What carries the registry from node to node: each node has one board, which the others read.
 *
 * @module
 */

import type { Entry } from "./entry.ts";
import type { NodeIdentity } from "./seam.ts";

/** Entries by their places (`placeOf`); null: none is there any more. */
export type EntryChanges = ReadonlyMap<string, Entry | null>;

/** A board of another node is new, has changed, or is gone. */
export type BoardChange = WholeBoard | ChangedBoard;

export interface WholeBoard {
  /** The board. The name is never used for another one. */
  readonly board: string;
  /** What is on it now; anything may be. Valid until the next look. Null: it is gone, as its node is. */
  readonly bytes: Uint8Array | null;
}

/** What carries boards has read it. */
export interface ChangedBoard {
  readonly board: string;
  readonly identity: NodeIdentity;
  /** What has changed since the last look. */
  readonly entries: EntryChanges;
  /** Nothing else is on the board. */
  readonly isWhole: boolean;
}

/** A node that has joined has a board without entries already. */
export interface Boards {
  /** The longest content. */
  readonly maxBytes: number;
  /**
   * Replaces the content of this node's board. Copies the bytes before it returns; whoever looks from now on
   * sees them.
   *
   * @param change what differs from the content before; undefined: it is not known
   */
  publish(bytes: Uint8Array, change?: EntryChanges): void;
  /**
   * Runs `publish` whenever messages of this node are about to go to others: who gets them finds on the board what this
   * node has changed before it sent them. Called once.
   *
   * @param publish publishes what has changed, if anything; never throws
   */
  beforeMessages(publish: () => void): void;
  /** The others' boards that are new, have changed or are gone since the last look. */
  changes(): Iterable<BoardChange>;
  /**
   * Runs `listener` when there may be changes, in a turn of its own. Does not keep the process alive. Costs
   * nothing while nobody listens.
   */
  onChange(listener: () => void): Disposable;
}
