/**
 * The boards of nodes that are participants of one channel.
 *
 * @module
 */
import {
  countBoards,
  followBoards,
  readBoard,
  unfollowBoards,
  writeBoard,
} from "../../channel/boards.ts";
import type { Member, Place } from "../../channel/roster.ts";
import type { ServerCore } from "../../channel/server_core.ts";
import { boardBytesMax, type BoardChange, type Boards } from "./boards.ts";

/** Which members of the channel are nodes that are up. */
export interface Presence {
  /** Looks for nodes that have come or gone. Returns how many have, so far. */
  count(): number;
  isUpAt(place: Place): boolean;
}

export class SharedBoards implements Boards {
  readonly maxBytes: number = boardBytesMax;
  readonly #handle: ServerCore;
  readonly #position: number;
  readonly #presence: Presence;
  readonly #listeners: Set<() => void> = new Set();
  /** The versions of the boards that were read. */
  readonly #versions: Map<string, number> = new Map();
  /** What the last look has seen of the whole channel. */
  #seen = "";
  /** How many want to hear of changes. */
  #followers = 0;

  /**
   * Whoever has the handle watches its members, and calls {@linkcode ring} in that listener.
   *
   * @param position the handle's place among the participants
   * @param presence only boards of nodes that are up are there
   */
  constructor(handle: ServerCore, position: number, presence: Presence) {
    this.#handle = handle;
    this.#position = position;
    this.#presence = presence;
  }

  publish(bytes: Uint8Array): void {
    // The memory in which nodes meet is lost. The node is on its own.
    if (!this.#handle.channel.isOpen) return;
    writeBoard(this.#handle, bytes);
  }

  *changes(): Iterable<BoardChange> {
    if (this.#handle.channel.isOpen) yield* this.#changes();
    else yield* this.#gone(new Set(this.#versions.keys()));
  }

  *#changes(): Iterable<BoardChange> {
    const handle = this.#handle;
    // Before the members: what happens meanwhile is seen the next time.
    const { joins, departures } = handle;
    const seen = `${joins} ${departures} ${countBoards(handle)} ${this.#presence.count()}`;
    if (seen === this.#seen) return;
    const left = new Set(this.#versions.keys());
    for (const member of handle.members()) {
      if (member.place.position === this.#position || !this.#presence.isUpAt(member.place)) {
        continue;
      }
      const board = nameOf(member);
      left.delete(board);
      if (member.board === (this.#versions.get(board) ?? 0)) continue;
      const bytes = readBoard(handle, member);
      this.#versions.set(board, member.board);
      yield { board, bytes };
    }
    yield* this.#gone(left);
    this.#seen = seen;
  }

  *#gone(boards: Iterable<string>): Iterable<BoardChange> {
    for (const board of boards) {
      this.#versions.delete(board);
      yield { board, bytes: null };
    }
  }

  onChange(listener: () => void): Disposable {
    const entry = () => listener();
    this.#listeners.add(entry);
    const following = this.follow();
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(entry);
        following[Symbol.dispose]();
      },
    };
  }

  /** From now on the handle is woken when a board may have been published. */
  follow(): Disposable {
    const { channel } = this.#handle;
    if (this.#followers === 0 && channel.isOpen) followBoards(this.#handle);
    this.#followers += 1;
    let isFollowing = true;
    return {
      [Symbol.dispose]: () => {
        if (!isFollowing) return;
        isFollowing = false;
        this.#followers -= 1;
        if (this.#followers === 0) unfollowBoards(this.#handle);
      },
    };
  }

  /** A participant may have come or gone, or a board may have changed. */
  ring(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** A place in the table is used again, an epoch is not. */
function nameOf({ place: { position, epochHigh, epochLow } }: Member): string {
  return `${position} ${epochHigh} ${epochLow}`;
}
