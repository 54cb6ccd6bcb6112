/**
 * The streams of messages to and from nodes that are reached through NATS: batches, as in memory.
 *
 * @module
 */
import type { CarrierListener, NodeInfo } from "../../node/carrier.ts";
import {
  Batch,
  batchBytes,
  batchMark,
  BatchStock,
  Flag,
  Head,
  headBytes as batchHeadBytes,
} from "../../node/hall/batch.ts";
import { Flusher } from "../../node/hall/flusher.ts";
import { encodeGreeting } from "../../node/hall/greeting.ts";
import type { Outlet } from "../../node/hall/outlet.ts";
import type { FarLink } from "./far_link.ts";
import type { FarHome, FarPeer } from "./far_peer.ts";
import { decodeBroken, encodeBroken, type Frame, Kind } from "./frames.ts";

/** How many batches may be on their way to one node: 1 MiB. */
const windowMax = 32;
/** Batches that are kept for later: 4 MiB. */
const stockMax = 128;

/** What streams of a node may hold. */
export interface StreamTerms {
  readonly info: NodeInfo;
  readonly maxQueueBytes: number;
  readonly maxMessageBytes: number;
}

/** What a node hears of its streams. */
export interface StreamOwner {
  /** A batch of messages is about to go to another node. */
  posts(): void;
  /** A farewell in a stream. */
  left(peer: FarPeer): void;
  /** Something came that no node may send. */
  dropped(): void;
}

export class FarStreams implements FarHome {
  readonly listener: CarrierListener;
  readonly stock: BatchStock = new BatchStock(stockMax);
  readonly window: number = windowMax;
  readonly maxQueue: number = Infinity;
  readonly maxQueueBytes: number;
  readonly maxMessageBytes: number;
  readonly greeting: Uint8Array;
  /** Nodes on other machines have no place in memory. */
  readonly place: FarPeer["place"] = { position: 0, epochLow: 0, epochHigh: 0 };
  readonly #link: FarLink;
  readonly #owner: StreamOwner;
  readonly #flusher: Flusher = new Flusher();
  /** Where what comes is read. */
  readonly #batch: Batch = new Batch();

  constructor(link: FarLink, terms: StreamTerms, owner: StreamOwner, listener: CarrierListener) {
    this.#link = link;
    this.#owner = owner;
    this.listener = listener;
    this.maxQueueBytes = terms.maxQueueBytes;
    this.maxMessageBytes = terms.maxMessageBytes;
    this.greeting = encodeGreeting(terms.info);
  }

  send(peer: FarPeer, message: Uint8Array): void {
    this.#flusher.appended += 1;
    peer.outlet.send(message);
  }

  post(peer: FarPeer, batch: Uint8Array): boolean {
    return this.#send(Kind.batch, peer, batch);
  }

  tellBroken(peer: FarPeer, link: number): void {
    this.#send(Kind.broken, peer, encodeBroken(link));
  }

  #send(kind: number, { session, subject, life, otherLife }: FarPeer, body: Uint8Array): boolean {
    const lives = { fromLife: life, toLife: otherLife };
    return this.#link.send(subject, { kind, to: session, ...lives, body });
  }

  posts(): void {
    this.#owner.posts();
  }

  flushLater(outlet: Outlet): void {
    this.#flusher.flushLater(outlet);
  }

  /** A batch has come, of the time that the two are up for each other. */
  batched({ body }: Frame, peer: FarPeer): void {
    const { byteLength } = body;
    if (byteLength < batchHeadBytes || byteLength > batchBytes) return this.dropped();
    const { bytes, words } = this.#batch;
    bytes.set(body);
    if (words[Head.mark] !== batchMark) return this.dropped();
    peer.heardTaken(words[Head.taken]!);
    if (words[Head.sequence] === 0) return;
    const flags = words[Head.flags]!;
    const { inlet } = peer;
    const isBeat = (flags & Flag.beat) !== 0;
    if (isBeat) inlet.reaches(words);
    else if (!inlet.accepts(words)) return this.dropped();
    else peer.owesTaken = true;
    if ((flags & Flag.wantsTaken) !== 0) peer.tellTaken();
    if (!isBeat) inlet.read(words, bytes, byteLength);
  }

  /** The node has found the stream to it broken. */
  broken({ body }: Frame, peer: FarPeer): void {
    const link = decodeBroken(body);
    if (link === null) return this.dropped();
    peer.heardBroken(link);
  }

  /** Its greeting in a stream says nothing new. */
  greeted(): void {
    this.dropped();
  }

  left(peer: FarPeer): void {
    this.#owner.left(peer);
  }

  dropped(): void {
    this.#owner.dropped();
  }
}
