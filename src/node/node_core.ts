/**
 * A node behind its public face: its ports, and what it has asked of others.
 *
 * @module
 */
import type { Peer as CallPeer } from "../base/peer.ts";
import { isErrorLike } from "../base/brands.ts";
import { describe } from "../base/checks.ts";
import { endedByClosing } from "../base/closing.ts";
import { isThenable, remark, report, textOf } from "../base/guard.ts";
import { UserCodeError } from "../codec/encoder.ts";
import type { Thrown } from "../codec/decoder.ts";
import type { Bytes } from "../codec/writer.ts";
import {
  type ErrorCode,
  type Reason,
  type ReasonKind,
  RemoteError,
  TandemError,
} from "../errors.ts";
import { errorOfCall } from "../rpc/call_errors.ts";
import type { AnyFunction } from "../rpc/sendable.ts";
import { captureContext } from "../runtime/context.ts";
import { backend } from "../runtime/current.ts";
import { later, queueMicrotask, setImmediate, timerMax } from "../runtime/timers.ts";
import type { Carrier, CarrierListener, NodeInfo } from "./carrier.ts";
import {
  FrameDecoder,
  type FrameEncoder,
  FrameLimits,
  giveEncoder,
  Kind,
  takeEncoder,
} from "./frames.ts";
import { frameText } from "./frame_text.ts";
import { Holder } from "./holder.ts";
import { type Address, addressOf, checkId, isSpawnedName, portIdOf } from "./ids.ts";
import { type FrameHandler, Inbox } from "./inbox.ts";
import { LocalStream } from "./local_stream.ts";
import { Monitor, Monitors } from "./monitors.ts";
import { NodeChanges } from "./node_changes.ts";
import { Offers } from "./offers.ts";
import { callTimeout, type NodeTerms, type PortCallOptions } from "./options.ts";
import { OutgoingRequests, type PendingRequest, placed } from "./outgoing.ts";
import type {
  JoinedCarrier,
  NodeChange,
  NodeIdentity,
  NodeRegistry,
  RegistrySeam,
} from "./parts.ts";
import { Peers } from "./peers.ts";
import { Handler } from "./ports/handler.ts";
import {
  type Chain,
  currentInvocation,
  IncomingCall,
  prepareInvocations,
} from "./ports/invocation.ts";
import { PortMaker } from "./ports/port.ts";
import { PortCore, type PortHome } from "./ports/port_core.ts";
import {
  deathBy,
  isNormal,
  type KillReason,
  killReason,
  makeReason,
  passedOn,
  portDied,
} from "./reason.ts";

/** What a monitor does when it fires. */
export type MonitorAction =
  | ((reason: Reason) => unknown)
  | { readonly kill: string }
  | { readonly send: readonly [port: string, ...message: unknown[]] };

/** So many messages that are none are reported. */
const malformedReported = 10;
/** Addresses that are kept in parts. */
const addressesMax = 8192;

const nothing = (): void => {};

/** Where a short message is read. Nothing of it is needed when its handler runs. */
const scratch: Bytes = new Uint8Array(1024);

/** A decoder that checks what was encoded. */
const checker = new FrameDecoder();

export class NodeCore implements PortHome, FrameHandler, CarrierListener {
  readonly identity: NodeIdentity;
  readonly id: string;
  readonly terms: NodeTerms;
  readonly offers: Offers = new Offers();
  readonly changes: NodeChanges;
  /** Messages of other nodes that were none. */
  malformed = 0;

  readonly #limits: FrameLimits;
  readonly #ports: Map<string, PortCore> = new Map();
  readonly #peers: Peers = new Peers();
  readonly #monitors: Monitors = new Monitors();
  readonly #requests: OutgoingRequests;
  readonly #timers: Set<() => void> = new Set();
  readonly #closers: Set<() => Promise<void>> = new Set();
  readonly #endListeners: Map<PortCore, Set<() => void>> = new Map();
  readonly #holder: Holder = new Holder();
  readonly #inbox: Inbox;
  readonly #stream: LocalStream;
  readonly #addresses: Map<string, Address> = new Map();
  /** Runs functions of the program outside of what happens to run now. */
  readonly #atHome: ReturnType<typeof captureContext> = captureContext();
  #carrier: Carrier | null = null;
  #registry: NodeRegistry | null = null;
  #nextNumber = 1;
  #nextPort = 1;
  #isClosed = false;
  #closing: Promise<void> | null = null;

