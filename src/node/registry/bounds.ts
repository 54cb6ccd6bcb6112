/**
 * How large the board of a node may be.
 *
 * @module
 */

/** The longest content of a board, unless what carries it has a lower limit. */
export const boardBytesMax: number = 2 ** 22;
/** The most entries of a node. */
export const boardEntriesMax: number = 2 ** 16;
/** What an entry takes beside its own bytes, at most. */
export const bytesPerEntry = 16;
/** What a board without entries takes, at most. */
export const bytesOfHead = 512;
