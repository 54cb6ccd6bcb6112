/**
 * What a node has in the hall: its place among the participants, and its mailbox.
 *
 * @module
 */
import { countBoards, readBoardStart } from "../../channel/boards.ts";
import type { ClientCore } from "../../channel/client_core.ts";
import { connectPrivateQuietly } from "../../channel/private.ts";
import { rendezvous } from "../../channel/rendezvous.ts";
import { Roll } from "../../channel/roll.ts";
import { hasHad, type Member, memberAt, type Place } from "../../channel/roster.ts";
import { ServerCore } from "../../channel/server_core.ts";
import { TandemError } from "../../errors.ts";
import type { NodeIdentity } from "../registry/seam.ts";
import { readIdentity } from "../registry/board.ts";
import { bytesOfHead } from "../registry/bounds.ts";
import { Inbox, type InboxOwner } from "./inbox.ts";

/** Whose seat it is. */
export interface SeatOwner extends InboxOwner {
  /** Others may have come or gone, or published their boards. Runs in a turn of its own. */
  rung(): void;
  /** Newer code of this process has taken the seat. */
  replaced(): void;
}

export class Seat {
  readonly main: ServerCore;
  readonly inbox: Inbox;
  readonly place: Place;
  /** Of this process. */
  readonly pid: number;
  readonly runtime: string;
  readonly #owner: SeatOwner;
  readonly #roll: Roll;
  /** What had happened in the hall before the last look. */
  #joins = NaN;
  #departures = NaN;
  #boards = NaN;

  /** @throws {TandemError} as opening a channel */
  constructor(group: string, mode: number | undefined, owner: SeatOwner) {
    this.#owner = owner;
    this.main = ServerCore.open(`${group}.nodes`, rendezvous(mode));
    try {
      this.inbox = new Inbox(this.main, owner);
      const own = this.main.members().find(({ privatePath }) => privatePath === this.inbox.name);
      if (!own) throw new TandemError("CORRUPT", "Cannot join the nodes: the channel is damaged");
      this.#roll = new Roll(this.main);
      ({ place: this.place, pid: this.pid, runtime: this.runtime } = own);
      this.main.unref();
      this.main.expectNothing();
      this.main.onReplaced = () => owner.replaced();
    } catch (error) {
      this.main.close();
      throw error;
    }
  }

  /** Begins to take messages, and to hear of others. */
  open(): void {
    this.main.watchMembers(() => this.#owner.rung());
    void this.inbox.run();
    void this.#watch();
  }

  /** Learns that the hall is removed. Never rejects. */
  async #watch(): Promise<void> {
    try {
      await this.main.consume({ hasRoom: true, take: (request) => void request.reply("") });
    } catch (error) {
      this.#owner.lost(error);
    }
  }

  /** The places where others have come or gone, or published a board; null: nothing has happened since the last look. */
  changed(withBoards: boolean): number[] | null {
    const { main } = this;
    if (!main.channel.isOpen) return null;
    const { joins, departures } = main;
    const boards = withBoards ? countBoards(main) : NaN;
    const isSame = joins === this.#joins && departures === this.#departures &&
      (!withBoards || boards === this.#boards);
    if (isSame) return null;
    // Before the look: what happens meanwhile is seen the next time.
    this.#joins = joins;
    this.#departures = departures;
    this.#boards = boards;
    return this.#roll.changed().filter((position) => position !== this.place.position);
  }

  /** The next look is made in any case. */
  forget(): void {
    this.#joins = NaN;
  }

  /** The node at a place. */
  memberAt(position: number): Member | null {
    const member = memberAt(this.main.channel, position);
    return member?.role === "server" ? member : null;
  }

  /** Who a member says it is; null: it has not said so yet, or cannot be understood. */
  identityOf(member: Member): NodeIdentity | null {
    if (member.board === 0) return null;
    try {
      const start = readBoardStart(this.main, member, bytesOfHead);
      return start && readIdentity(start);
    } catch {
      return null;
    }
  }

  /** Whether the participant that had this place has it still, and lives. */
  isLiving(place: Place): boolean {
    return this.main.isLiving(place);
  }

  /** Whether a participant had this place that has it no longer. */
  hasHad(place: Place): boolean {
    return hasHad(this.main.channel, place);
  }

  /** Opens the mailbox of a member. @throws {TandemError} */
  connect(member: Member): ClientCore {
    return connectPrivateQuietly(this.main, member.privatePath);
  }

  leave(): void {
    this.inbox.close();
    this.main.close();
  }
}
