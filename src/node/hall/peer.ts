/**
 * Another node, as this one sees it: the streams from and to it, and what is known of it.
 *
 * @module
 */
import { report } from "../../base/guard.ts";
import { isSamePlace, type Place } from "../../channel/roster.ts";
import { queueMicrotask } from "../../runtime/timers.ts";
import type { CarrierListener, NodeInfo } from "../carrier.ts";
import { Control } from "./batch.ts";
import { decodeGreeting } from "./greeting.ts";
import { Inlet, type InletOwner } from "./inlet.ts";
import { type Mailbox, Outlet, type OutletHome, type OutletPeer } from "./outlet.ts";

/** The hall, as its peers see it. */
export interface PeerHome extends OutletHome {
  readonly listener: CarrierListener;
  readonly maxMessageBytes: number;
  readonly greeting: Uint8Array;
  /** A node has said who it is in its first message, and was not known before. */
  greeted(peer: Peer, info: NodeInfo): void;
  /** A node has said good-bye. */
  left(peer: Peer): void;
  /** A node has sent something that it must not send. */
  dropped(): void;
}

const farewell: Uint8Array = new Uint8Array([Control.farewell]);

export abstract class Peer implements OutletPeer, InletOwner {
  readonly #home: PeerHome;
  /** Its place in the hall. */
  readonly place: Place;
  readonly inlet: Inlet = new Inlet(this);
  #outlet: Outlet | null = null;
  /** Who it says it is. */
  claimed: NodeInfo | null = null;
  /** Null: it is not up yet. */
  info: NodeInfo | null = null;
  /** Its place in the mailbox of this node. */
  mailPlace: Place | null = null;
  owesTaken = false;
  /** The listener knows that it is up. */
  #isTold = false;
  /** It has left the hall, or was found dead. */
  isGone = false;

  constructor(home: PeerHome, place: Place) {
    this.#home = home;
    this.place = place;
  }

  /** 0: unknown. */
  get pid(): number {
    return this.info?.pid ?? 0;
  }

  isAt(place: Place): boolean {
    return isSamePlace(this.place, place);
  }

  // The stream to it.

  get outlet(): Outlet {
    return this.#outlet ??= new Outlet(this.#home, this);
  }

  /** Null: nothing was sent to it yet. */
  get madeOutlet(): Outlet | null {
    return this.#outlet;
  }

  get queued(): { messages: number; bytes: number } {
    return { messages: this.#outlet?.messages ?? 0, bytes: this.#outlet?.bytes ?? 0 };
  }

  abstract open(): Mailbox;

  get greeting(): Uint8Array {
    return this.#home.greeting;
  }

  get taken(): number {
    return this.inlet.sequence;
  }

  toldTaken(): void {
    this.owesTaken = false;
  }

  heardTaken(sequence: number): void {
    this.#outlet?.wasTaken(sequence);
  }

  tellTaken(): void {
    this.outlet.tellTaken();
  }

  heardBroken(link: number): void {
    this.#outlet?.wasBroken(link);
  }

  cut(kind: "overflow" | "transport_error", message: string): void {
    // Not now: the program may be in the middle of a send.
    queueMicrotask(() => this.#tellLost(kind, message));
  }

  /** Says good-bye, after all that waits. Resolves when it is posted. */
  sayFarewell(): Promise<void> {
    this.outlet.control(farewell);
    return this.whenDrained();
  }

  /** Resolves when all that waits is posted. */
  async whenDrained(): Promise<void> {
    this.#outlet?.flush();
    await this.#outlet?.whenDrained();
  }

  /** Tells it how far the stream to it has come. */
  beat(): void {
    this.#outlet?.beat();
  }

  // The stream from it.

  get maxMessageBytes(): number {
    return this.#home.maxMessageBytes;
  }

  received(message: Uint8Array): void {
    const { info } = this;
    if (info === null) return this.#home.dropped();
    if (!this.#isTold) this.#tellUp();
    try {
      this.#home.listener.received(info.id, message);
    } catch (error) {
      report(this.#home.listener, "the receiver of a node's messages", error);
    }
  }

  control(message: Uint8Array): void {
    switch (message[0]) {
      case Control.hello: {
        const info = decodeGreeting(message);
        if (!info || (this.info && this.info.id !== info.id)) return this.#home.dropped();
        if (!this.info) this.#home.greeted(this, info);
        return;
      }
      case Control.farewell:
        return this.#home.left(this);
      case Control.broken:
        if (message.byteLength !== 5) return this.#home.dropped();
        return this.heardBroken(
          new DataView(message.buffer, message.byteOffset).getUint32(1, true),
        );
      default:
        return this.#home.dropped();
    }
  }

  wasCut(isOverflow: boolean): void {
    const text = isOverflow
      ? "more messages waited in the node for this one than it keeps, and are lost"
      : "messages of the node to this one are lost";
    this.#tellLost(isOverflow ? "overflow" : "transport_error", text);
  }

  broke(link: number, message: string): void {
    this.goesOn(link);
    this.#tellLost("transport_error", `the messages of the node are not whole: ${message}`);
  }

  goesOn(link: number): void {
    const told = new Uint8Array(5);
    told[0] = Control.broken;
    new DataView(told.buffer).setUint32(1, link, true);
    this.outlet.control(told);
  }

  // What the program hears.

  #tellLost(kind: "overflow" | "transport_error", message: string): void {
    const { info } = this;
    if (info === null || this.inlet.isEnded) return;
    this.#tellUp();
    try {
      this.#home.listener.lost(info, kind, message);
    } catch (error) {
      report(this.#home.listener, "the listener for lost messages", error);
    }
  }

  /** It is up, and the listener hears of it: in a microtask, or before anything else of the node. */
  up(info: NodeInfo): void {
    this.info = info;
    queueMicrotask(() => this.#tellUp());
  }

  #tellUp(): void {
    if (this.#isTold) return;
    this.#isTold = true;
    try {
      this.#home.listener.up(this.info!);
    } catch (error) {
      report(this.#home.listener, "the listener for new nodes", error);
    }
  }

  /** Nothing is sent or taken any more. False: it had ended already. {@linkcode close} has to follow. */
  end(): boolean {
    if (this.inlet.isEnded) return false;
    this.inlet.end();
    this.#outlet?.end();
    return true;
  }

  /** Leaves the mailbox. */
  close(): void {
    this.#outlet?.close();
  }

  tellDown(isFarewell: boolean, message: string): void {
    const { info } = this;
    if (info === null) return;
    this.#tellUp();
    try {
      this.#home.listener.down(info, isFarewell, message);
    } catch (error) {
      report(this.#home.listener, "the listener for nodes that have gone", error);
    }
  }
}
