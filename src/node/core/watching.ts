/**
 * Who watches the ports of this node.
 *
 * @module
 */
import type { Reason } from "../../errors.ts";
import type { PortCore } from "../ports/port_core.ts";
import type { Answers } from "./answers.ts";
import type { WatchHandler } from "./inbox.ts";
import type { NodeBase } from "./node_base.ts";
import type { Offers } from "./offers.ts";
import type { Peers } from "./peers.ts";
import type { PortTable } from "./port_table.ts";

export class Watching implements WatchHandler {
  readonly #base: NodeBase;
  readonly #ports: PortTable;
  readonly #offers: Offers;
  readonly #peers: Peers;
  readonly #answers: Answers;

  constructor(base: NodeBase, ports: PortTable, offers: Offers, peers: Peers, answers: Answers) {
    this.#base = base;
    this.#ports = ports;
    this.#offers = offers;
    this.#peers = peers;
    this.#answers = answers;
  }

  /** Has a node hear of a port's end. False: there is no such port. */
  watch(from: string, id: number, local: string): boolean {
    const port = this.#ports.get(local);
    if (!port) return false;
    this.#peers.addMonitor(port, { node: from, id });
    return true;
  }

  onMonitor(from: string, id: number, local: string): void {
    if (this.watch(from, id, local)) return;
    this.#answers.down(from, id, this.#offers.whyAbsent(this.#base.id, local));
  }

  onUnmonitor(from: string, id: number): void {
    this.#peers.removeMonitor(from, id);
  }

  /** Tells those who watch a port of its end. False: nobody does. */
  tell(port: PortCore, reason: Reason): boolean {
    const watchers = [...port.watchers.values()];
    for (const { node, id } of watchers) {
      this.#peers.removeMonitor(node, id);
      this.#answers.down(node, id, reason);
    }
    return watchers.length > 0;
  }
}
