/**
 * Nodes that are reached through memory, and others through NATS.
 *
 * @module
 */
import type { Carrier, CarrierListener, NodeInfo } from "../../node/carrier.ts";
import type { BoardChange, Boards, EntryChanges } from "../../node/registry/boards.ts";

/** Two carriers whose nodes are different ones: the far one leaves those to the near one that both reach. */
export class BothWays implements Carrier {
  readonly #near: Carrier;
  readonly #far: Carrier;
  readonly #door: { close(): void };

  /** @param door closes first */
  constructor(near: Carrier, far: Carrier, door: { close(): void }) {
    this.#near = near;
    this.#far = far;
    this.#door = door;
  }

  #wayTo(node: string): Carrier {
    // The near one looks for nodes that it does not know.
    return this.#far.isUp(node) ? this.#far : this.#near;
  }

  send(node: string, message: Uint8Array, isAwaited?: boolean): boolean {
    return this.#wayTo(node).send(node, message, isAwaited);
  }

  queued(node: string): { messages: number; bytes: number } {
    return this.#wayTo(node).queued(node);
  }

  whenRoom(node: string, signal?: AbortSignal): Promise<boolean> {
    return this.#wayTo(node).whenRoom(node, signal);
  }

  isUp(node: string): boolean {
    return this.#wayTo(node).isUp(node);
  }

  nodes(): readonly NodeInfo[] {
    return [...this.#near.nodes(), ...this.#far.nodes()];
  }

  async close(): Promise<void> {
    this.#door.close();
    await Promise.all([this.#near.close(), this.#far.close()]);
  }
}

/** Passes on what the near carrier tells. The far one cedes the nodes that it meets, and reclaims those that it loses. */
export function cedingListener(
  listener: CarrierListener,
  cede: (node: string) => void,
  reclaim: (node: string) => void,
): CarrierListener {
  return {
    received: (node, message) => listener.received(node, message),
    up: (info) => {
      cede(info.id);
      listener.up(info);
    },
    down: (info, farewell, message) => {
      reclaim(info.id);
      listener.down(info, farewell, message);
    },
    lost: (info, kind, message) => listener.lost(info, kind, message),
  };
}

/** The boards of all of them. */
export class BothBoards implements Boards {
  readonly maxBytes: number;
  readonly #near: Boards;
  readonly #far: Boards;

  constructor(near: Boards, far: Boards) {
    this.#near = near;
    this.#far = far;
    this.maxBytes = Math.min(near.maxBytes, far.maxBytes);
  }

  publish(bytes: Uint8Array, change?: EntryChanges): void {
    this.#near.publish(bytes);
    this.#far.publish(bytes, change);
  }

  beforeMessages(publish: () => void): void {
    this.#near.beforeMessages(publish);
    this.#far.beforeMessages(publish);
  }

  *changes(): Iterable<BoardChange> {
    for (const change of this.#near.changes()) yield { ...change, board: `near ${change.board}` };
    for (const change of this.#far.changes()) yield { ...change, board: `far ${change.board}` };
  }

  onChange(listener: () => void): Disposable {
    const listening = [this.#near.onChange(listener), this.#far.onChange(listener)];
    return {
      [Symbol.dispose]: () => {
        for (const each of listening) each[Symbol.dispose]();
      },
    };
  }
}
