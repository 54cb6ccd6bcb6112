/**
 * What `tandem node trace` does.
 *
 * @module
 */
import type { Node, RegistryEntry, TraceRecord } from "@tandem/ipc/node";
import type { Context } from "../context.ts";
import { EndingSignals } from "../signals.ts";
import { oneLine } from "../values.ts";
import type { GroupFlags } from "./flags.ts";
import { Follower } from "./follower.ts";
import { startGuest, traceText } from "./guest.ts";
import { serviceFamily, type ServicePort } from "./service_port.ts";

/** Writes the messages of services, until a signal ends it. Without names, those of all. */
export async function traceServices(
  this: Context,
  { group }: GroupFlags,
  ...names: readonly string[]
): Promise<void> {
  await using node = await startGuest(this, { group });
  const follower = traceFollower(node, this);
  await using watch = node.registry.watch(serviceFamily);
  using _signals = new EndingSignals(() => void watch.return());
  for await (const { entries, added } of watch) {
    for (const key of added) {
      const entry = entries.get(key);
      if (entry?.port && isMeant(entry, names)) follower.follow(entry.port);
    }
  }
}

/** A service is meant by its name, and by the id of its node. */
function isMeant({ value, node }: RegistryEntry, names: readonly string[]): boolean {
  return names.length === 0 || names.includes(node) || names.includes(Object(value).name);
}

function traceFollower(node: Node, context: Context): Follower {
  return new Follower(node, context, {
    tag: "traced",
    async take(name, record) {
      if (!isTraceRecord(record)) return;
      await context.write(`${oneLine(`${name} ${traceText(record)}`)}\n`);
    },
    ask: (service, own) => node.send<ServicePort>(service, "trace", own),
  });
}

function isTraceRecord(value: unknown): value is TraceRecord {
  const { direction, node, text } = Object(value) as Partial<Record<keyof TraceRecord, unknown>>;
  return (direction === "sent" || direction === "got") && typeof node === "string" &&
    typeof text === "string";
}
