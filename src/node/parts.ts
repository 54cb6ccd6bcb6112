/**
 * What a node is made of beside its ports: the carrier of its messages, and its registry. Tests give others.
 *
 * @module
 */
import type { Carrier, CarrierListener, NodeInfo } from "./carrier.ts";
import type { Reason } from "../errors.ts";
import type { NodeTerms } from "./options.ts";

/** Who a node is. */
export interface NodeIdentity {
  readonly id: string;
  readonly name: string;
  /** Random for each start, also with an explicit id: port ids contain it, so they never repeat. */
  readonly start: string;
}

/** A carrier that has joined the group, and tells nobody of it yet. */
export interface JoinedCarrier {
  /** Called once, at once. The listener hears of everything from the next turn of the event loop on. */
  open(listener: CarrierListener): Carrier;
}

/** A node that has come, or gone. */
export interface NodeChange {
  readonly info: NodeInfo;
  readonly up: boolean;
  /** Why it is gone. */
  readonly reason: Reason | undefined;
}

/** What a registry may know of its node. */
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

/** The registry of a node, as the node needs it. */
export interface NodeRegistry {
  /** Takes the node's entries back. Ports see `shutdown` afterwards. */
  close(): Promise<void> | void;
}

/** Makes the parts. */
export interface NodeParts {
  join(identity: NodeIdentity, terms: NodeTerms): Promise<JoinedCarrier>;
  registry(seam: RegistrySeam): NodeRegistry;
}
