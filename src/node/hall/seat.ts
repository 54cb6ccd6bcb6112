/**
 * What a node has in the hall: its place among the participants, and its mailbox.
 *
 * @module
 */
import { countBoards, readBoardStart } from "../../channel/boards.ts";
import type { ClientCore } from "../../channel/client_core.ts";
import { connectPrivateQuietly } from "../../channel/private.ts";
import { rendezvous } from "../../channel/rendezvous.ts";
import { hasHad, type Member, type Place } from "../../channel/roster.ts";
import { ServerCore } from "../../channel/server_core.ts";
import { TandemError } from "../../errors.ts";
import type { NodeIdentity } from "../registry/seam.ts";
import { bytesOfHead, readIdentity } from "../registry/board.ts";
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
  /** What had happened in the hall before the last list of members was made. */
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
      ({ place: this.place, pid: this.pid, runtime: this.runtime } = own);
      this.main.unref();
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

  /** The other nodes; null: none has come or gone since the last list. */
  others(withBoards: boolean): Member[] | null {
    const { main } = this;
    if (!main.channel.isOpen) return null;
    const { joins, departures } = main;
    const boards = withBoards ? countBoards(main) : NaN;
    const isSame = joins === this.#joins && departures === this.#departures &&
      (!withBoards || boards === this.#boards);
    if (isSame) return null;
    // Before the list: what happens meanwhile is seen the next time.
    this.#joins = joins;
    this.#departures = departures;
    this.#boards = boards;
    const { position } = this.place;
    return main.members().filter(({ role, place }) =>
      role === "server" && place.position !== position
    );
  }

  /** The next list is made in any case. */
  forgetList(): void {
    this.#joins = NaN;
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
