/**
 * The boards of nodes that are reached through NATS. Each node tells all others of its board, in parts, and later of what
 * changes; who has missed one asks for the whole board.
 *
 * @module
 */
import type { BoardChange, Boards, EntryChanges } from "../../node/registry/boards.ts";
import { boardBytesMax } from "../../node/registry/bounds.ts";
import { Gathering, partsOf } from "./board_parts.ts";
import type { FarPeer } from "./far_peer.ts";
import type { BoardChange as Change, BoardPart } from "./frames.ts";
import { KnownBoard } from "./known_board.ts";

/** What there is of the board of one node. */
interface PeerBoard {
  readonly gathering: Gathering;
  /** Null: it is not whole yet. */
  board: KnownBoard | null;
}

export class FarBoards implements Boards {
  readonly maxBytes: number = boardBytesMax;
  /** Of the own board. */
  version = 0;
  #own: Uint8Array = new Uint8Array(0);
  readonly #tellAll: (change: Change | null) => void;
  readonly #records: Map<FarPeer, PeerBoard> = new Map();
  /** What the next look finds, by the boards' names; null: it is gone. */
  #changes: Map<string, KnownBoard | null> = new Map();
  /** Those that a look has found. */
  readonly #shown: Set<string> = new Set();
  readonly #listeners: Set<() => void> = new Set();
  #publishRest = (): void => {};

  /** @param tellAll tells all others what has changed on the own board; null: it is a new one */
  constructor(tellAll: (change: Change | null) => void) {
    this.#tellAll = tellAll;
  }

  publish(bytes: Uint8Array, change?: EntryChanges): void {
    this.#own = bytes.slice();
    this.version += 1;
    this.#tellAll(change === undefined ? null : changeOf(change, this.version));
  }

  beforeMessages(publish: () => void): void {
    this.#publishRest = publish;
  }

  /** Messages of this node are about to go to others. */
  publishRest(): void {
    this.#publishRest();
  }

  get ownBytes(): number {
    return this.#own.byteLength;
  }

  /** The own board in parts that fit into messages of so many bytes. */
  ownParts(messageBytes: number): Iterable<BoardPart> {
    return partsOf(this.#own, this.version, messageBytes);
  }

  /** The number of the board that is known of a node. */
  versionOf(peer: FarPeer): number {
    return this.#records.get(peer)?.board?.version ?? 0;
  }

  /** A part has come from a node that is up. False: it is not what that node may send. */
  take(peer: FarPeer, part: BoardPart): boolean {
    let record = this.#records.get(peer);
    if (!record) this.#records.set(peer, record = { gathering: new Gathering(), board: null });
    const whole = record.gathering.add(part);
    if (whole === null) return true;
    try {
      if (record.board) record.board.replace(whole, part.version);
      else record.board = new KnownBoard(peer.info!.id, whole, part.version);
    } catch {
      return false;
    }
    this.#show(peer, record.board);
    return true;
  }

  /** A change of the board of a node that is up. False: it is not what that node may send. */
  takeChange(peer: FarPeer, change: Change): boolean {
    const board = this.#records.get(peer)?.board;
    // Another change is missing, or this one is known. The next sign of life says so.
    if (!board || change.version !== board.version + 1) return true;
    try {
      board.change(change);
    } catch {
      return false;
    }
    this.#show(peer, board);
    return true;
  }

  #show(peer: FarPeer, board: KnownBoard): void {
    this.#changes.set(nameOf(peer), board);
    this.#ring();
  }

  /** A node is down. */
  remove(peer: FarPeer): void {
    if (!this.#records.delete(peer)) return;
    const name = nameOf(peer);
    if (this.#shown.has(name)) this.#changes.set(name, null);
    else this.#changes.delete(name);
    this.#ring();
  }

  changes(): Iterable<BoardChange> {
    const changes = this.#changes;
    if (changes.size > 0) this.#changes = new Map();
    return Array.from(changes, ([board, known]) => {
      if (known) {
        this.#shown.add(board);
        return known.read(board);
      }
      this.#shown.delete(board);
      return { board, bytes: null };
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

function changeOf(change: EntryChanges, version: number): Change {
  const removed: string[] = [];
  const added: Uint8Array[] = [];
  for (const [place, entry] of change) {
    if (entry) added.push(entry.bytes);
    else removed.push(place);
  }
  return { version, removed, added };
}

function nameOf({ session, life }: FarPeer): string {
  return `${session} ${life}`;
}
