/**
 * Sends jobs to the printer, and takes the answers in an order of its own: requests and responses by hand.
 *
 * @module
 */
import { Server } from "@tandem/ipc";
import { Node, type PortId } from "@tandem/ipc/node";
import type { Answers, Printer } from "./server.ts";

const group = "example-selective-receive";
{
  await using node = await Node.start({ name: "client", group });
  const printer = await findPrinter(node);
  using mailbox = node.port<Answers>();

  node.send(printer, "print", "a", mailbox.id, "a long report");
  node.send(printer, "print", "b", mailbox.id, "a joke");
  node.send(printer, "print", "c", mailbox.id, "a letter");
  node.send(printer, "cancel", "b");
  node.send(printer, "urgent", "d", mailbox.id, "a train ticket");
  node.send(printer, "start");

  /** Waits for the answer to one job. Other messages stay in the mailbox, in their order. */
  const pageOf = async (job: string, timeout: number): Promise<number | string> => {
    const answer = await mailbox.receive({ match: ([, other]) => other === job, timeout });
    return answer?.[2] ?? "no answer";
  };
  console.log("page of the letter:", await pageOf("c", 10_000));
  console.log("answers that came before it, and wait:", mailbox.queued);
  console.log("page of the ticket:", await pageOf("d", 10_000));
  console.log("page of the report:", await pageOf("a", 10_000));
  // Nobody answers. A receive without a timeout would wait for ever.
  console.log("page of the joke:", await pageOf("b", 50));

  // The end of the printer comes as a message.
  using ends = node.port();
  node.monitor(printer, { send: [ends.id, "ended"] });
  node.send(printer, "stop");
  await ends.receive();
}
// The group's file stays for the next node. Nobody comes any more.
Server.unlink(`${group}.nodes`);

async function findPrinter(node: Node): Promise<PortId<Printer>> {
  for await (const _ of node.registry.watch("printers")) {
    const printer = await node.registry.pick<Printer>("printers");
    if (printer) return printer;
  }
  throw new Error("the node was closed");
}
