/**
 * Another node that shares the memory of this one.
 *
 * @module
 */
import type { Member, Place } from "../../channel/roster.ts";
import { TandemError } from "../../errors.ts";
import type { Mailbox } from "./outlet.ts";
import { Peer, type PeerHome } from "./peer.ts";

/** The hall, as its members see it. */
export interface MemberHome extends PeerHome {
  /** Opens the mailbox of a member. @throws {TandemError} */
  connect(member: Member): Mailbox;
}

export class MemberPeer extends Peer {
  readonly #hall: MemberHome;
  /** Null: it was gone before it was seen. */
  readonly #member: Member | null;

  constructor(hall: MemberHome, place: Place, member: Member | null) {
    super(hall, place);
    this.#hall = hall;
    this.#member = member;
  }

  override get pid(): number {
    return this.#member?.pid ?? super.pid;
  }

  override open(): Mailbox {
    if (this.#member === null) throw new TandemError("NOT_FOUND", "Cannot send: the node is gone");
    return this.#hall.connect(this.#member);
  }
}
