/**
 * What other nodes want of this one: calls to be answered, ports that they monitor or wait for.
 *
 * @module
 */
import type { IncomingCall } from "../ports/invocation.ts";
import type { PortCore, Watcher } from "../ports/port_core.ts";

/** What one node wants, by its own numbers. */
export class Wants {
  readonly calls: Map<number, IncomingCall> = new Map();
  readonly monitored: Map<number, PortCore> = new Map();
  readonly waitsFor: Map<number, PortCore> = new Map();
}

/** The key of a watcher in the tables of a port. */
export function watcherKey(node: string, id: number): string {
  return `${id} ${node}`;
}

export class Peers {
  readonly #peers: Map<string, Wants> = new Map();

  all(): Iterable<Wants> {
    return this.#peers.values();
  }

  clear(): void {
    this.#peers.clear();
  }

  get(node: string): Wants | undefined {
    return this.#peers.get(node);
  }

  of(node: string): Wants {
    let peer = this.#peers.get(node);
    if (!peer) this.#peers.set(node, peer = new Wants());
    return peer;
  }

  /** A number that another monitor has takes its place: none stays behind that nobody can remove. */
  addMonitor(port: PortCore, watcher: Watcher): void {
    this.removeMonitor(watcher.node, watcher.id);
    this.of(watcher.node).monitored.set(watcher.id, port);
    port.watchers.set(watcherKey(watcher.node, watcher.id), watcher);
  }

  removeMonitor(node: string, id: number): void {
    const peer = this.#peers.get(node);
    peer?.monitored.get(id)?.watchers.delete(watcherKey(node, id));
    peer?.monitored.delete(id);
  }

  addWait(port: PortCore, watcher: Watcher): void {
    this.removeWait(watcher.node, watcher.id);
    this.of(watcher.node).waitsFor.set(watcher.id, port);
    port.roomWaiters.set(watcherKey(watcher.node, watcher.id), watcher);
  }

  removeWait(node: string, id: number): void {
    const peer = this.#peers.get(node);
    peer?.waitsFor.get(id)?.roomWaiters.delete(watcherKey(node, id));
    peer?.waitsFor.delete(id);
  }

  /** The node wants nothing any more: it is gone, or the link to it was cut. Returns its calls. */
  remove(node: string): IncomingCall[] {
    const peer = this.#peers.get(node);
    if (!peer) return [];
    this.#peers.delete(node);
    for (const [id, port] of peer.monitored) port.watchers.delete(watcherKey(node, id));
    for (const [id, port] of peer.waitsFor) port.roomWaiters.delete(watcherKey(node, id));
    return [...peer.calls.values()];
  }
}
