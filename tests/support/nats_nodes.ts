/** Groups of nodes that meet through NATS: in this process, each on a machine with a memory of its own. */
import process from "node:process";
import { Server } from "../../mod.ts";
import { linksClosed } from "../../src/nats/link.ts";
import { joinBothWays } from "../../src/nats/nodes/parts.ts";
import { joinNearNodes } from "../../src/node/hall/near_nodes.ts";
import type { Node, NodeOptions } from "../../src/node/main.ts";
import { startNode } from "../../src/node/node.ts";
import type { NodeParts } from "../../src/node/parts.ts";
import { afterEnd } from "./harness.ts";
import { removeLocksOfGroup } from "./locks.ts";
import { natsAddress } from "./nats.ts";

let groups = 0;

/** Nodes of one group, on machines that have names. */
export class Group implements AsyncDisposable {
  readonly name: string = `far-${process.pid}-${groups++}`;
  readonly #address: string;
  readonly #nodes: Node[] = [];
  readonly #machines: Set<string> = new Set();

  constructor(address: string = natsAddress()) {
    this.#address = address;
    afterEnd(linksClosed);
  }

  async start(machine: string, options: NodeOptions = {}): Promise<Node> {
    const hallGroup = `${this.name}.${machine}`;
    this.#machines.add(hallGroup);
    const node = await startNode({
      name: machine,
      group: this.name,
      network: `nats://${this.#address}`,
      // A link of its own.
      nats: { name: machine },
      heartbeat: { interval: 50, timeout: 30_000 },
      ...options,
    }, partsIn(hallGroup));
    this.#nodes.push(node);
    return node;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) await node.close();
    for (const machine of this.#machines) Server.unlink(`${machine}.nodes`);
    removeLocksOfGroup(this.name);
  }
}

/** The parts of a node whose memory is that of a hall. */
function partsIn(group: string): NodeParts {
  return {
    join: (identity, terms) =>
      joinBothWays(identity, terms, (listener) =>
        joinNearNodes({
          group,
          mode: terms.mode,
          identity,
          isChosenId: terms.id !== undefined,
          maxQueue: Infinity,
          maxQueueBytes: terms.maxQueueBytes,
          maxMessageBytes: terms.maxMessageBytes,
        }, listener)),
  };
}
