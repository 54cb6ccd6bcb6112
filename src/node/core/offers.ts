/**
 * What other nodes may spawn here, and what became of ports that could not be spawned.
 *
 * @module
 */
import { describe } from "../../base/checks.ts";
import type { Reason } from "../../errors.ts";
import type { AnyFunction } from "../../rpc/sendable.ts";
import { portIdOf } from "../ids.ts";
import { makeReason } from "../reason.ts";

/** So many failures are remembered for monitors that are set later. */
const obituariesMax = 1024;

export class Offers {
  readonly #offers: Map<string, AnyFunction> = new Map();
  readonly #obituaries: Map<string, Reason> = new Map();

  /** @throws {TypeError} */
  add(name: string, init: AnyFunction): Disposable {
    if (typeof name !== "string" || name === "") {
      throw new TypeError(`Cannot offer ${describe(name)}: give a name`);
    }
    if (typeof init !== "function") {
      throw new TypeError(`Cannot offer ${describe(init)} as ${describe(name)}: give a function`);
    }
    if (this.#offers.has(name)) {
      throw new TypeError(
        `Cannot offer ${describe(name)}: this node offers that already; dispose that offer first`,
      );
    }
    this.#offers.set(name, init);
    return {
      [Symbol.dispose]: () => {
        if (this.#offers.get(name) === init) this.#offers.delete(name);
      },
    };
  }

  get(name: string): AnyFunction | undefined {
    return this.#offers.get(name);
  }

  /** For messages. */
  get names(): string {
    const names = [...this.#offers.keys()].map((name) => JSON.stringify(name));
    return names.length === 0 ? "nothing" : names.join(", ");
  }

  /** A port that another node has spawned here has failed. */
  bury(local: string, reason: Reason): void {
    this.#obituaries.set(local, reason);
    if (this.#obituaries.size <= obituariesMax) return;
    for (const oldest of this.#obituaries.keys()) {
      this.#obituaries.delete(oldest);
      break;
    }
  }

  /** Why there is no port of that name on this node. */
  whyAbsent(node: string, local: string): Reason {
    return this.#obituaries.get(local) ??
      makeReason("no_such_port", `there is no port ${portIdOf(node, local)}`, node);
  }
}
