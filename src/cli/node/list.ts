/**
 * What `tandem node ls` does.
 *
 * @module
 */
import process from "node:process";
import { type Node, type NodeRequests, TandemError } from "@tandem/ipc/node";
import { observe } from "../channels.ts";
import type { Context } from "../context.ts";
import { tableOf } from "../table.ts";
import type { ListFlags } from "./flags.ts";
import { hasGroup, joinGroup } from "./guest.ts";

/** What is known of a node. */
interface Listed {
  readonly id: string | null;
  readonly name: string | null;
  readonly pid: number | null;
  readonly runtime: string | null;
  readonly ports: number | null;
}

const unknown: Listed = { id: null, name: null, pid: null, runtime: null, ports: null };

/** Lists the nodes of a group. */
export async function listNodes(this: Context, flags: ListFlags): Promise<void> {
  const { group, json } = flags;
  const { stdout, stderr } = this.process;
  // A look must not make the group's file.
  const nodes = hasGroup(group) ? await look(this, flags) : [];
  if (json) { for (const node of nodes) stdout.write(`${JSON.stringify(node)}\n`); }
  else if (nodes.length > 0) stdout.write(tableOf(head, nodes.map(asRow)));
  else stderr.write(`There are no nodes in group ${JSON.stringify(group)}.\n`);
  if (nodes.every(({ ports }) => ports !== null)) return;
  stderr.write("tandem: some nodes do not say who they are: they are stopped or busy\n");
}

async function look(context: Context, flags: ListFlags): Promise<Listed[]> {
  await using node = await joinGroup(context, flags);
  const answers = await Promise.all(node.nodes().map((id) => askForInfo(node, id, flags.timeout)));
  const nodes = answers.filter((listed) => listed !== null);
  const silent = silentOnes(flags.group, nodes);
  // Those that were heard of before they fell silent are in both.
  return silent.length > nodes.filter(({ pid }) => pid === null).length
    ? [...nodes, ...silent]
    : nodes;
}

/** Null: the node has gone meanwhile. */
async function askForInfo(node: Node, id: string, timeout: number): Promise<Listed | null> {
  try {
    return await node.at<NodeRequests>(id, { timeout }).info();
  } catch (error) {
    if (error instanceof TandemError && error.code === "PORT_DIED") return null;
    return { ...unknown, id };
  }
}

/** A node that has not answered since this one came is known by its process alone. */
function silentOnes(group: string, nodes: readonly Listed[]): Listed[] {
  const known = [process.pid, ...nodes.map(({ pid }) => pid)];
  const silent: Listed[] = [];
  for (const { role, pid, runtime } of observe(`${group}.nodes`).participants) {
    const at = known.indexOf(pid);
    if (at >= 0) known.splice(at, 1);
    else if (role === "server") silent.push({ ...unknown, pid, runtime });
  }
  return silent;
}

const head = ["NODE", "NAME", "PID", "RUNTIME", "PORTS"];

function asRow({ id, name, pid, runtime, ports }: Listed): (string | number)[] {
  return [id, name, pid, runtime, ports].map((value) => value ?? "?");
}
