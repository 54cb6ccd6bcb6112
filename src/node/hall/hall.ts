/**
 * The nodes of one group on one machine. The hall is a channel on which nobody calls: each node is a server of it,
 * so it learns who joins, leaves and dies. A node's board says who it is. Messages go into the mailboxes of the nodes.
 *
 * @module
 */
import { codeOf, report } from "../../base/guard.ts";
import type { ClientCore } from "../../channel/client_core.ts";
import type { Member, Place } from "../../channel/roster.ts";
import { TandemError } from "../../errors.ts";
import { later, laterForSure, queueMicrotask } from "../../runtime/timers.ts";
import type { Carrier, CarrierListener, NodeInfo } from "../carrier.ts";
import { encodeBoard } from "../registry/board.ts";
import type { NodeIdentity } from "../registry/seam.ts";
import { type Presence, SharedBoards } from "../registry/shared_boards.ts";
import { BatchStock } from "./batch.ts";
import { Flusher } from "./flusher.ts";
import { encodeGreeting } from "./greeting.ts";
import { LateClosing } from "./late_closing.ts";
import type { Outlet } from "./outlet.ts";
import { type MemberHome, MemberPeer } from "./member_peer.ts";
import type { Peer } from "./peer.ts";
import { Seat, type SeatOwner } from "./seat.ts";

/** How a node takes part. */
export interface HallTerms {
  readonly group: string;
  readonly mode?: number;
  readonly identity: NodeIdentity;
  /** The program has chosen the id: another living node may have it. */
  readonly isChosenId: boolean;
  /** How much may wait here for each other node: messages, and their bytes. */
  readonly maxQueue: number;
  readonly maxQueueBytes: number;
  /** The longest message that is sent or taken. */
  readonly maxMessageBytes: number;
  /** What the node says of itself at first; nothing: that it has no entries. */
  readonly board?: Uint8Array | null;
}

/** What becomes of a node that is in the hall no longer. */
export interface HallEnds {
  /** It has left, or the memory is damaged for good. */
  left(): void;
  /** The hall was removed. All others are down. */
  removed(): void;
}

/**
 * The kernel takes a dying process apart bit by bit, and a newcomer's board may be unreadable for a moment: when to look
 * again, in milliseconds.
 */
const retries: readonly number[] = [1, 5, 20, 50, 100];
/** How long a leaving node tries at most to get rid of what waits, in milliseconds. */
const leavingMax = 1_000;
/** How many batches of one sender may wait in a mailbox: so a flood leaves room for others. */
const windowMax = 4;
/** Batches that are kept for later: 4 MiB. */
const stockMax = 128;

export class Hall implements Carrier, MemberHome, SeatOwner, Presence {
  readonly listener: CarrierListener;
  readonly stock: BatchStock = new BatchStock(stockMax);
  readonly window: number = windowMax;
  readonly maxQueue: number;
  readonly maxQueueBytes: number;
  readonly maxMessageBytes: number;
  /** Of this node. */
  readonly info: NodeInfo;
  readonly greeting: Uint8Array;
  /** What the nodes say of themselves. */
  readonly boards: SharedBoards;
  readonly #id: string;
  readonly #seat: Seat;
  readonly #ends: HallEnds;
  /** By their places in the hall. */
  readonly #peers: Map<number, Peer> = new Map();
  /** Those that have gone, while their last messages may be in the mailbox. Another may have their place already. */
  readonly #leaving: Set<Peer> = new Set();
  /** Those that have gone since the last look at the mailbox. */
  readonly #departed: Peer[] = [];
  /** Those that are up. */
  readonly #byId: Map<string, Peer> = new Map();
  /** Those of whom no board was read. */
  readonly #unknown: Set<Peer> = new Set();
  /** Those whose id an earlier node has that is not down yet. */
  readonly #waiting: Set<Peer> = new Set();
  /** While a node has not said who it is. */
  #following: Disposable | null = null;
  #failures = 0;
  #cancelLook: (() => void) | null = null;
  #refused = 0;
  /** How often a node has come or gone. */
  #changes = 0;
  #isClosed = false;

  readonly #flusher: Flusher = new Flusher();
  readonly #lateClosing: LateClosing = new LateClosing();

  /**
   * Those that are there are known at once.
   *
   * @throws {TandemError} `BUSY` when there are 1,024 nodes; the codes of opening a channel
   */
  constructor(terms: HallTerms, listener: CarrierListener, ends: HallEnds) {
    const { group, mode, identity, board } = terms;
    this.listener = listener;
    this.#ends = ends;
    this.maxQueue = terms.maxQueue;
    this.maxQueueBytes = terms.maxQueueBytes;
    this.maxMessageBytes = terms.maxMessageBytes;
    this.#id = identity.id;
    this.#seat = new Seat(group, mode, this);
    try {
      const { main, place, pid, runtime } = this.#seat;
      this.info = { id: identity.id, name: identity.name, pid, runtime };
      this.greeting = encodeGreeting(this.info);
      this.boards = new SharedBoards(main, place.position, this);
      this.#seat.open();
      // From now on the others know this node.
      this.boards.publish(board ?? encodeBoard(identity, []));
    } catch (error) {
      this.#seat.leave();
      throw error;
    }
    this.#look();
  }

