/**
 * The streams between nodes broken on purpose: the explorer has to find each with its configuration.
 *
 * @module
 */
import type { Change } from "./build.ts";

export interface Mutant extends Change {
  readonly name: string;
  /** What goes wrong with it. */
  readonly why: string;
  readonly configuration: string;
}

const hall = "node/hall/hall.ts";
const inbox = "node/hall/inbox.ts";
const inlet = "node/hall/inlet.ts";
const outlet = "node/hall/outlet.ts";
const peer = "node/hall/peer.ts";

export const mutants: readonly Mutant[] = [
  {
    name: "sequence-not-compared",
    file: inlet,
    find: "this.#resyncs ? !isFirst : sequence !== expected",
    replace: "false",
    why: "what follows a hole is taken, and nobody hears of the hole",
    configuration: "vanishes",
  },
  {
    name: "hole-not-told",
    file: inlet,
    find: "this.#owner.broke(this.#link, why);",
    replace: "",
    why: "the sender goes on with a stream of which nothing is taken",
    configuration: "vanishes",
  },
  {
    name: "cut-without-a-new-link",
    file: outlet,
    find: `    this.#drop();
    this.#link = nextSequence(this.#link);`,
    replace: "    this.#drop();",
    why: "the receiver does not hear that messages were dropped",
    configuration: "overflow",
  },
  {
    name: "window-not-counted",
    file: outlet,
    find: "const outstanding = this.#outstanding + 1;",
    replace: "const outstanding = this.#outstanding;",
    why: "a flood fills the mailbox",
    configuration: "window",
  },
  {
    name: "no-retry",
    file: outlet,
    find: "if (this.#first !== null || this.#current !== null) this.#retryLater();",
    replace: "",
    why: "what finds no room waits for ever, if nobody tells that there is room",
    configuration: "full",
  },
  {
    name: "bound-overlooked",
    file: outlet,
    find: "if (isOver && !this.#makesRoom(byteLength)) return this.#overflow();",
    replace: "",
    why: "what waits for a slow node takes memory without a bound",
    configuration: "overflow",
  },
  {
    name: "parts-not-put-together",
    file: inlet,
    find: "whole.set(bytes.subarray(at, at + part), this.#partsLength);",
    replace: "whole.set(bytes.subarray(at, at + part), 0);",
    why: "a long message is damaged",
    configuration: "long",
  },
  {
    name: "monitors-before-the-last-messages",
    file: hall,
    find: "if (!inbox.drain()) return queueMicrotask(() => this.#settle(peer, attempt));",
    replace: "",
    why: "a node is down while its messages are in the mailbox",
    configuration: "killed",
  },
  {
    name: "no-sweep",
    file: inbox,
    find: "server.sweep();",
    replace: "",
    why: "the post in whose middle its sender has died is lost",
    configuration: "killed",
  },
  {
    name: "kernel-not-waited-for",
    file: hall,
    find: "if (delay !== undefined && inbox.mayBeSending(peer, this.#peers.values())) {",
    replace: "if (delay === -1) {",
    why: "a post is not swept as long as the kernel has not taken the lock of its sender",
    configuration: "killed",
  },
  {
    name: "down-twice",
    file: hall,
    find: "if (!peer.end()) return;",
    replace: "peer.end();",
    why: "monitors fire for a farewell, and again when its sender has left",
    configuration: "farewell",
  },
  {
    name: "farewell-not-waited-for",
    file: peer,
    find: `    this.outlet.control(farewell);
    return this.whenDrained();`,
    replace: `    this.outlet.control(farewell);
    return Promise.resolve();`,
    why: "a node that closes drops what waits, and counts as dead",
    configuration: "farewell",
  },
  {
    name: "message-before-up",
    file: peer,
    find: "if (!this.#isTold) this.#tellUp();",
    replace: "",
    why: "messages come of a node that is not up",
    configuration: "meet",
  },
  {
    name: "successor-not-kept-waiting",
    file: hall,
    find: "if (this.#byId.has(claimed.id)) this.#waiting.add(peer);",
    replace: "if (this.#byId.size < 0) this.#waiting.add(peer);",
    why: "a node is up while the earlier one with its id is",
    configuration: "successor",
  },
  {
    name: "board-counts-overlooked",
    file: "node/registry/shared_boards.ts",
    find: "const seen = `${handle.joins} ${handle.departures} ${countBoards(handle)}`;",
    replace: "const seen = `${handle.joins} ${handle.departures}`;",
    why: "who has read a board once never sees what is published later",
    configuration: "boards",
  },
  {
    name: "unknown-nodes-not-followed",
    file: hall,
    find: "this.#unknown.add(peer);\n      if (member.board",
    replace: "if (member.board",
    why: "a node that was seen before its board stays unknown",
    configuration: "boards",
  },
  {
    name: "end-not-told",
    file: "nats/nodes/pulse.ts",
    find: "peer.beat();",
    replace: "",
    why: "nobody notices that the last batch was lost",
    configuration: "far",
  },
  {
    name: "end-not-compared",
    file: inlet,
    find: "this.#resyncs || sequence !== this.sequence",
    replace: "sequence < 0",
    why: "nobody notices that the last batch was lost, although its sender tells of it",
    configuration: "far",
  },
  {
    name: "broken-stream-taken",
    file: "nats/nodes/far_peer.ts",
    find: "return this.inlet.isBroken ? 0 : super.taken;",
    replace: "return super.taken;",
    why: "a sender that has not heard of a hole believes that all was taken",
    configuration: "far",
  },
  {
    name: "change-after-a-hole",
    file: "nats/nodes/far_boards.ts",
    find: "change.version !== board.version + 1",
    replace: "change.version <= board.version",
    why: "a change is made to a board that lacks the one before it",
    configuration: "far-boards",
  },
  {
    name: "items-not-removed",
    file: "nats/nodes/known_board.ts",
    find: "else entries.delete(place);\n      this.#unread.set(place, entry);",
    replace: "if (entry) this.#unread.set(place, entry);",
    why: "what a node has taken back stays on its board for others",
    configuration: "far-boards",
  },
  {
    name: "board-versions-not-compared",
    file: "nats/nodes/pulse.ts",
    find: "this.#boards.versionOf(peer) >= version || peer.isAsked",
    replace: "peer.life >= 0",
    why: "a board of which a part was lost stays old",
    configuration: "far-boards",
  },
  {
    name: "messages-before-the-board",
    file: hall,
    find: "this.boards.publishRest();",
    replace: "",
    why: "who hears that a port has ended finds it in the registry",
    configuration: "announced",
  },
  {
    name: "far-messages-before-the-board",
    file: "nats/nodes/far_nodes.ts",
    find: "this.boards.publishRest();",
    replace: "",
    why: "who hears that a port has ended on another machine finds it in the registry",
    configuration: "far-announced",
  },
];
