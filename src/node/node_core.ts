/**
 * A node behind its public face: its parts, what comes from other nodes, and its end.
 *
 * @module
 */
import { report } from "../base/guard.ts";
import type { Bytes } from "../codec/writer.ts";
import type { Reason } from "../errors.ts";
import { setImmediate } from "../runtime/timers.ts";
import type { Carrier, CarrierListener, NodeInfo } from "./carrier.ts";
import { nodeAccess } from "./core/access.ts";
import { Addresses } from "./core/addresses.ts";
import { Answers } from "./core/answers.ts";
import { Calls } from "./core/calls.ts";
import { Inbox } from "./core/inbox.ts";
import { IncomingCalls } from "./core/incoming_calls.ts";
import { LocalStream } from "./core/local_stream.ts";
import { Monitoring } from "./core/monitoring.ts";
import { NodeBase } from "./core/node_base.ts";
import { NodeChanges } from "./core/node_changes.ts";
import { NodeTimers } from "./core/node_timers.ts";
import { Offers } from "./core/offers.ts";
import { Outbox } from "./core/outbox.ts";
import { Peers } from "./core/peers.ts";
import { PortHost } from "./core/port_host.ts";
import { PortTable } from "./core/port_table.ts";
import { Probes } from "./core/probes.ts";
import { registrySeam } from "./core/registry_seam.ts";
import { Requests } from "./core/requests.ts";
import { RoomAnswers, RoomWaits } from "./core/room.ts";
import { Spawning } from "./core/spawning.ts";
import { traceFrame } from "./core/trace.ts";
import { Watching } from "./core/watching.ts";
import type { NodeTerms } from "./options.ts";
import type {
  JoinedCarrier,
  NodeAccess,
  NodeIdentity,
  NodeRegistry,
  RegistrySeam,
} from "./parts.ts";
import { prepareInvocations } from "./ports/invocation.ts";
import { makeReason } from "./reason.ts";

/** Where a short message is read. Nothing of it is needed when its handler runs. */
const scratch: Bytes = new Uint8Array(1024);

export class NodeCore implements CarrierListener {
  readonly base: NodeBase;
  readonly offers: Offers = new Offers();
  readonly changes: NodeChanges;
  readonly ports: PortTable;
  readonly outbox: Outbox;
  readonly host: PortHost;
  readonly calls: Calls;
  readonly room: RoomWaits;
  readonly monitoring: Monitoring;
  readonly spawning: Spawning;
  readonly timers: NodeTimers;

  readonly #addresses: Addresses = new Addresses();
  readonly #peers: Peers = new Peers();
  readonly #stream: LocalStream;
  readonly #requests: Requests;
  readonly #probes: Probes;
  readonly #incomingCalls: IncomingCalls;
  readonly #inbox: Inbox;
  readonly #closers: Set<() => Promise<void>> = new Set();
  #carrier: Carrier | null = null;
  #registry: NodeRegistry | null = null;
  #closing: Promise<void> | null = null;
  readonly #finished: PromiseWithResolvers<void> = Promise.withResolvers();
  #isAwaited = false;

