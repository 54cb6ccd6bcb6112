/**
 * A node that is reached through NATS, as this one sees it from its coming up to its going down.
 *
 * @module
 */
import type { Mailbox } from "../../node/hall/outlet.ts";
import { Peer, type PeerHome } from "../../node/hall/peer.ts";

/** What all nodes that are reached through NATS share. */
export interface FarHome extends PeerHome {
  /** Sends a batch. False: the link is lost. */
  post(peer: FarPeer, batch: Uint8Array): boolean;
  /** Tells a node that its stream is broken. */
  tellBroken(peer: FarPeer, link: number): void;
}

/** Nodes on other machines have no place in memory. */
const nowhere = { position: 0, epochLow: 0, epochHigh: 0 };

export class FarPeer extends Peer {
  readonly session: string;
  /** The subject of its mailbox. */
  readonly subject: string;
  /** This node's number for it. */
  readonly life: number;
  /** Its number for this node; 0: unknown. */
  otherLife = 0;
  /** It knows {@linkcode life}. */
  isPaired = false;
  /** For so many ticks nothing was heard of it. */
  silence = 0;
  /** It was asked who it is since the last tick. */
  isAsked = false;
  readonly #home: FarHome;
  readonly #mailbox: Mailbox;

  constructor(home: FarHome, session: string, subject: string, life: number) {
    super(home, nowhere);
    this.#home = home;
    this.session = session;
    this.subject = subject;
    this.life = life;
    this.#mailbox = {
      post: (batch) => home.post(this, batch),
      // What was taken, only the receiver knows.
      hasRoom: () => false,
      close: () => {},
    };
  }

  override open(): Mailbox {
    return this.#mailbox;
  }

  /** Not in the stream to it: that may be broken, too, and each side would wait for the other. */
  override goesOn(link: number): void {
    this.#home.tellBroken(this, link);
  }

  /** A hole is told until the sender has heard of it: it must not believe that all was taken. */
  override get taken(): number {
    return this.inlet.isBroken ? 0 : super.taken;
  }
}
