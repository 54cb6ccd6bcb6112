/**
 * Timers of a node. They end with it.
 *
 * @module
 */
import { later, timerMax } from "../../runtime/timers.ts";
import type { NodeBase } from "./node_base.ts";

export class NodeTimers {
  readonly #base: NodeBase;
  readonly #ends: Set<() => void> = new Set();

  constructor(base: NodeBase) {
    this.#base = base;
  }

  get size(): number {
    return this.#ends.size;
  }

  after(milliseconds: number, run: () => void): Disposable {
    let cancel: () => void;
    const hold = this.#base.holder.held();
    const wait = (left: number): void => {
      const part = Math.min(left, timerMax);
      cancel = later(part, () => {
        if (left > part) return wait(left - part);
        this.#ends.delete(end);
        hold[Symbol.dispose]();
        this.#base.atHome(run, undefined);
      });
    };
    const end = (): void => {
      cancel();
      this.#ends.delete(end);
      hold[Symbol.dispose]();
    };
    wait(milliseconds);
    this.#ends.add(end);
    return { [Symbol.dispose]: end };
  }

  endAll(): void {
    for (const end of [...this.#ends]) end();
  }
}
