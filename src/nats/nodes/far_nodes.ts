/**
 * The nodes of one group that are reached through NATS. Each tells all others at intervals that it lives; who is silent
 * for too long is down. Messages go in the same streams as in memory; a sender tells how far its stream has come until
 * the receiver has taken all, so that no loss goes unnoticed.
 *
 * @module
 */
import { report } from "../../base/guard.ts";
import { TandemError } from "../../errors.ts";
import type { Carrier, CarrierListener, NodeInfo } from "../../node/carrier.ts";
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
import { randomToken } from "../../node/ids.ts";
import { keepAlive, later, laterForSure } from "../../runtime/timers.ts";
import { acquireLink, type Link, LinkSubscription } from "../link.ts";
import { FarBoards } from "./far_boards.ts";
import { type FarHome, FarPeer } from "./far_peer.ts";
import {
  decodeAlive,
  decodeBoardPart,
  decodeBroken,
  decodeFrame,
  decodeHere,
  decodeId,
  encodeAlive,
  encodeBoardPart,
  encodeBroken,
  encodeFrame,
  encodeHere,
  encodeId,
  type Frame,
  headBytes,
  Kind,
} from "./frames.ts";
import type { Network } from "./network.ts";

/** How a node takes part. */
export interface FarTerms {
  readonly network: Network;
  readonly info: NodeInfo;
  /** Its first board. */
  readonly board: Uint8Array;
  readonly heartbeat: { readonly interval: number; readonly timeout: number };
  readonly maxQueueBytes: number;
  readonly maxMessageBytes: number;
  /** Whether a node is reached on another way, and is none of these. */
  isNear(info: NodeInfo): boolean;
}

/** How many batches may be on their way to one node: 1 MiB. */
const windowMax = 32;
/** Batches that are kept for later: 4 MiB. */
const stockMax = 128;
/** How long a node that starts waits for the link, and then for what others say, in milliseconds. */
const openMilliseconds = 10_000;
const answersMilliseconds = 100;
/** How long a leaving node tries at most to get rid of what waits, in milliseconds. */
const leavingMax = 1_000;
/** Who was silent for so many ticks has died if another has its id. */
const deadTicks = 2;
/** A batch must fit into one message. */
const payloadMin = headBytes + batchBytes;
/** Nodes that were there, and are remembered. */
const formerMax = 4_096;

/** What is known of a node that is not up. */
interface Former {
  /** Nothing of these lives, or before, counts. */
  readonly otherLife: number;
  /** It is not to be met: it has left, or is reached on another way. */
  readonly isOver: boolean;
}

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

export class FarNodes implements Carrier, FarHome {
  readonly listener: CarrierListener;
  readonly stock: BatchStock = new BatchStock(stockMax);
  readonly window: number = windowMax;
  readonly maxQueue: number = Infinity;
  readonly maxQueueBytes: number;
  readonly maxMessageBytes: number;
  readonly greeting: Uint8Array;
  readonly boards: FarBoards;
  /** Messages that no node may send. */
  refused = 0;
  readonly #terms: FarTerms;
  readonly #session: string = randomToken(8);
  readonly #link: Link;
  readonly #subscriptions: readonly LinkSubscription[];
  readonly #flusher: Flusher = new Flusher();
  readonly #batch: Batch = new Batch();
  readonly #peers: Map<string, FarPeer> = new Map();
  readonly #byId: Map<string, FarPeer> = new Map();
  /** The oldest come first. */
  readonly #formers: Map<string, Former> = new Map();
  /** Nodes that nothing is known of, and that were asked since the last tick. */
  readonly #asked: Set<string> = new Set();
  #lives = 0;
  #state: "joining" | "open" | "closing" | "closed" = "joining";
  #refusal: PromiseWithResolvers<never> = Promise.withResolvers();
  #isReported = false;
  /** Its place among those who hear of refused messages. */
  readonly #number: number;
  #cancelTick: (() => void) | null = null;

