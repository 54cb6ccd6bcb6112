/**
 * The port of each service of `tandem node run`, registered in the family `tandem:services` with the service's name.
 *
 * @module
 */
import type { Node, Port, PortId, TraceRecord } from "@tandem/ipc/node";

/** The family of the registry in which services are. */
export const serviceFamily = "tandem:services";

/** What a registered service is. */
export interface ServiceEntry {
  readonly name: string;
}

/** What the port understands. */
export interface ServicePort {
  /** From now on, the port gets each message that the service's node sends or gets, but not those of nodes that trace. */
  trace(port: string): void;
}

/** What a port that traces gets. */
export interface TracerPort {
  traced(name: string, record: TraceRecord): void;
}

/** The rest of a longer message is left out. */
const textMax = 8_192;

/** Opens the port of a service. */
export function openServicePort(node: Node, name: string): Port<ServicePort> {
  const tracers = new TracerPorts(node, name);
  const port = node.port<ServicePort>({ trace: (tracer) => tracers.add(tracer) });
  // What it does not understand must not end it.
  port.onMessage(() => {});
  node.registry.register(serviceFamily, port, { name } satisfies ServiceEntry);
  return port;
}

/** The ports that trace a service. */
class TracerPorts {
  readonly #node: Node;
  readonly #name: string;
  /** The nodes on which they are. */
  readonly #ports: Map<PortId<TracerPort>, string> = new Map();
  #tracing: Disposable | null = null;

  constructor(node: Node, name: string) {
    this.#node = node;
    this.#name = name;
  }

  add(port: PortId<TracerPort>): void {
    // What comes may be anything, and an exception would end the service's port.
    if (typeof port !== "string" || !port.includes("#", 1) || this.#ports.has(port)) return;
    this.#ports.set(port, this.#node.nodeOf(port));
    this.#node.monitor(port, () => this.#delete(port));
    this.#tracing ??= this.#node.trace((record) => this.#tell(record));
  }

  #delete(port: string): void {
    this.#ports.delete(port);
    if (this.#ports.size > 0) return;
    this.#tracing?.[Symbol.dispose]();
    this.#tracing = null;
  }

  #tell(record: TraceRecord): void {
    // Traces of traces would have no end.
    if ([...this.#ports.values()].includes(record.node)) return;
    const short = { ...record, text: record.text.slice(0, textMax) };
    for (const port of this.#ports.keys()) this.#node.send(port, "traced", this.#name, short);
  }
}
