/**
 * Nodes as programs see them.
 *
 * @module
 */
import { checkTimeout, describe } from "../base/checks.ts";
import { type Maker, notConstructible } from "../base/maker.ts";
import type { Reason } from "../errors.ts";
import { runGuarded } from "./core/guarded.ts";
import { Tracers } from "./core/tracers.ts";
import { defaultParts } from "./default_parts.ts";
import { addressOf, checkId, type PortId, randomToken } from "./ids.ts";
import { NodeCore } from "./node_core.ts";
import { addNodeRequests } from "./node_requests.ts";
import {
  callTimeout,
  type NodeOptions,
  nodeTerms,
  type PortCallOptions,
  type PortOptions,
  portTerms,
  type TraceRecord,
} from "./options.ts";
import type { NodeParts } from "./parts.ts";
import { checkFunction, handlersOf } from "./ports/handler.ts";
import { type Port, PortMaker } from "./ports/port.ts";
import type { KillReason } from "./reason.ts";
import type { Registry } from "./registry/registry.ts";
import { remotePort } from "./remote_port.ts";
import type { MessageOf, PortRemote } from "./types.ts";

/** A node that has come, or gone. */
export interface NodeEvent {
  /** Its id. */
  readonly node: string;
  /** Whether it has come. */
  readonly up: boolean;
  /** Why it has gone: `shutdown` if it said good-bye, else `transport_error`. */
  readonly reason: Reason | undefined;
}

/** What a monitor does instead of calling a function. */
export type MonitorTarget =
  | {
    /** A port that ends, too, if the monitored one ends abnormally. */
    readonly kill: PortId;
  }
  | {
    /** A port, and the message that it gets; the {@linkcode Reason} is appended. */
    readonly send: readonly [port: PortId, ...message: unknown[]];
  };

/** How many messages wait. */
export interface Queued {
  /** Their number. */
  readonly messages: number;
  /** Their bytes. */
  readonly bytes: number;
}

const cores: WeakMap<object, NodeCore> = new WeakMap();

/** The node behind its public face, for this package and its tests. */
export function coreOf(node: Node): NodeCore {
  return cores.get(node)!;
}

/**
 * One of many nodes that send each other messages. A node has {@linkcode Port}s, and knows those of all other nodes
 * of its group by their ids.
 *
 * - **Messages** to one port arrive in the order in which a node has sent them, without holes: if one is lost, because
 *   the node there has died or the link was cut, all later ones are lost until monitors have fired.
 * - **A dead port** is no error of a sender. Who wants to know monitors it.
 * - **Values** are copied, also those to ports of the same node, and delivery is never synchronous. What can be sent
 *   is what typed calls can send, without streams, functions, Blobs, and signals that have not aborted.
 *
 * @example Two ports that know of each other's end
 * ```ts
 * import { Node, type Reason } from "@tandem/ipc/node";
 * import { assertEquals } from "@std/assert";
 *
 * await using node = await Node.start({ name: "docs" });
 * using worker = node.port({ work: (n: number) => 2 * n });
 * assertEquals(await node.at(worker.id, { timeout: 5_000 }).work(21), 42);
 *
 * const { promise, resolve } = Promise.withResolvers<Reason>();
 * using watch = node.monitor(worker.id, resolve);
 * worker.kill("no more work");
 * const { kind, message } = await promise;
 * assertEquals([kind, message], ["kill", "no more work"]);
 * ```
 */
export class Node implements AsyncDisposable {
  readonly #core: NodeCore;
  readonly #tracers: Tracers;

  private constructor(core: NodeCore) {
    if (!(core instanceof NodeCore)) throw notConstructible("Node", "await Node.start()");
    this.#core = core;
    this.#tracers = new Tracers(core.base.terms);
    cores.set(this, core);
  }

  /**
   * Starts a node. It keeps the process alive while it has something to do: a port with handlers, an offer, a timer, a
   * monitor or a watch with a function, or a pending promise, such as {@linkcode finished}.
   *
   * @throws {TandemError} `EXISTS`: a living node of the group has the id; `BUSY`: there are 1,024 nodes. With a
   * network also `PERMISSION`: the server refuses the login or a subject; `DISCONNECTED`: no server has answered for
   * ten seconds; `UNSUPPORTED`: the NATS client is not installed
   * @throws {TypeError} {RangeError} for wrong options
   */
  static async start(options: NodeOptions = {}): Promise<Node> {
    return await startNode(options, defaultParts);
  }

  /** The node's id. It is a port as well: see {@linkcode NodeRequests}. */
  get id(): PortId {
    return this.#core.base.id;
  }

  /**
   * Resolves when the node has closed. Asking for it keeps the process alive until then, so a program that only serves
   * ends with `await node.finished`.
   *
   * @example
   * ```ts
   * import { Node } from "@tandem/ipc/node";
   *
   * const node = await Node.start({ name: "docs" });
   * node.after(10, () => void node.close());
   * await node.finished;
   * ```
   */
  get finished(): Promise<void> {
    return this.#core.finished;
  }

