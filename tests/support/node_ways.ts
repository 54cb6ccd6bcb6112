/**
 * The ways between two nodes: the memory of this process, or NATS, as if they were on two machines. Tests of what nodes
 * do for each other run on each. Those that hold up, cut or forge messages need the memory: `tests/nats/nodes_test.ts`
 * has their counterparts.
 *
 * @module
 */
import { FarGroup } from "./far_group.ts";
import { eventually, test } from "./harness.ts";
import { hasNats } from "./nats.ts";

import { nodePair, type Nodes } from "./node_pair.ts";

/** Of two machines, which meet through NATS. */
async function farPair(): Promise<Nodes> {
  const group = new FarGroup();
  const [a, b] = [await group.start("a"), await group.start("b")];
  await eventually(() => a.isUp(b.id) && b.isUp(a.id), "they see each other");
  return { a, b, [Symbol.asyncDispose]: () => group[Symbol.asyncDispose]() };
}

/** Registers a test of two nodes, for those of one memory, and for those that meet through NATS. */
export function pairTest(name: string, body: (nodes: Nodes) => Promise<void>): void {
  test(name, async () => {
    await using nodes = await nodePair();
    await body(nodes);
  });
  if (!hasNats) return;
  test(`NATS: ${name}`, async () => {
    await using nodes = await farPair();
    await body(nodes);
  });
}
