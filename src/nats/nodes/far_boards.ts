/**
 * The boards of nodes that are reached through NATS. Each node tells all others of its board, in parts, and later of what
 * changes; who has missed one asks for the whole board.
 *
 * @module
 */
import type { Bytes } from "../../codec/writer.ts";
import { boardBytesMax, type BoardChange, type Boards } from "../../node/registry/boards.ts";
import {
  boardEntriesMax,
  type BoardParts,
  bytesOfHead,
  bytesPerEntry,
  joinBoard,
  readBoard,
  splitBoard,
} from "../../node/registry/board.ts";
import { readEntry } from "../../node/registry/entry.ts";
import { changed, changeOf } from "./board_change.ts";
import type { FarPeer } from "./far_peer.ts";
import type { BoardChange as ListChange, BoardPart } from "./frames.ts";

/** A part never takes more bytes. */
const partBytesMax = 2 ** 18;
/** The smallest part, the last one apart, so that a few bytes do not pass for many parts. */
const partBytesMin = 2 ** 12;
const partsMax: number = boardBytesMax / partBytesMin;

/** What has come of the board of one node. */
class Gathered {
  /** Of the last board that is whole; 0: none. */
  version = 0;
  /** That board. */
  board: BoardParts | null = null;
  /** The parts of the next one. */
  #next = 0;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /** The whole board, if this was the last part of it. */
  add({ version, index, count, bytes }: BoardPart): Uint8Array | null {
    if (index === 0) {
      this.#parts = [];
      this.#bytes = 0;
      this.#next = version;
    } else if (version !== this.#next || index !== this.#parts.length) {
      // A part is missing. The next sign of life says so.
      this.#parts = [];
      return null;
    }
    this.#bytes += bytes.byteLength;
    const isWrong = count > partsMax || index >= count || this.#bytes > boardBytesMax ||
      (index < count - 1 && bytes.byteLength < partBytesMin);
    if (isWrong) {
      this.#parts = [];
      return null;
    }
    this.#parts.push(bytes.slice());
    if (this.#parts.length < count) return null;
    const whole = new Uint8Array(this.#bytes);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.byteLength;
    }
    this.#parts = [];
    return whole;
  }
}

export class FarBoards implements Boards {
  readonly maxBytes: number = boardBytesMax;
  /** Of the own board. */
  version = 0;
  #own: Uint8Array = new Uint8Array(0);
  #ownBoard: BoardParts | null = null;
  readonly #tellAll: (change: ListChange | null) => void;
  readonly #gathered: Map<FarPeer, Gathered> = new Map();
  /** What the next look finds, by the boards' names. */
  #changes: Map<string, Gathered | null> = new Map();
  /** Those that a look has found. */
  readonly #shown: Set<string> = new Set();
  readonly #listeners: Set<() => void> = new Set();

  /** @param tellAll tells all others what has changed on the own board; null: it is a new one */
  constructor(tellAll: (change: ListChange | null) => void) {
    this.#tellAll = tellAll;
  }

  publish(bytes: Uint8Array): void {
    const before = this.#ownBoard;
    const own = this.#own = bytes.slice();
    const board = this.#ownBoard = splitBoard(own);
    this.version += 1;
    this.#tellAll(before && changeOf(before, board, this.version));
  }

  get ownBytes(): number {
    return this.#own.byteLength;
  }

  /** The own board in parts that fit into messages of so many bytes. */
  *ownParts(messageBytes: number): Iterable<BoardPart> {
    const size = Math.max(partBytesMin, Math.min(partBytesMax, messageBytes));
    const own = this.#own;
    const count = Math.max(1, Math.ceil(own.byteLength / size));
    for (let index = 0; index < count; index++) {
      const bytes = own.subarray(index * size, (index + 1) * size);
      yield { version: this.version, index, count, bytes };
    }
  }

  /** The number of the board that is known of a node. */
  versionOf(peer: FarPeer): number {
    return this.#gathered.get(peer)?.version ?? 0;
  }

  /** A part has come from a node that is up. False: it is not what that node may send. */
  take(peer: FarPeer, part: BoardPart): boolean {
    let gathered = this.#gathered.get(peer);
    if (!gathered) this.#gathered.set(peer, gathered = new Gathered());
    const whole = gathered.add(part);
    if (whole === null) return true;
    if (!isBoardOf(peer, whole)) return false;
    this.#show(peer, gathered, splitBoard(whole), part.version);
    return true;
  }

  /** A change of the board of a node that is up. False: it is not what that node may send. */
  takeChange(peer: FarPeer, change: ListChange): boolean {
    const gathered = this.#gathered.get(peer);
    // Another change is missing, or this one is known. The next sign of life says so.
    if (!gathered?.board || change.version !== gathered.version + 1) return true;
    const items = changed(gathered.board.items, change);
    if (items === null || !areEntriesOf(peer, change.added) || !isWithinBounds(items)) return false;
    this.#show(peer, gathered, { ...gathered.board, items }, change.version);
    return true;
  }

  #show(peer: FarPeer, gathered: Gathered, board: BoardParts, version: number): void {
    gathered.board = board;
    gathered.version = version;
    this.#changes.set(nameOf(peer), gathered);
    this.#ring();
  }

  /** A node is down. */
  remove(peer: FarPeer): void {
    if (!this.#gathered.delete(peer)) return;
    const name = nameOf(peer);
    if (this.#shown.has(name)) this.#changes.set(name, null);
    else this.#changes.delete(name);
    this.#ring();
  }

  changes(): Iterable<BoardChange> {
    const changes = this.#changes;
    if (changes.size > 0) this.#changes = new Map();
    return Array.from(changes, ([board, gathered]) => {
      if (gathered === null) this.#shown.delete(board);
      else this.#shown.add(board);
      return { board, bytes: gathered && joinBoard(gathered.board!) };
    });
  }

  onChange(listener: () => void): Disposable {
    const entry = () => listener();
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }

  #ring(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function isBoardOf({ info }: FarPeer, bytes: Uint8Array): boolean {
  try {
    return readBoard(bytes, null).identity.id === info?.id;
  } catch {
    return false;
  }
}

function areEntriesOf({ info }: FarPeer, items: readonly Uint8Array[]): boolean {
  try {
    for (const item of items) readEntry(info!.id, item as Bytes);
    return true;
  } catch {
    return false;
  }
}

/** Whether a board has room for them. */
function isWithinBounds(items: readonly Uint8Array[]): boolean {
  const bytes = items.reduce((sum, item) => sum + item.byteLength + bytesPerEntry, bytesOfHead);
  return items.length <= boardEntriesMax && bytes <= boardBytesMax;
}

function nameOf({ session, life }: FarPeer): string {
  return `${session} ${life}`;
}
