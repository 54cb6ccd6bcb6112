/**
 * The nodes of one group that are reached through NATS. Each tells all others at intervals that it lives; who is silent
 * for too long is down. Messages go in the same streams as in memory; a sender tells how far its stream has come until
 * the receiver has taken all, so that no loss goes unnoticed.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import type { Carrier, CarrierListener, NodeInfo } from "../../node/carrier.ts";
import { keepAlive, laterForSure } from "../../runtime/timers.ts";
import { FarBoards } from "./far_boards.ts";
import { FarLink } from "./far_link.ts";
import type { FarPeer } from "./far_peer.ts";
import { FarPeers } from "./far_peers.ts";
import { FarStreams, type StreamOwner, type StreamTerms } from "./far_streams.ts";
import {
  type BoardChange,
  decodeAlive,
  decodeBoardChange,
  decodeBoardPart,
  decodeFrame,
  decodeHere,
  decodeId,
  decodeMachine,
  encodeBoardChange,
  encodeBoardPart,
  encodeHere,
  encodeId,
  type Frame,
  headBytes,
  Kind,
} from "./frames.ts";
import { Neighbour, Neighbours } from "./neighbours.ts";
import type { Network } from "./network.ts";
import { type Heartbeat, Pulse } from "./pulse.ts";

/** How a node takes part. */
export interface FarTerms extends StreamTerms {
  readonly network: Network;
  /** Its first board. */
  readonly board: Uint8Array;
  readonly heartbeat: Heartbeat;
  /** Whether a node is reached on another way, and is none of these. */
  isNear(info: NodeInfo): boolean;
}

/** How long a node that starts waits for what others say, in milliseconds, and how often it asks who has its id. */
const answersMilliseconds = 100;
const idAsks = 4;
/** How long a leaving node tries at most to get rid of what waits, in milliseconds. */
const leavingMax = 1_000;

/**
 * Joins the nodes of a group.
 *
 * @throws {TandemError} `PERMISSION`, `DISCONNECTED`, `UNSUPPORTED`; `EXISTS` when another node has the id
 */
export async function joinFarNodes(terms: FarTerms, listener: CarrierListener): Promise<FarNodes> {
  const nodes = new FarNodes(terms, listener);
  // The link alone does not.
  const release = keepAlive();
  try {
    await nodes.join();
    return nodes;
  } catch (error) {
    nodes.leave();
    throw error;
  } finally {
    release();
  }
}

export class FarNodes implements Carrier, StreamOwner {
  readonly boards: FarBoards;
  /** Messages that no node may send. */
  refused = 0;
  readonly #terms: FarTerms;
  readonly #link: FarLink;
  readonly #streams: FarStreams;
  readonly #peers: FarPeers;
  readonly #neighbours: Neighbours;
  readonly #pulse: Pulse;
  #state: "joining" | "open" | "closing" | "closed" = "joining";

