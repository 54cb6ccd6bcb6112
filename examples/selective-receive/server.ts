/**
 * A printer whose urgent jobs overtake the others: it takes messages from its port in an order of its own.
 *
 * @module
 */
import { Node, type PortId } from "@tandem/ipc/node";

/** What the printer understands. The sender chooses `job`, which comes back with the answer. */
export interface Printer {
  start(): void;
  print(job: string, replyTo: PortId<Answers>, text: string): void;
  urgent(job: string, replyTo: PortId<Answers>, text: string): void;
  /** Takes back a job that is not printed yet. */
  cancel(job: string): void;
  stop(): void;
}

/** What the printer answers. */
export interface Answers {
  printed(job: string, page: number): void;
}

await using node = await Node.start({ name: "printer", group: "example-selective-receive" });
// A port without handlers: messages wait until `receive` asks for them.
using port = node.port<Printer>();
node.registry.register("printers", port);

// Jobs that come before this message stay in the port, in their order.
await port.receive({ match: ([tag]) => tag === "start" });
let page = 0;
while (true) {
  // In Erlang: receive {urgent, …} -> … after 0 -> receive … end end.
  const message = await port.receive({ match: ([tag]) => tag === "urgent", timeout: 0 }) ??
    await port.receive();
  if (message?.[0] === "stop") break;
  // Jobs look for this themselves. One that gets here is too late: its job came before it.
  if (message?.[0] !== "print" && message?.[0] !== "urgent") continue;

  const [tag, job, replyTo, text] = message;
  const cancelled = await port.receive({
    match: ([tag, other]) => tag === "cancel" && other === job,
    timeout: 0,
  });
  if (cancelled) {
    console.log(`${text}: cancelled`);
  } else {
    page += 1;
    console.log(`page ${page}, ${tag}: ${text}`);
    node.send(replyTo, "printed", job, page);
  }
}
