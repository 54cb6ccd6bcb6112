/**
 * What a node lets its registry know of it.
 *
 * @module
 */
import type { NodeChange, RegistrySeam } from "../parts.ts";
import type { Addresses } from "./addresses.ts";
import type { NodeBase } from "./node_base.ts";
import type { NodeChanges } from "./node_changes.ts";
import type { Outbox } from "./outbox.ts";
import type { PortTable } from "./port_table.ts";

export function registrySeam(
  base: NodeBase,
  addresses: Addresses,
  ports: PortTable,
  outbox: Outbox,
  changes: NodeChanges,
): RegistrySeam {
  return {
    identity: base.identity,
    terms: base.terms,
    carrier: outbox.carrier,
    onNode: (listener: (change: NodeChange) => void) => changes.add(listener),
    onPortEnd: (id: string, listener: () => void) => {
      const { node, local } = addresses.of(id, "wait for the end of");
      const port = node === base.id && local !== "" ? ports.get(local) : undefined;
      return port ? ports.onEnd(port, listener) : null;
    },
    checkOpen: (tried: string) => base.checkOpen(tried),
    hold: () => base.holder.held(),
  };
}