  constructor(terms: FarTerms, listener: CarrierListener) {
    const { network, info, board, heartbeat } = terms;
    this.#terms = terms;
    const link = this.#link = new FarLink(network, info.id, (data) => this.#take(data));
    this.boards = new FarBoards((change) => this.#tellChange(change));
    this.boards.publish(board);
    this.#streams = new FarStreams(link, terms, this, listener);
    this.#peers = new FarPeers(this.#streams, link, this.boards);
    this.#neighbours = new Neighbours(link.session);
    this.#pulse = new Pulse(info.id, heartbeat, link, this.#peers, this.boards, this.#neighbours);
  }

  async join(): Promise<void> {
    const { network, info } = this.#terms;
    await this.#link.open();
    const id = encodeId(info.id);
    this.#link.sendAll(Kind.ask, id);
    for (let asked = 0; asked < idAsks; asked++) {
      // Only who has the id hears this. Any of these may be lost.
      this.#link.send(network.mailboxOf(info.id), { kind: Kind.ask, to: "", body: id });
      await this.#link.answered(answersMilliseconds / idAsks);
    }
    this.#state = "open";
    this.#link.joined();
    this.#link.sendAll(Kind.here, encodeHere(info, this.boards.version));
    this.#tellBoard("", network.all);
    for (const peer of this.#peers.all()) this.#peers.pair(peer);
    this.#pulse.start();
  }

  // Carrier

  send(node: string, message: Uint8Array): boolean {
    const peer = this.#peers.withId(node);
    if (peer === undefined || this.#state === "closed") return false;
    const { byteLength } = message;
    const { maxMessageBytes } = this.#terms;
    if (byteLength > maxMessageBytes) {
      throw new TandemError(
        "TOO_LARGE",
        `Cannot send a message of ${byteLength} bytes to another node: maxMessageBytes is ` +
          `${maxMessageBytes}; start the node with a larger one`,
      );
    }
    this.#streams.send(peer, message);
    return true;
  }

  queued(node: string): { messages: number; bytes: number } {
    return this.#peers.withId(node)?.queued ?? { messages: 0, bytes: 0 };
  }

  whenRoom(node: string, signal?: AbortSignal): Promise<boolean> {
    return this.#peers.withId(node)?.outlet.whenRoom(signal) ?? Promise.resolve(false);
  }

  isUp(node: string): boolean {
    return this.#peers.withId(node) !== undefined;
  }

  nodes(): readonly NodeInfo[] {
    return this.#peers.all().map(({ info }) => info!);
  }

  async close(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "closing";
    if (this.#link.isUp) {
      const drained = Promise.all(this.#peers.all().map((peer) => peer.whenDrained()));
      let cancel = () => {};
      const isLate = new Promise<void>((resolve) => cancel = laterForSure(leavingMax, resolve));
      await Promise.race([drained, isLate]);
      cancel();
      this.#link.sendAll(Kind.bye);
    }
    this.leave();
  }

  /** Leaves without a good-bye. */
  leave(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#pulse.stop();
    this.#peers.leave();
    this.#link.close();
  }

  /** A node is reached on another way from now on. */
  cede(node: string): void {
    const peer = this.#peers.withId(node);
    if (!peer) return;
    this.#peers.down(peer, false, "the node is reached through memory from now on");
    this.#addNeighbour(peer.session, peer.info!);
  }

  /**
   * A node is no longer reached on another way. If one with its id still tells that it lives, this node meets it anew:
   * another one was in the memory of this machine.
   */
  reclaim(node: string): void {
    for (const { session } of this.#neighbours.withId(node)) {
      this.#neighbours.remove(session);
      this.#peers.forget(session);
    }
  }

  #addNeighbour(session: string, info: NodeInfo): void {
    this.#peers.setOver(session);
    this.#neighbours.add(new Neighbour(session, info, this.#terms.network.mailboxOf(info.id)));
  }

  // What goes out

  #tellBoard(to: string, subject: string): void {
    if (this.#state === "joining") return;
    for (const part of this.boards.ownParts(this.#link.maxBody - headBytes)) {
      if (!this.#link.send(subject, { kind: Kind.board, to, body: encodeBoardPart(part) })) return;
    }
  }

  /** Tells all others what has changed; of the whole board if that is no longer. */
  #tellChange(change: BoardChange | null): void {
    if (this.#state === "joining") return;
    // UTF-8 cannot tell of a place with half a character.
    const isTold = change !== null && change.removed.every((place) => place.isWellFormed());
    const body = isTold ? encodeBoardChange(change) : null;
    if (body && body.byteLength < this.boards.ownBytes && body.byteLength <= this.#link.maxBody) {
      this.#link.sendAll(Kind.change, body);
    } else this.#tellBoard("", this.#terms.network.all);
  }

  // What comes in

  #take(data: Uint8Array): void {
    if (this.#state === "closed") return;
    const frame = decodeFrame(data);
    if (frame === null) return this.dropped();
    const { kind, from, to } = frame;
    const { session } = this.#link;
    if (from === session || (to !== "" && to !== session)) return;
    const peer = this.#peers.of(from);
    const neighbour = this.#neighbours.of(from);
    if (peer) peer.silence = 0;
    if (neighbour) neighbour.silence = 0;
    switch (kind) {
      case Kind.alive:
        return this.#alive(frame);
      case Kind.machine:
        return this.#machine(frame);
      case Kind.ask:
        return this.#asks(frame);
      case Kind.here:
        return this.#here(frame, peer);
      case Kind.taken:
        return this.#taken(frame);
      case Kind.pair:
        return peer && this.#peers.paired(frame, peer);
      case Kind.batch:
        return this.#isOfNow(frame, peer) ? this.#streams.batched(frame, peer) : this.dropped();
      case Kind.broken:
        return this.#isOfNow(frame, peer) ? this.#streams.broken(frame, peer) : this.dropped();
      case Kind.board:
        return this.#board(frame, peer);
      case Kind.change:
        return this.#changed(frame, peer);
      case Kind.bye:
        return this.#bye(frame, peer);
      default:
        return this.dropped();
    }
  }

  #alive({ from, body }: Frame): void {
    const alive = decodeAlive(body);
    if (alive === null) return this.dropped();
    this.#pulse.hear({ session: from, ...alive });
  }

  #machine({ from, body }: Frame): void {
    const alive = decodeMachine(body);
    if (alive === null) return this.dropped();
    this.#pulse.hearMachine(from, alive);
  }

  #asks({ from, body }: Frame): void {
    const { network, info } = this.#terms;
    const id = decodeId(body);
    if (id === null) return this.dropped();
    const subject = network.mailboxOf(id);
    if (id === info.id) {
      // Of two that start at once, one may have it.
      const isMine = this.#state !== "joining" || this.#link.session < from;
      if (isMine) this.#link.send(subject, { kind: Kind.taken, to: from });
    } else if (this.#state === "open") {
      const body = encodeHere(info, this.boards.version);
      this.#link.send(subject, { kind: Kind.here, to: from, body });
      this.#tellBoard(from, subject);
    }
  }

  #taken({ to }: Frame): void {
    const { id } = this.#terms.info;
    if (this.#state !== "joining" || to === "") return;
    this.#link.refuse(
      new TandemError(
        "EXISTS",
        `Cannot start a node with the id ${
          JSON.stringify(id)
        }: a living node on another machine has it; use another ` +
          "id, or leave it out",
      ),
    );
  }

  #here({ from, body }: Frame, peer: FarPeer | undefined): void {
    const here = decodeHere(body);
    if (here === null || (peer && peer.info?.id !== here.info.id)) return this.dropped();
    if (!peer && this.#state !== "closing") this.#meet(from, here.info);
  }

  #meet(session: string, info: NodeInfo): void {
    if (info.id === this.#terms.info.id || this.#peers.isOver(session)) return;
    if (this.#terms.isNear(info)) this.#addNeighbour(session, info);
    else this.#peers.meet(session, info, 0);
  }

  #isOfNow(frame: Frame, peer: FarPeer | undefined): peer is FarPeer {
    return peer !== undefined && this.#peers.isOfNow(peer, frame);
  }

  #board({ body }: Frame, peer: FarPeer | undefined): void {
    const part = decodeBoardPart(body);
    if (part === null || (peer && !this.boards.take(peer, part))) this.dropped();
  }

  #changed({ body }: Frame, peer: FarPeer | undefined): void {
    const change = decodeBoardChange(body);
    if (change === null || (peer && !this.boards.takeChange(peer, change))) this.dropped();
  }

  #bye({ from }: Frame, peer: FarPeer | undefined): void {
    if (peer) this.#peers.down(peer, true, "the node was closed");
    this.#neighbours.remove(from);
    this.#peers.setOver(from);
  }

  // Streams

  posts(): void {
    this.boards.publishRest();
  }

  left(peer: FarPeer): void {
    this.#peers.down(peer, true, "the node was closed");
  }

  dropped(): void {
    this.refused += 1;
  }
}
