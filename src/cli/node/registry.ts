/**
 * What `tandem node registry` does.
 *
 * @module
 */
import type { RegistryChange, RegistryEntry } from "@tandem/ipc/node";
import type { Context } from "../context.ts";
import { EndingSignals } from "../signals.ts";
import { tableOf } from "../table.ts";
import { oneLine, plain } from "../values.ts";
import type { RegistryFlags } from "./flags.ts";
import { joinGroup } from "./guest.ts";

/** Lists a family of the registry, or shows its changes. */
export async function showFamily(
  this: Context,
  flags: RegistryFlags,
  family: string,
): Promise<void> {
  await using node = await joinGroup(this, flags);
  if (!flags.watch) {
    const entries = await node.registry.get(family);
    return await this.write(
      flags.json
        ? [...entries].map(([key, entry]) => json({ key, ...entry })).join("")
        : table(entries),
    );
  }
  await using watch = node.registry.watch(family);
  using _signals = new EndingSignals(() => void watch.return());
  for await (const change of watch) {
    for (const line of linesOf(change, flags.json ?? false)) await this.write(line);
  }
}

const head = ["KEY", "NODE", "VALUE"];

function table(entries: ReadonlyMap<string, RegistryEntry>): string {
  if (entries.size === 0) return "";
  return tableOf(
    head,
    [...entries].map(([key, { node, value }]) => [oneLine(key), node, text(value)]),
  );
}

function* linesOf({ entries, added, changed, deleted }: RegistryChange, isJson: boolean) {
  const marks = { added: "+", changed: "~", deleted: "-" } as const;
  for (const [kind, keys] of Object.entries({ deleted, added, changed })) {
    for (const key of keys) {
      const entry = entries.get(key);
      if (isJson) yield json({ kind, key, ...entry });
      else {
        const what = [oneLine(key), entry?.node ?? "", entry ? text(entry.value) : ""];
        yield `${marks[kind as keyof typeof marks]} ${what.join(" ").trimEnd()}\n`;
      }
    }
  }
}

function text(value: unknown): string {
  return JSON.stringify(value, plain) ?? "";
}

function json(value: object): string {
  return `${JSON.stringify(value, plain)}\n`;
}
