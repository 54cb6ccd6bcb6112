/**
 * Sends frames to other nodes, and to this one.
 *
 * @module
 */
import { describe } from "../../base/checks.ts";
import type { Bytes } from "../../codec/writer.ts";
import type { Reason } from "../../errors.ts";
import type { Carrier } from "../carrier.ts";
import { type FrameEncoder, giveEncoder, Kind, takeEncoder } from "../frames.ts";
import { type KillReason, killReason } from "../reason.ts";
import type { Addresses } from "./addresses.ts";
import type { LocalStream } from "./local_stream.ts";
import type { NodeBase } from "./node_base.ts";
import type { PortTable } from "./port_table.ts";
import { traceFrame } from "./trace.ts";

export class Outbox {
  readonly #base: NodeBase;
  readonly #addresses: Addresses;
  readonly #ports: PortTable;
  readonly #stream: LocalStream;
  #carrier: Carrier | null = null;

  constructor(base: NodeBase, addresses: Addresses, ports: PortTable, stream: LocalStream) {
    this.#base = base;
    this.#addresses = addresses;
    this.#ports = ports;
    this.#stream = stream;
  }

  /** Lets it reach other nodes. */
  open(carrier: Carrier): void {
    this.#carrier = carrier;
  }

  get carrier(): Carrier {
    return this.#carrier!;
  }

  send(id: string, message: readonly unknown[]): void {
    this.#base.checkOpen("send a message");
    const { node, local } = this.#addresses.of(id, "send a message to");
    const encoder = takeEncoder();
    try {
      this.#writeSend(encoder, local, message);
      this.post(node, local, encoder.bytesOf());
    } finally {
      giveEncoder(encoder);
    }
  }

  /** A function that sends the message as it is now. */
  prepared(id: string, message: readonly unknown[]): () => void {
    const { node, local } = this.#addresses.of(id, "send a message to");
    const encoder = takeEncoder();
    try {
      this.#writeSend(encoder, local, message);
      const bytes = encoder.bytesOf().slice();
      return () => void this.post(node, local, bytes);
    } finally {
      giveEncoder(encoder);
    }
  }

  #writeSend(encoder: FrameEncoder, local: string, message: readonly unknown[]): void {
    encoder.open(this.#base.limits, Kind.send, 3);
    encoder.text(local);
    encoder.list("message", message);
  }

  /** Checks that values can be sent, and that a node's options allow it. */
  checkValues(name: string, values: readonly unknown[]): void {
    const encoder = takeEncoder();
    try {
      encoder.open(this.#base.limits, Kind.send, 1);
      encoder.list(name, values);
      encoder.bytesOf();
    } finally {
      giveEncoder(encoder);
    }
  }

  kill(id: string, why: KillReason | undefined): void {
    this.#base.checkOpen("kill a port");
    const { node, local } = this.#addresses.of(id, "kill");
    if (local === "") {
      throw new TypeError(
        `Cannot kill ${describe(id)}: it is a node, not a port; close the node itself`,
      );
    }
    this.postKill(node, local, killReason(why, node));
  }

  postKill(node: string, local: string, reason: Reason): void {
    this.postFrame(node, Kind.kill, 3, (encoder) => {
      encoder.text(local);
      encoder.named("reason", reason);
    });
  }

  /** Posts a frame that `write` writes. False: there is no such node. */
  postFrame(
    node: string,
    kind: number,
    items: number,
    write: (encoder: FrameEncoder) => void,
  ): boolean {
    const encoder = takeEncoder();
    try {
      encoder.open(this.#base.limits, kind, items);
      write(encoder);
      return this.post(node, "", encoder.bytesOf());
    } finally {
      giveEncoder(encoder);
    }
  }

  /**
   * Posts a frame. False: there is no such node.
   *
   * @param local the port that ends if this node's own queue is full; empty: the frame is added all the same
   * @param isAwaited something waits for the answer
   */
  post(node: string, local: string, bytes: Bytes, isAwaited: boolean = false): boolean {
    const { id, terms, isClosed } = this.#base;
    if (terms.trace) traceFrame(terms.trace, "sent", node, bytes);
    if (node !== id) return this.#carrier !== null && this.#carrier.send(node, bytes, isAwaited);
    if (isClosed) return false;
    if (local === "" || this.#stream.hasRoom(bytes.byteLength)) this.#stream.add(bytes);
    else this.#ports.overflow(local);
    return true;
  }

  queued(id: string): { messages: number; bytes: number } {
    const { node, local } = this.#addresses.of(id, "count messages to");
    if (node !== this.#base.id) return this.carrier.queued(node);
    const { messages, bytes } = this.#stream;
    const port = local === "" ? undefined : this.#ports.get(local);
    return { messages: messages + (port?.queued ?? 0), bytes };
  }
}
