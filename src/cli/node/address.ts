/**
 * The port that a command means: by its id, or by what the registry has.
 *
 * @module
 */
import { TandemError } from "@tandem/ipc";
import type { Node, PortId, RegistryEntry } from "@tandem/ipc/node";
import { later, now, timerMax } from "../../runtime/timers.ts";
import type { PortFlags } from "./flags.ts";

type Given = Pick<PortFlags, "family" | "key" | "timeout" | "group">;

/** The words of a command: those that say which port, and the others. */
export interface Addressed {
  /** Null: `--family` says it. */
  readonly id: string | null;
  readonly rest: readonly string[];
}

/** @throws {TypeError} */
export function addressed({ family, key }: Given, words: readonly string[]): Addressed {
  if (family !== undefined) return { id: null, rest: words };
  if (key !== undefined) {
    throw new TypeError("Cannot use --key alone: give its --family, too");
  }
  const [id, ...rest] = words;
  if (id === undefined) {
    throw new TypeError(
      "Cannot tell which port is meant: give its id, or --family NAME for a registered one; " +
        "`tandem node ls` lists nodes, which are ports, too",
    );
  }
  return { id, rest };
}

/**
 * The id of the port. A family that has none yet may get one in time.
 *
 * @throws {TandemError} `TIMEOUT`
 */
export async function findPort(node: Node, { id }: Addressed, flags: Given): Promise<PortId> {
  const { family, key, timeout, group } = flags;
  if (id !== null) return id;
  const lookFor = key === undefined
    ? () => node.registry.pick(family!)
    : async () => portOf((await node.registry.get(family!)).get(key), family!, key);
  await using watch = node.registry.watch(family!);
  const { promise: isOver, resolve } = Promise.withResolvers<null>();
  // A watch that is asked keeps the process alive.
  const cancel = timeout > timerMax ? () => {} : later(timeout, () => resolve(null));
  try {
    while (await Promise.race([watch.next(), isOver]) !== null) {
      const found = await lookFor();
      if (found !== null) return found;
    }
  } finally {
    cancel();
  }
  throw new TandemError(
    "TIMEOUT",
    `Cannot find a port: nothing is registered in family ${JSON.stringify(family)}${
      key === undefined ? "" : ` with the key ${JSON.stringify(key)}`
    } of group ${
      JSON.stringify(group)
    }; start the service, or see \`tandem node registry ${family}\``,
  );
}

/** The port of an entry, or the one that its value names, as claims do. */
function portOf(entry: RegistryEntry | undefined, family: string, key: string): PortId | null {
  if (!entry) return null;
  if (entry.port !== null) return entry.port;
  if (typeof entry.value === "string" && entry.value !== "") return entry.value;
  throw new TypeError(
    `Cannot use the entry ${JSON.stringify(key)} of family ${
      JSON.stringify(family)
    } as a port: no port is registered with it, and its value is no id; give another --key`,
  );
}

/** What is left of the time since a moment of `now()`. */
export function timeLeft(timeout: number, since: number): number {
  return Math.max(timeout - (now() - since), 0);
}
