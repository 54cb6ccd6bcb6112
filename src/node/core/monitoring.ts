/**
 * Sets monitors and links, and fires them.
 *
 * @module
 */
import { describe } from "../../base/checks.ts";
import type { Reason } from "../../errors.ts";
import { queueMicrotask } from "../../runtime/timers.ts";
import { Kind } from "../frames.ts";
import { isNormal, makeReason } from "../reason.ts";
import type { Addresses } from "./addresses.ts";
import { runGuarded } from "./guarded.ts";
import type { DownHandler } from "./inbox.ts";
import { Monitor, Monitors } from "./monitors.ts";
import type { NodeBase } from "./node_base.ts";
import type { Outbox } from "./outbox.ts";
import type { Watching } from "./watching.ts";

/** What a monitor does when it fires. */
export type MonitorAction =
  | ((reason: Reason) => unknown)
  | { readonly kill: string }
  | { readonly send: readonly [port: string, ...message: unknown[]] };

export class Monitoring implements DownHandler {
  readonly #base: NodeBase;
  readonly #addresses: Addresses;
  readonly #outbox: Outbox;
  readonly #watching: Watching;
  readonly #monitors: Monitors = new Monitors();
  #nextNumber = 1;

  constructor(base: NodeBase, addresses: Addresses, outbox: Outbox, watching: Watching) {
    this.#base = base;
    this.#addresses = addresses;
    this.#outbox = outbox;
    this.#watching = watching;
  }

  get size(): number {
    return this.#monitors.size;
  }

  monitor(id: string, action: MonitorAction): Disposable {
    return this.#set(id, this.#firing(action), typeof action === "function");
  }

  /** @param holds whether the process stays alive for it */
  #set(id: string, fire: (reason: Reason) => void, holds: boolean): Disposable {
    this.#base.checkOpen("monitor a port");
    const address = this.#addresses.of(id, "monitor");
    const hold = holds ? this.#base.holder.held() : null;
    const monitor = new Monitor(this.#nextNumber++, id, address, fire, hold);
    this.#monitors.add(monitor);
    if (!this.#watch(monitor)) {
      const { node } = address;
      const reason = makeReason("no_such_port", `no node ${node} is up`, node);
      queueMicrotask(() => {
        if (!this.#monitors.remove(monitor)) return;
        this.#base.atHome(() => monitor.fire(reason), undefined);
      });
    }
    return { [Symbol.dispose]: () => this.#unmonitor(monitor) };
  }

  /** False: there is no such node. */
  #watch({ id, address: { node, local } }: Monitor): boolean {
    const isOwn = node === this.#base.id;
    if (local === "") return isOwn || this.#outbox.carrier.isUp(node);
    // A port of this node may end before a message comes to it.
    if (isOwn && this.#watching.watch(node, id, local)) return true;
    return this.#outbox.postFrame(node, Kind.monitor, 3, (encoder) => {
      encoder.unsigned(id);
      encoder.text(local);
    });
  }

  #unmonitor(monitor: Monitor): void {
    if (!this.#monitors.remove(monitor)) return;
    monitor.end();
    if (monitor.watchesNode || this.#base.isClosed) return;
    const { id, address: { node } } = monitor;
    this.#outbox.postFrame(node, Kind.unmonitor, 2, (encoder) => encoder.unsigned(id));
  }

  #firing(action: MonitorAction): (reason: Reason) => void {
    if (typeof action === "function") {
      return (reason) => runGuarded(action, "a monitor", () => action(reason));
    }
    const { kill, send } = Object(action) as { kill?: string; send?: readonly unknown[] };
    if (kill !== undefined) return this.#killing(kill);
    if (Array.isArray(send)) return this.#sending(send as [string, ...unknown[]]);
    throw new TypeError(
      `Cannot monitor with ${
        describe(action)
      }: give a function, { kill: port } or { send: [port, ...message] }`,
    );
  }

  #killing(port: string): (reason: Reason) => void {
    const { node, local } = this.#addresses.of(port, "kill");
    if (local === "") {
      throw new TypeError(
        `Cannot kill ${describe(port)} when a port ends: it is a node, not a port`,
      );
    }
    return (reason) => {
      if (isNormal(reason) || this.#base.isClosed) return;
      runGuarded(this, "a link", () => this.#outbox.postKill(node, local, reason));
    };
  }

  #sending([port, ...message]: [string, ...unknown[]]): (reason: Reason) => void {
    this.#addresses.of(port, "send a message to");
    this.#outbox.checkValues("send", message);
    return (reason) => {
      if (this.#base.isClosed) return;
      runGuarded(this, "a monitor", () => this.#outbox.send(port, [...message, reason]));
    };
  }

  link(first: string, second: string): Disposable {
    let monitors: Disposable[] = [];
    const end = (): void => {
      for (const monitor of monitors.splice(0)) monitor[Symbol.dispose]();
    };
    const linked = (from: string, to: string): Disposable => {
      const { node, local } = this.#addresses.of(to, "link");
      if (local === "") {
        throw new TypeError(`Cannot link ${describe(to)}: it is a node, not a port; monitor it`);
      }
      const fire = (reason: Reason) => {
        if (!isNormal(reason) && !this.#base.isClosed) this.#outbox.postKill(node, local, reason);
        end();
      };
      return this.#set(from, fire, false);
    };
    const forwards = linked(first, second);
    try {
      monitors = [forwards, linked(second, first)];
    } catch (error) {
      forwards[Symbol.dispose]();
      throw error;
    }
    return { [Symbol.dispose]: end };
  }

  onDown(from: string, id: number, reason: Reason): void {
    this.#monitors.take(id, from)?.fire(reason);
  }

  /** A node is gone, or the link to it was cut. */
  lose(node: string, reason: Reason, isGone: boolean): void {
    for (const monitor of this.#monitors.takeAllOf(node, isGone)) monitor.fire(reason);
  }

  /** None fires any more. */
  close(): void {
    this.#monitors.clear();
  }
}
