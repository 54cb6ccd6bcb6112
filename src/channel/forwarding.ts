/**
 * The note at the end of a request that a process passes on for a peer of its own: who that peer is.
 *
 * ```
 * payload … | address, key, method, a line feed between them: UTF-8 | length of this text u16
 * ```
 *
 * @module
 */
import type { Origin } from "../base/peer.ts";
import type { Bytes } from "./waiter.ts";

const lengthBytes = 2;
/** The longest text: an address and a key take less. */
const textBytesMax = 1_024;

/** The note about a peer. */
export function encodeNote({ address, key = "", method = "" }: Origin): Bytes {
  const parts = [address, key, method].map((part) => part.replaceAll("\n", " "));
  const text = new TextEncoder().encode(parts.join("\n"));
  const length = Math.min(text.byteLength, textBytesMax);
  const note = new Uint8Array(length + lengthBytes);
  note.set(text.subarray(0, length));
  new DataView(note.buffer).setUint16(length, length, true);
  return note;
}

/**
 * The length of the note at the end of a request. The bytes come from another process: a length that is too great
 * counts as no note.
 */
export function noteBytesIn(request: Uint8Array): number {
  const at = request.byteLength - lengthBytes;
  if (at < 0) return 0;
  const length = request[at]! | (request[at + 1]! << 8);
  return length <= textBytesMax && length <= at ? length + lengthBytes : 0;
}

/** Reads a note from private memory. */
export function readNote(note: Uint8Array): Origin {
  const text = new TextDecoder().decode(note.subarray(0, -lengthBytes));
  const [address = "", key = "", method = ""] = text.split("\n");
  return { address, key: key || undefined, method: method || undefined };
}
