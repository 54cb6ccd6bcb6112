/**
 * Waiting until a port can take messages, and telling those who wait for ports of this node.
 *
 * @module
 */
import { endedByClosing } from "../../base/closing.ts";
import { type Reason, TandemError } from "../../errors.ts";
import { Kind } from "../frames.ts";
import { portIdOf } from "../ids.ts";
import { callTimeout, type PortCallOptions } from "../options.ts";
import { currentInvocation } from "../ports/invocation.ts";
import type { PortCore } from "../ports/port_core.ts";
import { portDied } from "../reason.ts";
import type { Addresses } from "./addresses.ts";
import type { Answers } from "./answers.ts";
import type { RoomHandler } from "./inbox.ts";
import type { NodeBase } from "./node_base.ts";
import type { Offers } from "./offers.ts";
import type { Outbox } from "./outbox.ts";
import type { Peers } from "./peers.ts";
import type { PortTable } from "./port_table.ts";
import type { Probes } from "./probes.ts";
import type { Requests } from "./requests.ts";

const nothing = (): void => {};

/** Waits for room in ports of any node. */
export class RoomWaits {
  readonly #base: NodeBase;
  readonly #addresses: Addresses;
  readonly #outbox: Outbox;
  readonly #requests: Requests;
  readonly #probes: Probes;

  constructor(
    base: NodeBase,
    addresses: Addresses,
    outbox: Outbox,
    requests: Requests,
    probes: Probes,
  ) {
    this.#base = base;
    this.#addresses = addresses;
    this.#outbox = outbox;
    this.#requests = requests;
    this.#probes = probes;
  }

  async ready(id: string, options: PortCallOptions): Promise<void> {
    const timeout = callTimeout(options);
    this.#base.checkOpen(`wait for room in ${id}`);
    const { node, local } = this.#addresses.of(id, "wait for room in");
    const { signal } = options;
    const invocation = currentInvocation();
    signal?.throwIfAborted();
    if (node !== this.#base.id) await this.#whenLinkHasRoom(id, node, timeout, signal);
    const place = { target: id, method: "", node };
    const maker = this.#probes.maker(invocation);
    await this.#requests.ask(place, timeout, signal, maker, Kind.ready, 3, (encoder, number) => {
      encoder.unsigned(number);
      encoder.text(local);
    });
  }

  async #whenLinkHasRoom(
    target: string,
    node: string,
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const place = { target, method: "", node };
    const request = this.#requests.askNobody(place, timeout, signal);
    const over = new AbortController();
    const room = this.#outbox.carrier.whenRoom(node, over.signal).then(
      // If the node is gone, the question for room in the port says so.
      () => request.take()?.resolve(undefined),
      (error) => request.take()?.reject(error),
    );
    try {
      await request.promise;
    } finally {
      over.abort(endedByClosing(new TandemError("CANCELLED", "Nobody waits for room any more")));
      room.catch(nothing);
    }
  }
}

/** Tells nodes that wait for room in ports of this one. */
export class RoomAnswers implements RoomHandler {
  readonly #base: NodeBase;
  readonly #ports: PortTable;
  readonly #offers: Offers;
  readonly #peers: Peers;
  readonly #answers: Answers;

  constructor(base: NodeBase, ports: PortTable, offers: Offers, peers: Peers, answers: Answers) {
    this.#base = base;
    this.#ports = ports;
    this.#offers = offers;
    this.#peers = peers;
    this.#answers = answers;
  }

  onReady(from: string, id: number, local: string): void {
    const port = this.#ports.get(local);
    if (!port) {
      const tried = `wait for room in ${portIdOf(this.#base.id, local)}`;
      const reason = this.#offers.whyAbsent(this.#base.id, local);
      this.#answers.failed(from, id, portDied(tried, reason));
    } else if (port.hasRoom) this.#answers.value(from, id, undefined);
    else this.#peers.addWait(port, { node: from, id });
  }

  hasRoom(port: PortCore): void {
    for (const { node, id } of [...port.roomWaiters.values()]) {
      this.#peers.removeWait(node, id);
      this.#answers.value(node, id, undefined);
    }
  }

  ended(port: PortCore, reason: Reason): void {
    for (const { node, id } of [...port.roomWaiters.values()]) {
      this.#peers.removeWait(node, id);
      this.#answers.failed(node, id, portDied(`wait for room in ${port.id}`, reason));
    }
  }
}
