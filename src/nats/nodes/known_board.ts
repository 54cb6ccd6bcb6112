/**
 * The board of a node that is reached through NATS, as far as this one knows it, and what the registry has not read of it
 * yet.
 *
 * @module
 */
import type { Bytes } from "../../codec/writer.ts";
import { type Board, placeOf, readBoard } from "../../node/registry/board.ts";
import type { ChangedBoard } from "../../node/registry/boards.ts";
import { boardBytesMax, boardEntriesMax, bytesOfHead } from "../../node/registry/bounds.ts";
import { costOf, type Entry, readNamed } from "../../node/registry/entry.ts";
import type { BoardChange } from "./frames.ts";

/** If more places than this wait for a look, beside those of the board, all of the board is read again. */
const passedMax = 1_024;

export class KnownBoard {
  /** The number that its node has given it. */
  version: number;
  #board: Board;
  #bytes: number;
  /** Changes that the registry has not read. */
  #unread: Map<string, Entry | null> = new Map();
  /** The characters of their places. */
  #unreadLength = 0;
  /** It has to read all. */
  #isWhole = true;

  /** @throws if the node may not have it */
  constructor(node: string, bytes: Uint8Array, version: number) {
    this.version = version;
    this.#board = boardOf(node, bytes, null);
    this.#bytes = sizeOf(this.#board.entries.values());
  }

  /** Another board takes its place. @throws if the node may not have it */
  replace(bytes: Uint8Array, version: number): void {
    const { identity } = this.#board;
    this.#board = boardOf(identity.id, bytes, this.#board);
    this.#bytes = sizeOf(this.#board.entries.values());
    this.version = version;
    this.#isWhole = true;
  }

  /** @throws if the node may not change it so */
  change({ version, removed, added }: BoardChange): void {
    const { identity, entries } = this.#board;
    const changes = new Map<string, Entry | null>(removed.map((place) => [place, null]));
    for (const bytes of added) {
      const { family, key, entry } = readNamed(identity.id, bytes.slice() as Bytes);
      // If this runtime cannot have its value, what was there before is gone.
      changes.set(placeOf(family, key), entry);
    }
    let [bytes, count] = [this.#bytes, entries.size];
    for (const [place, entry] of changes) {
      const before = entries.get(place);
      bytes += (entry ? costOf(entry) : 0) - (before ? costOf(before) : 0);
      count += Number(entry !== null) - Number(before !== undefined);
    }
    if (bytes + bytesOfHead > boardBytesMax || count > boardEntriesMax) {
      throw new Error("too large");
    }
    for (const [place, entry] of changes) {
      if (entry === null && !entries.has(place)) continue;
      if (!this.#unread.has(place)) this.#unreadLength += place.length;
      if (entry) entries.set(place, entry);
      else entries.delete(place);
      this.#unread.set(place, entry);
    }
    this.#bytes = bytes;
    this.version = version;
    // Nobody looks, and keys come and go.
    const isMuch = this.#unread.size > entries.size + passedMax;
    if (isMuch || this.#unreadLength > boardBytesMax) this.#isWhole = true;
    if (this.#isWhole) this.#forget();
  }

  #forget(): void {
    this.#unread = new Map();
    this.#unreadLength = 0;
  }

  /** What the registry has not read. From now on it has. */
  read(board: string): ChangedBoard {
    const isWhole = this.#isWhole;
    const { identity } = this.#board;
    const entries = isWhole ? new Map(this.#board.entries) : this.#unread;
    this.#forget();
    this.#isWhole = false;
    return { board, identity, entries, isWhole };
  }
}

function boardOf(node: string, bytes: Uint8Array, before: Board | null): Board {
  const board = readBoard(bytes, before);
  if (board.identity.id === node) return board;
  throw new Error(`the board of ${board.identity.id}`);
}

function sizeOf(entries: Iterable<Entry>): number {
  let size = 0;
  for (const entry of entries) size += costOf(entry);
  return size;
}
