/**
 * Passes requests on as a ZeroMQ door does, without ZeroMQ.
 *
 * @module
 */
import type { Origin } from "../../src/base/peer.ts";
import { encodeNote } from "../../src/channel/forwarding.ts";
import { PumpedClient } from "../../src/channel/pumped_client.ts";
import { sleep } from "./harness.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** How a request is passed on. */
export interface Forwarding extends Partial<Origin> {
  /** Instead of the note about the origin. */
  readonly note?: Uint8Array;
  /** In milliseconds. */
  readonly timeout?: number;
}

export class Forwarder implements Disposable {
  readonly client: PumpedClient;
  #isPumping = false;

  constructor(target: string) {
    this.client = PumpedClient.open(target);
  }

  /** Sends a request. Null: no slot is free. */
  trySend(payload: Uint8Array, forwarding: Forwarding = {}): Promise<Bytes> | null {
    const { address = "192.0.2.1", key, method, timeout = NaN } = forwarding;
    const { note = encodeNote({ address, key, method }) } = forwarding;
    const bytes = new Uint8Array(payload.byteLength + note.byteLength);
    bytes.set(payload);
    bytes.set(note, payload.byteLength);
    const { promise, resolve, reject } = Promise.withResolvers<Bytes>();
    const reader = { read: (answer: Bytes) => resolve(answer.slice()), fail: reject };
    return this.client.tryForward(bytes, payload.byteLength, note.byteLength, timeout, reader)
      ? promise
      : null;
  }

  /** Sends a request, and pumps until it is answered. */
  async call(payload: Uint8Array | string, forwarding: Forwarding = {}): Promise<Bytes> {
    const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
    const answer = this.trySend(bytes, forwarding);
    if (!answer) throw new Error("no slot is free");
    void this.pump();
    return await answer;
  }

  /** Takes answers as long as calls wait for them, and looks after the servers when the client says so. */
  async pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    const { client } = this;
    while (client.outstanding > 0) {
      if (client.collect() > 0) continue;
      const { patience } = client;
      if (patience === Infinity) break;
      await sleep(patience);
      if (!client.channel.isOpen) break;
      client.drainNotify();
      client.lookAround(true);
    }
    this.#isPumping = false;
  }

  [Symbol.dispose](): void {
    this.client.close();
  }
}
