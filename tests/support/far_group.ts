/**
 * Nodes that meet through NATS, each in this process, with a memory of its own, as on a machine of its own.
 *
 * @module
 */
import process from "node:process";
import { Server } from "../../mod.ts";
import { linksClosed } from "../../src/nats/link.ts";
import type { Node, NodeOptions } from "../../src/node/main.ts";
import { startNode } from "../../src/node/node.ts";
import { partsIn } from "./far_parts.ts";
import { afterEnd } from "./harness.ts";
import { removeLocksOfGroup } from "./locks.ts";
import { natsAddress } from "./nats.ts";
import { type NatsServer, startNatsServer } from "./nats_server.ts";

let groups = 0;

/** Nodes of one group, on machines that have names. */
export class FarGroup implements AsyncDisposable {
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
    for (const machine of this.#machines) {
      Server.unlink(`${machine}.nodes`);
      removeLocksOfGroup(machine);
    }
  }
}

/** A server of this test alone. */
export async function newServer(config = "", port = -1): Promise<NatsServer> {
  const server = await startNatsServer(config, port);
  afterEnd(linksClosed);
  afterEnd(() => server.kill());
  return server;
}
