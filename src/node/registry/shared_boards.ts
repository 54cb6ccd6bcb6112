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
import { Roll } from "../../channel/roll.ts";
import { isSamePlace, memberAt, type Place, placeKey } from "../../channel/roster.ts";
import type { ServerCore } from "../../channel/server_core.ts";
import type { Boards, WholeBoard } from "./boards.ts";
import { boardBytesMax } from "./bounds.ts";

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
  readonly #roll: Roll;
  /** The nodes whose boards were read, by their positions. */
  readonly #read: Map<number, Place> = new Map();
  /** The positions to look at: something has changed there, or the node is not up yet. */
  readonly #changed: Set<number> = new Set();
  /** What the last look has seen of the whole channel, */
  #seen = "";
  /** and of the nodes that are up. */
  #seenPresence = 0;
  /** How many want to hear of changes. */
  #followers = 0;
  #publishRest = (): void => {};

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
    this.#roll = new Roll(handle);
  }

  publish(bytes: Uint8Array): void {
    // The memory in which nodes meet is lost. The node is on its own.
    if (!this.#handle.channel.isOpen) return;
    writeBoard(this.#handle, bytes);
  }

  beforeMessages(publish: () => void): void {
    this.#publishRest = publish;
  }

  /** Messages of this node are about to go to others. */
  publishRest(): void {
    this.#publishRest();
  }

  *changes(): Iterable<WholeBoard> {
    if (!this.#handle.channel.isOpen) {
      for (const position of [...this.#read.keys()]) yield this.#removed(position);
      return;
    }
    this.#look();
    for (const position of [...this.#changed]) {
      if (position === this.#position) this.#changed.delete(position);
      else yield* this.#changesAt(position);
    }
  }

  #look(): void {
    const handle = this.#handle;
    // Before the look: what happens meanwhile is seen the next time.
    const seen = `${handle.joins} ${handle.departures} ${countBoards(handle)}`;
    if (seen !== this.#seen) {
      for (const position of this.#roll.changed()) this.#changed.add(position);
      this.#seen = seen;
    }
    const presence = this.#presence.count();
    if (presence === this.#seenPresence) return;
    for (const [position, place] of this.#read) {
      if (!this.#presence.isUpAt(place)) this.#changed.add(position);
    }
    this.#seenPresence = presence;
  }

  *#changesAt(position: number): Iterable<WholeBoard> {
    const before = this.#read.get(position);
    const member = memberAt(this.#handle.channel, position);
    const isUp = member !== null && this.#presence.isUpAt(member.place);
    if (before && !(isUp && isSamePlace(before, member.place))) yield this.#removed(position);
    if (isUp && member.board > 0) {
      const bytes = readBoard(this.#handle, member);
      // There may be no descriptor left: the next look tries again.
      if (bytes === null) return;
      this.#read.set(position, member.place);
      this.#changed.delete(position);
      yield { board: placeKey(member.place), bytes };
    } else if (isUp || member === null) this.#changed.delete(position);
  }

  #removed(position: number): WholeBoard {
    const place = this.#read.get(position)!;
    this.#read.delete(position);
    return { board: placeKey(place), bytes: null };
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
