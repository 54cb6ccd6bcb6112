/**
 * The announcement that is sent in place of a long message.
 *
 * @module
 */
import type { Decoder } from "../codec/decoder.ts";
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

/** Stands for a call of a function. */
export interface InvocationAnnouncement extends Announcement {
  readonly lease: number;
  /** The number of the function. */
  readonly callback: number;
}

/** Reads a message of kind `parcel`. */
export function readAnnouncement({ decoder }: Reading): Announcement {
  const announcement = readParts(decoder);
  decoder.finish();
  return announcement;
}

/** Reads a message of kind `longInvoke`. */
export function readInvocationAnnouncement({ decoder }: Reading): InvocationAnnouncement {
  const announcement = {
    ...readParts(decoder),
    lease: decoder.unsigned(),
    callback: decoder.unsigned(),
  };
  decoder.finish();
  return announcement;
}

function readParts(decoder: Decoder): Announcement {
  return {
    id: decoder.unsigned(),
    count: decoder.unsigned(),
    treeBytes: decoder.unsigned(),
    totalBytes: decoder.unsigned(),
    host: decoder.text(),
  };
}
