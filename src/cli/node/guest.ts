/**
 * The node of a command, which takes part as long as the command runs.
 *
 * @module
 */
import { TandemError } from "@tandem/ipc";
import { Node, type TraceRecord } from "@tandem/ipc/node";
import { nodeTerms } from "../../node/options.ts";
import { hasChannel } from "../channels.ts";
import type { Context } from "../context.ts";
import { channelFolder } from "../folder.ts";
import { given } from "../given.ts";
import type { GuestFlags } from "./flags.ts";

/** The name of the nodes of commands. */
const guestName = "tandem";

/** Whether a group has, or had, nodes. @throws {TypeError} for what is no name of a group */
export function hasGroup(group: string): boolean {
  nodeTerms({ group });
  return hasChannel(`${group}.nodes`);
}

/**
 * Joins the nodes of a group.
 *
 * @throws {TandemError} `NOT_FOUND`: the group never had a node; and what starting a node throws
 */
export async function joinGroup(context: Context, flags: GuestFlags): Promise<Node> {
  const { group } = flags;
  if (!hasGroup(group)) {
    throw new TandemError(
      "NOT_FOUND",
      `Cannot join the nodes of group ${
        JSON.stringify(group)
      }: no program has started one in ${channelFolder()}; ` +
        "start one, or give another --group",
    );
  }
  return await startGuest(context, flags);
}

/** Joins the nodes of a group, which may be a new one. */
export function startGuest(
  context: Context,
  { group, trace }: GuestFlags,
): Promise<Node> {
  return Node.start(given({
    name: guestName,
    group,
    trace: trace
      ? (record: TraceRecord) => context.process.stderr.write(`tandem: ${traceText(record)}\n`)
      : undefined,
  }));
}

/** A message as one line. */
export function traceText({ direction, node, text }: TraceRecord): string {
  return direction === "sent" ? `sent to ${node}: ${text}` : `got from ${node}: ${text}`;
}
