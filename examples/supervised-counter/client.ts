/**
 * Counts, makes the counter fail, and finds the next one by its name.
 *
 * @module
 */
import { Server } from "@tandem/ipc";
import { Node, type PortId, type Reason } from "@tandem/ipc/node";
import type { Counter } from "./server.ts";

const group = "example-supervised-counter";
{
  await using node = await Node.start({ name: "client", group });

  const first = await find<Counter>(node, "counter");
  node.send(first, "add", 2);
  node.send(first, "add", 3);
  console.log("total:", await node.at(first, { timeout: 10_000 }).get());

  // The end of the counter comes as a message, with its reason.
  using mailbox = node.port<{ ended(reason: Reason): void }>();
  node.monitor(first, { send: [mailbox.id, "ended"] });
  // The handler throws, which ends its port. If this were a call, the call alone would fail.
  node.send(first, "add", 0.5);
  const [, reason] = (await mailbox.receive())!;
  console.log(`the counter has ended: ${reason.kind}, ${reason.message}`);

  const second = await find<Counter>(node, "counter");
  console.log("there is one again, with another id:", first !== second);
  node.send(second, "add", 1);
  console.log("total:", await node.at(second, { timeout: 10_000 }).get());

  // The id of a node works as well: this monitor fires when the server has gone.
  node.monitor(node.nodeOf(second), { send: [mailbox.id, "ended"] });
  node.send(await find(node, "control"), "end");
  await mailbox.receive();
}
// The group's file stays for the next node. Nobody comes any more.
Server.unlink(`${group}.nodes`);

/** The port with a name. Waits until there is one. */
async function find<P>(node: Node, name: string): Promise<PortId<P>> {
  for await (const { entries } of node.registry.watch(name)) {
    for (const { port } of entries.values()) if (port !== null) return port;
  }
  throw new Error("the node was closed");
}
