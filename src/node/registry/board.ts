/**
 * What a node says of itself to all others, whole in each version: the array
 *
 * ```
 * [1, id, name, start, entries]
 * ```
 *
 * in the form of messages between nodes (../frames.ts). `entries` is a list of byte strings (entry.ts). Anything may be
 * there: no item is trusted.
 *
 * @module
 */
import { isEqual } from "../../base/bytes.ts";
import { corrupt } from "../../codec/reader.ts";
import type { Bytes } from "../../codec/writer.ts";
import { FrameDecoder, FrameLimits, giveEncoder, takeEncoder } from "../frames.ts";
import { checkNodeId, checkNodeName } from "../ids.ts";
import type { NodeIdentity } from "./seam.ts";
import { boardBytesMax, boardEntriesMax } from "./bounds.ts";
import { type Entry, readEntry } from "./entry.ts";

const format = 1;
const limits = new FrameLimits(boardBytesMax);
const decoder = new FrameDecoder();

/** The bytes of a board. */
export function encodeBoard(
  { id, name, start }: NodeIdentity,
  entries: Iterable<Entry>,
): Bytes {
  const encoder = takeEncoder();
  try {
    encoder.open(limits, format, 5);
    encoder.text(id);
    encoder.text(name);
    encoder.text(start);
    encoder.list("entries", Array.from(entries, ({ bytes }) => bytes));
    return encoder.bytesOf().slice();
  } finally {
    giveEncoder(encoder);
  }
}

/** A board of another node, read. */
export class Board {
  readonly identity: NodeIdentity;
  /** By family and key. */
  readonly entries: Map<string, Entry>;

  constructor(identity: NodeIdentity, entries: Map<string, Entry>) {
    this.identity = identity;
    this.entries = entries;
  }
}

/** A name for a family and a key. */
export function placeOf(family: string, key: string): string {
  return `${family} ${key}`;
}

/**
 * Reads a board. Entries that `former` has as well are the same objects.
 *
 * @param former what was on the board before
 * @throws {TandemError} `CORRUPT`, or {TypeError}: it is no board
 */
export function readBoard(bytes: Uint8Array, former: Board | null): Board {
  const { identity, items } = readItems(bytes as Bytes);
  const isSameNode = former?.identity.id === identity.id;
  return new Board(identity, readEntries(identity.id, items, isSameNode ? former : null));
}

/**
 * Reads whose board it is.
 *
 * @param bytes the board, or its first `bytesOfHead`
 * @throws {TandemError} `CORRUPT`, or {TypeError}: it is no board
 */
export function readIdentity(bytes: Uint8Array): NodeIdentity {
  try {
    return identityIn(decoder.openStart(limits, bytes as Bytes));
  } finally {
    decoder.close();
  }
}

function readItems(bytes: Bytes): { identity: NodeIdentity; items: Uint8Array[] } {
  const { byteLength } = bytes;
  if (byteLength > boardBytesMax) throw corrupt(`a board has ${byteLength} bytes`);
  try {
    const identity = identityIn(decoder.open(limits, bytes, 0, byteLength));
    const items = decoder.list();
    if (items.length > boardEntriesMax) throw corrupt(`a board has ${items.length} entries`);
    if (!items.every((item) => item instanceof Uint8Array)) throw corrupt("an entry is missing");
    decoder.done(5);
    return { identity, items: items as Uint8Array[] };
  } finally {
    decoder.close();
  }
}

function identityIn(found: number): NodeIdentity {
  if (found !== format) throw corrupt(`a board has the format ${found}`);
  const [id, name, start] = [decoder.text(), decoder.text(), decoder.text()];
  checkNodeId(id);
  checkNodeName(name);
  if (!/^[a-z0-9]{1,16}$/.test(start)) throw corrupt("the start of a node is missing");
  return { id, name, start };
}

function readEntries(
  node: string,
  items: readonly Uint8Array[],
  former: Board | null,
): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  const walk = new FormerEntries(former);
  for (const bytes of items) {
    const entry = walk.find(bytes) ?? readEntry(node, bytes as Bytes);
    if (entry === null) continue;
    const place = placeOf(entry.family, entry.key);
    if (entries.has(place)) throw corrupt("a key is there twice");
    const before = former?.entries.get(place);
    entries.set(place, before && isEqual(before.bytes, entry.bytes) ? before : entry);
  }
  return entries;
}

/** How many entries that are gone the walk passes over. */
const passedMax = 16;

/**
 * Finds the entries that were there before, without reading them: most of them stay, in the same order. Those that it
 * misses are read again.
 */
class FormerEntries {
  readonly #entries: readonly Entry[];
  #at = 0;

  constructor(board: Board | null) {
    this.#entries = board ? [...board.entries.values()] : [];
  }

  find(bytes: Uint8Array): Entry | undefined {
    const end = Math.min(this.#at + passedMax, this.#entries.length);
    for (let at = this.#at; at < end; at++) {
      const entry = this.#entries[at]!;
      if (!isEqual(entry.bytes, bytes)) continue;
      this.#at = at + 1;
      return entry;
    }
    return undefined;
  }
}
