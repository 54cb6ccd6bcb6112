/**
 * The boards of nodes that are reached through NATS. Each node tells all others of a new board, in parts; who has missed
 * one asks for it.
 *
 * @module
 */
import { boardBytesMax, type BoardChange, type Boards } from "../../node/registry/boards.ts";
import { readBoard } from "../../node/registry/board.ts";
import type { FarPeer } from "./far_peer.ts";
import type { BoardPart } from "./frames.ts";

/** A part never takes more bytes. */
const partBytesMax = 2 ** 18;
/** The smallest part, the last one apart, so that a few bytes do not pass for many parts. */
const partBytesMin = 2 ** 12;
const partsMax: number = boardBytesMax / partBytesMin;

/** What has come of the board of one node. */
class Gathered {
  /** Of the last board that is whole; 0: none. */
  version = 0;
  /** The parts of the next one. */
  #next = 0;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /** The whole board, if this was the last part of it. Whoever finds it good sets {@linkcode version}. */
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
  readonly #tellAll: () => void;
  readonly #gathered: Map<FarPeer, Gathered> = new Map();
  /** What the next look finds, by the boards' names. */
  #changes: Map<string, Uint8Array | null> = new Map();
  /** Those that a look has found. */
  readonly #shown: Set<string> = new Set();
  readonly #listeners: Set<() => void> = new Set();

  /** @param tellAll sends the own board to all others */
  constructor(tellAll: () => void) {
    this.#tellAll = tellAll;
  }

  publish(bytes: Uint8Array): void {
    this.#own = bytes.slice();
    this.version += 1;
    this.#tellAll();
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
    gathered.version = part.version;
    this.#changes.set(nameOf(peer), whole);
    this.#ring();
    return true;
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
    return Array.from(changes, ([board, bytes]) => {
      if (bytes === null) this.#shown.delete(board);
      else this.#shown.add(board);
      return { board, bytes };
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

function nameOf({ session, life }: FarPeer): string {
  return `${session} ${life}`;
}
