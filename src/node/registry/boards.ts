/**
 * What carries the registry from node to node: each node has one board, which the others read.
 *
 * @module
 */

/** A board of another node is new, has changed, or is gone. */
export interface BoardChange {
  /** The board. The name is never used for another one. */
  readonly board: string;
  /** What is on it now; anything may be. Valid until the next look. Null: it is gone, as its node is. */
  readonly bytes: Uint8Array | null;
}

/** A node that has joined has a board without entries already. */
export interface Boards {
  /** The longest content. */
  readonly maxBytes: number;
  /**
   * Replaces the content of this node's board. Copies the bytes before it returns; whoever looks from now on
   * sees them.
   */
  publish(bytes: Uint8Array): void;
  /** The others' boards that are new, have changed or are gone since the last look. */
  changes(): Iterable<BoardChange>;
  /**
   * Runs `listener` when there may be changes, in a turn of its own. Does not keep the process alive. Costs
   * nothing while nobody listens.
   */
  onChange(listener: () => void): Disposable;
}

/** The longest content of a board, unless what carries it has a lower limit. */
export const boardBytesMax: number = 2 ** 22;
