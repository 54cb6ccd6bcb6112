/**
 * The parts of nodes that `Node.start` makes: the memory that the nodes of a machine share.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { FirstEvents } from "./hall/first_events.ts";
import { joinHall } from "./hall/hall.ts";
import type { JoinedParts, NodeIdentity, NodeParts } from "./parts.ts";
import type { NodeTerms } from "./options.ts";
import { makeRegistry } from "./registry/registry.ts";

export const defaultParts: NodeParts = { join };

// deno-lint-ignore require-await -- what it throws rejects the promise
async function join(identity: NodeIdentity, terms: NodeTerms): Promise<JoinedParts> {
  const { network } = terms;
  if (network !== undefined) {
    throw new TandemError(
      "UNSUPPORTED",
      `Cannot use the network ${network}: this version has no nodes on other machines`,
    );
  }
  const events = new FirstEvents();
  const hall = joinHall({
    group: terms.group,
    mode: terms.mode,
    identity,
    isChosenId: terms.id !== undefined,
    // Their bytes are bounded.
    maxQueue: Infinity,
    maxQueueBytes: terms.maxQueueBytes,
    maxMessageBytes: terms.maxMessageBytes,
  }, events);
  return {
    open(listener) {
      events.open(listener);
      return hall;
    },
    registry: (seam) => makeRegistry(seam, hall.boards),
  };
}