  get place(): Place {
    return this.#seat.place;
  }

  // Carrier

  send(node: string, message: Uint8Array, isAwaited: boolean = false): boolean {
    const peer = this.#find(node);
    if (peer === undefined || peer.isGone || this.#isClosed) return false;
    if (message.byteLength > this.maxMessageBytes) throw this.#tooLong(message.byteLength);
    this.#flusher.appended += 1;
    peer.outlet.send(message);
    if (isAwaited) this.#seat.inbox.expect();
    return true;
  }

  queued(node: string): { messages: number; bytes: number } {
    return this.#byId.get(node)?.queued ?? { messages: 0, bytes: 0 };
  }

  whenRoom(node: string, signal?: AbortSignal): Promise<boolean> {
    const peer = this.#find(node);
    return peer ? peer.outlet.whenRoom(signal) : Promise.resolve(false);
  }

  isUp(node: string): boolean {
    return this.#find(node) !== undefined;
  }

  /** A node that has come a moment ago may be known to the program already. */
  #find(node: string): Peer | undefined {
    const peer = this.#byId.get(node);
    if (peer) return peer;
    this.#look();
    return this.#byId.get(node);
  }

  nodes(): readonly NodeInfo[] {
    this.#look();
    return [...this.#byId.values()].map(({ info }) => info!);
  }

  /** Posts that were no batches, and messages that no node may send. */
  get refused(): number {
    return this.#seat.inbox.dropped + this.#refused;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const living = [...this.#peers.values()].filter((peer) => !peer.isGone && !peer.inlet.isEnded);
    const farewells = Promise.all(living.map((peer) => peer.sayFarewell()));
    let cancel = () => {};
    const isLate = new Promise<void>((resolve) => cancel = laterForSure(leavingMax, resolve));
    await Promise.race([farewells, isLate]);
    cancel();
    this.#leave();
    this.#ends.left();
  }

  #leave(): void {
    for (const peer of [...this.#peers.values(), ...this.#leaving]) {
      peer.end();
      peer.close();
    }
    this.#peers.clear();
    this.#leaving.clear();
    this.#byId.clear();
    this.#departed.length = 0;
    this.#unknown.clear();
    this.#waiting.clear();
    this.#cancelLook?.();
    this.#lateClosing.close();
    this.#seat.leave();
  }

  #tooLong(byteLength: number): TandemError {
    return new TandemError(
      "TOO_LARGE",
      `Cannot send a message of ${byteLength} bytes to another node: maxMessageBytes is ` +
        `${this.maxMessageBytes}; start the node with a larger one`,
    );
  }

  // Members

  rung(): void {
    this.#look();
    this.#settleAll();
    this.boards.ring();
  }

  replaced(): void {
    void this.close();
  }

  /** Finds the nodes that have come and gone. The program hears of it later: of those that have gone after their messages. */
  #look(): void {
    if (this.#isClosed) return;
    try {
      for (;;) {
        const changed = this.#seat.changed(this.#following !== null);
        if (changed === null) return;
        for (const position of changed) this.#compare(position);
        this.#follow();
      }
    } catch (error) {
      report(this, "the look for other nodes", error);
    }
  }

