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
  readonly #fire: (reason: Reason) => void;
  readonly #hold: Disposable | null;

  /**
   * @param fire never throws
   * @param hold keeps the process alive while the monitor may fire
   */
  constructor(
    id: number,
    target: string,
    address: Address,
    fire: (reason: Reason) => void,
    hold: Disposable | null,
  ) {
    this.id = id;
    this.target = target;
    this.address = address;
    this.#fire = fire;
    this.#hold = hold;
  }

  /** Never throws. */
  fire(reason: Reason): void {
    this.end();
    this.#fire(reason);
  }

  /** It does not fire any more. */
  end(): void {
    this.#hold?.[Symbol.dispose]();
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