  /** What all nodes of the group know by name. */
  get registry(): Registry {
    return this.#core.registry.face;
  }

  /** The id of the node on which a port lives. */
  nodeOf(id: PortId): string {
    checkId(id, "find the node of");
    return addressOf(id).node;
  }

  /** Whether it is the id of this node, or of a port of it, living or not. */
  isLocal(id: PortId): boolean {
    return this.nodeOf(id) === this.#core.base.id;
  }

  /**
   * Makes a port. Its handlers are the methods of an object; more can be added with {@linkcode Port.on}.
   *
   * @typeParam P the interface
   * @throws {TandemError} `CLOSED`
   */
  port<P extends object>(handlers: P, options?: PortOptions): Port<P>;
  /**
   * Makes a port without handlers: messages wait for {@linkcode Port.receive}, or until handlers are added.
   *
   * @typeParam P the interface
   * @throws {TandemError} `CLOSED`
   */
  // deno-lint-ignore no-explicit-any -- any interface
  port<P = any>(handlers?: undefined, options?: PortOptions): Port<P>;
  port(handlers?: object, options: PortOptions = {}): Port {
    const { concurrency, maxQueue } = portTerms(options, this.#core.base.terms.maxQueue);
    const methods = handlers === undefined ? null : handlersOf(handlers);
    return new PortMaker(this.#core.host.make(methods, concurrency, maxQueue));
  }

  /**
   * Sends a message, and returns at once. The values are read now.
   *
   * @throws {TandemError} `NOT_SERIALIZABLE`, `TOO_LARGE` for what cannot be sent; `CLOSED`
   * @throws {TypeError} for what is no id
   */
  // deno-lint-ignore no-explicit-any -- any interface
  send<P = any>(id: PortId<P>, ...message: MessageOf<P>): void {
    this.#core.outbox.send(id, message);
  }

  /**
   * The methods of a port. Each call is a message whose handler's result is the answer: in order with messages of
   * `send`. It fails with `PORT_DIED` and the `reason` if the port does not exist or ends meanwhile, with `TIMEOUT`,
   * and with `REMOTE` if the handler throws. A call that comes back to a port which waits for it fails at once
   * (`BUSY`) and names the cycle.
   *
   * In the handler, `callContext().signal` aborts when the caller does not wait any more.
   */
  // deno-lint-ignore no-explicit-any -- any interface
  at<P = any>(id: PortId<P>, options: PortCallOptions = {}): PortRemote<P> {
    checkId(id, "call");
    const timeout = callTimeout(options);
    const { signal } = options;
    const { calls } = this.#core;
    return remotePort(
      id,
      (method, args) => calls.call(id, method, args, timeout, signal),
    ) as PortRemote<P>;
  }

  /**
   * Resolves when a port can take messages: the link to its node has room, and less than half of its queue is used.
   *
   * @throws {TandemError} `PORT_DIED`, `TIMEOUT`, `CLOSED`; `BUSY` if the port waits for the one that asks
   */
  async ready(id: PortId, options: PortCallOptions = {}): Promise<void> {
    await this.#core.room.ready(id, options);
  }

  /** What waits in this process for the node of a port; for a port of this node, what waits in the port, too. */
  queued(id: PortId): Queued {
    return this.#core.outbox.queued(id);
  }

  /**
   * Ends a port on any node, once the messages that were sent to it before have arrived. Those that still wait in the
   * port are dropped, as with {@linkcode Port.kill}. Does nothing if the port has ended. Without a reason, the end
   * is normal.
   *
   * @throws {TypeError} for the id of a node
   */
  kill(id: PortId, reason?: KillReason): void {
    this.#core.outbox.kill(id, reason);
  }

  /**
   * Calls a function once when a port ends: after the last message of it that arrives here. At once, but never before
   * this returns, if there is no such port. With the id of a node, when the node goes.
   *
   * The function does not wait for ports of this process in which such messages wait for a handler: a handler may wait
   * for the function. `{ send: [port, ...message] }` is a message itself, so the port handles it after these.
   *
   * @returns disposing it ends the watch
   */
  monitor(id: PortId, action: ((reason: Reason) => void) | MonitorTarget): Disposable {
    return this.#core.monitoring.monitor(id, action);
  }

  /**
   * If one of two ports ends abnormally, the other ends for the same reason.
   *
   * @returns disposing it ends the link
   */
  link(portA: PortId, portB: PortId): Disposable {
    return this.#core.monitoring.link(portA, portB);
  }

  /**
   * Lets other nodes spawn ports here. `init` gets the new port, and adds handlers to it; if it throws, the port ends.
   * Other nodes can run nothing else here.
   *
   * @example A room for each name
   * ```ts
   * import { Node, type Port } from "@tandem/ipc/node";
   * import { assertEquals } from "@std/assert";
   *
   * interface Room {
   *   say(text: string): number;
   * }
   *
   * await using node = await Node.start({ name: "docs" });
   * using offer = node.offer("room", (port: Port<Room>, name: string) => {
   *   const lines = [`This is ${name}`];
   *   port.on("say", (text) => lines.push(text));
   * });
   *
   * // Any other node:
   * const lobby = node.spawn<Room>(node.id, "room", "the lobby");
   * assertEquals(await node.at(lobby).say("Hello"), 2);
   * ```
   *
   * @returns disposing it withdraws the offer
   * @throws {TypeError} if the name is taken
   */
  // deno-lint-ignore no-explicit-any -- any interface, any arguments
  offer<A extends any[]>(name: string, init: (port: Port<any>, ...args: A) => unknown): Disposable {
    const { base: { holder }, offers } = this.#core;
    return holder.during(offers.add(name, init));
  }

  /**
   * Makes a port on another node, which has to offer it. Returns its id at once: messages can be sent to it, and it
   * can be monitored. Failures reach its monitors, also those that are set later.
   *
   * @param nodeOrPort the id of the node, or of any port of it
   */
  // deno-lint-ignore no-explicit-any -- any interface
  spawn<P = any>(nodeOrPort: PortId, name: string, ...args: unknown[]): PortId<P> {
    return this.#core.spawning.spawn(nodeOrPort, name, args) as PortId<P>;
  }

  /**
   * Calls a function after so many milliseconds.
   *
   * @returns disposing it cancels that
   */
  after(milliseconds: number, run: () => void): Disposable;
  /**
   * Sends a message, as it is now, after so many milliseconds.
   *
   * @returns disposing it cancels that
   */
  // deno-lint-ignore no-explicit-any -- any interface
  after<P = any>(milliseconds: number, id: PortId<P>, ...message: MessageOf<P>): Disposable;
  after(milliseconds: number, what: string | (() => void), ...message: unknown[]): Disposable {
    const { base, outbox, timers } = this.#core;
    base.checkOpen("set a timer");
    const delay = checkTimeout(milliseconds, "milliseconds");
    if (Number.isNaN(delay)) {
      throw new RangeError(`Cannot use ${milliseconds} as milliseconds: it would never be over`);
    }
    if (typeof what !== "function") return timers.after(delay, outbox.prepared(what, message));
    checkFunction(what, "in node.after");
    return timers.after(delay, () => runGuarded(what, "a timer of a node", what));
  }

  /** The ids of the other nodes that are up, in the order in which they came. */
  nodes(): string[] {
    this.#core.base.checkOpen("list nodes");
    return this.#core.outbox.carrier.nodes().map(({ id }) => id);
  }

  /** Whether a node is up, this one included. */
  isUp(nodeId: string): boolean {
    checkId(nodeId, "look for the node");
    this.#core.base.checkOpen("look for a node");
    return nodeId === this.#core.base.id || this.#core.outbox.carrier.isUp(nodeId);
  }

  /**
   * Calls a function for each other node that is up, and then whenever one comes or goes.
   *
   * @returns disposing it ends the watch
   */
  watchNodes(listener: (event: NodeEvent) => void): Disposable {
    const { base, changes } = this.#core;
    base.checkOpen("watch nodes");
    if (typeof listener !== "function") {
      throw new TypeError(`Cannot use ${describe(listener)} in watchNodes: give a function`);
    }
    const watch = changes.addWithSnapshot(({ info, up, reason }) =>
      listener({ node: info.id, up, reason })
    );
    return base.holder.during(watch);
  }

  /**
   * Calls a function with every message that this node sends or gets from now on, as the option `trace` does. A message
   * that the function itself sends is traced, too: it has to leave those out.
   *
   * @returns disposing it ends that
   */
  trace(listener: (record: TraceRecord) => void): Disposable {
    this.#core.base.checkOpen("trace messages");
    return this.#tracers.add(listener);
  }

  /**
   * Says good-bye to the other nodes: takes the registry's entries back, ends all ports (`shutdown`), and sends what
   * waits.
   */
  async close(): Promise<void> {
    await this.#core.close();
  }

  /** As {@linkcode close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** For printers. */
  get [Symbol.toStringTag](): string {
    return `Node ${this.#core.base.id}`;
  }
}

const NodeMaker = Node as unknown as Maker<NodeCore, Node>;

/** Starts a node that is made of other parts. */
export async function startNode(options: NodeOptions, parts: NodeParts): Promise<Node> {
  const terms = nodeTerms(options);
  const id = terms.id ?? `${terms.name}@${randomToken(12)}`;
  const identity = { id, name: terms.name, start: randomToken(8) };
  const core = new NodeCore(identity, terms);
  addNodeRequests(core);
  const joined = await parts.join(identity, terms);
  core.open(joined, (seam) => joined.registry(seam));
  joined.serve?.(core.access);
  return new NodeMaker(core);
}
