/**
 * What a node does for programs that are no nodes.
 *
 * @module
 */
import type { NodeAccess } from "../parts.ts";
import type { Addresses } from "./addresses.ts";
import type { Calls } from "./calls.ts";
import type { NodeBase } from "./node_base.ts";
import type { Outbox } from "./outbox.ts";
import type { PortTable } from "./port_table.ts";

export function nodeAccess(
  base: NodeBase,
  addresses: Addresses,
  ports: PortTable,
  outbox: Outbox,
  calls: Calls,
  pick: (family: string) => string | null,
): NodeAccess {
  const isThere = (id: string): boolean => {
    const { node, local } = addresses.of(id, "send a message to");
    return node === base.id ? ports.get(local) !== undefined : outbox.carrier.isUp(node);
  };
  return {
    send(id, message) {
      if (!isThere(id)) return false;
      outbox.send(id, message);
      return true;
    },
    // What happens to run now asks for nothing.
    call: (id, method, args, timeout) =>
      base.atHome(() => calls.call(id, method, args, timeout, undefined), undefined),
    pick,
  };
}
