/**
 * Nodes of one process, whose messages go through memory: later than they are sent, and as bytes. The way between two
 * nodes can be held up and cut, and a node can vanish as if its process was killed.
 */
import type { Carrier, CarrierListener, NodeInfo } from "../../src/node/carrier.ts";
import { coreOf, type Node, startNode } from "../../src/node/node.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import type { NodeIdentity, NodeParts, NodeRegistry, RegistrySeam } from "../../src/node/parts.ts";
import { encodeBoard } from "../../src/node/registry/board.ts";
import { makeRegistry } from "../../src/node/registry/registry.ts";
import { TandemError } from "../../mod.ts";
import { type MemoryBoards, MemoryHall } from "./memory_boards.ts";
import { runtime } from "./processes.ts";

/** What waits on the way from one node to another. */
class Way {
  readonly messages: Uint8Array[] = [];
  bytes = 0;
  isHeld = false;
  isScheduled = false;
  roomWaiters: ((hasRoom: boolean) => void)[] = [];
}

class MemoryCarrier implements Carrier {
  readonly info: NodeInfo;
  readonly network: MemoryNetwork;
  readonly maxQueueBytes: number;
  readonly ways: Map<string, Way> = new Map();
  listener: CarrierListener | null = null;
  isGone = false;

  constructor(network: MemoryNetwork, { id, name }: NodeIdentity, maxQueueBytes: number) {
    this.network = network;
    this.info = { id, name, pid: 1, runtime };
    this.maxQueueBytes = maxQueueBytes;
  }

  send(node: string, message: Uint8Array): boolean {
    const other = this.isGone ? undefined : this.network.carrier(node);
    if (!other) return false;
    const way = this.way(node);
    if (way.bytes + message.byteLength > this.maxQueueBytes) {
      this.network.cut(this.info.id, node, "overflow");
      return true;
    }
    way.messages.push(message.slice());
    way.bytes += message.byteLength;
    this.network.schedule(this, other);
    return true;
  }

  way(node: string): Way {
    let way = this.ways.get(node);
    if (!way) this.ways.set(node, way = new Way());
    return way;
  }

  queued(node: string): { messages: number; bytes: number } {
    const { messages, bytes } = this.way(node);
    return { messages: messages.length, bytes };
  }

