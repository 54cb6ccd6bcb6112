/**
 * One end of typed calls: the messages that it writes and reads, the host that keeps its streams and
 * long messages for other processes, and the peers from which it fetches theirs.
 *
 * A target may have several services, and any of them may get a message. But a stream, or the parts of a
 * long message, belong to one process, so others fetch them through its private path: see `host.ts` and
 * `peer.ts`.
 *
 * @module
 */
import type { ErrorClasses } from "../codec/error_classes.ts";
import type { End } from "../transport/transport.ts";
import type { CallContext } from "./context.ts";
import { Host } from "./host.ts";
import type { LotOwner } from "./lent.ts";
import type { Parcel } from "./message.ts";
import type { Limits } from "./terms.ts";
import type { Announcement } from "./parcels.ts";
import { Peer } from "./peer.ts";
import { Reads } from "./reads.ts";
import type { FetchTerms, Side, TakeCall } from "./side.ts";
import { type Claim, Writes } from "./writes.ts";

export class Endpoint implements Side {
  readonly errorClasses: ErrorClasses;
  /** For messages in both directions. */
  readonly limits: Limits;
  readonly #main: End;
  #host: Host | null = null;
  #hostCount = 0;
  #lastEntry = 0;
  readonly #peers: Map<string, Peer> = new Map();
  /** Shared by all messages, which are read one at a time. */
  readonly #reads: Reads;
  isClosed = false;
  takeCall: TakeCall | null = null;
  onHostLost: (() => void) | null = null;

  constructor(main: End, errorClasses: ErrorClasses, limits: Limits) {
    this.#main = main;
    this.errorClasses = errorClasses;
    this.limits = limits;
    this.#reads = new Reads(this);
  }

  /** Keeps streams and long messages for other processes; opened when it is first needed. */
  get host(): Host {
    if (this.#host?.isLost) this.#host = null;
    if (this.#host) return this.#host;
    const host = new Host(this, this.#main, this.#hostCount);
    this.#hostCount += 1;
    return this.#host = host;
  }

  /** A number for a lent value or parcel, unique among all hosts of this end. */
  nextEntry(): number {
    return this.#lastEntry += 1;
  }

  /** The peer for the host of that name. */
  peer(name: string): Peer {
    const known = this.#peers.get(name);
    if (known) return known;
    const open = () => this.#main.connectPrivate(name);
    const peer = new Peer(this, open, () => this.#peers.delete(name));
    this.#peers.set(name, peer);
    return peer;
  }

  /**
   * Fetches a long message.
   *
   * @throws {TandemError} `TOO_LARGE` when it is longer than this side allows; `SERVER_DIED` when its
   * sender is gone
   */
  async fetch(announcement: Announcement, terms: FetchTerms): Promise<Parcel> {
    const peer = this.peer(announcement.host);
    const release = peer.hold();
    try {
      return await peer.fetch(announcement, terms);
    } finally {
      release();
    }
  }

  /**
   * Begins to write one message.
   *
   * @param call the context in which the message's streams run
   * @param owner the stream with which the message's lent values end
   */
  writes(claim: Claim, call?: CallContext, owner?: LotOwner): Writes {
    return new Writes(this, claim, call, owner);
  }

  /** The hooks for reading a message. */
  get reads(): Reads {
    return this.#reads;
  }

  /** See {@linkcode Host.fetched}. */
  async answersFetched(interval: number, looks: number): Promise<void> {
    if (!this.isClosed) await this.#host?.fetched(interval, looks);
  }

  /** Ends all streams and fetches, in both directions. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#host?.close();
    for (const peer of [...this.#peers.values()]) peer.close();
  }
}
