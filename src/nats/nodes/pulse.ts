/**
 * The heartbeat of a node among those that are reached through NATS: it tells that it lives, takes those for dead of
 * which nothing is heard, and makes up for what may have been lost.
 *
 * @module
 */
import { later } from "../../runtime/timers.ts";
import type { FarBoards } from "./far_boards.ts";
import type { FarLink } from "./far_link.ts";
import type { FarPeer } from "./far_peer.ts";
import type { FarPeers } from "./far_peers.ts";
import { type Alive, encodeAlive, encodeId, encodeMachine, Kind } from "./frames.ts";
import type { Neighbours } from "./neighbours.ts";

/** In milliseconds. */
export interface Heartbeat {
  readonly interval: number;
  readonly timeout: number;
}

/** Neighbours speak for each other if so many heartbeats may be missing: it takes two until one speaks for itself. */
const speakingTicks = 4;

export class Pulse {
  readonly #id: string;
  readonly #heartbeat: Heartbeat;
  readonly #link: FarLink;
  readonly #peers: FarPeers;
  readonly #boards: FarBoards;
  readonly #neighbours: Neighbours;
  /** Nodes that nothing is known of, and that were asked since the last tick. */
  readonly #asked: Set<string> = new Set();
  #cancel: (() => void) | null = null;
  #isStopped = false;

  constructor(
    id: string,
    heartbeat: Heartbeat,
    link: FarLink,
    peers: FarPeers,
    boards: FarBoards,
    neighbours: Neighbours,
  ) {
    this.#id = id;
    this.#heartbeat = heartbeat;
    this.#link = link;
    this.#peers = peers;
    this.#boards = boards;
    this.#neighbours = neighbours;
  }

  start(): void {
    this.#cancel = later(this.#heartbeat.interval, () => {
      this.#tick();
      if (!this.#isStopped) this.start();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #tick(): void {
    const { interval, timeout } = this.#heartbeat;
    this.#asked.clear();
    this.#tellAlive();
    for (const { session } of this.#neighbours.tick(timeout / interval)) {
      this.#peers.forget(session);
    }
    for (const peer of this.#peers.all()) {
      // Counted, because this process may have been stopped meanwhile.
      peer.silence += 1;
      peer.isAsked = false;
      if (peer.silence * interval >= timeout) {
        this.#peers.down(peer, false, `nothing was heard of the node for ${timeout} ms`);
        continue;
      }
      if (!peer.isPaired) this.#peers.pair(peer);
      peer.beat();
    }
  }

  #tellAlive(): void {
    const neighbours = this.#neighbours;
    const { interval, timeout } = this.#heartbeat;
    const { version } = this.#boards;
    const { speaker } = neighbours;
    const heard = speaker === null ? neighbours.heard() : [];
    if (heard.length > 0) {
      return this.#tellOf([{ session: this.#link.session, id: this.#id, version }, ...heard]);
    }
    const body = encodeAlive(this.#id, version);
    const isSpokenFor = neighbours.isToldOf(version) && timeout >= speakingTicks * interval;
    if (speaker !== null && isSpokenFor) {
      this.#link.send(speaker.subject, { kind: Kind.alive, to: speaker.session, body });
    } else this.#link.sendAll(Kind.alive, body);
  }

  #tellOf(alive: readonly Alive[]): void {
    for (const body of encodeMachine(alive, this.#link.maxBody)) {
      this.#link.sendAll(Kind.machine, body);
    }
  }

  /** A node lives. */
  hear({ session, id, version }: Alive): void {
    const peer = this.#peers.of(session);
    if (peer) return this.#hearPeer(peer, version);
    const neighbour = this.#neighbours.of(session);
    if (neighbour) neighbour.version = version;
    if (this.#peers.isOver(session) || this.#asked.has(session)) return;
    this.#asked.add(session);
    this.#ask(session, this.#link.network.mailboxOf(id));
  }

  #hearPeer(peer: FarPeer, version: number): void {
    peer.silence = 0;
    if (this.#boards.versionOf(peer) >= version || peer.isAsked) return;
    // A part of its board was lost.
    peer.isAsked = true;
    this.#ask(peer.session, peer.subject);
  }

  /** A neighbour of those nodes tells that they live; maybe this one is among them. */
  hearMachine(from: string, alive: readonly Alive[]): void {
    for (const one of alive) {
      if (one.session !== this.#link.session) {
        // What others tell of a neighbour is what it has told them.
        if (one.session === from || !this.#neighbours.of(one.session)) this.hear(one);
      } else if (this.#neighbours.of(from)) this.#neighbours.told(one.version);
    }
  }

  #ask(session: string, subject: string): void {
    this.#link.send(subject, { kind: Kind.ask, to: session, body: encodeId(this.#id) });
  }
}