  whenRoom(node: string, signal?: AbortSignal): Promise<boolean> {
    if (!this.isUp(node)) return Promise.resolve(false);
    const way = this.way(node);
    if (way.bytes * 2 < this.maxQueueBytes) return Promise.resolve(true);
    return new Promise((resolve, reject) => {
      way.roomWaiters.push(resolve);
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }

  isUp(node: string): boolean {
    return !this.isGone && node !== this.info.id && this.network.carrier(node) !== undefined;
  }

  nodes(): readonly NodeInfo[] {
    return this.isGone ? [] : this.network.others(this).map(({ info }) => info);
  }

  close(): Promise<void> {
    this.network.leave(this, true);
    return this.network.quiet();
  }
}

/** A group of nodes. */
export class MemoryNetwork {
  readonly #carriers: Map<string, MemoryCarrier> = new Map();
  /** What a node does as its registry. Null: a registry. */
  makeRegistry: ((seam: RegistrySeam) => Pick<NodeRegistry, "close">) | null = null;
  readonly #hall: MemoryHall = new MemoryHall();
  readonly #boards: Map<string, MemoryBoards> = new Map();

  readonly parts: NodeParts = {
    join: (identity, { maxQueueBytes }) => {
      if (this.#carriers.has(identity.id)) {
        throw new TandemError("EXISTS", `Cannot start the node ${identity.id}: there is one`);
      }
      const carrier = new MemoryCarrier(this, identity, maxQueueBytes);
      this.#carriers.set(identity.id, carrier);
      return Promise.resolve({
        open: (listener: CarrierListener) => {
          carrier.listener = listener;
          for (const other of this.others(carrier)) {
            this.later(() => other.listener?.up(carrier.info));
          }
          return carrier;
        },
        registry: (seam: RegistrySeam) => this.#registry(seam),
      });
    },
  };

  #registry(seam: RegistrySeam): NodeRegistry {
    if (this.makeRegistry) return this.makeRegistry(seam) as NodeRegistry;
    const boards = this.#hall.join();
    boards.publish(encodeBoard(seam.identity, []));
    this.#boards.set(seam.identity.id, boards);
    return makeRegistry(seam, boards);
  }

  start(options: NodeOptions = {}): Promise<Node> {
    return startNode(options, this.parts);
  }

  carrier(id: string): MemoryCarrier | undefined {
    return this.#carriers.get(id);
  }

  others(carrier: MemoryCarrier): MemoryCarrier[] {
    return [...this.#carriers.values()].filter((other) => other !== carrier);
  }

  #timers = 0;
  #quiet: (() => void)[] = [];

  later(run: () => void): void {
    this.#timers += 1;
    setTimeout(() => {
      run();
      this.#timers -= 1;
      if (this.#timers === 0) { for (const resolve of this.#quiet.splice(0)) resolve(); }
    }, 0);
  }

  /** Resolves when nothing is on its way. */
  async quiet(): Promise<void> {
    if (this.#timers > 0) await new Promise<void>((resolve) => this.#quiet.push(resolve));
  }

  schedule(from: MemoryCarrier, to: MemoryCarrier): void {
    const way = from.way(to.info.id);
    if (way.isHeld || way.isScheduled) return;
    way.isScheduled = true;
    this.later(() => {
      way.isScheduled = false;
      if (!way.isHeld) this.#deliver(from, to);
    });
  }

  #deliver(from: MemoryCarrier, to: MemoryCarrier): void {
    const way = from.way(to.info.id);
    const messages = way.messages.splice(0);
    for (const message of messages) {
      way.bytes -= message.byteLength;
      if (to.isGone) continue;
      to.listener!.received(from.info.id, message);
      // The bytes are valid during the call only.
      message.fill(0xff);
    }
    if (way.bytes * 2 < from.maxQueueBytes) {
      for (const waiter of way.roomWaiters.splice(0)) waiter(true);
    }
  }

  /** The board of a node. */
  boards(node: Node): MemoryBoards {
    return this.#boards.get(node.id)!;
  }

  /** Holds up messages from one node to another, until `release`. */
  hold(from: Node, to: Node): { release(): void } {
    const [sender, receiver] = [this.carrier(from.id)!, this.carrier(to.id)!];
    const way = sender.way(to.id);
    way.isHeld = true;
    return {
      release: () => {
        way.isHeld = false;
        this.schedule(sender, receiver);
      },
    };
  }

  /** Cuts the way between two nodes: what is on it is lost. */
  cut(first: string, second: string, kind: "overflow" | "transport_error"): void {
    const [a, b] = [this.carrier(first)!, this.carrier(second)!];
    for (const [from, to] of [[a, b], [b, a]] as const) {
      const way = from.way(to.info.id);
      way.messages.length = 0;
      way.bytes = 0;
      this.later(() => from.listener?.lost(to.info, kind, "cut by the test"));
    }
  }

  /** Delivers bytes of any kind, as a hostile node may send them. */
  inject(from: string, to: Node, bytes: Uint8Array): void {
    this.carrier(to.id)!.listener!.received(from, bytes);
  }

  /** The node vanishes. @param arrive whether what it has sent arrives first */
  kill(node: Node, arrive = true): void {
    const carrier = this.carrier(node.id)!;
    if (!arrive) { for (const way of carrier.ways.values()) way.messages.length = 0; }
    this.leave(carrier, false);
  }

  leave(carrier: MemoryCarrier, farewell: boolean): void {
    if (carrier.isGone) return;
    carrier.isGone = true;
    this.#carriers.delete(carrier.info.id);
    const boards = this.#boards.get(carrier.info.id);
    if (boards) this.#hall.leave(boards);
    for (const other of this.#carriers.values()) {
      const way = other.way(carrier.info.id);
      way.messages.length = 0;
      for (const waiter of way.roomWaiters.splice(0)) waiter(false);
      other.ways.delete(carrier.info.id);
      this.later(() => {
        this.#deliver(carrier, other);
        other.listener?.down(carrier.info, farewell, farewell ? "it was closed" : "it has died");
      });
    }
  }
}

/** What the tables of a node hold. */
export function sizesOf(node: Node): Record<string, number> {
  return coreOf(node).sizes;
}

/** The tables of a node that has no port, waits for nothing, and is waited for by nobody. */
export const emptySizes: Record<string, number> = {
  // The node itself.
  ports: 1,
  monitors: 0,
  requests: 0,
  timers: 0,
  endListeners: 0,
  peers: 0,
  watchers: 0,
  waits: 0,
  queued: 0,
};
