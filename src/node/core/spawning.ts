/**
 * Spawns ports on other nodes, and for them.
 *
 * @module
 */
import { describe } from "../../base/checks.ts";
import type { AnyFunction } from "../../rpc/sendable.ts";
import { Kind } from "../frames.ts";
import { isSpawnedName, portIdOf } from "../ids.ts";
import { Handler } from "../ports/handler.ts";
import { PortMaker } from "../ports/port.ts";
import { makeReason } from "../reason.ts";
import type { Addresses } from "./addresses.ts";
import type { SpawnHandler } from "./inbox.ts";
import type { NodeBase } from "./node_base.ts";
import type { Offers } from "./offers.ts";
import type { Outbox } from "./outbox.ts";
import type { PortHost } from "./port_host.ts";
import type { PortTable } from "./port_table.ts";

export class Spawning implements SpawnHandler {
  readonly #base: NodeBase;
  readonly #addresses: Addresses;
  readonly #ports: PortTable;
  readonly #offers: Offers;
  readonly #outbox: Outbox;
  readonly #host: PortHost;
  #nextPort = 1;

  constructor(
    base: NodeBase,
    addresses: Addresses,
    ports: PortTable,
    offers: Offers,
    outbox: Outbox,
    host: PortHost,
  ) {
    this.#base = base;
    this.#addresses = addresses;
    this.#ports = ports;
    this.#offers = offers;
    this.#outbox = outbox;
    this.#host = host;
  }

  /** Returns the id of the port, which does not exist yet. */
  spawn(nodeOrPort: string, name: string, args: readonly unknown[]): string {
    this.#base.checkOpen("spawn a port");
    const { node } = this.#addresses.of(nodeOrPort, "spawn a port on");
    if (typeof name !== "string" || name === "") {
      throw new TypeError(`Cannot spawn ${describe(name)}: give the name of an offer of that node`);
    }
    const local = `${this.#base.identity.start}.s${this.#nextPort++}`;
    this.#outbox.postFrame(node, Kind.spawn, 4, (encoder) => {
      encoder.text(local);
      encoder.text(name);
      encoder.list("argument", args);
    });
    return portIdOf(node, local);
  }

  onSpawn(from: string, local: string, name: string, args: unknown[]): void {
    if (!isSpawnedName(local) || this.#ports.get(local)) {
      const error = new Error("a port that was to be spawned has a wrong name");
      return this.#base.dropMalformed(from, error);
    }
    if (this.#base.isClosing) return;
    const init = this.#offers.get(name);
    if (!init) {
      const { id } = this.#base;
      const text = `${id} does not offer ${describe(name)}; it offers ${this.#offers.names}`;
      return this.#offers.bury(local, makeReason("not_offered", text, id));
    }
    const port = this.#host.add(local, null, 1, this.#base.terms.maxQueue);
    port.run(
      new Handler(init as AnyFunction, undefined, true),
      [new PortMaker(port), ...args],
      null,
    );
  }
}
