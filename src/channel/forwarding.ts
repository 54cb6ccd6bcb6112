/**
 * The note at the end of a request that a process passes on for a peer of its own: who that peer is.
 *
 * ```
 * payload … | address, key, method, a line feed between them: UTF-8 | length of this text u16
 * ```
 *
 * @module
 */
import { isEqual } from "../base/bytes.ts";
import type { Origin } from "../base/peer.ts";
import { noteBytesMax } from "../ffi/layout.ts";
import type { Bytes } from "./waiter.ts";

const lengthBytes = 2;
/** The longest text: an address and a key take less. */
const textBytesMax = noteBytesMax - lengthBytes;

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

/** Notes that were read last, each at a place that follows from its bytes: all requests of a client have the same. */
const recent: ({ readonly note: Uint8Array; readonly origin: Origin } | undefined)[] = new Array(
  256,
)
  .fill(undefined);

/** Reads a note from private memory, which is not written to any more. */
export function readNote(note: Uint8Array): Origin {
  let mixed = 0;
  for (let index = 0; index < note.length; index++) {
    mixed = (Math.imul(mixed, 31) + note[index]!) | 0;
  }
  const place = mixed & (recent.length - 1);
  const known = recent[place];
  if (known && isEqual(known.note, note)) return known.origin;
  const origin = parseNote(note);
  recent[place] = { note, origin };
  return origin;
}

function parseNote(note: Uint8Array): Origin {
  const text = new TextDecoder().decode(note.subarray(0, -lengthBytes));
  const [address = "", key = "", method = ""] = text.split("\n");
  return { address, key: key || undefined, method: method || undefined };
}
