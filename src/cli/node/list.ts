/**
 * What `tandem node ls` does.
 *
 * @module
 */
import { type Node, type NodeDescription, type NodeRequests, TandemError } from "@tandem/ipc/node";
import type { Context } from "../context.ts";
import { tableOf } from "../table.ts";
import type { ListFlags } from "./flags.ts";
import { hasGroup, joinGroup } from "./guest.ts";

/** What a node has said of itself, or only its id. */
type Listed = NodeDescription | { readonly id: string };

/** Lists the nodes of a group. */
export async function listNodes(this: Context, flags: ListFlags): Promise<void> {
  const { group, json } = flags;
  const { stdout, stderr } = this.process;
  // A look must not make the group's file.
  const nodes = hasGroup(group) ? await look(this, flags) : [];
  if (json) { for (const node of nodes) stdout.write(`${JSON.stringify(node)}\n`); }
  else if (nodes.length > 0) stdout.write(tableOf(head, nodes.map(asRow)));
  else stderr.write(`There are no nodes in group ${JSON.stringify(group)}.\n`);
  if (nodes.every((listed) => "pid" in listed)) return;
  stderr.write("tandem: some nodes do not say who they are: they are stopped or busy\n");
}

async function look(context: Context, flags: ListFlags): Promise<Listed[]> {
  await using node = await joinGroup(context, flags);
  const all = await Promise.all(node.nodes().map((id) => askForInfo(node, id, flags.timeout)));
  return all.filter((listed) => listed !== null);
}

/** Null: the node has gone meanwhile. */
async function askForInfo(node: Node, id: string, timeout: number): Promise<Listed | null> {
  try {
    return await node.at<NodeRequests>(id, { timeout }).info();
  } catch (error) {
    if (error instanceof TandemError && error.code === "PORT_DIED") return null;
    return { id };
  }
}

const head = ["NODE", "NAME", "PID", "RUNTIME", "PORTS"];

function asRow(listed: Listed): (string | number)[] {
  if (!("pid" in listed)) return [listed.id, "?", "?", "?", "?"];
  const { id, name, pid, runtime, ports } = listed;
  return [id, name, pid, runtime, ports];
}
