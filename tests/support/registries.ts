/** Nodes of one process with registries, and what they see. */
import { assertEquals } from "@std/assert";
import process from "node:process";
import { coreOf, type Node } from "../../src/node/node.ts";
import type { RegistryCore } from "../../src/node/registry/registry_core.ts";
import type { RegistryChange } from "../../src/node/main.ts";
import { atEnd, eventually } from "./harness.ts";
import { locksOfGroup, removeLocksOfGroup } from "./locks.ts";
import { MemoryNetwork } from "./memory_carrier.ts";

/** Nodes of a group of their own. */
export interface Group {
  readonly network: MemoryNetwork;
  readonly nodes: readonly [Node, Node, ...Node[]];
  /** The files of its claims. */
  files(): string[];
}

let groups = 0;

/** Starts nodes that know each other. When the test ends, they are closed, and their files removed. */
export async function startNodes(count: number): Promise<Group> {
  const network = new MemoryNetwork();
  const group = `registry-${process.pid}-${groups++}`;
  const nodes: Node[] = [];
  for (let number = 0; number < count; number++) {
    const node = await network.start({ name: `n${number}`, group });
    nodes.push(node);
    atEnd(() => node.close());
  }
  // After the closes, which take claims back at once.
  atEnd(() => {
    removeLocksOfGroup(group);
    return Promise.resolve();
  });
  return { network, nodes: nodes as unknown as Group["nodes"], files: () => locksOfGroup(group) };
}

export function registryOf(node: Node): RegistryCore {
  return coreOf(node).registry.core;
}

/** All code that runs at the end of the microtasks has run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** A family's entries, as values by key. */
export async function valuesOf(node: Node, family: string): Promise<Record<string, unknown>> {
  const entries = [...await node.registry.get(family)].map(([key, { value }]) => [key, value]);
  return Object.fromEntries(entries);
}

/** A change without the details of its entries, with sorted keys. */
export function plain(change: RegistryChange): Record<string, unknown> {
  const { entries, added, changed, deleted } = change;
  return {
    values: Object.fromEntries([...entries].sort().map(([key, { value }]) => [key, value])),
    added: [...added].sort(),
    changed: [...changed].sort(),
    deleted: [...deleted].sort(),
  };
}

/** The changes that a watch has told of. */
export class Watched {
  readonly changes: RegistryChange[] = [];
  readonly watch: Disposable;

  constructor(node: Node, family: string) {
    this.watch = node.registry.watch(family, (change) => void this.changes.push(change));
  }

  /** The next change is this one, and it is the last. */
  async expect(expected: Record<string, unknown>): Promise<void> {
    await eventually(() => this.changes.length > 0, "a change comes");
    assertEquals(plain(this.changes.shift()!), {
      values: {},
      added: [],
      changed: [],
      deleted: [],
      ...expected,
    });
    await this.quiet();
  }

  /** No change comes. */
  async quiet(): Promise<void> {
    for (let turns = 0; turns < 3; turns++) await turn();
    assertEquals(this.changes.map(plain), []);
  }
}
