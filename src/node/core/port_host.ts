/**
 * Makes the ports of a node, and does for them what they need of it.
 *
 * @module
 */
import { type Reason, type ReasonKind, TandemError } from "../../errors.ts";
import { isSpawnedName, portIdOf } from "../ids.ts";
import type { Handler } from "../ports/handler.ts";
import { PortCore, type PortHome } from "../ports/port_core.ts";
import { deathBy, isNormal, makeReason } from "../reason.ts";
import type { NodeBase } from "./node_base.ts";
import type { Offers } from "./offers.ts";
import type { Outbox } from "./outbox.ts";
import type { PortTable } from "./port_table.ts";
import type { RoomAnswers } from "./room.ts";
import { asRemoteError } from "./thrown.ts";
import type { Watching } from "./watching.ts";

export class PortHost implements PortHome {
  readonly id: string;
  readonly #base: NodeBase;
  readonly #ports: PortTable;
  readonly #offers: Offers;
  readonly #outbox: Outbox;
  readonly #room: RoomAnswers;
  readonly #watching: Watching;
  #nextPort = 1;

  constructor(
    base: NodeBase,
    ports: PortTable,
    offers: Offers,
    outbox: Outbox,
    room: RoomAnswers,
    watching: Watching,
  ) {
    this.id = base.id;
    this.#base = base;
    this.#ports = ports;
    this.#offers = offers;
    this.#outbox = outbox;
    this.#room = room;
    this.#watching = watching;
  }

  /** @throws {TandemError} `CLOSED` */
  make(
    handlers: Map<string, Handler> | null,
    concurrency: number,
    maxQueue: number,
  ): PortCore {
    this.#base.checkOpen("make a port");
    if (this.#base.isClosing) {
      throw new TandemError("CLOSED", `Cannot make a port: the node ${this.id} is closing`);
    }
    const local = `${this.#base.identity.start}.${this.#nextPort++}`;
    return this.add(local, handlers, concurrency, maxQueue);
  }

  /** @param local its name here */
  add(
    local: string,
    handlers: Map<string, Handler> | null,
    concurrency: number,
    maxQueue: number,
  ): PortCore {
    const id = portIdOf(this.id, local);
    const port = new PortCore(this, id, local, handlers, concurrency, maxQueue);
    this.#ports.add(port);
    return port;
  }

  portEnds(port: PortCore): void {
    this.#ports.remove(port);
  }

  portEnded(port: PortCore, reason: Reason): boolean {
    this.#room.ended(port, reason);
    if (isSpawnedName(port.local) && !isNormal(reason)) this.#offers.bury(port.local, reason);
    return this.#watching.tell(port, reason);
  }

  portHasRoom(port: PortCore): void {
    this.#room.hasRoom(port);
  }

  deathBy(thrown: unknown): Reason {
    return deathBy(asRemoteError(thrown, this.#base.limits), this.id);
  }

  makeReason(kind: ReasonKind, message: string): Reason {
    return makeReason(kind, message, this.id);
  }

  checkValues(name: string, values: readonly unknown[]): void {
    this.#outbox.checkValues(name, values);
  }

  hold(): void {
    this.#base.holder.hold();
  }

  release(): void {
    this.#base.holder.release();
  }
}
