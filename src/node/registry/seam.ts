/**
 * What a registry may know of its node.
 *
 * @module
 */
import type { Reason } from "../../errors.ts";
import type { Carrier, NodeInfo } from "../carrier.ts";
import type { NodeTerms } from "../options.ts";

/** Who a node is. */
export interface NodeIdentity {
  readonly id: string;
  readonly name: string;
  /** Random for each start, also with an explicit id: port ids contain it, so they never repeat. */
  readonly start: string;
}

/** A node that has come, or gone. */
export interface NodeChange {
  readonly info: NodeInfo;
  readonly up: boolean;
  /** Why it is gone. */
  readonly reason: Reason | undefined;
}

export interface RegistrySeam {
  readonly identity: NodeIdentity;
  readonly terms: NodeTerms;
  readonly carrier: Carrier;
  /** Hears of other nodes. A node that goes has sent its last messages before. */
  onNode(listener: (change: NodeChange) => void): Disposable;
  /** Runs `listener` when a port of this node ends, before anybody else hears of that. Null: there is no such port. */
  onPortEnd(id: string, listener: () => void): Disposable | null;
  /** @throws {TandemError} `CLOSED` */
  checkOpen(tried: string): void;
  /** Keeps the process alive until it is disposed. */
  hold(): Disposable;
}
