/**
 * The nodes that are reached through NATS and are up, and what is remembered of others: so each is met once, and
 * nothing counts that was sent before it went down.
 *
 * @module
 */
import type { NodeInfo } from "../../node/carrier.ts";
import type { FarBoards } from "./far_boards.ts";
import { type FarHome, FarPeer } from "./far_peer.ts";
import { type Frame, Kind } from "./frames.ts";
import type { FarLink } from "./far_link.ts";

/** Who was silent for so many ticks has died if another has its id. */
const deadTicks = 2;
/** Nodes that were there, and are remembered. */
const formerMax = 4_096;

/** What is known of a node that is not up. */
interface Former {
  /** Nothing of these lives, or before, counts. */
  readonly otherLife: number;
  /** It is not to be met: it has left, or is reached on another way. */
  readonly isOver: boolean;
}

export class FarPeers {
  readonly #home: FarHome;
  readonly #link: FarLink;
  readonly #boards: FarBoards;
  readonly #bySession: Map<string, FarPeer> = new Map();
  readonly #byId: Map<string, FarPeer> = new Map();
  /** The oldest come first. */
  readonly #formers: Map<string, Former> = new Map();
  #lives = 0;

  constructor(home: FarHome, link: FarLink, boards: FarBoards) {
    this.#home = home;
    this.#link = link;
    this.#boards = boards;
  }

  of(session: string): FarPeer | undefined {
    return this.#bySession.get(session);
  }

  withId(id: string): FarPeer | undefined {
    return this.#byId.get(id);
  }

  /** In the order of their coming up. */
  all(): FarPeer[] {
    return [...this.#byId.values()];
  }

  /** Whether a node is not to be met. */
  isOver(session: string): boolean {
    return this.#formers.get(session)?.isOver === true;
  }

  /** A node has left, or is reached on another way. */
  setOver(session: string): void {
    this.#remember(session, { otherLife: 0, isOver: true });
  }

  /** It may be met again. */
  forget(session: string): void {
    this.#formers.delete(session);
  }

  /** A node is there that is not up. */
  meet(session: string, info: NodeInfo, otherLife: number): void {
    const { id } = info;
    const other = this.#byId.get(id);
    if (other) {
      // Who lives keeps its id. The other is met with a later sign of life.
      if (other.silence < deadTicks) return;
      this.down(other, false, "the node has died, and another has its id");
    }
    this.#lives += 1;
    const subject = this.#link.network.mailboxOf(id);
    const peer = new FarPeer(this.#home, session, subject, this.#lives);
    peer.otherLife = otherLife;
    this.#bySession.set(session, peer);
    this.#byId.set(id, peer);
    peer.up(info);
    this.pair(peer);
  }

  /** Tells a node the lives of the two. */
  pair({ session, subject, life, otherLife }: FarPeer): void {
    this.#link.send(subject, { kind: Kind.pair, to: session, fromLife: life, toLife: otherLife });
  }

  /** A node has told the lives of the two. */
  paired(frame: Frame, peer: FarPeer): void {
    const { from, fromLife, toLife } = frame;
    const { info } = peer;
    const isNewer = peer.otherLife !== 0 && fromLife > peer.otherLife;
    if (isNewer) {
      this.down(peer, false, "the node has taken this one for dead meanwhile");
      return this.meet(from, info!, fromLife);
    }
    if (!this.isOfNow(peer, { ...frame, toLife: 0 })) return;
    peer.isPaired = toLife === peer.life;
    if (!peer.isPaired) this.pair(peer);
  }

  /** Whether a message with these lives is of the time that the two are up for each other. */
  isOfNow(peer: FarPeer, { from, fromLife, toLife }: Frame): boolean {
    if (fromLife === 0 || (toLife !== 0 && toLife !== peer.life)) return false;
    if (peer.otherLife === fromLife) return true;
    const earlier = this.#formers.get(from)?.otherLife ?? 0;
    if (peer.otherLife !== 0 || fromLife <= earlier) return false;
    peer.otherLife = fromLife;
    return true;
  }

  down(peer: FarPeer, isFarewell: boolean, message: string): void {
    if (!peer.end()) return;
    const { session, otherLife, info } = peer;
    this.#bySession.delete(session);
    if (this.#byId.get(info!.id) === peer) this.#byId.delete(info!.id);
    const earlier = this.#formers.get(session)?.otherLife ?? 0;
    this.#remember(session, { otherLife: Math.max(otherLife, earlier), isOver: false });
    this.#boards.remove(peer);
    peer.tellDown(isFarewell, message);
    peer.close();
  }

  #remember(session: string, former: Former): void {
    this.#formers.delete(session);
    this.#formers.set(session, former);
    if (this.#formers.size <= formerMax) return;
    const [oldest] = this.#formers.keys();
    this.#formers.delete(oldest!);
  }

  /** This node leaves; it tells nobody. */
  leave(): void {
    for (const peer of this.#bySession.values()) {
      peer.end();
      peer.close();
    }
    this.#bySession.clear();
    this.#byId.clear();
  }
}
