/**
 * Calls of this node's ports, until they are answered.
 *
 * @module
 */
import type { Peer as CallPeer } from "../../base/peer.ts";
import { type Reason, TandemError } from "../../errors.ts";
import { backend } from "../../runtime/current.ts";
import { portIdOf } from "../ids.ts";
import { type CallHome, type Chain, IncomingCall } from "../ports/invocation.ts";
import type { PortCore } from "../ports/port_core.ts";
import { portDied } from "../reason.ts";
import type { Answers } from "./answers.ts";
import { cycleError } from "./cycle_error.ts";
import type { CallHandler } from "./inbox.ts";
import type { NodeBase } from "./node_base.ts";
import type { Offers } from "./offers.ts";
import type { Outbox } from "./outbox.ts";
import type { Peers } from "./peers.ts";
import type { PortTable } from "./port_table.ts";

export class IncomingCalls implements CallHandler, CallHome {
  readonly #base: NodeBase;
  readonly #ports: PortTable;
  readonly #offers: Offers;
  readonly #peers: Peers;
  readonly #outbox: Outbox;
  readonly #answers: Answers;

  constructor(
    base: NodeBase,
    ports: PortTable,
    offers: Offers,
    peers: Peers,
    outbox: Outbox,
    answers: Answers,
  ) {
    this.#base = base;
    this.#ports = ports;
    this.#offers = offers;
    this.#peers = peers;
    this.#outbox = outbox;
    this.#answers = answers;
  }

  onCall(
    from: string,
    id: number,
    local: string,
    method: string,
    args: unknown[],
    chain: Chain,
    milliseconds: number,
  ): void {
    const port = this.#ports.get(local);
    if (!port) {
      const tried = `call ${method} of ${portIdOf(this.#base.id, local)}`;
      const reason = this.#offers.whyAbsent(this.#base.id, local);
      return this.#answers.failed(from, id, portDied(tried, reason));
    }
    const cycle = port.cycleIn(chain);
    if (cycle >= 0) {
      const place = { target: port.id, method, node: this.#base.id };
      const waiting = chain.slice(cycle).filter((_, index) => index % 2 === 0) as string[];
      return this.#answers.failed(from, id, cycleError(place, [...waiting, port.id]));
    }
    const { calls } = this.#peers.of(from);
    if (calls.has(id)) {
      return this.#base.dropMalformed(from, new Error("a call has the number of another one"));
    }
    const message = [method, ...args];
    const call = new IncomingCall(
      this,
      port,
      port.nextNumber(),
      { node: from, id },
      message,
      chain,
      milliseconds,
    );
    calls.set(id, call);
    port.deliver(call);
  }

  onUnreadableCall(from: string, id: number, error: TandemError): void {
    this.#answers.failed(from, id, error);
  }

  onCancel(from: string, id: number): void {
    const call = this.#peers.get(from)?.calls.get(id);
    if (!call) return this.#peers.removeWait(from, id);
    this.#settled(call);
    cancel(
      call,
      new TandemError("CANCELLED", `The caller of ${call.method} does not wait any more`),
    );
  }

  /** Nobody waits for the answers of these calls, because their node is gone, or the link to it was cut. */
  abandon(calls: readonly IncomingCall[], { kind }: Reason): void {
    for (const call of calls) {
      cancel(call, new TandemError("CANCELLED", `The caller of ${call.method} is gone (${kind})`));
    }
  }

  answer(call: IncomingCall, value: unknown): void {
    this.#settled(call);
    this.#answers.value(call.node, call.id, value);
  }

  answerThrown(call: IncomingCall, error: unknown): void {
    this.#settled(call);
    this.#answers.thrown(call.node, call.id, error);
  }

  answerFailed(call: IncomingCall, error: TandemError): void {
    this.#settled(call);
    this.#answers.failed(call.node, call.id, error);
  }

  #settled(call: IncomingCall): void {
    call.isOver = true;
    this.#peers.get(call.node)?.calls.delete(call.id);
  }

  peerOf(node: string): CallPeer {
    const { pid, name } = backend();
    if (node === this.#base.id) return { pid, uid: -1, runtime: name };
    const info = this.#outbox.carrier.nodes().find(({ id }) => id === node);
    const runtime = info?.runtime;
    const isKnown = runtime === "deno" || runtime === "bun" || runtime === "node";
    return { pid: info?.pid ?? 0, uid: -1, runtime: isKnown ? runtime : "unknown" };
  }
}

function cancel(call: IncomingCall, error: TandemError): void {
  (call.port as PortCore).cancel(call, error);
}
