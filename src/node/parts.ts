/**
 * What a node is made of beside its ports: the carrier of its messages, and its registry. Tests give others.
 *
 * @module
 */
import type { Carrier, CarrierListener } from "./carrier.ts";
import type { NodeTerms } from "./options.ts";
import type { NodeRegistry } from "./registry/registry.ts";
import type { NodeIdentity, RegistrySeam } from "./registry/seam.ts";

export type { NodeChange, NodeIdentity, RegistrySeam } from "./registry/seam.ts";
export type { NodeRegistry } from "./registry/registry.ts";

/** A carrier that has joined the group, and tells nobody of it yet. */
export interface JoinedCarrier {
  /** Called once, at once. The listener hears of everything from the next turn of the event loop on. */
  open(listener: CarrierListener): Carrier;
}

/** The parts of one node. */
export interface JoinedParts extends JoinedCarrier {
  /** Called once, after {@linkcode open}. */
  registry(seam: RegistrySeam): NodeRegistry;
}

/** Makes the parts. */
export interface NodeParts {
  join(identity: NodeIdentity, terms: NodeTerms): Promise<JoinedParts>;
}
