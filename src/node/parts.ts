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

/** What a node does for programs that are no nodes. */
export interface NodeAccess {
  /**
   * Sends a message as the node itself does.
   *
   * @returns false: there is no such port, as far as the node knows
   * @throws as `Node.send`
   */
  send(id: string, message: readonly unknown[]): boolean;
  /** Calls a method of a port. Rejects as calls of `Node.at`. */
  call(id: string, method: string, args: readonly unknown[], timeout: number): Promise<unknown>;
  /** A random port of a family; null: it has none. @throws {TypeError} for a wrong family */
  pick(family: string): string | null;
}

/** The parts of one node. */
export interface JoinedParts extends JoinedCarrier {
  /** Called once, after {@linkcode open}. */
  registry(seam: RegistrySeam): NodeRegistry;
  /** Called once, at last, if it lets others in. */
  serve?(access: NodeAccess): void;
}

/** Makes the parts. */
export interface NodeParts {
  join(identity: NodeIdentity, terms: NodeTerms): Promise<JoinedParts>;
}
