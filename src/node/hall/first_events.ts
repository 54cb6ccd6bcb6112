/**
 * What happens to a carrier before its node can hear of it.
 *
 * @module
 */
import type { CarrierListener, NodeInfo } from "../carrier.ts";
import { queueMicrotask } from "../../runtime/timers.ts";

/** Keeps events until there is a listener, and passes them on from then on, in their order. */
export class FirstEvents implements CarrierListener {
  #kept: ((listener: CarrierListener) => void)[] | null = [];
  #listener: CarrierListener | null = null;

  /** The listener hears of everything from the next microtask on. */
  open(listener: CarrierListener): void {
    this.#listener = listener;
    queueMicrotask(() => {
      const kept = this.#kept ?? [];
      this.#kept = null;
      for (const tell of kept) tell(listener);
    });
  }

  #tell(tell: (listener: CarrierListener) => void): void {
    if (this.#kept) this.#kept.push(tell);
    else tell(this.#listener!);
  }

  received(node: string, message: Uint8Array): void {
    if (!this.#kept) return this.#listener!.received(node, message);
    // It is valid during this call only.
    const copy = message.slice();
    this.#tell((listener) => listener.received(node, copy));
  }

  up(node: NodeInfo): void {
    this.#tell((listener) => listener.up(node));
  }

  down(node: NodeInfo, farewell: boolean, message: string): void {
    this.#tell((listener) => listener.down(node, farewell, message));
  }

  lost(node: NodeInfo, kind: "overflow" | "transport_error", message: string): void {
    this.#tell((listener) => listener.lost(node, kind, message));
  }
}
