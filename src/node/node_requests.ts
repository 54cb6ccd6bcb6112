/**
 * What a node does for others as a port of its own.
 *
 * @module
 */
import { backend } from "../runtime/current.ts";
import { wallClock } from "../runtime/timers.ts";
import type { NodeCore } from "./node_core.ts";
import { Handler } from "./ports/handler.ts";

/** What a node says of itself. */
export interface NodeDescription {
  /** Its id. */
  readonly id: string;
  /** Its name. */
  readonly name: string;
  /** Its process, as that sees itself. */
  readonly pid: number;
  /** "deno", "bun" or "node". */
  readonly runtime: string;
  /** How many ports it has. */
  readonly ports: number;
}

/**
 * The interface of a node as a port: `node.at<NodeRequests>(nodeId).info()`. As a message, a request names the port
 * that gets the answer, behind the values that follow: `node.send(nodeId, "time", port.id, "clock", 1)` has the port
 * receive `["clock", 1, milliseconds]`. A node drops all other messages; other calls fail with `UNKNOWN_METHOD`.
 */
export interface NodeRequests {
  /** What the node says of itself. */
  info(replyTo?: string, ...message: unknown[]): NodeDescription;
  /** Its clock: milliseconds since 1970. */
  time(replyTo?: string, ...message: unknown[]): number;
  /** The ids of the other nodes that it knows. */
  nodes(replyTo?: string, ...message: unknown[]): string[];
  /** Nothing, so that a call measures the way there and back. */
  devnull(...message: unknown[]): void;
}

/** Lets a node answer. */
export function addNodeRequests(node: NodeCore): void {
  const answers: Record<string, () => unknown> = {
    info: (): NodeDescription => {
      const { pid, name: runtime } = backend();
      const { id, name } = node.base.identity;
      return { id, name, pid, runtime, ports: node.ports.size - 1 };
    },
    time: () => wallClock(),
    nodes: () => node.outbox.carrier.nodes().map(({ id }) => id),
  };
  const handlers = new Map<string, Handler>();
  for (const [name, answer] of Object.entries(answers)) {
    const handle = (replyTo?: unknown, ...message: unknown[]): unknown => {
      const value = answer();
      reply(node, replyTo, [...message, value]);
      return value;
    };
    handlers.set(name, new Handler(handle, undefined, false));
  }
  const drop = (): void => {};
  handlers.set("devnull", new Handler(drop, undefined, false));
  const port = node.host.add("", handlers, Infinity, node.base.terms.maxQueue);
  port.onMessage(new Handler(drop, undefined, true), false);
}

function reply(node: NodeCore, replyTo: unknown, message: readonly unknown[]): void {
  if (typeof replyTo !== "string") return;
  try {
    node.outbox.send(replyTo, message);
  } catch {
    // It is no id, or the node is closed: there is nobody to tell.
  }
}
