/**
 * The monitors that this node has set, on ports of any node.
 *
 * @module
 */
import type { Reason } from "../../errors.ts";
import type { Address } from "../ids.ts";

export class Monitor {
  readonly id: number;
  readonly target: string;
  readonly address: Address;
  /** Never throws. */
  readonly fire: (reason: Reason) => void;

  constructor(id: number, target: string, address: Address, fire: (reason: Reason) => void) {
    this.id = id;
    this.target = target;
    this.address = address;
    this.fire = fire;
  }

  /** It watches a node, not one of its ports. */
  get watchesNode(): boolean {
    return this.address.local === "";
  }
}

/** A monitor is in the table until it fires or is disposed. */
export class Monitors {
  readonly #monitors: Map<number, Monitor> = new Map();

  get size(): number {
    return this.#monitors.size;
  }

  add(monitor: Monitor): void {
    this.#monitors.set(monitor.id, monitor);
  }

  /** Takes one out. False: it has fired, or was disposed. */
  remove(monitor: Monitor): boolean {
    return this.#monitors.delete(monitor.id);
  }

  /** Takes the one that a node speaks of; undefined: it has fired, was disposed, or watches another node. */
  take(id: number, node: string): Monitor | undefined {
    const monitor = this.#monitors.get(id);
    if (monitor?.address.node !== node || monitor.watchesNode) return undefined;
    this.#monitors.delete(id);
    return monitor;
  }

  /** Takes those of a node's ports, and perhaps those of the node itself, in the order in which they were set. */
  takeAllOf(node: string, isGone: boolean): Monitor[] {
    const taken: Monitor[] = [];
    for (const monitor of this.#monitors.values()) {
      if (monitor.address.node !== node || (monitor.watchesNode && !isGone)) continue;
      this.#monitors.delete(monitor.id);
      taken.push(monitor);
    }
    return taken;
  }

  clear(): void {
    this.#monitors.clear();
  }
}
