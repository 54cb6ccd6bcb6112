/**
 * Long messages: what is sent in place of one.
 *
 * @module
 */
import type { Reading } from "./message.ts";

/** What a message says of the long message that it stands for. */
export interface Announcement {
  readonly id: number;
  /** How many byte strings it has. */
  readonly count: number;
  readonly treeBytes: number;
  readonly totalBytes: number;
  /** The host that has it. */
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
