/**
 * The ports of a node by their names there, and the messages that go to them.
 *
 * @module
 */
import type { Reason, TandemError } from "../../errors.ts";
import type { PortCore } from "../ports/port_core.ts";
import { makeReason, passedOn } from "../reason.ts";
import { runGuarded } from "./guarded.ts";
import type { MessageHandler } from "./inbox.ts";
import type { NodeBase } from "./node_base.ts";

export class PortTable implements MessageHandler {
  readonly #base: NodeBase;
  readonly #ports: Map<string, PortCore> = new Map();
  readonly #endListeners: Map<PortCore, Set<() => void>> = new Map();

  constructor(base: NodeBase) {
    this.#base = base;
  }

  get size(): number {
    return this.#ports.size;
  }

  /** Ports whose ends are listened to, for tests. */
  get listenedTo(): number {
    return this.#endListeners.size;
  }

  all(): Iterable<PortCore> {
    return this.#ports.values();
  }

  get(local: string): PortCore | undefined {
    return this.#ports.get(local);
  }

  add(port: PortCore): void {
    this.#ports.set(port.local, port);
  }

  /** The port ends. Those who listen hear of it before anybody else. */
  remove(port: PortCore): void {
    this.#ports.delete(port.local);
    const listeners = this.#endListeners.get(port);
    this.#endListeners.delete(port);
    for (const listener of listeners ?? []) {
      runGuarded(listener, "a listener of a port's end", listener);
    }
  }

  onEnd(port: PortCore, listener: () => void): Disposable {
    let listeners = this.#endListeners.get(port);
    if (!listeners) this.#endListeners.set(port, listeners = new Set());
    // Each time a function of its own: the same listener may be given twice.
    const entry = () => listener();
    listeners.add(entry);
    return {
      [Symbol.dispose]: () => {
        listeners.delete(entry);
        if (listeners.size === 0) this.#endListeners.delete(port);
      },
    };
  }

  onSend(local: string, message: unknown[]): void {
    this.#ports.get(local)?.deliver(message);
  }

  onKill(from: string, local: string, reason: Reason): void {
    const { id } = this.#base;
    if (local === "") return this.#base.dropMalformed(from, new Error("a node cannot be killed"));
    this.#ports.get(local)?.end(passedOn(reason, id));
  }

  onUnreadable(from: string, local: string, error: TandemError): void {
    if (local === "") return this.#base.dropMalformed(from, error);
    const text = `a message of ${from} cannot be read: ${error.message}`;
    // The next message must not come as if this one had come, too.
    this.#ports.get(local)?.end(makeReason("transport_error", text, this.#base.id));
  }

  /** Too much waits in this node for it to take another message to this port. */
  overflow(local: string): void {
    const { id, terms } = this.#base;
    const text =
      `more than ${terms.maxQueueBytes} bytes wait in its node (maxQueueBytes of the node)`;
    this.#ports.get(local)?.end(makeReason("overflow", text, id));
  }
}