  constructor(terms: FarTerms, listener: CarrierListener) {
    const { network, info, board } = terms;
    this.#terms = terms;
    this.listener = listener;
    this.maxQueueBytes = terms.maxQueueBytes;
    this.maxMessageBytes = terms.maxMessageBytes;
    this.greeting = encodeGreeting(info);
    this.boards = new FarBoards(() => this.#tellBoard("", network.all));
    this.boards.publish(board);
    this.#refusal.promise.catch(() => {});
    const subscription = (subject: string) =>
      new LinkSubscription(
        subject,
        undefined,
        (data) => this.#take(data),
        (error) => this.#refuse(error),
      );
    this.#subscriptions = [subscription(network.mailboxOf(info.id)), subscription(network.all)];
    this.#link = acquireLink(network.link);
    this.#number = this.#link.add({
      arrived: () => {},
      refused: (subject, error) => {
        if (network.has(subject)) this.#refuse(error);
      },
    });
  }

  async join(): Promise<void> {
    const { network, info } = this.#terms;
    await this.#opened();
    if (this.#link.maxPayload < payloadMin) {
      throw new TandemError(
        "UNSUPPORTED",
        `Cannot use ${this.#link.place} for nodes: its max_payload is ${this.#link.maxPayload}, and has to be at ` +
          `least ${payloadMin}`,
      );
    }
    for (const each of this.#subscriptions) this.#link.subscribe(each);
    await this.#orRefused(this.#link.flush());
    this.#send(Kind.ask, "", network.all, encodeId(info.id));
    await this.#orRefused(
      new Promise<void>((resolve) => laterForSure(answersMilliseconds, resolve)),
    );
    this.#state = "open";
    this.#send(Kind.here, "", network.all, encodeHere(info, this.boards.version));
    this.#tellBoard("", network.all);
    for (const peer of this.#peers.values()) this.#pair(peer);
    this.#tickLater();
  }

  async #opened(): Promise<void> {
    const controller = new AbortController();
    const cancel = laterForSure(openMilliseconds, () => {
      const { place, obstacle } = this.#link;
      controller.abort(
        obstacle ?? new TandemError(
          "DISCONNECTED",
          `Cannot reach NATS (${place}): it has not answered in ${openMilliseconds} ms`,
        ),
      );
    });
    try {
      await this.#link.opened(controller.signal);
    } finally {
      cancel();
    }
  }

  async #orRefused(step: Promise<void>): Promise<void> {
    await Promise.race([step, this.#refusal.promise]);
  }

  /** The link is refused for good, or a subject is. */
  #refuse(error: TandemError): void {
    if (this.#state === "joining") return this.#refusal.reject(error);
    if (this.#isReported) return;
    this.#isReported = true;
    report(this, "the network of a node", error);
  }

  // Carrier

  send(node: string, message: Uint8Array): boolean {
    const peer = this.#byId.get(node);
    if (peer === undefined || this.#state === "closed") return false;
    const { byteLength } = message;
    if (byteLength > this.maxMessageBytes) {
      throw new TandemError(
        "TOO_LARGE",
        `Cannot send a message of ${byteLength} bytes to another node: maxMessageBytes is ` +
          `${this.maxMessageBytes}; start the node with a larger one`,
      );
    }
    this.#flusher.appended += 1;
    peer.outlet.send(message);
    return true;
  }

  queued(node: string): { messages: number; bytes: number } {
    return this.#byId.get(node)?.queued ?? { messages: 0, bytes: 0 };
  }

  whenRoom(node: string, signal?: AbortSignal): Promise<boolean> {
    return this.#byId.get(node)?.outlet.whenRoom(signal) ?? Promise.resolve(false);
  }

  isUp(node: string): boolean {
    return this.#byId.has(node);
  }

  nodes(): readonly NodeInfo[] {
    return Array.from(this.#byId.values(), ({ info }) => info!);
  }

  async close(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "closing";
    if (this.#link.isUp) {
      const drained = Promise.all(Array.from(this.#peers.values(), (peer) => peer.whenDrained()));
      let cancel = () => {};
      const isLate = new Promise<void>((resolve) => cancel = laterForSure(leavingMax, resolve));
      await Promise.race([drained, isLate]);
      cancel();
      this.#send(Kind.bye, "", this.#terms.network.all);
    }
    this.leave();
  }

  /** Leaves without a good-bye. */
  leave(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#cancelTick?.();
    for (const peer of this.#peers.values()) {
      peer.end();
      peer.close();
    }
    this.#peers.clear();
    this.#byId.clear();
    for (const each of this.#subscriptions) this.#link.unsubscribe(each);
    this.#link.remove(this.#number);
    this.#link.release();
  }

  /** A node is reached on another way from now on. */
  cede(node: string): void {
    const peer = this.#byId.get(node);
    if (!peer) return;
    this.#down(peer, false, "the node is reached through memory from now on");
    this.#remember(peer.session, { otherLife: 0, isOver: true });
  }

  // What goes out

  #send(kind: number, to: string, subject: string, body?: Uint8Array, peer?: FarPeer): boolean {
    if (!this.#link.isUp) return false;
    const [fromLife, toLife] = peer ? [peer.life, peer.otherLife] : [0, 0];
    try {
      this.#link.publish(
        subject,
        encodeFrame({ kind, from: this.#session, to, fromLife, toLife, ...(body && { body }) }),
      );
      return true;
    } catch {
      // The link has just been lost.
      return false;
    }
  }

  post(peer: FarPeer, batch: Uint8Array): boolean {
    return this.#send(Kind.batch, peer.session, peer.subject, batch, peer);
  }

  tellBroken(peer: FarPeer, link: number): void {
    this.#send(Kind.broken, peer.session, peer.subject, encodeBroken(link), peer);
  }

  #pair(peer: FarPeer): void {
    if (this.#state === "joining") return;
    this.#send(Kind.pair, peer.session, peer.subject, undefined, peer);
  }

  #ask(session: string, subject: string): void {
    this.#send(Kind.ask, session, subject, encodeId(this.#terms.info.id));
  }

  #tellBoard(to: string, subject: string): void {
    if (this.#state === "joining") return;
    const room = this.#link.maxPayload - 2 * headBytes;
    for (const part of this.boards.ownParts(room)) {
      if (!this.#send(Kind.board, to, subject, encodeBoardPart(part))) return;
    }
  }

  #tickLater(): void {
    const { interval } = this.#terms.heartbeat;
    this.#cancelTick = later(interval, () => {
      this.#tick();
      if (this.#state !== "closed") this.#tickLater();
    });
  }

  #tick(): void {
    const { network, info, heartbeat: { interval, timeout } } = this.#terms;
    this.#asked.clear();
    this.#send(Kind.alive, "", network.all, encodeAlive(info.id, this.boards.version));
    for (const peer of [...this.#peers.values()]) {
      // Counted, because this process may have been stopped meanwhile.
      peer.silence += 1;
      peer.isAsked = false;
      if (peer.silence * interval >= timeout) {
        this.#down(peer, false, `nothing was heard of the node for ${timeout} ms`);
        continue;
      }
      if (!peer.isPaired) this.#pair(peer);
      peer.beat();
    }
  }

  // What comes in

  #take(data: Uint8Array): void {
    if (this.#state === "closed") return;
    const frame = decodeFrame(data);
    if (frame === null) return this.dropped();
    const { kind, from, to } = frame;
    if (from === this.#session || (to !== "" && to !== this.#session)) return;
    const peer = this.#peers.get(from);
    if (peer) peer.silence = 0;
    switch (kind) {
      case Kind.alive:
        return this.#alive(frame, peer);
      case Kind.ask:
        return this.#asks(frame);
      case Kind.here:
        return this.#here(frame, peer);
      case Kind.taken:
        return this.#taken(frame);
      case Kind.pair:
        return this.#paired(frame, peer);
      case Kind.batch:
        return this.#batched(frame, peer);
      case Kind.broken:
        return this.#broken(frame, peer);
      case Kind.board:
        return this.#board(frame, peer);
      case Kind.bye:
        return this.#bye(frame, peer);
      default:
        return this.dropped();
    }
  }

  #alive({ from, body }: Frame, peer: FarPeer | undefined): void {
    const alive = decodeAlive(body);
    if (alive === null) return this.dropped();
    const subject = this.#terms.network.mailboxOf(alive.id);
    if (!peer) {
      if (this.#formers.get(from)?.isOver || this.#asked.has(from)) return;
      this.#asked.add(from);
      this.#ask(from, subject);
    } else if (this.boards.versionOf(peer) !== alive.version && !peer.isAsked) {
      // A part of its board was lost.
      peer.isAsked = true;
      this.#ask(from, peer.subject);
    }
  }

  #asks({ from, body }: Frame): void {
    const { network, info } = this.#terms;
    const id = decodeId(body);
    if (id === null) return this.dropped();
    const subject = network.mailboxOf(id);
    if (id === info.id) {
      // Of two that start at once, one may have it.
      const isMine = this.#state !== "joining" || this.#session < from;
      if (isMine) this.#send(Kind.taken, from, subject);
    } else if (this.#state === "open") {
      this.#send(Kind.here, from, subject, encodeHere(info, this.boards.version));
      this.#tellBoard(from, subject);
    }
  }

  #taken({ to }: Frame): void {
    const { id } = this.#terms.info;
    if (this.#state !== "joining" || to === "") return;
    this.#refusal.reject(
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
    if (!peer && this.#state !== "closing") this.#meet(from, here.info, 0);
  }

  /** A node is there that is not up. */
  #meet(session: string, info: NodeInfo, otherLife: number): void {
    const { id } = info;
    if (id === this.#terms.info.id || this.#formers.get(session)?.isOver) return;
    if (this.#terms.isNear(info)) {
      return this.#remember(session, { otherLife: 0, isOver: true });
    }
    const other = this.#byId.get(id);
    if (other) {
      // Who lives keeps its id. The other is met with a later sign of life.
      if (other.silence < deadTicks) return;
      this.#down(other, false, "the node has died, and another has its id");
    }
    this.#lives += 1;
    const peer = new FarPeer(this, session, this.#terms.network.mailboxOf(id), this.#lives);
    peer.otherLife = otherLife;
    this.#peers.set(session, peer);
    this.#byId.set(id, peer);
    peer.up(info);
    this.#pair(peer);
  }

  /** Whether a message with these lives is of the time that the two are up for each other. */
  #isOfNow(peer: FarPeer, { from, fromLife, toLife }: Frame): boolean {
    if (fromLife === 0 || (toLife !== 0 && toLife !== peer.life)) return false;
    if (peer.otherLife === fromLife) return true;
    const earlier = this.#formers.get(from)?.otherLife ?? 0;
    if (peer.otherLife !== 0 || fromLife <= earlier) return false;
    peer.otherLife = fromLife;
    return true;
  }

  #paired(frame: Frame, peer: FarPeer | undefined): void {
    const { from, fromLife, toLife } = frame;
    if (!peer) return;
    const { info } = peer;
    const isNewer = peer.otherLife !== 0 && fromLife > peer.otherLife;
    if (isNewer) {
      this.#down(peer, false, "the node has taken this one for dead meanwhile");
      return this.#meet(from, info!, fromLife);
    }
    if (!this.#isOfNow(peer, { ...frame, toLife: 0 })) return;
    peer.isPaired = toLife === peer.life;
    if (!peer.isPaired) this.#pair(peer);
  }

  #batched(frame: Frame, peer: FarPeer | undefined): void {
    const { byteLength } = frame.body;
    if (!peer || !this.#isOfNow(peer, frame)) return this.dropped();
    if (byteLength < batchHeadBytes || byteLength > batchBytes) return this.dropped();
    const { bytes, words } = this.#batch;
    bytes.set(frame.body);
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

  #broken(frame: Frame, peer: FarPeer | undefined): void {
    const link = decodeBroken(frame.body);
    if (link === null || !peer || !this.#isOfNow(peer, frame)) return this.dropped();
    peer.heardBroken(link);
  }

  #board({ body }: Frame, peer: FarPeer | undefined): void {
    const part = decodeBoardPart(body);
    if (part === null || (peer && !this.boards.take(peer, part))) this.dropped();
  }

  #bye({ from }: Frame, peer: FarPeer | undefined): void {
    if (peer) this.#down(peer, true, "the node was closed");
    this.#remember(from, { otherLife: 0, isOver: true });
  }

  #down(peer: FarPeer, isFarewell: boolean, message: string): void {
    if (!peer.end()) return;
    const { session, otherLife, info } = peer;
    this.#peers.delete(session);
    if (this.#byId.get(info!.id) === peer) this.#byId.delete(info!.id);
    const earlier = this.#formers.get(session)?.otherLife ?? 0;
    this.#remember(session, { otherLife: Math.max(otherLife, earlier), isOver: false });
    this.boards.remove(peer);
    peer.tellDown(isFarewell, message);
    peer.close();
  }

  #remember(session: string, former: Former): void {
    this.#formers.delete(session);
    this.#formers.set(session, former);
    if (this.#formers.size <= formerMax) return;
    const [oldest] = this.#formers.keys();
    this.#formers.delete(oldest!);
  }

  // Peers

  flushLater(outlet: Outlet): void {
    this.#flusher.flushLater(outlet);
  }

  get place(): FarPeer["place"] {
    return { position: 0, epochLow: 0, epochHigh: 0 };
  }

  /** Its greeting in a stream says nothing new. */
  greeted(): void {
    this.dropped();
  }

  /** A farewell in a stream. */
  left(peer: FarPeer): void {
    this.#down(peer, true, "the node was closed");
  }

  dropped(): void {
    this.refused += 1;
  }
}
