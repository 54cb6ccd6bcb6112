/**
 * Nodes of one process that are as on machines of their own.
 *
 * @module
 */
import { joinBothWays } from "../../src/nats/nodes/parts.ts";
import { joinNearNodes } from "../../src/node/hall/near_nodes.ts";
import type { NodeParts } from "../../src/node/parts.ts";
import { NearClaims } from "../../src/node/registry/claim_lock.ts";

/** The parts of a node whose memory is that of a hall. */
export function partsIn(group: string): NodeParts {
  return {
    join: (identity, terms) =>
      joinBothWays(identity, terms, {
        join: (listener) =>
          joinNearNodes({
            group,
            mode: terms.mode,
            identity,
            isChosenId: terms.id !== undefined,
            maxQueue: Infinity,
            maxQueueBytes: terms.maxQueueBytes,
            maxMessageBytes: terms.maxMessageBytes,
          }, listener),
        claims: new NearClaims({ group, mode: terms.mode }),
      }),
  };
}
