/**
 * The announcement that is sent in place of a long message.
 *
 * @module
 */
import type { Reading } from "./message.ts";

/** Describes the long message for which a message stands. */
export interface Announcement {
  readonly id: number;
  /** The number of byte strings. */
  readonly count: number;
  readonly treeBytes: number;
  readonly totalBytes: number;
  /** The name of its host. */
  readonly host: string;
}

/** Reads a message of kind `parcel`. */
export function readAnnouncement({ decoder }: Reading): Announcement {
  const announcement = {
    id: decoder.unsigned(),
    count: decoder.unsigned(),
    treeBytes: decoder.unsigned(),
    totalBytes: decoder.unsigned(),
    host: decoder.text(),
  };
  decoder.finish();
  return announcement;
}
