/**
 * The parts of a node that has a network.
 *
 * @module
 */
import type { CarrierListener } from "../../node/carrier.ts";
import { FirstEvents } from "../../node/hall/first_events.ts";
import type { NearCarrier } from "../../node/hall/near_nodes.ts";
import type { NodeTerms } from "../../node/options.ts";
import type { JoinedParts, NodeIdentity } from "../../node/parts.ts";
import { encodeBoard } from "../../node/registry/board.ts";
import type { ClaimRights } from "../../node/registry/claim_lock.ts";
import { makeRegistry } from "../../node/registry/registry.ts";
import { BothBoards, BothWays, cedingListener } from "./both_ways.ts";
import { BothClaims } from "./claims/both_claims.ts";
import { type FarNodes, joinFarNodes } from "./far_nodes.ts";
import { networkOf } from "./network.ts";
import { TextDoor } from "./text_door.ts";

/** What a node has of its machine. */
export interface NearParts {
  join(listener: CarrierListener): NearCarrier;
  readonly claims: ClaimRights;
}

export async function joinBothWays(
  identity: NodeIdentity,
  terms: NodeTerms,
  nearParts: NearParts,
): Promise<JoinedParts> {
  const network = networkOf(terms.network!, terms.group, terms.nats);
  const events = new FirstEvents();
  const { heartbeat, maxQueueBytes, maxMessageBytes } = terms;
  let far: FarNodes | null = null;
  // First: whoever hears of this node through NATS finds it in memory, if it is there.
  const near = nearParts.join(
    cedingListener(events, (node) => far?.cede(node), (node) => far?.reclaim(node)),
  );
  const door = new TextDoor(network, identity.id, maxMessageBytes);
  try {
    // The server knows of the door, too, when that has been waited for.
    far = await joinFarNodes({
      network,
      info: near.info,
      board: encodeBoard(identity, []),
      heartbeat,
      maxQueueBytes,
      maxMessageBytes,
      isNear: ({ id, pid }) => near.nodes().some((node) => node.id === id && node.pid === pid),
    }, events);
  } catch (error) {
    door.close();
    await near.close();
    throw error;
  }
  const carrier = new BothWays(near, far, door);
  const boards = new BothBoards(near.boards, far.boards);
  return {
    open(listener) {
      events.open(listener);
      return carrier;
    },
    registry(seam) {
      const { group, lease } = terms;
      const far = { network, group, node: identity.id, lease };
      return makeRegistry(seam, boards, new BothClaims(nearParts.claims, far));
    },
    serve: (access) => door.open(access),
  };
}
