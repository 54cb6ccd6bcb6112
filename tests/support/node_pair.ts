/** Two nodes in one process, for tests of what nodes do for each other. */
import type { Node, Reason } from "../../src/node/main.ts";
import { eventually } from "./harness.ts";
import { emptySizes, MemoryNetwork, sizesOf } from "./memory_carrier.ts";

/** Two nodes that see each other. */
export interface Nodes extends AsyncDisposable {
  readonly a: Node;
  readonly b: Node;
}

export interface Pair extends Nodes {
  readonly network: MemoryNetwork;
}

export async function nodePair(): Promise<Pair> {
  const network = new MemoryNetwork();
  const [a, b] = [await network.start({ name: "a" }), await network.start({ name: "b" })];
  const end = async () => {
    await a.close();
    await b.close();
  };
  return { network, a, b, [Symbol.asyncDispose]: end };
}

/** The reason of a port's end, which may have come before. */
export function endOf(node: Node, id: string): Promise<Reason> {
  return new Promise((resolve) => node.monitor(id, resolve));
}

/** Waits until the tables of nodes hold nothing. */
export async function level(...nodes: Node[]): Promise<void> {
  const wanted = JSON.stringify(emptySizes);
  await eventually(() => nodes.every((node) => JSON.stringify(sizesOf(node)) === wanted));
}