  constructor(identity: NodeIdentity, terms: NodeTerms) {
    prepareInvocations();
    const base = this.base = new NodeBase(identity, terms);
    const addresses = this.#addresses;
    const { offers } = this;
    const peers = this.#peers;
    this.changes = new NodeChanges(() => this.outbox.carrier.nodes());
    this.timers = new NodeTimers(base);
    const stream = this.#stream = new LocalStream(
      (bytes, begin, end) => this.#takeOwn(bytes, begin, end),
      terms.maxQueueBytes,
      (body) => base.atHome(body, undefined),
    );
    const ports = this.ports = new PortTable(base);
    const outbox = this.outbox = new Outbox(base, addresses, ports, stream);
    const answers = new Answers(outbox);
    const requests = this.#requests = new Requests(base, outbox);
    const probes = this.#probes = new Probes(base, peers, outbox, requests.waiting);
    this.calls = new Calls(base, addresses, requests, probes);
    this.room = new RoomWaits(base, addresses, outbox, requests, probes);
    const room = new RoomAnswers(base, ports, offers, peers, answers);
    const watching = new Watching(base, ports, offers, peers, answers);
    const monitoring = this.monitoring = new Monitoring(base, addresses, outbox, watching);
    const host = this.host = new PortHost(base, ports, offers, outbox, room, watching);
    const spawning = this.spawning = new Spawning(base, addresses, ports, offers, outbox, host);
    const calls = this.#incomingCalls = new IncomingCalls(
      base,
      ports,
      offers,
      peers,
      outbox,
      answers,
    );
    this.#inbox = new Inbox(base, {
      messages: ports,
      calls,
      room,
      answers: requests,
      watching,
      monitoring,
      spawning,
      probes,
    });
  }

  /** Completes the node. */
  open(joined: JoinedCarrier, makeRegistry: (seam: RegistrySeam) => NodeRegistry): void {
    this.#carrier = joined.open(this);
    this.outbox.open(this.#carrier);
    this.#registry = makeRegistry(
      registrySeam(this.base, this.#addresses, this.ports, this.outbox, this.changes),
    );
  }

  get registry(): NodeRegistry {
    return this.#registry!;
  }

  /** For programs that are no nodes. */
  get access(): NodeAccess {
    const { base, ports, outbox, calls, registry } = this;
    const pick = (family: string) => registry.core.pick(family);
    return nodeAccess(base, this.#addresses, ports, outbox, calls, pick);
  }

  /** What the tables hold, for tests. */
  get sizes(): Record<string, number> {
    let [calls, watchers, waits] = [0, 0, 0];
    for (const port of this.ports.all()) {
      watchers += port.watchers.size;
      waits += port.roomWaiters.size;
    }
    for (const peer of this.#peers.all()) {
      calls += peer.calls.size + peer.monitored.size + peer.waitsFor.size;
    }
    return {
      ports: this.ports.size,
      monitors: this.monitoring.size,
      requests: this.#requests.waiting.size,
      timers: this.timers.size,
      endListeners: this.ports.listenedTo,
      peers: calls,
      watchers,
      waits,
      queued: this.#stream.messages,
    };
  }

  /** Takes a message of this node to itself. */
  #takeOwn(bytes: Bytes, begin: number, end: number): void {
    const { id, terms: { trace } } = this.base;
    if (trace) traceFrame(trace, "got", id, bytes.subarray(begin, end));
    this.#inbox.take(id, bytes, begin, end);
  }

  received(node: string, message: Uint8Array): void {
    const { isClosed, terms: { trace } } = this.base;
    if (isClosed) return;
    if (trace) traceFrame(trace, "got", node, message);
    this.base.atHome(() => this.#take(node, message), undefined);
  }

  #take(node: string, message: Uint8Array): void {
    const { byteLength } = message;
    // The decoder makes a view of each array that is new to it, which takes longer than a copy.
    if (byteLength <= scratch.byteLength) {
      scratch.set(message);
      this.#inbox.take(node, scratch, 0, byteLength);
    } else this.#inbox.take(node, message as Bytes, 0, byteLength);
  }

  up(info: NodeInfo): void {
    if (!this.base.isClosed) this.changes.tell({ info, up: true, reason: undefined });
  }

  down(info: NodeInfo, farewell: boolean, message: string): void {
    if (this.base.isClosed) return;
    const reason = makeReason(farewell ? "shutdown" : "transport_error", message, info.id);
    this.#lose(info.id, reason, true);
    this.changes.tell({ info, up: false, reason });
  }

  lost(info: NodeInfo, kind: "overflow" | "transport_error", message: string): void {
    if (!this.base.isClosed) this.#lose(info.id, makeReason(kind, message, info.id), false);
  }

  #lose(node: string, reason: Reason, isGone: boolean): void {
    this.#incomingCalls.abandon(this.#peers.remove(node), reason);
    this.#requests.lose(node, reason);
    this.monitoring.lose(node, reason, isGone);
  }

  /** Runs `close` when the node closes, before its ports end. It must not reject. */
  onClose(close: () => Promise<void>): Disposable {
    this.base.checkOpen("add to the node");
    this.#closers.add(close);
    return { [Symbol.dispose]: () => void this.#closers.delete(close) };
  }

  /** Resolves when the node has closed. Whoever has asked for it keeps the process alive until then. */
  get finished(): Promise<void> {
    if (!this.#isAwaited && !this.base.isClosed) {
      this.#isAwaited = true;
      // Closing ends all holds.
      this.base.holder.hold();
    }
    return this.#finished.promise;
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const { base } = this;
    base.isClosing = true;
    this.timers.endAll();
    try {
      await this.#registry?.close();
    } catch (error) {
      report(this, "the registry, when closed,", error);
    }
    await Promise.all([...this.#closers].map((close) => close()));
    const reason = makeReason("shutdown", "its node was closed", base.id);
    for (const port of [...this.ports.all()]) port.end(reason);
    // Its ports may have sent messages to each other, and monitors tell of their ends.
    this.#stream.drainNow();
    this.monitoring.lose(base.id, reason, true);
    this.#requests.close();
    this.timers.endAll();
    try {
      await this.#carrier?.close();
    } catch (error) {
      report(this, "the carrier, when closed,", error);
    }
    base.isClosed = true;
    this.#probes.close();
    this.monitoring.close();
    this.#peers.clear();
    this.#requests.close();
    // What was to be done in the next turn is done, and no timer is left.
    await new Promise<void>((resolve) => setImmediate(resolve));
    base.holder.end();
    this.#finished.resolve();
  }
}
