/**
 * One node of the mesh that `mesh.ts` measures, or a process that does nothing, to compare with.
 *
 *     member.ts GROUP PORTS
 *
 * It obeys its parent; see {@linkcode Order} and {@linkcode Word}.
 *
 * @module
 */
import process from "node:process";
import { Node, type PortId } from "../../src/node/main.ts";
import { machineNow } from "../lib/clock.ts";
import { listen, report } from "../lib/child.ts";

/** What the parent wants. */
export type Order =
  /** Starts the node. Says `started`. */
  | { readonly do: "start" }
  /** Says `knows` when that many others are up. */
  | { readonly do: "know"; readonly count: number }
  /** Monitors these ports. Says `monitors` when their nodes have heard of it. */
  | { readonly do: "monitor"; readonly ports: readonly string[] }
  /** From now on it says `up` for each node that comes, or no more. */
  | { readonly do: "watch"; readonly on: boolean }
  /** Closes the node. Says `closing` before, and ends. */
  | { readonly do: "close" };

/** What a member says. Times are those of the machine's clock. */
export type Word =
  | { readonly what: "started"; readonly at: number; readonly id: string; readonly port: string }
  | { readonly what: "knows" | "monitors" }
  | { readonly what: "up"; readonly node: string; readonly at: number }
  | { readonly what: "fired"; readonly port: string; readonly kind: string; readonly at: number }
  | { readonly what: "closing"; readonly at: number };

interface Pinged {
  ping(): void;
}

const [group = "", ports = "0"] = process.argv.slice(2);
let node: Node | null = null;
let isWatching = false;

function say(word: Word): void {
  report(word);
}

/** Later: the words of all members at once, and their reader, would take the processors from those that come last. */
function sayLater(word: Word): void {
  setTimeout(() => say(word), 400);
}

async function start(): Promise<void> {
  const at = machineNow();
  node = await Node.start({ name: "member", group });
  const made = Array.from({ length: Number(ports) }, () => node!.port<Pinged>({ ping() {} }));
  node.registry.register("members", made[0]!);
  node.watchNodes(({ node: id, up }) => {
    if (up && isWatching) sayLater({ what: "up", node: id, at: machineNow() });
  });
  say({ what: "started", at, id: node.id, port: made[0]!.id });
}

async function monitor(ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    node!.monitor(
      id,
      ({ kind }) => sayLater({ what: "fired", port: id, kind, at: machineNow() }),
    );
  }
  await Promise.all(ids.map((id) => node!.at(id as PortId<Pinged>).ping()));
  say({ what: "monitors" });
}

async function obey(order: Order): Promise<void> {
  switch (order.do) {
    case "start":
      return await start();
    case "know":
      while (node!.nodes().length !== order.count) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return say({ what: "knows" });
    case "monitor":
      return await monitor(order.ports);
    case "watch":
      isWatching = order.on;
      return;
    case "close":
      say({ what: "closing", at: machineNow() });
      await node!.close();
      process.exit();
  }
}

listen<Order>((order) => void obey(order));
report("ready");
