/**
 * The nodes of one group on one machine. The hall is a channel on which nobody calls: each node is a server of it,
 * so it learns who joins, leaves and dies. Messages go into the mailboxes of the nodes.
 *
 * @module
 */
import { report } from "../../base/guard.ts";
import type { ClientCore } from "../../channel/client_core.ts";
import { connectPrivate } from "../../channel/private.ts";
import { rendezvous } from "../../channel/rendezvous.ts";
import type { Member } from "../../channel/roster.ts";
import { ServerCore } from "../../channel/server_core.ts";
import { TandemError } from "../../errors.ts";
import { later, laterForSure, queueMicrotask } from "../../runtime/timers.ts";
import type { Carrier, CarrierListener, NodeInfo } from "../carrier.ts";
import { SharedBoards } from "../registry/shared_boards.ts";
import { BatchStock } from "./batch.ts";
import { encodeIdentity, type Identity } from "./greeting.ts";
import { Inbox, type InboxOwner } from "./inbox.ts";
import type { Outlet } from "./outlet.ts";
import { ownId } from "./own_id.ts";
import { Peer, type PeerHome } from "./peer.ts";

/** How a node takes part. */
export interface HallTerms {
  readonly group: string;
  readonly mode?: number;
  readonly id: string;
  readonly name: string;
  /** The program has chosen the id: another living node may have it. */
  readonly isChosenId: boolean;
  /** How much may wait here for each other node: messages, and their bytes. */
  readonly maxQueue: number;
  readonly maxQueueBytes: number;
  /** The longest message that is sent or taken. */
  readonly maxMessageBytes: number;
}

/** The kernel takes a dying process apart bit by bit: when to look again, in milliseconds. */
const goneRetries: readonly number[] = [1, 5, 20, 50, 100];
/** How long a joining node waits at most for the others to say who they are, in milliseconds. */
const greetingMax = 500;
/** How long a leaving node tries at most to get rid of what waits, in milliseconds. */
const leavingMax = 1_000;
/** How often the flush of the outlets gives way to microtasks that go on sending. */
const hopsMax = 64;
/** Batches that are kept for later: 4 MiB. */
const stockMax = 128;

/**
 * Joins the nodes of a group. Resolves when those that were there before have said who they are.
 *
 * @throws {TandemError} `EXISTS` when a living node has the id; `BUSY` when there are 1,024 nodes; the codes of
 * opening a channel
 */
export async function joinHall(terms: HallTerms, listener: CarrierListener): Promise<Hall> {
  const release = terms.isChosenId ? ownId(terms.group, terms.id, terms.mode) : () => {};
  let hall: Hall;
  try {
    hall = new Hall(terms, listener, release);
  } catch (error) {
    release();
    throw error;
  }
  await hall.whenGreeted();
  return hall;
}

export class Hall implements Carrier, PeerHome, InboxOwner {
  readonly listener: CarrierListener;
  readonly stock: BatchStock = new BatchStock(stockMax);
  readonly position: number;
  readonly epochLow: number;
  readonly epochHigh: number;
  readonly maxQueue: number;
  readonly maxQueueBytes: number;
  readonly maxMessageBytes: number;
  readonly greeting: Uint8Array;
  /** What the nodes' registries have written down. */
  readonly boards: SharedBoards;
  readonly #main: ServerCore;
  readonly #inbox: Inbox;
  readonly #release: () => void;
  /** By their places in the hall. */
  readonly #peers: Map<number, Peer> = new Map();
  /** Those that have gone, while their last messages may be in the mailbox. Another may have their place already. */
  readonly #leaving: Set<Peer> = new Set();
  /** Those that are up. */
  readonly #byId: Map<string, Peer> = new Map();
  /** The number of participants that had joined at the last look. */
  #joins = -1;
  #refused = 0;
  #isClosed = false;

  readonly #dirty: Outlet[] = [];
  /** Messages that were appended, and how many were at the last look for silence. */
  appended = 0;
  #appendedBefore = 0;
  #hops = 0;
  #isFlushing = false;
  #greeted: (() => void) | null = null;

