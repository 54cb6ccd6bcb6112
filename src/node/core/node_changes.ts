/**
 * Tells listeners of nodes that come and go.
 *
 * @module
 */
import { Listeners } from "../../base/listeners.ts";
import { queueMicrotask } from "../../runtime/timers.ts";
import type { NodeInfo } from "../carrier.ts";
import type { NodeChange } from "../parts.ts";

export class NodeChanges {
  readonly #listeners: Listeners<NodeChange> = new Listeners("watchNodes");
  readonly #nodes: () => readonly NodeInfo[];

  /** @param nodes the nodes that are up */
  constructor(nodes: () => readonly NodeInfo[]) {
    this.#nodes = nodes;
  }

  tell(change: NodeChange): void {
    this.#listeners.tell(change);
  }

  /** Only from now on. */
  add(listener: (change: NodeChange) => void): Disposable {
    return this.#listeners.add(listener);
  }

  /** The listener first hears of the nodes that are up, in a microtask. */
  addWithSnapshot(listener: (change: NodeChange) => void): Disposable {
    let isOver = false;
    let following: Disposable | null = null;
    // A node may be in the list before it is told of.
    const known = new Set<string>();
    const hear = (change: NodeChange): unknown => {
      const { info: { id }, up } = change;
      if (isOver || known.has(id) === up) return undefined;
      if (up) known.add(id);
      else known.delete(id);
      return listener(change);
    };
    queueMicrotask(() => {
      if (isOver) return;
      const first = new Listeners<NodeChange>("watchNodes");
      first.add(hear);
      following = this.#listeners.add(hear);
      for (const info of this.#nodes()) first.tell({ info, up: true, reason: undefined });
    });
    return {
      [Symbol.dispose]: () => {
        isOver = true;
        following?.[Symbol.dispose]();
      },
    };
  }
}