  constructor(identity: NodeIdentity, terms: NodeTerms) {
    this.identity = identity;
    this.id = identity.id;
    this.terms = terms;
    prepareInvocations();
    this.#limits = new FrameLimits(terms.maxMessageBytes);
    this.#inbox = new Inbox(this.#limits, this);
    const deliver = (bytes: Bytes, begin: number, end: number) => {
      if (this.terms.trace) this.#traced("got", this.id, bytes.subarray(begin, end));
      this.#inbox.take(this.id, bytes, begin, end);
    };
    this.#stream = new LocalStream(
      deliver,
      terms.maxQueueBytes,
      (body) => this.#atHome(body, undefined),
    );
    this.#requests = new OutgoingRequests(
      (request) => this.#postCancel(request),
      this.#holder.hold,
      this.#holder.release,
    );
    this.changes = new NodeChanges(() => this.carrier.nodes());
  }

  /** Completes the node. */
  open(joined: JoinedCarrier, makeRegistry: (seam: RegistrySeam) => NodeRegistry): void {
    this.#carrier = joined.open(this);
    this.#registry = makeRegistry(this.#registrySeam());
  }

  get carrier(): Carrier {
    return this.#carrier!;
  }

  get registry(): NodeRegistry {
    return this.#registry!;
  }

  /** What the tables hold, for tests. */
  get sizes(): Record<string, number> {
    let [calls, watchers, waits] = [0, 0, 0];
    for (const port of this.#ports.values()) {
      watchers += port.watchers.size;
      waits += port.roomWaiters.size;
    }
    for (const peer of this.#peers.all()) {
      calls += peer.calls.size + peer.monitored.size + peer.waitsFor.size;
    }
    return {
      ports: this.#ports.size,
      monitors: this.#monitors.size,
      requests: this.#requests.size,
      timers: this.#timers.size,
      endListeners: this.#endListeners.size,
      peers: calls,
      watchers,
      waits,
      queued: this.#stream.messages,
    };
  }

  hold(): void {
    this.#holder.hold();
  }

  release(): void {
    this.#holder.release();
  }

  /** @throws {TandemError} `CLOSED` */
  checkOpen(tried: string): void {
    if (!this.#isClosed) return;
    throw new TandemError("CLOSED", `Cannot ${tried}: the node ${this.id} was closed`);
  }

  // Ports

  makePort(
    handlers: Map<string, Handler> | null,
    concurrency: number,
    maxQueue: number,
  ): PortCore {
    this.checkOpen("make a port");
    if (this.#closing) {
      throw new TandemError("CLOSED", `Cannot make a port: the node ${this.id} is closing`);
    }
    const local = `${this.identity.start}.${this.#nextPort++}`;
    return this.#addPort(local, handlers, concurrency, maxQueue);
  }

  #addPort(
    local: string,
    handlers: Map<string, Handler> | null,
    concurrency: number,
    maxQueue: number,
  ): PortCore {
    const port = new PortCore(
      this,
      portIdOf(this.id, local),
      local,
      handlers,
      concurrency,
      maxQueue,
    );
    this.#ports.set(local, port);
    return port;
  }

  /** The port that answers for the node itself. */
  addNodePort(handlers: Map<string, Handler>, other: Handler): void {
    const port = this.#addPort("", handlers, Infinity, this.terms.maxQueue);
    port.onMessage(other);
  }

  get portCount(): number {
    return this.#ports.size - 1;
  }

  portEnds(port: PortCore): void {
    this.#ports.delete(port.local);
    const listeners = this.#endListeners.get(port);
    this.#endListeners.delete(port);
    for (const listener of listeners ?? []) {
      this.#guard(listener, "a listener of a port's end", listener);
    }
  }

  portEnded(port: PortCore, reason: Reason): boolean {
    const { watchers, roomWaiters } = port;
    for (const { node, id } of roomWaiters.values()) {
      this.#peers.removeWait(node, id);
      this.#postFailed(node, id, portDied(`wait for room in ${port.id}`, reason));
    }
    if (isSpawnedName(port.local) && !isNormal(reason)) this.offers.bury(port.local, reason);
    const wasWatched = watchers.size > 0;
    for (const { node, id } of [...watchers.values()]) {
      this.#peers.removeMonitor(node, id);
      this.#postDown(node, id, reason);
    }
    return wasWatched;
  }

  portHasRoom(port: PortCore): void {
    for (const { node, id } of [...port.roomWaiters.values()]) {
      this.#peers.removeWait(node, id);
      this.#postAnswer(node, id, undefined);
    }
  }

  deathBy(thrown: unknown): Reason {
    return deathBy(this.#remoteError(thrown), this.id);
  }

  makeReason(kind: ReasonKind, message: string): Reason {
    return makeReason(kind, message, this.id);
  }

  /** A thrown value as others get it. Never throws. */
  #remoteError(thrown: unknown): RemoteError {
    for (const value of [thrown, new Error(textOf(thrown))]) {
      const encoder = takeEncoder();
      try {
        encoder.open(this.#limits, 0, 2);
        encoder.thrown(value, false);
        const bytes = encoder.bytesOf();
        checker.open(this.#limits, bytes, 0, bytes.byteLength);
        return remoteErrorOf(checker.thrown());
      } catch {
        // It cannot be read, or is too large: its text remains.
      } finally {
        checker.close();
        giveEncoder(encoder);
      }
    }
    return new RemoteError({ name: "Error", message: "a value that cannot be shown was thrown" });
  }

  // Sending

  /** The parts of an id that a program has given. */
  address(id: string, tried: string): Address {
    const known = this.#addresses.get(id);
    if (known) return known;
    checkId(id, tried);
    const address = addressOf(id);
    if (this.#addresses.size >= addressesMax) this.#addresses.clear();
    this.#addresses.set(id, address);
    return address;
  }

  send(id: string, message: readonly unknown[]): void {
    this.checkOpen("send a message");
    const { node, local } = this.address(id, "send a message to");
    const encoder = takeEncoder();
    try {
      this.#writeSend(encoder, local, message);
      this.#post(node, local, encoder.bytesOf());
    } finally {
      giveEncoder(encoder);
    }
  }

  #writeSend(encoder: FrameEncoder, local: string, message: readonly unknown[]): void {
    encoder.open(this.#limits, Kind.send, 3);
    encoder.text(local);
    encoder.list("message", message);
  }

  /** Posts a frame. False: there is no such node. `local` is the port that ends if this node's own queue is full. */
  #post(node: string, local: string, bytes: Bytes): boolean {
    if (this.terms.trace) this.#traced("sent", node, bytes);
    if (node !== this.id) return this.#carrier !== null && this.#carrier.send(node, bytes);
    if (this.#isClosed) return false;
    if (local === "" || this.#stream.hasRoom(bytes.byteLength)) this.#stream.add(bytes);
    else this.#overflow(local);
    return true;
  }

  #overflow(local: string): void {
    const max = this.terms.maxQueueBytes;
    this.#ports.get(local)?.end(
      this.makeReason(
        "overflow",
        `more than ${max} bytes wait in its node (maxQueueBytes of the node)`,
      ),
    );
  }

  /** Posts a frame that `write` writes. */
  #postFrame(
    node: string,
    kind: number,
    items: number,
    write: (encoder: FrameEncoder) => void,
  ): boolean {
    const encoder = takeEncoder();
    try {
      encoder.open(this.#limits, kind, items);
      write(encoder);
      return this.#post(node, "", encoder.bytesOf());
    } finally {
      giveEncoder(encoder);
    }
  }

  #traced(direction: "sent" | "got", node: string, bytes: Uint8Array): void {
    const { trace } = this.terms;
    this.#guard(
      trace!,
      "trace",
      () => trace!({ direction, node, text: frameText(bytes as Bytes) }),
    );
  }

  /** Checks that values can be sent, and that a node's options allow it. */
  checkValues(name: string, values: readonly unknown[]): void {
    const encoder = takeEncoder();
    try {
      encoder.open(this.#limits, Kind.send, 1);
      encoder.list(name, values);
      encoder.bytesOf();
    } finally {
      giveEncoder(encoder);
    }
  }

  kill(id: string, why: KillReason | undefined): void {
    this.checkOpen("kill a port");
    const { node, local } = this.address(id, "kill");
    if (local === "") {
      throw new TypeError(
        `Cannot kill ${describe(id)}: it is a node, not a port; close the node itself`,
      );
    }
    this.#postKill(node, local, killReason(why, node));
  }

  #postKill(node: string, local: string, reason: Reason): void {
    this.#postFrame(node, Kind.kill, 3, (encoder) => {
      encoder.text(local);
      encoder.named("reason", reason);
    });
  }

  after(milliseconds: number, run: () => void): Disposable {
    let cancel: () => void;
    const wait = (left: number): void => {
      const part = Math.min(left, timerMax);
      cancel = later(part, () => {
        if (left > part) return wait(left - part);
        this.#timers.delete(end);
        this.#atHome(run, undefined);
      });
    };
    const end = (): void => {
      cancel();
      this.#timers.delete(end);
    };
    wait(milliseconds);
    this.#timers.add(end);
    return { [Symbol.dispose]: end };
  }

  /** A function that sends the message as it is now. */
  prepared(id: string, message: readonly unknown[]): () => void {
    const { node, local } = this.address(id, "send a message to");
    const encoder = takeEncoder();
    try {
      this.#writeSend(encoder, local, message);
      const bytes = encoder.bytesOf().slice();
      return () => void this.#post(node, local, bytes);
    } finally {
      giveEncoder(encoder);
    }
  }

  // Monitors

  monitor(id: string, action: MonitorAction): Disposable {
    this.checkOpen("monitor a port");
    const address = this.address(id, "monitor");
    const monitor = new Monitor(this.#nextNumber++, id, address, this.#firing(action));
    this.#monitors.add(monitor);
    const { node } = address;
    const isThere = address.local === ""
      ? node === this.id || this.carrier.isUp(node)
      : this.#askForEnd(monitor);
    if (!isThere) {
      const reason = makeReason("no_such_port", `no node ${node} is up`, node);
      queueMicrotask(() => {
        if (this.#monitors.remove(monitor)) this.#atHome(() => monitor.fire(reason), undefined);
      });
    }
    return { [Symbol.dispose]: () => this.#unmonitor(monitor) };
  }

  #askForEnd({ id, address: { node, local } }: Monitor): boolean {
    // A port of this node may end before a message comes to it.
    const port = node === this.id ? this.#ports.get(local) : undefined;
    if (port) {
      this.#peers.addMonitor(port, { node, id });
      return true;
    }
    return this.#postFrame(node, Kind.monitor, 3, (encoder) => {
      encoder.unsigned(id);
      encoder.text(local);
    });
  }

  #unmonitor(monitor: Monitor): void {
    if (!this.#monitors.remove(monitor) || monitor.watchesNode || this.#isClosed) return;
    this.#postFrame(
      monitor.address.node,
      Kind.unmonitor,
      2,
      (encoder) => encoder.unsigned(monitor.id),
    );
  }

  #firing(action: MonitorAction): (reason: Reason) => void {
    if (typeof action === "function") {
      return (reason) => this.#guard(action, "a monitor", () => action(reason));
    }
    const { kill, send } = Object(action) as { kill?: string; send?: readonly unknown[] };
    if (kill !== undefined) {
      const { node, local } = this.address(kill, "kill");
      if (local === "") {
        throw new TypeError(
          `Cannot kill ${describe(kill)} when a port ends: it is a node, not a port`,
        );
      }
      return (reason) => {
        if (isNormal(reason) || this.#isClosed) return;
        this.#guard(this, "a link", () => this.#postKill(node, local, reason));
      };
    }
    if (!Array.isArray(send)) {
      throw new TypeError(
        `Cannot monitor with ${
          describe(action)
        }: give a function, { kill: port } or { send: [port, ...message] }`,
      );
    }
    const [port, ...message] = send as [string, ...unknown[]];
    this.address(port, "send a message to");
    this.checkValues("send", message);
    return (reason) => {
      if (!this.#isClosed) {
        this.#guard(this, "a monitor", () => this.send(port, [...message, reason]));
      }
    };
  }

  link(first: string, second: string): Disposable {
    let monitors: Disposable[] = [];
    const end = (): void => {
      for (const monitor of monitors.splice(0)) monitor[Symbol.dispose]();
    };
    const linked = (from: string, to: string): Disposable => {
      const { node, local } = this.address(to, "link");
      if (local === "") {
        throw new TypeError(`Cannot link ${describe(to)}: it is a node, not a port; monitor it`);
      }
      return this.monitor(from, (reason) => {
        if (!isNormal(reason) && !this.#isClosed) this.#postKill(node, local, reason);
        end();
      });
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

  #guard(source: object, what: string, run: () => unknown): void {
    try {
      const result = run();
      if (isThenable(result)) {
        Promise.resolve(result).then(undefined, (error) => report(source, what, error));
      }
    } catch (error) {
      report(source, what, error);
    }
  }

  // Calls

  async call(
    id: string,
    method: string,
    args: readonly unknown[],
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    this.checkOpen(`call ${method} of ${id}`);
    const { node, local } = this.address(id, "call");
    signal?.throwIfAborted();
    const chain = currentInvocation()?.chain ?? [];
    const place = { target: id, method, node };
    return await this.#request(place, timeout, signal, (encoder, number) => {
      encoder.open(this.#limits, Kind.call, 7);
      encoder.unsigned(number);
      encoder.text(local);
      encoder.text(method);
      encoder.list("argument", args);
      encoder.list("chain", chain);
      if (Number.isNaN(timeout)) encoder.nothing();
      else encoder.value(timeout);
    });
  }

  #request(
    place: { target: string; method: string; node: string },
    timeout: number,
    signal: AbortSignal | undefined,
    write: (encoder: FrameEncoder, number: number) => void,
  ): Promise<unknown> {
    const encoder = takeEncoder();
    try {
      const number = this.#nextNumber++;
      write(encoder, number);
      const bytes = encoder.bytesOf();
      const request = this.#requests.open(number, place, timeout, signal);
      if (!this.#post(place.node, "", bytes)) {
        const reason = makeReason("no_such_port", `no node ${place.node} is up`, place.node);
        this.#failRequests([this.#requests.take(number, place.node)!], reason);
      }
      return request.promise;
    } finally {
      giveEncoder(encoder);
    }
  }

  #failRequests(requests: readonly PendingRequest<unknown>[], reason: Reason): void {
    for (const request of requests) {
      const { target, method } = request.place;
      const tried = method === "" ? `wait for room in ${target}` : `call ${method} of ${target}`;
      request.reject(placed(portDied(tried, reason), target, method));
    }
  }

  #postCancel({ id, place }: PendingRequest<unknown>): void {
    this.#postFrame(place.node, Kind.cancel, 2, (encoder) => encoder.unsigned(id));
  }

  async ready(id: string, options: PortCallOptions): Promise<void> {
    const timeout = callTimeout(options);
    this.checkOpen(`wait for room in ${id}`);
    const { node, local } = this.address(id, "wait for room in");
    const { signal } = options;
    signal?.throwIfAborted();
    if (node !== this.id) await this.#whenLinkHasRoom(id, node, timeout, signal);
    await this.#request({ target: id, method: "", node }, timeout, signal, (encoder, number) => {
      encoder.open(this.#limits, Kind.ready, 3);
      encoder.unsigned(number);
      encoder.text(local);
    });
  }

  /** The wait is a request that this node answers itself: so deadline, signal and close end it. */
  async #whenLinkHasRoom(
    target: string,
    node: string,
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const number = this.#nextNumber++;
    const request = this.#requests.open(number, { target, method: "", node }, timeout, signal);
    const over = new AbortController();
    const room = this.carrier.whenRoom(node, over.signal).then(
      // If the node is gone, the question for room in the port says so.
      () => this.#requests.take(number, node)?.resolve(undefined),
      (error) => this.#requests.take(number, node)?.reject(error),
    );
    try {
      await request.promise;
    } finally {
      over.abort(endedByClosing(new TandemError("CANCELLED", "Nobody waits for room any more")));
      room.catch(nothing);
    }
  }

  queued(id: string): { messages: number; bytes: number } {
    const { node, local } = this.address(id, "count messages to");
    if (node !== this.id) return this.carrier.queued(node);
    const { messages, bytes } = this.#stream;
    const port = local === "" ? undefined : this.#ports.get(local);
    return { messages: messages + (port?.queued ?? 0), bytes };
  }

  answer(call: IncomingCall, value: unknown): void {
    this.#settled(call);
    this.#postAnswer(call.node, call.id, value);
  }

  #postAnswer(node: string, id: number, value: unknown): void {
    try {
      this.#postFrame(node, Kind.answer, 3, (encoder) => {
        encoder.unsigned(id);
        encoder.result(value);
      });
    } catch (error) {
      if (error instanceof UserCodeError) this.#postThrown(node, id, error.thrown);
      else this.#postFailed(node, id, error as TandemError);
    }
  }

  answerThrown(call: IncomingCall, error: unknown): void {
    this.#settled(call);
    this.#postThrown(call.node, call.id, error);
  }

  #postThrown(node: string, id: number, thrown: unknown): void {
    for (const value of [thrown, new Error(textOf(thrown))]) {
      try {
        const items = isErrorLike(value) ? 4 : 5;
        this.#postFrame(node, Kind.thrown, items, (encoder) => {
          encoder.unsigned(id);
          encoder.thrown(value, false);
        });
        return;
      } catch {
        // It cannot be read, or is too large: its text remains.
      }
    }
  }

  answerFailed(call: IncomingCall, error: TandemError): void {
    this.#settled(call);
    this.#postFailed(call.node, call.id, error);
  }

  #postFailed(node: string, id: number, error: TandemError): void {
    const { code, message, reason = null } = error;
    this.#withoutDetails(reason, (reason) => {
      this.#postFrame(node, Kind.failed, 5, (encoder) => {
        encoder.unsigned(id);
        encoder.text(code);
        encoder.text(message);
        encoder.value(reason);
      });
    });
  }

  #postDown(node: string, id: number, reason: Reason): void {
    this.#withoutDetails(reason, (reason) => {
      this.#postFrame(node, Kind.down, 3, (encoder) => {
        encoder.unsigned(id);
        encoder.value(reason);
      });
    });
  }

  /** Posts a reason; without its details and its error if those are too large. */
  #withoutDetails<R extends Reason | null>(reason: R, post: (reason: R | Reason) => void): void {
    try {
      post(reason);
    } catch (error) {
      if (reason === null) return report(this, "an answer", error);
      post(makeReason(reason.kind, reason.message.slice(0, 1000), reason.node));
    }
  }

  #settled(call: IncomingCall): void {
    call.isOver = true;
    this.#peers.get(call.node)?.calls.delete(call.id);
  }

  peerOf(node: string): CallPeer {
    const { pid, name } = backend();
    if (node === this.id) return { pid, uid: -1, runtime: name };
    const info = this.carrier.nodes().find(({ id }) => id === node);
    const runtime = info?.runtime;
    const isKnown = runtime === "deno" || runtime === "bun" || runtime === "node";
    return { pid: info?.pid ?? 0, uid: -1, runtime: isKnown ? runtime : "unknown" };
  }

  // Spawning

  spawn(nodeOrPort: string, name: string, args: readonly unknown[]): string {
    this.checkOpen("spawn a port");
    const { node } = this.address(nodeOrPort, "spawn a port on");
    if (typeof name !== "string" || name === "") {
      throw new TypeError(`Cannot spawn ${describe(name)}: give the name of an offer of that node`);
    }
    const local = `${this.identity.start}.s${this.#nextPort++}`;
    this.#postFrame(node, Kind.spawn, 4, (encoder) => {
      encoder.text(local);
      encoder.text(name);
      encoder.list("argument", args);
    });
    return portIdOf(node, local);
  }

  // What other nodes, and this one, have sent

  onSend(_from: string, local: string, message: unknown[]): void {
    this.#ports.get(local)?.deliver(message);
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
      const reason = this.#reasonOfAbsent(local);
      return this.#postFailed(
        from,
        id,
        portDied(`call ${method} of ${portIdOf(this.id, local)}`, reason),
      );
    }
    const cycle = port.cycleIn(chain);
    if (cycle >= 0) {
      return this.#postFailed(from, id, cycleError(port.id, method, chain.slice(cycle)));
    }
    const { calls } = this.#peers.of(from);
    if (calls.has(id)) {
      return this.onMalformed(from, new Error("a call has the number of another one"));
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

  #reasonOfAbsent(local: string): Reason {
    return this.offers.obituary(local) ??
      makeReason("no_such_port", `there is no port ${portIdOf(this.id, local)}`, this.id);
  }

  onAnswer(from: string, id: number, value: unknown): void {
    this.#requests.take(id, from)?.resolve(value);
  }

  onThrown(from: string, id: number, thrown: Thrown): void {
    const request = this.#requests.take(id, from);
    if (request) this.#rejectWith(request, remoteErrorOf(thrown));
  }

  onFailed(from: string, id: number, code: string, message: string, reason: Reason | null): void {
    const request = this.#requests.take(id, from);
    if (!request) return;
    const error = new TandemError(code as ErrorCode, message);
    if (reason) error.reason = reason;
    const { target, method } = request.place;
    request.reject(placed(error, target, method));
  }

  #rejectWith(request: PendingRequest<unknown>, error: TandemError): void {
    const { target, method } = request.place;
    request.reject(errorOfCall(error, { target, method, site: undefined }, true, undefined));
  }

  onUnreadableAnswer(from: string, id: number, error: TandemError): void {
    const request = this.#requests.take(id, from);
    if (request) this.#rejectWith(request, error);
    else this.onMalformed(from, error);
  }

  onUnreadable(from: string, local: string, call: number | null, error: TandemError): void {
    if (call !== null) this.#postFailed(from, call, error);
    // The next message must not come as if this one had come, too.
    else if (local === "") this.onMalformed(from, error);
    else {
      this.#ports.get(local)?.end(
        this.makeReason("transport_error", `a message of ${from} cannot be read: ${error.message}`),
      );
    }
  }

  onCancel(from: string, id: number): void {
    const call = this.#peers.get(from)?.calls.get(id);
    if (!call) return this.#peers.removeWait(from, id);
    this.#settled(call);
    this.#cancel(
      call,
      new TandemError("CANCELLED", `The caller of ${call.method} does not wait any more`),
    );
  }

  #cancel(call: IncomingCall, error: TandemError): void {
    (call.port as PortCore).cancel(call, error);
  }

  onMonitor(from: string, id: number, local: string): void {
    const port = this.#ports.get(local);
    if (port) this.#peers.addMonitor(port, { node: from, id });
    else this.#postDown(from, id, this.#reasonOfAbsent(local));
  }

  onUnmonitor(from: string, id: number): void {
    this.#peers.removeMonitor(from, id);
  }

  onDown(from: string, id: number, reason: Reason): void {
    this.#monitors.take(id, from)?.fire(reason);
  }

  onKill(from: string, local: string, reason: Reason): void {
    if (local === "") return this.onMalformed(from, new Error("a node cannot be killed"));
    this.#ports.get(local)?.end(passedOn(reason, this.id));
  }

  onSpawn(from: string, local: string, name: string, args: unknown[]): void {
    if (!isSpawnedName(local) || this.#ports.has(local)) {
      return this.onMalformed(from, new Error("a port that was to be spawned has a wrong name"));
    }
    if (this.#closing) return;
    const init = this.offers.get(name);
    if (!init) {
      const text = `${this.id} does not offer ${describe(name)}; it offers ${this.offers.names}`;
      return this.offers.bury(local, makeReason("not_offered", text, this.id));
    }
    const port = this.#addPort(local, null, 1, this.terms.maxQueue);
    port.run(
      new Handler(init as AnyFunction, undefined, true),
      [new PortMaker(port), ...args],
      null,
    );
  }

  onReady(from: string, id: number, local: string): void {
    const port = this.#ports.get(local);
    if (!port) {
      const tried = `wait for room in ${portIdOf(this.id, local)}`;
      this.#postFailed(from, id, portDied(tried, this.#reasonOfAbsent(local)));
    } else if (port.hasRoom) this.#postAnswer(from, id, undefined);
    else this.#peers.addWait(port, { node: from, id });
  }

  onMalformed(from: string, error: unknown): void {
    this.malformed += 1;
    if (this.malformed > malformedReported) return;
    remark(`the node ${this.id} has got a message of ${from} that it drops: ${textOf(error)}`);
  }

  // What the carrier tells

  received(node: string, message: Uint8Array): void {
    if (this.#isClosed) return;
    if (this.terms.trace) this.#traced("got", node, message);
    const { byteLength } = message;
    // The decoder makes a view of each array that is new to it, which takes longer than a copy.
    if (byteLength <= scratch.byteLength) {
      scratch.set(message);
      this.#inbox.take(node, scratch, 0, byteLength);
    } else this.#inbox.take(node, message as Bytes, 0, byteLength);
  }

  up(info: NodeInfo): void {
    if (!this.#isClosed) this.changes.tell({ info, up: true, reason: undefined });
  }

  down(info: NodeInfo, farewell: boolean, message: string): void {
    if (this.#isClosed) return;
    const reason = makeReason(farewell ? "shutdown" : "transport_error", message, info.id);
    this.#lose(info.id, reason, true);
    this.changes.tell({ info, up: false, reason });
  }

  lost(info: NodeInfo, kind: "overflow" | "transport_error", message: string): void {
    if (!this.#isClosed) this.#lose(info.id, makeReason(kind, message, info.id), false);
  }

  #lose(node: string, reason: Reason, isGone: boolean): void {
    for (const call of this.#peers.remove(node)) {
      const error = new TandemError(
        "CANCELLED",
        `The caller of ${call.method} is gone (${reason.kind})`,
      );
      this.#cancel(call, error);
    }
    this.#failRequests(this.#requests.takeAllOf(node), reason);
    for (const monitor of this.#monitors.takeAllOf(node, isGone)) monitor.fire(reason);
  }

  // The end

  #registrySeam(): RegistrySeam {
    return {
      identity: this.identity,
      terms: this.terms,
      carrier: this.carrier,
      onNode: (listener: (change: NodeChange) => void) => this.changes.add(listener),
      onPortEnd: (id: string, listener: () => void) => this.#onPortEnd(id, listener),
      checkOpen: (tried: string) => this.checkOpen(tried),
      hold: () => {
        let isHeld = true;
        this.hold();
        return {
          [Symbol.dispose]: () => {
            if (isHeld) this.release();
            isHeld = false;
          },
        };
      },
    };
  }

  #onPortEnd(id: string, listener: () => void): Disposable | null {
    const { node, local } = this.address(id, "wait for the end of");
    const port = node === this.id && local !== "" ? this.#ports.get(local) : undefined;
    if (!port) return null;
    let listeners = this.#endListeners.get(port);
    if (!listeners) this.#endListeners.set(port, listeners = new Set());
    // Each time a function of its own: the same listener may be given twice.
    const entry = () => listener();
    listeners.add(entry);
    return {
      [Symbol.dispose]: () => {
        listeners.delete(entry);
        if (listeners.size === 0) this.#endListeners.delete(port);
      },
    };
  }

  /** Runs `close` when the node closes, before its ports end. It must not reject. */
  onClose(close: () => Promise<void>): Disposable {
    this.checkOpen("add to the node");
    this.#closers.add(close);
    return { [Symbol.dispose]: () => void this.#closers.delete(close) };
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    for (const end of [...this.#timers]) end();
    try {
      await this.#registry?.close();
    } catch (error) {
      report(this, "the registry, when closed,", error);
    }
    await Promise.all([...this.#closers].map((close) => close()));
    const reason = this.makeReason("shutdown", "its node was closed");
    for (const port of [...this.#ports.values()]) port.end(reason);
    // Its ports may have sent messages to each other, and monitors tell of their ends.
    this.#stream.drainNow();
    for (const monitor of this.#monitors.takeAllOf(this.id, true)) monitor.fire(reason);
    this.#requests.close();
    for (const end of [...this.#timers]) end();
    try {
      await this.#carrier?.close();
    } catch (error) {
      report(this, "the carrier, when closed,", error);
    }
    this.#isClosed = true;
    this.#monitors.clear();
    this.#peers.clear();
    this.#requests.close();
    // What was to be done in the next turn is done, and no timer is left.
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#holder.end();
  }
}

function remoteErrorOf({ isError, text, value, properties }: Thrown): RemoteError {
  if (!isError) return new RemoteError({ name: "Error", message: text, cause: value });
  const { name, message, stack, cause } = value as Error;
  return new RemoteError({ name, message, stack, properties, cause });
}

function cycleError(port: string, method: string, waiting: Chain): TandemError {
  const path = [...waiting.filter((_, index) => index % 2 === 0), port].join(" → ");
  return new TandemError(
    "BUSY",
    `Cannot call ${method} of ${port}: it waits for this very call itself (${path}); let it send a message ` +
      "instead of waiting for an answer, or raise its concurrency",
  );
}
