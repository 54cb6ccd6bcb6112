/**
 * The mailbox of a node: a private channel into which the others post batches. Each batch is copied first and
 * looked at second, because its sender may change it meanwhile.
 *
 * @module
 */
import { Damage, pause } from "../../base/damage.ts";
import { codeOf, report } from "../../base/guard.ts";
import { type PrivateChannel, servePrivate } from "../../channel/private.ts";
import type { RequestCore } from "../../channel/request_core.ts";
import { isSamePlace, type Place, placeKey } from "../../channel/roster.ts";
import type { ServerCore } from "../../channel/server_core.ts";
import { Batch, batchBytes, batchMark, Flag, Head, headBytes } from "./batch.ts";
import type { Peer } from "./peer.ts";

/** With this many, 400 senders have the batches there that each may have. */
const slots = 2048;
/** A batch of so many bytes keeps the event loop as busy as one request does. */
const bytesPerEffort = 4096;

/** Whose mailbox it is. */
export interface InboxOwner {
  /**
   * The sender of a batch; null: no node has this place.
   *
   * @param isFirst its stream begins with this batch
   */
  senderAt(place: Place, isFirst: boolean): Peer | null;
  /** A look at the mailbox follows. */
  looks(): void;
  /** A batch is about to be read. {@linkcode hasRead} follows in any case. */
  reads(): void;
  /** A batch of this sender was read. */
  hasRead(peer: Peer): void;
  /** The mailbox was removed, or is damaged for good. */
  lost(error: unknown): void;
}

export class Inbox {
  readonly #owner: InboxOwner;
  readonly #private: PrivateChannel;
  readonly #batch = new Batch();
  #isReading = false;
  #isClosed = false;
  /** How many posts were no batch that could come. */
  dropped = 0;
  /** For the event loop: see `Consumer`. */
  effort = 1;
  readonly hasRoom = true;
  readonly #damage = new Damage();

  constructor(main: ServerCore, owner: InboxOwner) {
    this.#owner = owner;
    this.#private = servePrivate(main, {
      slots,
      maxRequestBytes: batchBytes,
      maxResponseBytes: 0,
      maxDeliveries: 1,
    });
    this.#private.server.unref();
    // Two nodes on one processor have to let each other run.
    this.#private.server.waitAmong(main.channel);
  }

  /** The name by which others find it. */
  get name(): string {
    return this.#private.name;
  }

  /** Takes batches until it is closed. Never rejects. */
  async run(): Promise<void> {
    const { server } = this.#private;
    while (!this.#isClosed) {
      try {
        await server.consume(this);
      } catch (error) {
        try {
          await pause(this.#damage.pauseAfter(error));
        } catch (lasting) {
          if (!this.#isClosed) this.#owner.lost(lasting);
          return;
        }
      }
    }
  }

  /** An answer may come soon: looks for it, as the client of a call does. */
  expect(): void {
    if (!this.#isClosed) this.#private.server.expectSoon();
  }

  beforeLook(): void {
    this.#owner.looks();
  }

  /** Takes one post. Never throws. */
  take(request: RequestCore): void {
    try {
      this.#take(request);
    } catch (error) {
      // The mailbox was closed meanwhile, or is damaged, which the next look finds.
      if (!this.#isClosed) report(this.#owner, "the mailbox of a node", error);
    }
  }

  #take(request: RequestCore): void {
    this.#damage.isOver();
    const { words, bytes } = this.#batch;
    const shared = request.bytes;
    const length = shared.byteLength;
    this.effort = 1 + Math.floor(length / bytesPerEffort);
    if (length < headBytes || length > batchBytes) return this.#drop(request);
    bytes.set(shared);
    const peer = words[Head.mark] === batchMark
      ? this.#owner.senderAt(
        {
          position: words[Head.position]!,
          epochLow: words[Head.epochLow]!,
          epochHigh: words[Head.epochHigh]!,
        },
        words[Head.link] === 1 && words[Head.sequence] === 1,
      )
      : null;
    if (peer === null || !isFrom(peer, request)) return this.#drop(request);
    try {
      this.#read(peer, length);
    } finally {
      // Last: an answer of this node may be on its way by now.
      request.reply("");
    }
  }

  #read(peer: Peer, length: number): void {
    const { words, bytes } = this.#batch;
    peer.heardTaken(words[Head.taken]!);
    if (words[Head.sequence] === 0) return;
    const { inlet } = peer;
    if (!inlet.accepts(words)) return void (this.dropped += 1);
    peer.owesTaken = true;
    if ((words[Head.flags]! & Flag.wantsTaken) !== 0) peer.tellTaken();
    this.#isReading = true;
    this.#owner.reads();
    try {
      inlet.read(words, bytes, length);
    } finally {
      this.#isReading = false;
      this.#owner.hasRead(peer);
    }
  }

  #drop(request: RequestCore): void {
    this.dropped += 1;
    request.reply("");
  }

  /**
   * Takes all batches that are there, those that a dead process was about to post included.
   *
   * @returns false: not now, because a batch is being read
   */
  drain(): boolean {
    if (this.#isReading) return false;
    if (this.#isClosed) return true;
    const { server } = this.#private;
    try {
      server.sweep();
      // Others may post meanwhile, for ever. Those that were there at the beginning come first.
      for (let taken = 0; taken < slots && !this.#isClosed; taken++) {
        const request = server.tryReceive();
        if (request === null) break;
        this.take(request);
      }
    } catch (error) {
      // A mailbox that was removed is empty.
      if (!this.#isClosed && codeOf(error) !== "NOT_FOUND") {
        report(this.#owner, "the mailbox of a node", error);
      }
    }
    return true;
  }

  /** Whether the sender with this place in the mailbox is there, or one of this process that no other node is known to be. */
  mayBeSending(peer: Peer, all: Iterable<Peer>): boolean {
    if (this.#isClosed) return false;
    const { server } = this.#private;
    if (peer.mailPlace) return server.isLiving(peer.mailPlace);
    const known: Set<string> = new Set();
    for (const { mailPlace } of all) if (mailPlace) known.add(placeKey(mailPlace));
    return server.members().some(({ role, pid, place }) =>
      role === "client" && pid === peer.pid && !known.has(placeKey(place))
    );
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#private.remove();
  }
}

/** A head may name another node, by accident. What a process says in its own name is its own affair. */
function isFrom(peer: Peer, request: RequestCore): boolean {
  const place = request.senderPlace;
  const { mailPlace } = peer;
  if (mailPlace !== null && isSamePlace(mailPlace, place)) return true;
  // 0: unknown, since another has its place by now.
  const { pid } = request.peer;
  if (pid !== 0 && peer.pid !== 0 && pid !== peer.pid) return false;
  peer.mailPlace = place;
  return true;
}
