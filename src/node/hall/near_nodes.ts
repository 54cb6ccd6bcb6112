/**
 * The nodes of one group on this machine. They meet in a hall; when its files are removed, each goes into the next
 * one, which the first to come makes. There they are strangers: what was under way is lost, and whoever has died
 * meanwhile was seen by nobody. So a node is down for each other before it is up again, with the same id and ports.
 *
 * @module
 */
import { report } from "../../base/guard.ts";
import type { Place } from "../../channel/roster.ts";
import { later } from "../../runtime/timers.ts";
import type { Carrier, CarrierListener, NodeInfo } from "../carrier.ts";
import type { NameLock } from "../name_lock.ts";
import type { Boards } from "../registry/boards.ts";
import { Hall, type HallTerms } from "./hall.ts";
import { NearBoards } from "./near_boards.ts";
import { ownId } from "./own_id.ts";

/** How long to wait at most before the next attempt to join, in milliseconds. */
const pauseMax = 1_000;

/** A carrier through memory. */
export interface NearCarrier extends Carrier {
  /** Of this node. */
  readonly info: NodeInfo;
  /** What the nodes say of themselves. */
  readonly boards: Boards;
}

/**
 * Joins the nodes of a group. Those that are there are known at once.
 *
 * @throws {TandemError} `EXISTS` when a living node has the id; `BUSY` when there are 1,024 nodes; the codes of
 * opening a channel
 */
export function joinNearNodes(terms: HallTerms, listener: CarrierListener): NearNodes {
  return new NearNodes(terms, listener);
}

export class NearNodes implements NearCarrier {
  readonly info: NodeInfo;
  readonly boards: NearBoards;
  #terms: HallTerms;
  readonly #listener: CarrierListener;
  /** The right to a chosen id. It is not bound to a hall. */
  #id: NameLock | null = null;
  /** Where the node is, or has been last. */
  #hall: Hall;
  #failures = 0;
  #cancelRetry: (() => void) | null = null;
  #isClosed = false;

  constructor(terms: HallTerms, listener: CarrierListener) {
    this.#terms = terms;
    this.#listener = listener;
    this.#keepId();
    try {
      this.#hall = this.#enter();
    } catch (error) {
      this.#releaseId();
      throw error;
    }
    this.info = this.#hall.info;
    this.boards = new NearBoards(this.#hall.boards);
  }

  /** With the hall, the file of the id may have been removed, and another may have the id by now. */
  #keepId(): void {
    const { group, identity, isChosenId, mode } = this.#terms;
    if (!isChosenId || this.#id?.check()) return;
    this.#releaseId();
    this.#id = ownId(group, identity.id, mode);
  }

  #releaseId(): void {
    this.#id?.release();
    this.#id = null;
  }

  #enter(): Hall {
    return new Hall(this.#terms, this.#listener, {
      left: () => this.#releaseId(),
      removed: () => this.#move(),
    });
  }

  /** The hall was removed; all others are down. */
  #move(): void {
    if (this.#isClosed) return;
    try {
      this.#keepId();
      this.#terms = { ...this.#terms, board: this.boards.own };
      this.#hall = this.#enter();
    } catch (error) {
      return this.#moveLater(error);
    }
    this.#failures = 0;
    this.boards.move(this.#hall.boards);
  }

  #moveLater(error: unknown): void {
    if (this.#failures === 0) report(this, "joining the nodes again", error);
    this.#failures += 1;
    const pause = Math.min(10 * 2 ** Math.min(this.#failures, 10), pauseMax);
    this.#cancelRetry = later(pause, () => this.#move());
  }

  /** Of this node, in the hall. */
  get place(): Place {
    return this.#hall.place;
  }

  send(node: string, message: Uint8Array): boolean {
    return this.#hall.send(node, message);
  }

  queued(node: string): { messages: number; bytes: number } {
    return this.#hall.queued(node);
  }

  whenRoom(node: string, signal?: AbortSignal): Promise<boolean> {
    return this.#hall.whenRoom(node, signal);
  }

  isUp(node: string): boolean {
    return this.#hall.isUp(node);
  }

  nodes(): readonly NodeInfo[] {
    return this.#hall.nodes();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelRetry?.();
    await this.#hall.close();
    // A hall that was removed was left without it.
    this.#releaseId();
  }
}
