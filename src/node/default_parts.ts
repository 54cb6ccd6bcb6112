/**
 * The parts of nodes that `Node.start` makes.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { LoneCarrier } from "./lone_carrier.ts";
import type { NodeParts } from "./parts.ts";
import { LoneBoards } from "./registry/boards.ts";
import { makeRegistry } from "./registry/registry.ts";

/** Until nodes find each other through shared memory, each is alone. */
export const defaultParts: NodeParts = {
  join: (_, { network }) => {
    if (network !== undefined) {
      throw new TandemError(
        "UNSUPPORTED",
        `Cannot use the network ${network}: this version has no nodes on other machines`,
      );
    }
    return Promise.resolve({ open: () => new LoneCarrier() });
  },
  registry: (seam) => makeRegistry(seam, new LoneBoards()),
};