  /** @param release gives the right to the id back */
  constructor(terms: HallTerms, listener: CarrierListener, release: () => void) {
    this.listener = listener;
    this.#release = release;
    this.maxQueue = terms.maxQueue;
    this.maxQueueBytes = terms.maxQueueBytes;
    this.maxMessageBytes = terms.maxMessageBytes;
    this.greeting = encodeIdentity(terms);
    this.#main = ServerCore.open(`${terms.group}.nodes`, rendezvous(terms.mode));
    try {
      this.#inbox = new Inbox(this.#main, this);
      const own = this.#main.members().find(({ privatePath }) => privatePath === this.#inbox.name);
      if (!own) throw new TandemError("CORRUPT", "Cannot join the nodes: the channel is damaged");
      ({ position: this.position, epochLow: this.epochLow, epochHigh: this.epochHigh } = own.place);
      this.boards = new SharedBoards(this.#main, this.position);
      this.#main.unref();
      // Code that was replaced is no node any more.
      this.#main.onReplaced = () => void this.close();
      this.#main.watchMembers(() => {
        this.#look();
        this.boards.ring();
      });
    } catch (error) {
      this.#main.close();
      throw error;
    }
    void this.#inbox.run();
    void this.#watch();
    this.#look();
  }

  /** Learns that the hall is removed. Never rejects. */
  async #watch(): Promise<void> {
    try {
      await this.#main.consume({ hasRoom: true, take: (request) => void request.reply("") });
    } catch (error) {
      this.lost(error);
    }
  }

  // Carrier

  send(node: string, message: Uint8Array): boolean {
    const peer = this.#byId.get(node);
    if (peer === undefined || peer.isGone || this.#isClosed) return false;
    if (message.byteLength > this.maxMessageBytes) throw this.#tooLong(message.byteLength);
    this.appended += 1;
    peer.outlet.send(message);
    return true;
  }

  queued(node: string): { messages: number; bytes: number } {
    return this.#byId.get(node)?.queued ?? { messages: 0, bytes: 0 };
  }

  whenRoom(node: string, signal?: AbortSignal): Promise<boolean> {
    const peer = this.#byId.get(node);
    return peer ? peer.outlet.whenRoom(signal) : Promise.resolve(false);
  }

  isUp(node: string): boolean {
    return this.#byId.has(node);
  }

  nodes(): readonly NodeInfo[] {
    return [...this.#byId.values()].map(({ info }) => info!);
  }

  /** Posts that were no batches, and messages that no node may send. */
  get refused(): number {
    return this.#inbox.dropped + this.#refused;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#greeted?.();
    const living = [...this.#peers.values()].filter((peer) => !peer.isGone && !peer.inlet.isEnded);
    const farewells = Promise.all(living.map((peer) => peer.sayFarewell()));
    let cancel = () => {};
    const isLate = new Promise<void>((resolve) => cancel = laterForSure(leavingMax, resolve));
    await Promise.race([farewells, isLate]);
    cancel();
    this.#leave();
  }

  #leave(): void {
    for (const peer of [...this.#peers.values(), ...this.#leaving]) peer.end();
    this.#peers.clear();
    this.#leaving.clear();
    this.#byId.clear();
    this.#inbox.close();
    this.#main.close();
    this.#release();
  }

  #tooLong(byteLength: number): TandemError {
    return new TandemError(
      "TOO_LARGE",
      `Cannot send a message of ${byteLength} bytes to another node: maxMessageBytes is ` +
        `${this.maxMessageBytes}; start the node with a larger one`,
    );
  }

  // Members

  /** Finds the nodes that have come and gone. */
  #look(): void {
    if (this.#isClosed || !this.#main.channel.isOpen) return;
    try {
      this.#joins = this.#main.joins;
      const before = [...this.#peers.values()];
      const living: Set<Peer> = new Set();
      for (const member of this.#main.members()) {
        if (member.role !== "server" || member.place.position === this.position) continue;
        living.add(this.#peerOf(member));
      }
      // Last, because this takes what is in the mailbox, also of those that have just come.
      for (const peer of before) if (!living.has(peer)) this.#gone(peer);
    } catch (error) {
      report(this, "the look for other nodes", error);
    }
    this.#checkGreeted();
  }

  #peerOf(member: Member): Peer {
    const { position, epochLow, epochHigh } = member.place;
    const known = this.#peers.get(position);
    if (known?.isAt(epochLow, epochHigh)) return known;
    const peer = new Peer(this, member);
    this.#peers.set(position, peer);
    // Its greeting.
    void peer.outlet;
    return peer;
  }

  senderAt(position: number, epochLow: number, epochHigh: number): Peer | null {
    let peer = this.#peers.get(position);
    if (peer?.isAt(epochLow, epochHigh)) return peer;
    for (const gone of this.#leaving) {
      if (gone.member.place.position === position && gone.isAt(epochLow, epochHigh)) return gone;
    }
    if (this.#isClosed || this.#main.joins === this.#joins) return null;
    this.#look();
    peer = this.#peers.get(position);
    return peer?.isAt(epochLow, epochHigh) ? peer : null;
  }

  connect(member: Member): ClientCore {
    return connectPrivate(this.#main, member.privatePath);
  }

  met(peer: Peer, { id, name }: Identity): void {
    const other = this.#byId.get(id);
    // It has died, or it could not have lost its id. All of its messages came before this one.
    if (other) this.#down(other, false, "the node has died, and another has its id");
    const { pid, member } = peer;
    peer.info = { id, name, pid, runtime: member.runtime };
    this.#byId.set(id, peer);
    peer.tellUp();
    this.#checkGreeted();
  }

  left(peer: Peer): void {
    this.#down(peer, true, "the node was closed");
  }

  dropped(): void {
    this.#refused += 1;
  }

  /** A node has died, or has left in good order. */
  #gone(peer: Peer): void {
    if (peer.isGone) return;
    peer.isGone = true;
    this.#leaving.add(peer);
    this.#settle(peer, 0);
  }

  /** Takes what the node has sent before it went, and tells of its end then. */
  #settle(peer: Peer, attempt: number): void {
    if (this.#isClosed) return;
    if (peer.inlet.isEnded) return this.#forget(peer);
    if (!this.#inbox.drain()) return queueMicrotask(() => this.#settle(peer, attempt));
    const delay = goneRetries[attempt];
    const others = [...this.#peers.values()].filter((other) => other !== peer);
    if (delay !== undefined && this.#inbox.mayBeSending(peer, others)) {
      later(delay, () => this.#settle(peer, attempt + 1));
      return;
    }
    this.#down(peer, false, "the node has died");
    this.#forget(peer);
  }

  #forget(peer: Peer): void {
    this.#leaving.delete(peer);
    const { position } = peer.member.place;
    if (this.#peers.get(position) === peer) this.#peers.delete(position);
  }

  #down(peer: Peer, isFarewell: boolean, message: string): void {
    if (!peer.end()) return;
    const { info } = peer;
    if (info === null) return;
    if (this.#byId.get(info.id) === peer) this.#byId.delete(info.id);
    peer.tellDown(isFarewell, message);
  }

  lost(error: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    report(this, "the memory in which nodes meet", error);
    for (const peer of [...this.#byId.values()]) {
      this.#down(peer, false, "the memory in which nodes meet was removed or damaged");
    }
    this.#leave();
  }

  /** Resolves when all nodes that are there have said who they are, or some time has passed. */
  whenGreeted(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = laterForSure(greetingMax, () => this.#greeted?.());
      this.#greeted = () => {
        this.#greeted = null;
        cancel();
        resolve();
      };
      this.#checkGreeted();
    });
  }

  #checkGreeted(): void {
    if (!this.#greeted) return;
    for (const { info, isGone } of this.#peers.values()) if (!info && !isGone) return;
    this.#greeted();
  }

  // Outlets

  flushLater(outlet: Outlet): void {
    this.#dirty.push(outlet);
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    this.#hops = 0;
    this.#appendedBefore = this.appended;
    queueMicrotask(this.#flush);
  }

  readonly #flush = (): void => {
    if (this.appended !== this.#appendedBefore && this.#hops < hopsMax) {
      this.#hops += 1;
      this.#appendedBefore = this.appended;
      return queueMicrotask(this.#flush);
    }
    this.#isFlushing = false;
    // Outlets that become dirty meanwhile have a turn of their own.
    for (const outlet of this.#dirty.splice(0)) outlet.flush();
  };
}