  /** Somebody has come or gone at this place, or has published a board. */
  #compare(position: number): void {
    const known = this.#peers.get(position);
    const member = this.#seat.memberAt(position);
    const isSame = known !== undefined && member !== null && known.isAt(member.place);
    if (known && !isSame) this.#gone(known);
    if (member === null) return;
    const peer = isSame ? known : new MemberPeer(this, member.place, member);
    if (!isSame) this.#peers.set(position, peer);
    if (peer.info === null && peer.claimed === null) this.#identify(peer, member);
  }

  #identify(peer: Peer, member: Member): void {
    const identity = this.#seat.identityOf(member);
    if (identity) {
      const { pid, runtime } = member;
      peer.claimed = { id: identity.id, name: identity.name, pid, runtime };
      this.#unknown.delete(peer);
      this.#welcome(peer);
    } else {
      this.#unknown.add(peer);
      if (member.board > 0) this.#lookLater();
    }
  }

  /** A board is there, and cannot be read: there may be no descriptor left for it. */
  #lookLater(): void {
    const delay = retries[this.#failures];
    if (this.#cancelLook || delay === undefined) return;
    this.#failures += 1;
    this.#cancelLook = later(delay, () => {
      this.#cancelLook = null;
      for (const { place } of [...this.#unknown]) this.#compare(place.position);
      this.#follow();
    });
  }

  /** Boards matter while a node has not said who it is. */
  #follow(): void {
    const isOneUnknown = this.#unknown.size > 0;
    if (isOneUnknown && !this.#following) {
      this.#following = this.boards.follow();
      // It may have published its board just before.
      this.#seat.forget();
    } else if (!isOneUnknown && this.#following) {
      this.#failures = 0;
      this.#following[Symbol.dispose]();
      this.#following = null;
    }
  }

  /** A node is up, unless an earlier one with its id is not down yet: the messages of that one come first. */
  #welcome(peer: Peer): void {
    const { claimed } = peer;
    this.#waiting.delete(peer);
    if (claimed === null || this.#isClosed || peer.info || peer.isGone || claimed.id === this.#id) {
      return;
    }
    if (this.#byId.has(claimed.id)) this.#waiting.add(peer);
    else this.#met(peer, claimed);
  }

  #met(peer: Peer, info: NodeInfo): void {
    this.#changes += 1;
    this.#unknown.delete(peer);
    this.#byId.set(info.id, peer);
    peer.up(info);
  }

  senderAt(place: Place, isFirst: boolean): Peer | null {
    let peer = this.#at(place);
    if (peer || this.#isClosed) return peer;
    this.#look();
    peer = this.#at(place);
    if (peer || !isFirst || !this.#seat.hasHad(place)) return peer;
    // It has come and gone since the last look, and its messages are here.
    peer = new MemberPeer(this, place, null);
    this.#gone(peer);
    return peer;
  }

  #at(place: Place): Peer | null {
    const peer = this.#peers.get(place.position);
    if (peer?.isAt(place)) return peer;
    for (const gone of this.#leaving) if (gone.isAt(place)) return gone;
    return null;
  }

  connect(member: Member): ClientCore {
    return this.#seat.connect(member);
  }

  greeted(peer: Peer, info: NodeInfo): void {
    const isWrong = info.id === this.#id || (peer.claimed && peer.claimed.id !== info.id);
    if (isWrong) return this.dropped();
    const other = this.#byId.get(info.id);
    if (other && !other.isGone && this.#seat.isLiving(other.place)) return this.dropped();
    // It has died, or it could not have lost its id. All of its messages came before this one.
    if (other) this.#down(other, false, "the node has died, and another has its id");
    this.#met(peer, peer.claimed ?? info);
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
    this.#unknown.delete(peer);
    this.#waiting.delete(peer);
    this.#leaving.add(peer);
    this.#departed.push(peer);
    // Not now: the program may be in the middle of a send, and the mailbox in the middle of a batch.
    if (this.#departed.length === 1) queueMicrotask(() => this.#settleAll());
  }

  #settleAll(): void {
    for (const peer of this.#departed.splice(0)) this.#settle(peer, 0);
  }

  /** Takes what the node has sent before it went, and tells of its end then. */
  #settle(peer: Peer, attempt: number): void {
    if (this.#isClosed) return;
    if (peer.inlet.isEnded) return this.#forget(peer);
    const { inbox } = this.#seat;
    if (!inbox.drain()) return queueMicrotask(() => this.#settle(peer, attempt));
    const delay = retries[attempt];
    if (delay !== undefined && inbox.mayBeSending(peer, this.#peers.values())) {
      later(delay, () => this.#settle(peer, attempt + 1));
      return;
    }
    this.#down(peer, false, "the node has died");
    this.#forget(peer);
  }

  #forget(peer: Peer): void {
    this.#leaving.delete(peer);
    const { position } = peer.place;
    if (this.#peers.get(position) === peer) this.#peers.delete(position);
  }

  #down(peer: Peer, isFarewell: boolean, message: string): void {
    if (!peer.end()) return;
    this.#changes += 1;
    const { info } = peer;
    if (info) {
      if (this.#byId.get(info.id) === peer) this.#byId.delete(info.id);
      peer.tellDown(isFarewell, message);
    }
    this.#lateClosing.add(peer);
    // A later one with its id.
    for (const other of [...this.#waiting]) this.#welcome(other);
  }

  lost(error: unknown): void {
    if (this.#isClosed) return;
    const isRemoved = codeOf(error) === "NOT_FOUND";
    // What has arrived comes before the ends.
    if (isRemoved) this.#seat.inbox.drain();
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (!isRemoved) report(this, "the memory in which nodes meet", error);
    for (const peer of [...this.#byId.values()]) {
      this.#down(peer, false, "the memory in which nodes meet was removed or damaged");
    }
    this.#leave();
    if (isRemoved) this.#ends.removed();
    else this.#ends.left();
  }

  // Presence

  count(): number {
    this.#look();
    return this.#changes;
  }

  isUpAt(place: Place): boolean {
    const peer = this.#peers.get(place.position);
    return peer !== undefined && peer.isAt(place) && peer.info !== null && !peer.inlet.isEnded;
  }

  // Outlets

  looks(): void {
    this.#flusher.flushAll();
  }

  reads(): void {
    this.#flusher.pause();
  }

  hasRead(peer: Peer): void {
    this.#flusher.resume(peer.madeOutlet);
  }

  posts(): void {
    this.boards.publishRest();
  }

  flushLater(outlet: Outlet): void {
    this.#flusher.flushLater(outlet);
  }
}
