/**
 * The parts of nodes that `Node.start` makes: the memory that the nodes of a machine share, and a network.
 *
 * @module
 */
import type { CarrierListener } from "./carrier.ts";
import { FirstEvents } from "./hall/first_events.ts";
import { joinNearNodes, type NearCarrier } from "./hall/near_nodes.ts";
import type { JoinedParts, NodeIdentity, NodeParts } from "./parts.ts";
import type { NodeTerms } from "./options.ts";
import { NearClaims } from "./registry/claim_lock.ts";
import { makeRegistry } from "./registry/registry.ts";

export const defaultParts: NodeParts = { join };

async function join(identity: NodeIdentity, terms: NodeTerms): Promise<JoinedParts> {
  const joinNear = (listener: CarrierListener): NearCarrier =>
    joinNearNodes({
      group: terms.group,
      mode: terms.mode,
      identity,
      isChosenId: terms.id !== undefined,
      // Their bytes are bounded.
      maxQueue: Infinity,
      maxQueueBytes: terms.maxQueueBytes,
      maxMessageBytes: terms.maxMessageBytes,
    }, listener);
  if (terms.network !== undefined) {
    const { joinBothWays } = await import("../nats/nodes/parts.ts");
    const claims = new NearClaims(terms);
    return await joinBothWays(identity, terms, { join: joinNear, claims });
  }
  const events = new FirstEvents();
  const near = joinNear(events);
  return {
    open(listener) {
      events.open(listener);
      return near;
    },
    registry: (seam) => makeRegistry(seam, near.boards),
  };
}
